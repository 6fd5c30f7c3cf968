package channels

import (
	"context"
	"encoding/hex"
)

// Trace is a place in a trace of whoever runs the platform: the ids and flags
// of W3C Trace Context. It never reaches a client.
type Trace struct {
	ID    [16]byte
	Span  [8]byte
	Flags byte
}

// Tracer follows events through the platform. Its methods are safe for
// concurrent use, return at once and learn nothing of what events carry.
type Tracer interface {
	// Publishing begins the step in which the broker takes evs, which are of one
	// app. It may set the Trace of each, which then travels with the event. The
	// step ends with done.
	Publishing(ctx context.Context, evs []Event) (done func(error))
	// Delivering begins the step in which this node hands an event that has a
	// Trace to those of its connections that hear it.
	Delivering(ev *Event) (done func(error))
}

// String gives the place as W3C's traceparent; nil is "".
func (t *Trace) String() string {
	if t == nil {
		return ""
	}
	return "00-" + hex.EncodeToString(t.ID[:]) + "-" + hex.EncodeToString(t.Span[:]) + "-" + hex.EncodeToString([]byte{t.Flags})
}

// ParseTrace reads what [Trace.String] gives; nil for anything else.
func ParseTrace(s string) *Trace {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) != length {
		return nil
	}
	var t Trace
	var flags [1]byte
	for _, part := range []struct {
		into []byte
		at   int
	}{{t.ID[:], 3}, {t.Span[:], 36}, {flags[:], 53}} {
		if _, err := hex.Decode(part.into, []byte(s[part.at:part.at+2*len(part.into)])); err != nil {
			return nil
		}
	}
	t.Flags = flags[0]
	if t.ID == [16]byte{} || t.Span == [8]byte{} || t.String() != s {
		return nil
	}
	return &t
}

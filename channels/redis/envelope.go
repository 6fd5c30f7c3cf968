package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"tidewire/channels"
)

// An envelope is what one event looks like inside Redis:
//
//	version   1 byte
//	kind      1 byte, the event's Kind
//	lengths   3 × 2 bytes: name, except, user id
//	number    8 bytes: of a message its CacheTTL in milliseconds, of a member
//	          change its Seq, of a CountChanged its Count, else 0
//	name, except, user id, then data up to the end
//
// Numbers are big endian. Every event has exactly one form, so there is nothing
// to normalize and nothing to smuggle. The topic is not in it: it is the shard
// channel. The text parts are UTF-8, because invalid UTF-8 in a frame makes
// browsers close. An event of a history has its place before that, see
// lua/history.lua. One that is followed has before that
//
//	version   1 byte, 3
//	trace     16 bytes, then 8 of the span, then 1 of flags
//
// which nobody writes unless tracing is on.
const (
	envelopeVersion = 1
	tracedVersion   = 3
	traceLen        = 1 + 16 + 8 + 1
	headerLen       = 16
	maxPart         = 1<<16 - 1
	maxCount        = 1<<31 - 1
	maxTTL          = 100 * 365 * 24 * time.Hour
	// maxEnvelope is far above any event a server accepts and far below what
	// would hurt a node that is sent garbage.
	maxEnvelope = 1 << 20
	maxMillis   = 1<<53 - 1 // of a time
)

var (
	errVersion   = errors.New("envelope of an unknown version")
	errKind      = errors.New("envelope of an unknown kind")
	errMalformed = errors.New("malformed envelope")
)

// appendEnvelope appends ev's envelope to dst. It refuses what decode would.
func appendEnvelope(dst []byte, ev *channels.Event) ([]byte, error) {
	name, except, user := ev.Name, string(ev.Except), ev.UserID
	size := envelopeLen(ev)
	switch {
	case len(name) > maxPart || len(except) > maxPart || len(user) > maxPart || size > maxEnvelope:
		return dst, fmt.Errorf("event of %d bytes is too large for the broker, at most %d", size, maxEnvelope)
	case !utf8.ValidString(name) || !utf8.ValidString(except) || !utf8.ValidString(user) || !utf8.Valid(ev.Data):
		return dst, errors.New("event is not valid UTF-8")
	}
	number, err := numberOf(ev)
	if err != nil {
		return dst, err
	}
	if t := ev.Trace; t != nil {
		if ev.Kind != channels.Message || !validTrace(t) {
			return dst, errors.New("event has a trace that cannot be carried")
		}
		dst = append(dst, tracedVersion)
		dst = append(append(append(dst, t.ID[:]...), t.Span[:]...), t.Flags)
	}
	dst = append(dst, envelopeVersion, byte(ev.Kind))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(name)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(except)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(user)))
	dst = binary.BigEndian.AppendUint64(dst, number)
	dst = append(dst, name...)
	dst = append(dst, except...)
	dst = append(dst, user...)
	return append(dst, ev.Data...), nil
}

func envelopeLen(ev *channels.Event) int {
	size := headerLen + len(ev.Name) + len(ev.Except) + len(ev.UserID) + len(ev.Data)
	if ev.Trace != nil {
		size += traceLen
	}
	return size
}

// numberOf picks the one number that an event of its kind has, and refuses an
// event that has another: it would be lost on the way.
func numberOf(ev *channels.Event) (uint64, error) {
	plain := *ev
	plain.Seq, plain.Count, plain.CacheTTL = 0, 0, 0
	var number uint64
	switch ev.Kind {
	case channels.Message:
		// Rounded up: a short time to live must not become none.
		number, plain.CacheTTL = uint64((max(ev.CacheTTL, 0)+time.Millisecond-1)/time.Millisecond), ev.CacheTTL
	case channels.MemberAdded, channels.MemberRemoved, channels.MemberUpdated:
		number, plain.Seq = ev.Seq, ev.Seq
	case channels.CountChanged:
		number, plain.Count = uint64(max(ev.Count, 0)), ev.Count
	case channels.Terminate:
	default:
		return 0, fmt.Errorf("event of unknown kind %d", ev.Kind)
	}
	switch {
	case plain.Seq != ev.Seq || plain.Count != ev.Count || plain.CacheTTL != ev.CacheTTL:
		return 0, fmt.Errorf("event of kind %d has a number that belongs to another kind", ev.Kind)
	case ev.Count < 0 || ev.Count > maxCount || ev.CacheTTL < 0 || ev.CacheTTL > maxTTL:
		return 0, errors.New("event has a count or time to live that is out of range")
	}
	return number, nil
}

// setNumber puts the number of an envelope where it belongs.
func setNumber(ev *channels.Event, number uint64) error {
	switch ev.Kind {
	case channels.Message:
		if number > uint64(maxTTL/time.Millisecond) {
			return errMalformed
		}
		ev.CacheTTL = time.Duration(number) * time.Millisecond
	case channels.MemberAdded, channels.MemberRemoved, channels.MemberUpdated:
		ev.Seq = number
	case channels.CountChanged:
		if number > maxCount {
			return errMalformed
		}
		ev.Count = int(number)
	case channels.Terminate:
		if number != 0 {
			return errMalformed
		}
	default:
		return errKind
	}
	return nil
}

// decodeEnvelope reads what another node, or anybody who can reach Redis, has
// published. The event has no topic yet.
func decodeEnvelope(s string) (*channels.Event, error) {
	if len(s) < 2 || len(s) > maxEnvelope {
		return nil, errMalformed
	}
	switch s[0] {
	case envelopeVersion:
	case placedVersion:
		return decodePlaced(s)
	case tracedVersion:
		return decodeTraced(s)
	default:
		return nil, errVersion
	}
	ev := &channels.Event{Kind: channels.EventKind(s[1])}
	if ev.Kind > channels.Terminate {
		return nil, errKind
	}
	if len(s) < headerLen {
		return nil, errMalformed
	}
	if err := setNumber(ev, binary.BigEndian.Uint64([]byte(s[8:headerLen]))); err != nil {
		return nil, err
	}
	part := func(at int) int { return int(s[at])<<8 | int(s[at+1]) }
	name := headerLen + part(2)
	except := name + part(4)
	user := except + part(6)
	if user > len(s) {
		return nil, errMalformed
	}
	// Checked one by one: bytes that are valid only when glued together are not.
	for _, text := range [...]string{s[headerLen:name], s[name:except], s[except:user], s[user:]} {
		if !utf8.ValidString(text) {
			return nil, errMalformed
		}
	}
	ev.Name, ev.Except, ev.UserID = s[headerLen:name], channels.SocketID(s[name:except]), s[except:user]
	if user < len(s) {
		ev.Data = []byte(s[user:])
	}
	return ev, nil
}

// decodeTraced reads an event that is followed; the rest of it is an envelope.
func decodeTraced(s string) (*channels.Event, error) {
	if len(s) <= traceLen || s[traceLen] != envelopeVersion {
		return nil, errMalformed
	}
	t := &channels.Trace{Flags: s[traceLen-1]}
	copy(t.ID[:], s[1:])
	copy(t.Span[:], s[1+len(t.ID):])
	ev, err := decodeEnvelope(s[traceLen:])
	if err != nil {
		return nil, err
	}
	if ev.Kind != channels.Message || !validTrace(t) {
		return nil, errMalformed
	}
	ev.Trace = t
	return ev, nil
}

// validTrace reports whether W3C allows the ids.
func validTrace(t *channels.Trace) bool { return t.ID != [16]byte{} && t.Span != [8]byte{} }

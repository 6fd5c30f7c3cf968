//go:build linux

package load

import (
	"bytes"
	"time"
)

// A stamp stands in the data of every event: the marker, then the number of the
// publisher, the sequence number of its event on that channel, and the time it
// was sent, all in decimal digits of fixed width.
const (
	marker       = "~tw~"
	streamDigits = 2
	seqDigits    = 9
	timeDigits   = 16
	stampBytes   = len(marker) + streamDigits + seqDigits + timeDigits

	// maxStreams bounds the publishers of one run.
	maxStreams = 16
)

// base is the zero of every time stamp. Publisher and clients live in one
// process, so the monotonic clock serves both.
var base = time.Now()

func now() int64 { return int64(time.Since(base)) }

type stamp struct {
	stream int
	seq    uint32
	sent   int64 // nanoseconds since base
}

// write puts the stamp at the start of b, which must have room for it.
func (s stamp) write(b []byte) {
	copy(b, marker)
	b = b[len(marker):]
	putDigits(b[:streamDigits], int64(s.stream))
	putDigits(b[streamDigits:streamDigits+seqDigits], int64(s.seq))
	putDigits(b[streamDigits+seqDigits:streamDigits+seqDigits+timeDigits], s.sent)
}

// findStamp looks for a stamp in b, at hint first: all events of a run have the
// same shape, so it is nearly always there. It returns where the stamp was.
func findStamp(b []byte, hint int) (s stamp, at int, ok bool) {
	at = hint
	if hint < 0 || hint+stampBytes > len(b) || string(b[hint:hint+len(marker)]) != marker {
		at = bytes.Index(b, []byte(marker))
		if at < 0 || at+stampBytes > len(b) {
			return stamp{}, hint, false
		}
	}
	d := b[at+len(marker) : at+stampBytes]
	stream, ok1 := digits(d[:streamDigits])
	seq, ok2 := digits(d[streamDigits : streamDigits+seqDigits])
	sent, ok3 := digits(d[streamDigits+seqDigits:])
	if !ok1 || !ok2 || !ok3 || stream >= maxStreams {
		return stamp{}, hint, false
	}
	return stamp{stream: int(stream), seq: uint32(seq), sent: sent}, at, true
}

// filler returns size bytes that need no escaping in JSON, room for the stamp first.
func filler(size int) []byte {
	b := make([]byte, max(size, stampBytes))
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

func putDigits(b []byte, v int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = '0' + byte(v%10)
		v /= 10
	}
}

func digits(b []byte) (v int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

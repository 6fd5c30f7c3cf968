package fanout

import "encoding/binary"

// HeaderRoom is how many bytes must be left free at the start of a buffer given
// to [NewText]: the longest header of an unmasked WebSocket frame (RFC 6455, 5.2).
const HeaderRoom = 10

const (
	wireText  = 0x1
	wireClose = 0x8
	finBit    = 0x80

	maxControlPayload = 125
)

// Frame is one encoded WebSocket frame, immutable and shared by every line it is sent on.
type Frame struct {
	wire  []byte
	tally Tally // nil if nobody counts it
}

// Tally is told on how many lines a frame was queued: once for each shard that
// has members of the group, on the shard's goroutine. It must not wait.
type Tally interface {
	// Queued says that a frame of size bytes on the wire was queued on n lines.
	Queued(n, size int)
}

// CountedBy has t told of every line that f is queued on, and returns f. It must
// be called before f is sent; t may be nil.
func (f *Frame) CountedBy(t Tally) *Frame {
	f.tally = t
	return f
}

func (f *Frame) count(lines int) {
	if f.tally != nil && lines > 0 {
		f.tally.Queued(lines, len(f.wire))
	}
}

// NewText makes a text frame of buf[HeaderRoom:], writing the header into the
// room before it. It takes buf over.
func NewText(buf []byte) *Frame {
	n := len(buf) - HeaderRoom
	switch {
	case n <= maxControlPayload:
		buf[8], buf[9] = finBit|wireText, byte(n)
		return &Frame{wire: buf[8:]}
	case n <= 0xffff:
		buf[6], buf[7] = finBit|wireText, 126
		binary.BigEndian.PutUint16(buf[8:], uint16(n)) // #nosec G115 -- bounded by the case
		return &Frame{wire: buf[6:]}
	default:
		buf[0], buf[1] = finBit|wireText, 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n)) // #nosec G115 -- a length is not negative
		return &Frame{wire: buf}
	}
}

// NewClose makes a close frame. The reason is cut to the 123 bytes a control
// frame has room for, at a character boundary.
func NewClose(code int, reason string) *Frame {
	const room = maxControlPayload - 2
	if len(reason) > room {
		cut := room
		for cut > 0 && reason[cut]&0xc0 == 0x80 { // never inside a UTF-8 sequence
			cut--
		}
		reason = reason[:cut]
	}
	wire := make([]byte, 4, 4+len(reason))
	wire[0], wire[1] = finBit|wireClose, byte(2+len(reason))
	binary.BigEndian.PutUint16(wire[2:], uint16(code)) // #nosec G115 -- close codes are below 5000
	return &Frame{wire: append(wire, reason...)}
}

// newRaw makes a frame of bytes that are already framed.
func newRaw(b []byte) *Frame { return &Frame{wire: append([]byte(nil), b...)} }

// Len returns the frame's size on the wire in bytes.
func (f *Frame) Len() int { return len(f.wire) }

package ws

import (
	"encoding/binary"
	"time"

	"tidewire/channels"
)

const (
	// maxFragments is how many frames one message may be split into.
	maxFragments = 64
	// A client may send frameRate frames a second, frameBurst at once; beyond
	// that its frames are read more slowly, which holds it back by TCP. A burst
	// is normal: a reconnecting client subscribes to all its channels.
	frameRate  = 200
	frameBurst = 5000
	// A client may send controlRate pings and pongs a second, controlBurst at
	// once; beyond that it is cut off.
	controlRate  = 10
	controlBurst = 100
	// messageTime is how long one message may take from its first byte to its last.
	messageTime = 20 * time.Second
)

// meter watches the frames of one client at the lowest level, below the
// WebSocket library, which bounds neither fragments nor control frames. It
// reads headers only and keeps no payload.
type meter struct {
	skip      int64 // payload bytes of the current frame still to come
	header    [10]byte
	have      uint8 // header bytes seen
	fragments uint8 // frames of the unfinished message
	over      bool  // frames were sent faster than frameRate: wait before reading on

	control, frames channels.Bucket
	lastRead        int64 // unix nanoseconds
	begun           int64 // when the unfinished message began; 0 between messages
}

// read looks at bytes just received.
func (m *meter) read(b []byte) error {
	now := time.Now().UnixNano()
	m.lastRead = now
	for len(b) > 0 {
		if m.skip > 0 {
			n := min(m.skip, int64(len(b)))
			m.skip -= n
			b = b[n:]
			m.settle()
			continue
		}
		if int(m.have) < len(m.header) { // the mask behind the length is not looked at
			m.header[m.have] = b[0]
		}
		m.have++
		b = b[1:]
		if m.have < 2 || int(m.have) < headerLen(m.header[1]) {
			continue
		}
		if err := m.frame(now); err != nil {
			return err
		}
		m.settle()
	}
	if m.begun == 0 && (m.have > 0 || m.skip > 0 || m.fragments > 0) {
		m.begun = now
	}
	if m.begun != 0 && now-m.begun > int64(messageTime) {
		return errFlood
	}
	return nil
}

// settle notes the end of a message.
func (m *meter) settle() {
	if m.skip == 0 && m.have == 0 && m.fragments == 0 {
		m.begun = 0
	}
}

// frame acts on a complete header.
func (m *meter) frame(now int64) error {
	m.have = 0
	fin, opcode := m.header[0]&0x80 != 0, m.header[0]&0x0f
	switch size := m.header[1] & 0x7f; size {
	case 126:
		m.skip = int64(binary.BigEndian.Uint16(m.header[2:]))
	case 127:
		length := binary.BigEndian.Uint64(m.header[2:])
		if length > 1<<40 { // the library's own limit is far below; this only keeps the sum sane
			return errFlood
		}
		m.skip = int64(length) // #nosec G115 -- bounded above
	default:
		m.skip = int64(size)
	}
	if opcode >= 8 {
		if !m.control.Spend(now, controlRate, controlBurst) {
			return errFlood
		}
		return nil
	}
	if !m.frames.Spend(now, frameRate, frameBurst) {
		m.over = true
	}
	if fin {
		m.fragments = 0
		return nil
	}
	if m.fragments++; m.fragments > maxFragments {
		return errFlood
	}
	return nil
}

// hold waits while the client is ahead of its frame rate.
func (m *meter) hold() {
	if m.over {
		m.over = false
		<-time.After(min(m.frames.Debt(time.Now().UnixNano()), time.Second))
	}
}

// extend returns the deadline a silent-looking peer has earned by what it sent
// since the last one was set; alive is false when that is nothing.
func (m *meter) extend(silence time.Duration) (until time.Time, alive bool) {
	until = time.Unix(0, m.lastRead).Add(silence)
	return until, until.After(time.Now())
}

func headerLen(second byte) int {
	n := 2
	switch second & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if second&0x80 != 0 {
		n += 4
	}
	return n
}

package fanout

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"time"
)

// Mailbox is the [Transport] of a connection that is no socket, such as one
// made of HTTP requests: it holds frames until somebody takes them. When it is
// full the line behind it fills up, and is cut off as any slow one.
type Mailbox struct {
	limit int
	gone  func()
	ready chan struct{} // capacity 1: there is something to take, or nothing more will come

	mu     sync.Mutex
	held   []byte        // whole frames that nobody has taken
	room   chan struct{} // closed when held was taken; nil while nobody waits for it
	ended  bool          // nothing more will come
	closed chan struct{}
}

var _ Transport = (*Mailbox)(nil)

// NewMailbox makes a mailbox that takes no more once it holds limit bytes. gone
// is called once, when the plane has closed it, and must not wait.
func NewMailbox(limit int, gone func()) *Mailbox {
	return &Mailbox{limit: limit, gone: gone, ready: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Ready is signalled when there may be something to take, or nothing more will
// come. One signal may stand for many frames.
func (m *Mailbox) Ready() <-chan struct{} { return m.ready }

// Take returns the frames held, for [EachText], and forgets them; last says
// that nothing will follow.
func (m *Mailbox) Take() (frames []byte, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	frames, m.held = m.held, nil
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
	return frames, m.ended
}

// Wake signals [Mailbox.Ready] without a frame.
func (m *Mailbox) Wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// TryWrite implements [Transport]. It takes all of b or nothing.
func (m *Mailbox) TryWrite(b []byte) (n int, blocked bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.isClosed():
		return 0, false, net.ErrClosed
	case len(b) == 0:
		return 0, false, nil
	case !m.put(b):
		return 0, true, nil
	}
	return len(b), false, nil
}

// put adds whole frames if there is room. The caller holds the lock.
func (m *Mailbox) put(b []byte) bool {
	if len(m.held) > 0 && len(m.held)+len(b) > m.limit {
		return false
	}
	m.held = append(m.held, b...)
	m.Wake()
	return true
}

// Drain implements [Transport].
func (m *Mailbox) Drain(rest []byte, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		m.mu.Lock()
		if m.isClosed() {
			m.mu.Unlock()
			return net.ErrClosed
		}
		if m.put(rest) {
			m.mu.Unlock()
			return nil
		}
		if m.room == nil {
			m.room = make(chan struct{})
		}
		room := m.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-m.closed:
			return net.ErrClosed
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
	}
}

// CloseWrite implements [Transport].
func (m *Mailbox) CloseWrite() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.Wake()
	return nil
}

// Close implements [Transport].
func (m *Mailbox) Close() error {
	m.mu.Lock()
	if m.isClosed() {
		m.mu.Unlock()
		return nil
	}
	close(m.closed)
	m.ended = true
	m.Wake()
	m.mu.Unlock()
	m.gone()
	return nil
}

func (m *Mailbox) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

// EachText calls text with the payload of each text frame among the whole
// frames given. If there is a close frame it returns its code and reason; the
// code is 0 if there is none.
func EachText(frames []byte, text func(payload []byte)) (code int, reason string) {
	for len(frames) >= 2 {
		opcode, n, head := frames[0]&0x0f, int(frames[1]&0x7f), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(frames[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(frames[2:])), 10 // #nosec G115 -- frames of ours
		}
		payload := frames[head : head+n]
		frames = frames[head+n:]
		switch {
		case opcode == wireText:
			text(payload)
		case opcode == wireClose && n >= 2:
			return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
	}
	return 0, ""
}

package ws

import (
	"crypto/tls"
	"time"

	"tidewire/channels/fanout"
)

// plain is the [fanout.Transport] straight onto a socket.
type plain struct{ *sock }

var _ fanout.Direct = plain{}

// TryWrite implements [fanout.Transport].
func (p plain) TryWrite(b []byte) (int, bool, error) { return p.tryWrite(b) }

// Drain implements [fanout.Transport].
func (p plain) Drain(rest []byte, deadline time.Time) error { return p.drain(rest, deadline) }

// CloseWrite implements [fanout.Transport].
func (p plain) CloseWrite() error { return p.tcp.CloseWrite() }

// Close implements [fanout.Transport].
func (p plain) Close() error { return p.sock.Close() }

// Hold implements [fanout.Direct].
func (p plain) Hold() (fd int, open bool) { return int(p.fd), p.guard.hold() }

// Release implements [fanout.Direct].
func (p plain) Release() {
	if p.guard.release() {
		_ = p.tcp.Close()
	}
}

// sealed is the [fanout.Transport] through TLS. Records are made by the TLS
// layer, which writes them into the socket's hold and so never waits; a
// coalesced flush is one record.
type sealed struct {
	*sock
	tls *tls.Conn
}

var _ fanout.Transport = sealed{}

// TryWrite implements [fanout.Transport]. What it takes it may still hold.
func (s sealed) TryWrite(b []byte) (n int, blocked bool, err error) {
	if blocked, err = s.passOn(); blocked || err != nil || len(b) == 0 {
		return 0, blocked, err
	}
	s.setPushing(true)
	n, err = s.tls.Write(b)
	s.setPushing(false)
	if err != nil {
		return n, false, err
	}
	blocked, err = s.passOn()
	return n, blocked, err
}

func (s sealed) setPushing(on bool) {
	s.held.mu.Lock()
	s.held.pushing = on
	s.held.mu.Unlock()
}

// passOn writes what is held to the descriptor without waiting. An idle
// connection keeps no buffer.
func (s sealed) passOn() (blocked bool, err error) {
	h := s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.bytes) == 0 {
		return false, nil
	}
	n, _, err := s.tryWrite(h.bytes)
	if n == len(h.bytes) {
		h.bytes = nil
		return false, err
	}
	h.bytes = append(h.bytes[:0], h.bytes[n:]...)
	return true, err
}

// Drain implements [fanout.Transport].
func (s sealed) Drain(rest []byte, deadline time.Time) error {
	if len(rest) > 0 {
		s.setPushing(true)
		_, err := s.tls.Write(rest)
		s.setPushing(false)
		if err != nil {
			return err
		}
	}
	s.held.mu.Lock()
	b := s.held.bytes
	s.held.bytes = nil
	s.held.mu.Unlock()
	return s.drain(b, deadline)
}

// CloseWrite implements [fanout.Transport].
func (s sealed) CloseWrite() error {
	s.setPushing(true)
	err := s.tls.CloseWrite()
	s.setPushing(false)
	if _, e := s.passOn(); err == nil {
		err = e
	}
	if e := s.tcp.CloseWrite(); err == nil {
		err = e
	}
	return err
}

// Close implements [fanout.Transport].
func (s sealed) Close() error { return s.sock.Close() }

// holdBack makes the plane the only writer of the socket: from now on what the
// TLS layer writes is collected, and kick asks for it to be passed on. Nothing
// else may use the socket during the call.
func (s sealed) holdBack(kick func()) { s.held = &hold{kick: kick} }

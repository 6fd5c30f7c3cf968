package ws

import (
	"crypto/tls"
	"time"

	"tidewire/channels/fanout"
)

// plain is the [fanout.Transport] straight onto a socket.
type plain struct{ *sock }

var _ fanout.Transport = plain{}

// TryWrite implements [fanout.Transport].
func (p plain) TryWrite(s *fanout.Syscall, b []byte) (int, bool, error) { return p.tryWrite(s, b) }

// Drain implements [fanout.Transport].
func (p plain) Drain(rest []byte, deadline time.Time) error { return p.drain(rest, deadline) }

// CloseWrite implements [fanout.Transport].
func (p plain) CloseWrite() error { return p.tcp.CloseWrite() }

// Close implements [fanout.Transport].
func (p plain) Close() error { return p.tcp.Close() }

// sealed is the [fanout.Transport] through TLS. Records are made by the TLS
// layer, which writes them into the socket's hold and so never waits; a
// coalesced flush is one record.
type sealed struct {
	*sock
	tls *tls.Conn
}

var _ fanout.Transport = sealed{}

// TryWrite implements [fanout.Transport]. What it takes it may still hold.
func (s sealed) TryWrite(sys *fanout.Syscall, b []byte) (n int, blocked bool, err error) {
	if blocked, err = s.passOn(sys); blocked || err != nil || len(b) == 0 {
		return 0, blocked, err
	}
	s.setPushing(true)
	n, err = s.tls.Write(b)
	s.setPushing(false)
	if err != nil {
		return n, false, err
	}
	blocked, err = s.passOn(sys)
	return n, blocked, err
}

func (s sealed) setPushing(on bool) {
	s.hold.mu.Lock()
	s.hold.pushing = on
	s.hold.mu.Unlock()
}

// passOn writes what is held to the descriptor without waiting. An idle
// connection keeps no buffer.
func (s sealed) passOn(sys *fanout.Syscall) (blocked bool, err error) {
	h := s.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.bytes) == 0 {
		return false, nil
	}
	n, err := sys.Write(s.raw, h.bytes)
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
	s.hold.mu.Lock()
	b := s.hold.bytes
	s.hold.bytes = nil
	s.hold.mu.Unlock()
	return s.drain(b, deadline)
}

// CloseWrite implements [fanout.Transport].
func (s sealed) CloseWrite() error {
	s.setPushing(true)
	err := s.tls.CloseWrite()
	s.setPushing(false)
	var sys fanout.Syscall
	if _, e := s.passOn(&sys); err == nil {
		err = e
	}
	if e := s.tcp.CloseWrite(); err == nil {
		err = e
	}
	return err
}

// Close implements [fanout.Transport].
func (s sealed) Close() error { return s.tcp.Close() }

// holdBack makes the plane the only writer of the socket: from now on what the
// TLS layer writes is collected, and kick asks for it to be passed on. Nothing
// else may use the socket during the call.
func (s sealed) holdBack(kick func()) { s.hold = &hold{kick: kick} }

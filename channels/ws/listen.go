package ws

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tidewire/channels"
	"tidewire/channels/fanout"
)

// Listen wraps a listener so that the door can take its connections over. With
// the handler of the [http.Server] that serves on it, ordinary handshakes reach
// that handler without the server; with nil, as under TLS, all go through it.
//
// What admission has no room for is closed at once: those who connect and say
// nothing would else leave no descriptor for the database. Call it before
// anything is served.
func (d *Door) Listen(l net.Listener, h http.Handler) net.Listener {
	inner := listener{l, d.cfg.Admission}
	if h == nil {
		return &inner
	}
	f := newFront(inner, h, d.hub.Publishes, d.cfg.Log)
	d.fronts = append(d.fronts, f)
	return f
}

// listener gives the HTTP server connections that the door can take over.
type listener struct {
	net.Listener
	admission *channels.Admission // nil = room for everybody
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.accept()
		s, ok := c.(*sock)
		if err != nil || !ok || l.admission.Room(int(s.fd)) {
			return c, err
		}
		_ = s.tcp.Close()
	}
}

func (l *listener) accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	s := &sock{tcp: tcp}
	if err := raw.Control(func(fd uintptr) { s.fd = int32(fd) }); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return s, nil
}

// sock is an accepted TCP connection. The TCP connection is a named field on
// purpose: embedded, it would promote methods through which large writes of the
// WebSocket library bypass Write.
//
// Under TLS the plane cannot write to the descriptor itself: see [hold].
type sock struct {
	tcp   *net.TCPConn
	held  *hold // set before the plane owns the socket of a TLS connection; nil otherwise
	fd    int32 // the descriptor of tcp, used while guard is held
	guard guard
}

// guard keeps a descriptor open while the plane uses it: whoever closes the
// socket meanwhile leaves that to the plane. Without it a write could reach
// the stranger who got the same number next.
type guard struct{ state atomic.Uint32 }

const (
	guardHeld   = 1
	guardClosed = 2
)

// hold reports false if the socket is closed. Only the plane holds, and the
// pace before there is a plane.
func (g *guard) hold() bool { return g.state.CompareAndSwap(0, guardHeld) }

// release reports whether the socket is now to be closed.
func (g *guard) release() bool {
	return !g.state.CompareAndSwap(guardHeld, 0) && g.state.Swap(guardClosed) == guardHeld|guardClosed
}

// close reports whether the socket is to be closed now, by the caller.
func (g *guard) close() bool { return g.state.Or(guardClosed) == 0 }

// hold collects what the TLS layer writes, from whatever goroutine, so that the
// plane can pass it on without waiting.
type hold struct {
	mu      sync.Mutex
	bytes   []byte // written by the TLS layer, not yet by the socket
	kick    func() // asks the plane to write them
	pushing bool   // the plane's own goroutine is inside the TLS layer: no kick needed
}

// Read implements [net.Conn].
func (s *sock) Read(b []byte) (int, error) { return s.tcp.Read(b) }

// Write implements [net.Conn].
func (s *sock) Write(b []byte) (int, error) {
	h := s.held
	if h == nil {
		return s.tcp.Write(b)
	}
	h.mu.Lock()
	h.bytes = append(h.bytes, b...)
	pushing := h.pushing
	h.mu.Unlock()
	if !pushing {
		h.kick()
	}
	return len(b), nil
}

// Close implements [net.Conn].
func (s *sock) Close() error {
	if s.guard.close() {
		return s.tcp.Close()
	}
	return nil
}

// LocalAddr implements [net.Conn].
func (s *sock) LocalAddr() net.Addr { return s.tcp.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (s *sock) RemoteAddr() net.Addr { return s.tcp.RemoteAddr() }

// SetDeadline implements [net.Conn].
func (s *sock) SetDeadline(t time.Time) error { return s.tcp.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (s *sock) SetReadDeadline(t time.Time) error { return s.tcp.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (s *sock) SetWriteDeadline(t time.Time) error { return s.tcp.SetWriteDeadline(t) }

// tryWrite writes to the descriptor without waiting.
func (s *sock) tryWrite(b []byte) (n int, blocked bool, err error) {
	if !s.guard.hold() {
		return 0, false, net.ErrClosed
	}
	n, err = fanout.WriteNow(int(s.fd), b)
	if s.guard.release() {
		_ = s.tcp.Close()
	}
	return n, n < len(b), err
}

// gone reports whether the peer has closed the connection, by a look at what is
// to be read next.
func (s *sock) gone() bool {
	if !s.guard.hold() {
		return true
	}
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(s.fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	if s.guard.release() {
		_ = s.tcp.Close()
	}
	return n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR // #nosec -- they are not wrapped
}

// drain writes b, waiting for the peer until deadline.
func (s *sock) drain(b []byte, deadline time.Time) error {
	if err := s.tcp.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.tcp.Write(b); err != nil {
		return err
	}
	return s.tcp.SetWriteDeadline(time.Time{})
}

package ws

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"tidewire/channels"
	"tidewire/channels/fanout"
)

// client is the connection the WebSocket library is given: reads come from the
// socket through the meter, writes go to the plane as whole control frames.
type client struct {
	inner     net.Conn // *sock, or *tls.Conn over one
	transport fanout.Transport
	door      *Door
	arrival   *arrival                    // nil once connected
	early     *bytes.Reader               // what the client sent before the handshake was answered; nil for nothing
	conn      *channels.Conn              // nil until connected, and for refused connections
	line      atomic.Pointer[fanout.Line] // nil during the handshake
	meter     meter                       // owned by the reading goroutine
	lingers   bool                        // owned by the reading goroutine: we ended it, and the peer may still send
}

// arrival is what is needed of a client only until it is connected.
type arrival struct {
	entry   *channels.Entry
	scratch *bufio.ReadWriter // lent to the library
}

// connAddr lets the door find the client from a melody session at no cost:
// RemoteAddr returns the client itself, typed as an address.
type connAddr client

// Network implements [net.Addr].
func (*connAddr) Network() string { return "tcp" }

// String implements [net.Addr].
func (a *connAddr) String() string { return a.inner.RemoteAddr().String() }

// Read implements [net.Conn]. A deadline that passes although the peer has been
// heard from meanwhile is moved on, so that any inbound byte counts as life.
func (c *client) Read(b []byte) (int, error) {
	if c.early != nil {
		if n, err := c.early.Read(b); err == nil {
			return n, c.meter.read(b[:n])
		}
		c.early = nil
	}
	for {
		c.meter.hold()
		n, err := c.inner.Read(b)
		if n > 0 {
			if e := c.meter.read(b[:n]); e != nil {
				return 0, e
			}
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		until, alive := c.meter.extend(c.door.cfg.Silence)
		if !alive {
			return 0, err
		}
		if e := c.inner.SetReadDeadline(until); e != nil {
			return 0, e
		}
	}
}

// Write implements [net.Conn]. During the handshake it writes through. After it
// only control frames come here, each as one call.
func (c *client) Write(b []byte) (int, error) {
	line := c.line.Load()
	if line == nil {
		return c.inner.Write(b)
	}
	line.SendRaw(b)
	return len(b), nil
}

// Close implements [net.Conn]. The library calls it when reading has ended.
func (c *client) Close() error {
	line := c.line.Load()
	switch {
	case line == nil:
		return c.inner.Close()
	case c.lingers:
		line.Close()
	default:
		line.ReadEnded()
	}
	return nil
}

// lingerBytes is how much of what a peer still sends is taken after we have
// ended the connection.
const lingerBytes = 1 << 20

// linger takes what the peer still sends until it has seen the end, or until
// the plane has waited long enough. Closing a socket with bytes unread resets
// the connection, and the peer would lose the code that says why.
func (c *client) linger() {
	var b [512]byte
	for taken := 0; taken < lingerBytes; {
		n, err := c.inner.Read(b[:])
		if err != nil {
			break
		}
		taken += n
	}
	if line := c.line.Load(); line != nil {
		line.ReadEnded()
	}
}

// LocalAddr implements [net.Conn].
func (c *client) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *client) RemoteAddr() net.Addr { return (*connAddr)(c) }

// SetDeadline implements [net.Conn]; the library clears deadlines with it.
func (c *client) SetDeadline(t time.Time) error { return c.inner.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (c *client) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn]; writing never waits.
func (c *client) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*client)(nil)

var errFlood = errors.New("client sends more frames than it may")

// isTimeout reports whether reading ended because the peer fell silent.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, io.EOF)
}

package ws

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGone(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &listener{Listener: tcp}
	defer l.Close()
	pair := func() (net.Conn, *sock) {
		c, err := net.Dial("tcp", tcp.Addr().String())
		require.NoError(t, err)
		accepted, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = c.Close(), accepted.Close() })
		return c, accepted.(*sock)
	}
	soon := func(s *sock) bool {
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			if s.gone() {
				return true
			}
		}
		return false
	}

	_, silent := pair()
	require.False(t, silent.gone())

	c, busy := pair()
	_, err = io.WriteString(c, "x")
	require.NoError(t, err)
	require.Never(t, busy.gone, 20*time.Millisecond, time.Millisecond)
	var b [1]byte
	_, err = io.ReadFull(busy, b[:])
	require.NoError(t, err, "a look takes nothing")

	c, left := pair()
	require.NoError(t, c.Close())
	require.True(t, soon(left))

	c, reset := pair()
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	require.True(t, soon(reset))

	_, ours := pair()
	require.NoError(t, ours.Close())
	require.True(t, ours.gone())
}

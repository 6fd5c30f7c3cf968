package ws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func TestWhatEndsAConnection(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	for name, c := range map[string]struct {
		act  func(*peer)
		code int
	}{
		"binary frame":   {func(p *peer) { _ = p.WriteMessage(websocket.BinaryMessage, []byte("{}")) }, 1003},
		"invalid UTF-8":  {func(p *peer) { p.send("\xff\xfe\x80") }, 1007},
		"too large":      {func(p *peer) { p.send(strings.Repeat("x", 40000)) }, 1009},
		"a ping flood":   {func(p *peer) { flood(p, websocket.PingMessage) }, 4100},
		"a pong flood":   {func(p *peer) { flood(p, websocket.PongMessage) }, 4100},
		"many fragments": {fragments, 4100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := w.connect()
			c.act(p)
			require.Equal(t, c.code, p.closed())
		})
	}
}

// Whoever is still sending when the connection is ended learns why all the same.
func TestCodeReachesAClientThatStillSends(t *testing.T) {
	t.Parallel()
	for _, o := range []options{{}, {tls: true}} {
		w := setup(t, o)
		for range 20 {
			p := w.raw(0)
			_, err := p.Write(append([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0}, make([]byte, 256<<10)...))
			require.NoError(t, err)
			opcode, text := p.frame()
			require.EqualValues(t, 8, opcode)
			require.Equal(t, "\x03\xf1", text[:2], "1009, too large")
			p.requireGone()
		}
	}
}

func flood(p *peer, kind int) {
	for range 300 {
		if p.WriteControl(kind, nil, time.Now().Add(time.Second)) != nil {
			return
		}
	}
}

func fragments(p *peer) {
	raw := p.NetConn()
	_, _ = raw.Write([]byte{0x01, 0x80, 0, 0, 0, 0}) // text, not final, empty, masked
	for range 200 {
		if _, err := raw.Write([]byte{0x00, 0x80, 0, 0, 0, 0}); err != nil {
			return
		}
	}
}

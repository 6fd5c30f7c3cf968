package ws_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const handshake = "GET /app/" + appKey + "?protocol=7 HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// counted is a server that counts what its front answers itself.
func counted(t *testing.T) (w *world, atFront *atomic.Int64) {
	t.Helper()
	atFront = &atomic.Int64{}
	w = setup(t, options{front: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			atFront.Add(1)
			h.ServeHTTP(w, r)
		})
	}})
	return w, atFront
}

// tell opens a connection and sends the parts, each as one segment.
func (w *world) tell(parts ...string) *rawPeer {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "ws://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	require.NoError(w.t, c.SetDeadline(time.Now().Add(10*time.Second)))
	for _, p := range parts {
		_, err := io.WriteString(c, p)
		require.NoError(w.t, err)
	}
	return &rawPeer{Conn: c, t: w.t, r: bufio.NewReader(c)}
}

// status reads the head of an answer, and its body unless it is an upgrade.
func (p *rawPeer) status() (status int, body string) {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	require.NoError(p.t, err)
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.NoError(p.t, res.Body.Close())
	return res.StatusCode, string(b)
}

// requireGone reads to the end of the stream.
func (p *rawPeer) requireGone() {
	p.t.Helper()
	_, err := p.r.ReadByte()
	require.ErrorIs(p.t, err, io.EOF)
}

func TestHandshakesOfAnyForm(t *testing.T) {
	t.Parallel()
	w, atFront := counted(t)
	ping := "\x89\x82\x00\x00\x00\x00hi"
	for name, c := range map[string]struct {
		parts   []string
		atFront int64
	}{
		"ordinary":                {[]string{handshake + "\r\n"}, 1},
		"a header in small":       {[]string{strings.ReplaceAll(handshake, "Upgrade:", "upgrade:") + "\r\n"}, 1},
		"in pieces":               {strings.SplitAfter(handshake+"\r\n", "e"), 0},
		"with a large cookie":     {[]string{handshake + "Cookie: " + strings.Repeat("c", 8<<10) + "\r\n\r\n"}, 0},
		"a frame behind it":       {[]string{handshake + "\r\n" + ping}, 0},
		"a frame that looks like": {[]string{handshake + "\r\n\x89\x84\x00\x00\x00\x00\r\n\r\n"}, 0},
	} {
		before := atFront.Load()
		p := w.tell(c.parts...)
		status, _ := p.status()
		require.Equal(t, http.StatusSwitchingProtocols, status, name)
		_, greeting := p.frame()
		require.Contains(t, greeting, "connection_established", name)
		if strings.HasPrefix(name, "a frame") {
			opcode, _ := p.frame()
			require.EqualValues(t, 10, opcode, name)
		}
		if name != "in pieces" { // which may have come together
			require.Equal(t, c.atFront, atFront.Load()-before, name)
		}
		p.subscribe("news")
	}
	require.NoError(t, w.publish("news", "e", "d"))
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	w, atFront := counted(t)
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no upgrade":         {"GET /app/x HTTP/1.1\r\nHost: here\r\n\r\n", http.StatusUpgradeRequired},
		"another path":       {"GET /apps HTTP/1.1\r\nHost: here\r\n\r\n", http.StatusUpgradeRequired},
		"no host":            {strings.Replace(handshake, "Host: here\r\n", "", 1) + "\r\n", http.StatusBadRequest},
		"a control byte":     {handshake + "X-Odd: \x01\r\n\r\n", http.StatusBadRequest},
		"no HTTP":            {"GET /app/ \r\n\r\n", http.StatusBadRequest},
		"a body":             {handshake + "Content-Length: 2\r\n\r\n\r\n\r\n", http.StatusSwitchingProtocols},
		"an odd version":     {strings.Replace(handshake, "HTTP/1.1", "HTTP/9.9", 1) + "\r\n", http.StatusHTTPVersionNotSupported},
		"a header split up":  {handshake + " folded: 1\r\n\r\n", http.StatusBadRequest}, // which becomes part of the key
		"a key that is none": {strings.Replace(handshake, "dGhl", "????", 1) + "\r\n", http.StatusBadRequest},
		"a short key":        {strings.Replace(handshake, "dGhl", "", 1) + "\r\n", http.StatusBadRequest},
	} {
		t.Log(name)
		status, _ := w.tell(c.request).status()
		require.Equal(t, c.status, status, name)
	}
	require.EqualValues(t, 3, atFront.Load(), "only what is wrong with the key is the handler's to see")

	p := w.tell(strings.Repeat("GET /app/x HTTP/1.1\r\nHost: here\r\n\r\n", 3))
	for range 3 {
		status, _ := p.status()
		require.Equal(t, http.StatusUpgradeRequired, status, "a connection is kept for the next request")
	}
}

func TestFrontAnswersForAHandlerThatRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t, options{front: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("X-Case") {
			case "refuse":
				w.Header().Set("X-Why", "full")
				w.WriteHeader(http.StatusTeapot)
				w.WriteHeader(http.StatusOK) // the first counts
				_, _ = fmt.Fprint(w, "no ", "room")
			case "panic":
				panic(errors.New("on purpose"))
			case "abort":
				panic(http.ErrAbortHandler)
			}
		})
	}})
	p := w.tell(handshake + "X-Case: refuse\r\n\r\n")
	status, body := p.status()
	require.Equal(t, http.StatusTeapot, status)
	require.Equal(t, "no room", body)
	p.requireGone()
	for _, end := range []string{"panic", "abort"} {
		w.tell(handshake + "X-Case: " + end + "\r\n\r\n").requireGone()
	}
	p = w.tell(handshake + "X-Case: nothing\r\n\r\n")
	status, body = p.status()
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, body)
	p.requireGone()
}

// The end of the server does not wait for those who connected and say nothing.
func TestSilentConnectionsEndWithTheServer(t *testing.T) {
	t.Parallel()
	var silent []*rawPeer
	t.Run("server", func(inner *testing.T) {
		w := setup(inner, options{})
		w.t = t // the connections outlive the server
		for range 20 {
			silent = append(silent, w.tell())
		}
		silent = append(silent, w.tell("GET /app"))
		w.connect() // the listener has come to those before it
	})
	for _, p := range silent {
		_, err := p.r.ReadByte()
		require.Error(t, err)
		require.NotErrorIs(t, err, net.ErrClosed)
		var timeout net.Error
		require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "still open")
	}
}

// While events flow, clients that come all at once wait their turn; all come in,
// and the others miss nothing.
func TestManyComeWhileEventsFlow(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	here := w.raw(0)
	here.subscribe("news")
	quit, published := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-quit:
				published <- n
				return
			case <-time.After(5 * time.Millisecond):
				_ = w.publish("news", "e", "d")
			}
		}
	}()
	here.frame() // events flow
	var peers []*rawPeer
	for range 100 * runtime.GOMAXPROCS(0) { // twice what is let in at once
		peers = append(peers, w.tell(handshake+"\r\n"))
	}
	for i, p := range peers {
		if i%10 == 0 { // has given up
			_ = p.Close()
			continue
		}
		status, _ := p.status()
		require.Equal(t, http.StatusSwitchingProtocols, status)
		_, text := p.frame()
		require.Contains(t, text, "connection_established")
	}
	close(quit)
	for range <-published - 1 {
		here.frame()
	}
	require.Eventually(t, func() bool { return w.door.Waiting() == 0 }, 10*time.Second, time.Millisecond)
}

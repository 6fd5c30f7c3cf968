package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// node is a server that runs inside the test.
type node struct {
	environ []string // makes commands talk to it and to its database
	url     string   // of the main port
	metrics string
	log     *buffer
	stop    context.CancelFunc
	ended   chan error
}

// startNode runs a server on free ports and waits until it is ready. environ
// adds to a configuration with a data folder of its own.
func startNode(t *testing.T, environ ...string) *node {
	t.Helper()
	return startNodeWith(t, extras{}, append([]string{"TIDEWIRE_DATA_DIR=" + t.TempDir()}, environ...)...)
}

func startNodeWith(t *testing.T, x extras, environ ...string) *node {
	t.Helper()
	environ = append([]string{
		"TIDEWIRE_LISTEN=127.0.0.1:0", "TIDEWIRE_METRICS_LISTEN=127.0.0.1:0",
		"TIDEWIRE_LOG_FORMAT=json", "TIDEWIRE_SHUTDOWN_TIMEOUT=10s",
	}, environ...)
	cfg, _, err := load(t, environ)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	n := &node{log: &buffer{}, stop: stop, ended: make(chan error, 1)}
	up := make(chan addresses, 1)
	before := x.ready
	x.ready = func(a addresses) {
		if before != nil {
			before(a)
		}
		up <- a
	}
	go func() { n.ended <- run(ctx, cfg, newLogger(cfg, n.log), x) }()
	t.Cleanup(func() {
		n.end(t)
		requireClean(t, n.log.String(), secretMark, password) // whatever the test is about
	})
	select {
	case a := <-up:
		n.url, n.metrics = cfg.localURL(a.Main), "http://"+a.Metrics
		n.environ = append(environ, "TIDEWIRE_LISTEN="+a.Main)
	case err := <-n.ended:
		n.ended <- err
		require.NoError(t, err, "the server did not start")
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the server did not start in time", n.log.String())
	}
	eventually(t, func() bool { status, _ := get(t, n.url+"/readyz"); return status == http.StatusOK }, "not ready")
	return n
}

// end stops the server and waits for it; ending twice is in order.
func (n *node) end(t *testing.T) {
	t.Helper()
	n.stop()
	select {
	case err := <-n.ended:
		n.ended <- err
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the server did not stop", n.log.String())
	}
}

// get asks for a page without following redirects. A server that does not
// answer gives status 0.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	status, _, body = request(t, http.MethodGet, url, nil, "")
	return status, body
}

func request(t *testing.T, method, url string, header http.Header, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(b)
}

// client is a bare WebSocket client.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, base, key string) *client {
	t.Helper()
	url := "ws" + strings.TrimPrefix(base, "http") + "/app/" + key + "?protocol=7"
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

// next reads one frame.
func (c *client) next() frame {
	c.t.Helper()
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(15*time.Second)))
	_, message, err := c.conn.ReadMessage()
	require.NoError(c.t, err)
	var f frame
	require.NoError(c.t, json.Unmarshal(message, &f))
	return f
}

// closed reads on until the connection ends, and returns the close code.
func (c *client) closed() int {
	c.t.Helper()
	for {
		require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(15*time.Second)))
		_, _, err := c.conn.ReadMessage()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		require.ErrorAs(c.t, err, &closed)
		return closed.Code
	}
}

// subscribed connects and subscribes to public channels.
func subscribed(t *testing.T, base, key string, names ...string) *client {
	t.Helper()
	c := dial(t, base, key)
	require.Equal(t, "pusher:connection_established", c.next().Event)
	for _, name := range names {
		require.NoError(t, c.conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": name}}))
		f := c.next()
		require.Equal(t, "pusher_internal:subscription_succeeded", f.Event)
		require.Equal(t, name, f.Channel)
	}
	return c
}

// secretMark is in every secret that tests make for an app.
const secretMark = "streng-geheim-"

// createApp creates an app by the command and returns what it printed.
func createApp(t *testing.T, environ []string, args ...string) printedApp {
	t.Helper()
	if !slices.Contains(args, "--secret") {
		args = append(args, "--secret", secretMark+strings.ToLower(rand.Text()[:8]))
	}
	r := platform(t, environ, append([]string{"apps", "create", "--json", "--tenant", "acme", "--name", "Chat"}, args...)...)
	require.Zero(t, r.code, r.stderr)
	var app printedApp
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &app))
	return app
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

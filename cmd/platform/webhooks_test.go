package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/webhooks"
)

// hookReceiver is a customer's server: it keeps what it was sent.
type hookReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []hookRequest
	status   int
}

type hookRequest struct {
	header http.Header
	body   []byte
}

func newHookReceiver(t *testing.T) *hookReceiver {
	t.Helper()
	r := &hookReceiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		w.WriteHeader(r.status)
		r.requests = append(r.requests, hookRequest{req.Header, body})
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *hookReceiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *hookReceiver) all() []hookRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hookRequest(nil), r.requests...)
}

// names are the events received, in order.
func (r *hookReceiver) names(t *testing.T) (names []string) {
	t.Helper()
	for _, req := range r.all() {
		var body struct {
			TimeMS int64 `json:"time_ms"`
			Events []struct{ Name, Channel string }
		}
		require.NoError(t, json.Unmarshal(req.body, &body))
		require.Positive(t, body.TimeMS)
		for _, e := range body.Events {
			names = append(names, e.Name+" "+e.Channel)
		}
	}
	return names
}

func createHook(t *testing.T, n *node, args ...string) printedEndpoint {
	t.Helper()
	r := platform(t, n.environ, append([]string{"webhooks", "create", "--json"}, args...)...)
	require.Zero(t, r.code, r.stderr)
	var e printedEndpoint
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &e))
	return e
}

const allowLoopback = "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"

// inForce waits until the running server knows of an endpoint: a channel nobody
// else uses is occupied again and again until that is told.
func inForce(t *testing.T, n *node, key string, r *hookReceiver) {
	t.Helper()
	before := len(r.all())
	i := 0
	eventually(t, func() bool {
		i++
		c := subscribed(t, n.url, key, "probe-"+string(rune('a'+i%26))+string(rune('a'+i/26%26)))
		_ = c.conn.Close()
		return len(r.all()) > before
	}, "the endpoint is not in force")
}

func TestWebhooksEndToEnd(t *testing.T) {
	t.Parallel()
	receiver := newHookReceiver(t)
	n := startNode(t, allowLoopback)
	app := createApp(t, n.environ)
	e := createHook(t, n, "--app", string(app.ID), "--url", receiver.URL+"/hook", "--events", "channel_occupied,channel_vacated", "--header", "X-Token: t0p")
	inForce(t, n, app.Key, receiver)
	c := subscribed(t, n.url, app.Key, "room")
	eventually(t, func() bool { return contains(receiver.names(t), "channel_occupied room") }, "occupied not told")
	// Coming back within the grace is not to have been away.
	_ = c.conn.Close()
	c = subscribed(t, n.url, app.Key, "room")
	_ = c.conn.Close()
	eventually(t, func() bool { return contains(receiver.names(t), "channel_vacated room") }, "vacated not told")
	names := receiver.names(t)
	require.Equal(t, 1, count(names, "channel_occupied room"))
	require.Equal(t, 1, count(names, "channel_vacated room"))
	last := receiver.all()[len(receiver.all())-1]
	require.Equal(t, []string{"application/json"}, last.header["Content-Type"])
	require.Equal(t, app.Key, last.header.Get("X-Pusher-Key"))
	require.Equal(t, "t0p", last.header.Get("X-Token"))

	r := platform(t, n.environ, "webhooks", "test", e.ID)
	require.Zero(t, r.code, r.stderr)
	r = platform(t, n.environ, "webhooks", "deliveries", e.ID, "--json")
	require.Zero(t, r.code, r.stderr)
	var log []printedDelivery
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &log))
	require.NotEmpty(t, log)
	for _, d := range log {
		require.Equal(t, webhooks.Delivered, d.Status)
	}
	before := len(receiver.all())
	r = platform(t, n.environ, "webhooks", "replay", e.ID, "--delivery", log[len(log)-1].ID)
	require.Zero(t, r.code, r.stderr)
	eventually(t, func() bool { return len(receiver.all()) > before }, "not replayed")
	require.Equal(t, log[len(log)-1].ID, receiver.all()[before].header.Get("Webhook-Id"))
}

func contains(names []string, want string) bool { return count(names, want) > 0 }

func count(names []string, want string) (n int) {
	for _, name := range names {
		if name == want {
			n++
		}
	}
	return n
}

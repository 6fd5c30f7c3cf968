package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// noted is an entry of a live console.
type noted struct {
	Time               int64
	Kind, Code         string
	Socket             string `json:"socket_id"`
	Channel, Event     string
	User               string `json:"user_id"`
	From, Text, Remedy string
	Data               string
	Cut, Refused       bool
	Size, Wire         int
	node               string
	came               time.Time
}

// watcher is a live console: it keeps all it is told.
type watcher struct {
	t    *testing.T
	conn *websocket.Conn
	done chan struct{}

	mu      sync.Mutex
	entries []noted
	skipped map[string]int
	bytes   int
}

type ticket struct{ Key, Path, Channel, Auth string }

// watch opens the console of an app in the name of p, and waits until as many
// nodes report to it.
func watch(p *person, base string, app tenants.AppID, nodes int) *watcher {
	t := p.t
	t.Helper()
	c := dial(t, base, tenants.ConsoleKey)
	socket := c.established()
	got := call[ticket](p, 201, http.MethodPost, "/apps/"+string(app)+"/console", fields{"socket_id": socket})
	require.NoError(t, c.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": got.Channel, "auth": got.Auth}}))
	require.Equal(t, "pusher_internal:subscription_succeeded", c.next().Event)
	w := &watcher{t: t, conn: c.conn, done: make(chan struct{}), skipped: map[string]int{}}
	require.NoError(t, c.conn.SetReadDeadline(time.Time{}))
	go w.read()
	t.Cleanup(w.close)
	seen := map[string]bool{}
	w.wait(func(e noted) bool {
		if e.Code == string(console.Watching) {
			seen[e.From] = true
		}
		return len(seen) == nodes
	}, "the nodes do not report")
	return w
}

// established reads the greeting and returns the socket id.
func (c *client) established() string {
	c.t.Helper()
	f := c.next()
	require.Equal(c.t, "pusher:connection_established", f.Event)
	var text string
	var data struct {
		SocketID string `json:"socket_id"`
	}
	require.NoError(c.t, json.Unmarshal(f.Data, &text))
	require.NoError(c.t, json.Unmarshal([]byte(text), &data))
	return data.SocketID
}

func (w *watcher) close() {
	_ = w.conn.Close()
	<-w.done
}

func (w *watcher) read() {
	defer close(w.done)
	for {
		_, message, err := w.conn.ReadMessage()
		if err != nil {
			return
		}
		var f struct{ Event, Data string }
		if json.Unmarshal(message, &f) != nil || f.Event != "entries" {
			continue
		}
		var batch struct {
			Node    string
			Entries []noted
			Skipped map[string]int
		}
		if err := json.Unmarshal([]byte(f.Data), &batch); err != nil {
			w.t.Errorf("batch: %v", err)
			return
		}
		w.take(len(message), batch.Node, batch.Entries, batch.Skipped)
	}
}

func (w *watcher) take(size int, node string, entries []noted, skipped map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += size
	for _, e := range entries {
		e.node, e.came = node, time.Now()
		w.entries = append(w.entries, e)
	}
	for kind, n := range skipped {
		w.skipped[kind] += n
	}
}

// wait waits for an entry that fits, and returns it.
func (w *watcher) wait(fits func(noted) bool, message string) (found noted) {
	w.t.Helper()
	next := 0
	ok := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for ; next < len(w.entries); next++ {
			if fits(w.entries[next]) {
				found = w.entries[next]
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.mu.Lock()
			defer w.mu.Unlock()
			assert.Fail(w.t, message, "%+v", w.entries[max(0, len(w.entries)-20):]) // the test that waits may be a part of w.t's
			return noted{}
		}
	}
	return found
}

func (w *watcher) code(code console.Code) noted {
	w.t.Helper()
	return w.wait(func(e noted) bool { return e.Code == string(code) }, "not in the console: "+string(code))
}

// consoleWorld is a node with a customer and an app.
func consoleWorld(t *testing.T, environ ...string) (*node, *person, apiApp) {
	t.Helper()
	n := startNode(t, append([]string{"TIDEWIRE_SIGNUP=open"}, environ...)...)
	ada := signUp(t, n.url, "ada@example.com", "Acme", "")
	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "ada@example.com", "Confirm")})
	app := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Chat", "settings": fields{"client_events": true}})
	return n, ada, app
}

func TestConsole(t *testing.T) {
	t.Parallel()
	n, ada, app := consoleWorld(t)
	w := watch(ada, n.url, app.ID, 1)
	c := subscribed(t, n.url, app.Key, "news")
	opened := w.code(console.ConnectionOpened)
	require.Equal(t, app.Key, opened.From)
	require.Equal(t, "news", w.code(console.Subscribed).Channel)

	status, _, text := post(t, n.url, app.printed(), "news")
	require.Equal(t, http.StatusOK, status, text)
	published := w.code(console.Published)
	require.Equal(t, "news", published.Channel)
	require.Empty(t, published.Remedy)

	require.NoError(t, c.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": "private-x"}}))
	refused := w.code(console.AuthMissing)
	require.Equal(t, "private-x", refused.Channel)
	require.Equal(t, opened.Socket, refused.Socket)
	require.Contains(t, refused.Remedy, "auth endpoint")
	require.NoError(t, c.conn.Close())
	require.Equal(t, opened.Socket, w.code(console.ConnectionClosed).Socket)
}

// TestConsoleIsShut tries to look into a console without the right to.
func TestConsoleIsShut(t *testing.T) {
	t.Parallel()
	n, ada, app := consoleWorld(t)
	eve := signUp(t, n.url, "eve@example.com", "Other", "")
	require.Equal(t, "app_not_found", eve.code(404, http.MethodPost, "/apps/"+string(app.ID)+"/console", fields{"socket_id": "1.2"}))

	first, second := dial(t, n.url, tenants.ConsoleKey), dial(t, n.url, tenants.ConsoleKey)
	got := call[ticket](ada, 201, http.MethodPost, "/apps/"+string(app.ID)+"/console", fields{"socket_id": first.established()})
	second.established()
	subscribe := func(c *client, channel, auth string) string {
		require.NoError(t, c.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": channel, "auth": auth}}))
		f := c.next()
		return f.Event + " " + string(f.Data)
	}
	require.Contains(t, subscribe(second, got.Channel, got.Auth), "socket_id is not the one", "a ticket is for one connection")
	require.Contains(t, subscribe(first, "private-app-1", got.Auth), "its channel is another one", "and for one app")
	require.Contains(t, subscribe(first, got.Channel, tenants.ConsoleKey+":"+strings.Repeat("0", 64)), "Invalid key", "nothing can be signed with the console's key")
	require.Contains(t, subscribe(first, "#watched", ""), "pusher:error")
	require.Contains(t, subscribe(first, got.Channel, got.Auth), "subscription_succeeded")
	require.Equal(t, 4009, dialFrom(t, n.url, "https://evil.example.com").closed())
	require.Equal(t, "pusher:connection_established", dialFrom(t, n.url, n.url).next().Event)
	status, _, _ := post(t, n.url, printedApp{ID: tenants.ConsoleAppID, Key: tenants.ConsoleKey, Secret: "x"}, got.Channel)
	require.Equal(t, http.StatusUnauthorized, status, "nobody publishes to a console")
	require.Equal(t, 4009, second.closed(), "who shows no ticket is sent away")
}

// dialFrom connects as a page of an origin would.
func dialFrom(t *testing.T, base, origin string) *client {
	t.Helper()
	url := "ws" + strings.TrimPrefix(base, "http") + "/app/" + tenants.ConsoleKey + "?protocol=7"
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), url, http.Header{"Origin": {origin}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

// TestConsoleEndsWithTheRight opens a console and loses the right to look.
func TestConsoleEndsWithTheRight(t *testing.T) {
	t.Parallel()
	n, ada, app := consoleWorld(t)
	call[any](ada, 201, http.MethodPost, "/tenants/acme/invitations", fields{"email": "bob@example.com", "role": "developer"})
	bob := signUp(t, n.url, "bob@example.com", "", n.link(t, "bob@example.com", "invited"))
	id := call[struct{ User tenants.User }](bob, 200, http.MethodGet, "/me", nil).User.ID
	mine, his := watch(ada, n.url, app.ID, 1), watch(bob, n.url, app.ID, 1)
	token := call[struct{ Token, ID string }](ada, 201, http.MethodPost, "/tenants/acme/tokens", fields{"name": "look", "scopes": []string{"channels:read"}})
	tokens := watch(&person{t: t, base: n.url, token: token.Token}, n.url, app.ID, 1)

	call[any](ada, 204, http.MethodDelete, "/tenants/acme/members/"+id, nil)
	call[any](ada, 204, http.MethodDelete, "/tenants/acme/tokens/"+token.ID, nil)
	removed := time.Now()
	his.ends()
	tokens.ends()
	t.Logf("ended after %s", time.Since(removed))
	require.Equal(t, "app_not_found", bob.code(404, http.MethodPost, "/apps/"+string(app.ID)+"/console", fields{"socket_id": "1.2"}))
	status, _, text := post(t, n.url, app.printed(), "still")
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, "still", mine.code(console.Published).Channel, "who may look goes on")
}

// ends waits until the console is closed by the server.
func (w *watcher) ends() {
	w.t.Helper()
	select {
	case <-w.done:
	case <-time.After(30 * time.Second):
		require.FailNow(w.t, "the console goes on")
	}
}

// TestConsoleOfTwoNodes watches on one node what happens on the other.
func TestConsoleOfTwoNodes(t *testing.T) {
	t.Parallel()
	environ := append(inOwnRedis(t, twoNodes(t), 12), "TIDEWIRE_SIGNUP=open")
	a, ada, app := consoleWorld(t, environ...)
	b := startNodeWith(t, extras{}, environ...)
	w := watch(ada, a.url, app.ID, 1)
	// Nodes of other tests may be on the same Redis: that one of them reports says
	// nothing, so b is asked until it does.
	eventually(t, func() bool {
		status, _, text := post(t, b.url, app.printed(), "news")
		require.Equal(t, http.StatusOK, status, text)
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.entries, func(e noted) bool { return e.Code == string(console.Published) })
	}, "what the other node does is not shown")
	status, _, text := post(t, a.url, app.printed(), "mine")
	require.Equal(t, http.StatusOK, status, text)
	mine := w.wait(func(e noted) bool { return e.Channel == "mine" }, "what this node does is not shown")
	require.NotEqual(t, mine.node, w.code(console.Published).node)
}

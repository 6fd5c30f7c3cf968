package sockjs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/channels"
	"tidewire/channels/fanout"
	"tidewire/channels/sockjs"
	"tidewire/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const appKey = "278d425bdf160c739803"

type apps map[string]*tenants.App

func (a apps) ByKey(_ context.Context, key string) (*tenants.App, error) {
	switch app := a[key]; {
	case key == "away":
		return nil, fmt.Errorf("%w: no database", tenants.ErrUnavailable)
	case app == nil:
		return nil, tenants.ErrNotFound
	default:
		return app, nil
	}
}

func newApp(change func(*tenants.App)) *tenants.App {
	app := &tenants.App{
		ID: "3", TenantStatus: tenants.TenantActive, Name: "test",
		Keys: []tenants.Key{{Key: appKey, Secret: tenants.NewSecret("7ad3773142a6692b25b8"), Status: tenants.KeyActive}},
	}
	if change != nil {
		change(app)
	}
	return app
}

type options struct {
	app    func(*tenants.App)
	door   func(*sockjs.Config)
	fanout fanout.Config
	slow   bool // requests may take long to arrive
}

// world is a running server.
type world struct {
	t      *testing.T
	app    *tenants.App
	hub    *channels.Hub
	door   *sockjs.Door
	server *httptest.Server
	next   atomic.Int64
}

func setup(t *testing.T, o options) *world {
	t.Helper()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker), Fanout: o.fanout})
	ctx, cancel := context.WithCancel(context.Background())
	hubDone := make(chan error, 1)
	go func() { hubDone <- hub.Run(ctx) }()
	w := &world{t: t, app: newApp(o.app), hub: hub}
	disabled := newApp(func(a *tenants.App) { a.ID, a.Keys[0].Key, a.Disabled = "4", "disabled", true })
	cfg := sockjs.Config{Hub: hub, Apps: apps{appKey: w.app, "disabled": disabled}}
	if o.door != nil {
		o.door(&cfg)
	}
	w.door = sockjs.New(cfg)
	w.server = httptest.NewUnstartedServer(w.door)
	// As in production: deadlines that a request which waits must outlive.
	w.server.Config.ReadTimeout, w.server.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	if o.slow {
		w.server.Config.ReadTimeout = 30 * time.Second
	}
	w.server.Start()
	t.Cleanup(func() {
		w.server.CloseClientConnections()
		w.server.Close()
		require.NoError(t, w.door.Close())
		cancel()
		require.NoError(t, <-hubDone)
	})
	require.Eventually(t, func() bool { _, err := hub.Publish(ctx, w.app, nil); return err == nil }, 5*time.Second, time.Millisecond)
	return w
}

func (w *world) publish(channel, event, data string) {
	w.t.Helper()
	literal, _ := json.Marshal(data)
	_, err := w.hub.Publish(context.Background(), w.app, []channels.Event{{
		Topic: channels.Topic{App: w.app.ID, Channel: channel}, Name: event, Data: literal,
	}})
	require.NoError(w.t, err)
}

func (w *world) connections(n int64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.hub.Stats().Connections == n }, 10*time.Second, 2*time.Millisecond, "not %d connections", n)
}

// session is a new session id, as pusher-js makes them up.
func (w *world) session() string { return fmt.Sprintf("%d/%08d", w.next.Add(1)%1000, w.next.Load()) }

func (w *world) url(key, session, transport string) string {
	return w.server.URL + "/pusher/app/" + key + "/" + session + "/" + transport
}

const query = "?protocol=7&client=js&version=8.6.0"

// post sends a request; the caller reads the body.
func (w *world) post(url, body string, header ...string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(w.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := w.server.Client().Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// client is one session.
type client struct {
	w       *world
	session string
	stream  *bufio.Reader // nil while no response is open
	close   func() error
	status  int
}

// open begins a response; a poll as well as a stream.
func (c *client) open(transport string, header ...string) {
	c.w.t.Helper()
	res := c.w.post(c.w.url(appKey, c.session, transport)+query, "", header...) //nolint:bodyclose // c.close does
	c.stream, c.close, c.status = bufio.NewReader(res.Body), res.Body.Close, res.StatusCode
	require.Equal(c.w.t, http.StatusOK, res.StatusCode)
}

func (w *world) streaming() *client {
	w.t.Helper()
	c := &client{w: w, session: w.session()}
	c.open("xhr_streaming")
	require.Equal(w.t, "o", c.line())
	require.Equal(w.t, "pusher:connection_established", c.message().Event)
	return c
}

// line is the next line of a stream; "" at its end.
func (c *client) line() string {
	c.w.t.Helper()
	type read struct {
		s   string
		err error
	}
	got := make(chan read, 1)
	stream := c.stream
	go func() { s, err := stream.ReadString('\n'); got <- read{s, err} }()
	select {
	case r := <-got:
		if !errors.Is(r.err, io.EOF) {
			require.NoError(c.w.t, r.err)
		}
		return strings.TrimSuffix(r.s, "\n")
	case <-time.After(10 * time.Second):
		require.FailNow(c.w.t, "no line")
		return ""
	}
}

// poll is the body of one poll.
func (c *client) poll() string {
	c.w.t.Helper()
	c.open("xhr")
	b, err := io.ReadAll(c.stream)
	require.NoError(c.w.t, err)
	return string(b)
}

type frame struct {
	Event   string
	Channel string
	Data    json.RawMessage
}

// text is the data of an event that was a string.
func (f frame) text() (s string) {
	_ = json.Unmarshal(f.Data, &s)
	return s
}

// messages are what an "a" line brings.
func messages(t *testing.T, line string) (list []frame) {
	t.Helper()
	require.True(t, strings.HasPrefix(line, "a["), "%.200q", line)
	var texts []string
	require.NoError(t, json.Unmarshal([]byte(line[1:]), &texts))
	for _, text := range texts {
		var f frame
		require.NoError(t, json.Unmarshal([]byte(text), &f))
		list = append(list, f)
	}
	return list
}

// message is the only one of the next line.
func (c *client) message() frame {
	c.w.t.Helper()
	list := messages(c.w.t, c.line())
	require.Len(c.w.t, list, 1)
	return list[0]
}

func (c *client) send(body string) int {
	c.w.t.Helper()
	res := c.w.post(c.w.url(appKey, c.session, "xhr_send")+"?t=1&n=2", body) //nolint:bodyclose // post sees to it
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (c *client) subscribe(channel string) {
	c.w.t.Helper()
	text, _ := json.Marshal(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":"","channel":%q}}`, channel))
	require.Equal(c.w.t, http.StatusNoContent, c.send("["+string(text)+"]"))
}

func mustURL(path string) *url.URL { return &url.URL{Path: path} }

// recorder is a response writer for what is answered at once.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/channels"
	"tidewire/channels/sse"
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

type world struct {
	t      *testing.T
	app    *tenants.App
	hub    *channels.Hub
	door   *sse.Door
	server *httptest.Server
}

func setup(t *testing.T, change func(*tenants.App)) *world {
	t.Helper()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker)})
	ctx, cancel := context.WithCancel(context.Background())
	hubDone := make(chan error, 1)
	go func() { hubDone <- hub.Run(ctx) }()
	app := &tenants.App{
		ID: "3", TenantStatus: tenants.TenantActive, Name: "test",
		Keys: []tenants.Key{{Key: appKey, Secret: tenants.NewSecret("7ad3773142a6692b25b8"), Status: tenants.KeyActive}},
	}
	if change != nil {
		change(app)
	}
	w := &world{t: t, app: app, hub: hub, door: sse.New(sse.Config{Hub: hub, Apps: apps{appKey: app}, Heartbeat: 100 * time.Millisecond})}
	w.server = httptest.NewUnstartedServer(w.door)
	// As in production: deadlines that a stream must outlive.
	w.server.Config.ReadTimeout, w.server.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	w.server.Start()
	t.Cleanup(func() {
		w.server.CloseClientConnections()
		w.server.Close()
		require.Eventually(t, func() bool { return hub.Stats().Connections == 0 }, 10*time.Second, time.Millisecond)
		cancel()
		require.NoError(t, <-hubDone)
	})
	require.Eventually(t, func() bool { _, err := hub.Publish(ctx, app, nil); return err == nil }, 5*time.Second, time.Millisecond)
	return w
}

func (w *world) get(path string, header ...string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+path, nil)
	require.NoError(w.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := w.server.Client().Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

type frame struct {
	Event, Channel string
	Data           json.RawMessage
}

// next is the next event of a stream.
func next(t *testing.T, stream *bufio.Reader) (f frame) {
	t.Helper()
	for {
		line, err := stream.ReadString('\n')
		require.NoError(t, err)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			require.NoError(t, json.Unmarshal([]byte(data), &f))
			return f
		}
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	res := w.get("/sse/app/" + appKey + "?channels=news,prices&channel=a,b")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	stream := bufio.NewReader(res.Body)
	require.Equal(t, "pusher:connection_established", next(t, stream).Event)
	for _, name := range []string{"news", "prices", "a,b"} {
		f := next(t, stream)
		require.Equal(t, "pusher_internal:subscription_succeeded", f.Event)
		require.Equal(t, name, f.Channel)
	}
	time.Sleep(400 * time.Millisecond) // longer than the server's deadlines for short answers
	_, err := w.hub.Publish(t.Context(), w.app, []channels.Event{{
		Topic: channels.Topic{App: "3", Channel: "news"}, Name: "e", Data: []byte(`"line\nbreak \u2028"`),
	}})
	require.NoError(t, err)
	f := next(t, stream)
	require.Equal(t, "e", f.Event)
	require.Equal(t, `"line\nbreak \u2028"`, string(f.Data))
	require.EqualValues(t, 1, w.hub.Stats().Connections)
	require.NoError(t, res.Body.Close())
	require.Eventually(t, func() bool { return w.hub.Stats().Connections == 0 }, 10*time.Second, time.Millisecond)
}

func TestPrivateChannelsNeedAToken(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	for _, auth := range []string{"", "&auth=" + appKey + ":00", "&auth=a.b.c"} {
		stream := bufio.NewReader(w.get("/sse/app/" + appKey + "?channels=private-x,open" + auth).Body) //nolint:bodyclose // get sees to it
		require.Equal(t, "pusher:connection_established", next(t, stream).Event)
		require.Equal(t, "pusher:error", next(t, stream).Event)
		require.Equal(t, "open", next(t, stream).Channel, "the others are not affected")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, func(a *tenants.App) {
		a.Limits.MaxConnections, a.Settings.AllowedOrigins = 1, []string{"https://ok.example.com"}
	})
	stream := bufio.NewReader(w.get("/sse/app/" + appKey + "?channels=a").Body) //nolint:bodyclose // get sees to it
	next(t, stream)
	many := strings.Repeat("c,", 100)
	for path, want := range map[string]struct{ status, code int }{
		"/sse/app/nobody?channels=a":                               {404, 4001},
		"/sse/app/" + appKey:                                       {400, 4005},
		"/sse/app/" + appKey + "?channels=a,a":                     {400, 4005},
		"/sse/app/" + appKey + "?channels=" + many:                 {400, 4005},
		"/sse/app/" + appKey + "?channels=a%20b":                   {400, 4005},
		"/sse/app/" + appKey + "?channels=private-a&auth=1&auth=2": {400, 4005},
		"/sse/other":                                     {400, 4005},
		"/sse/app/" + appKey + "?channels=a":             {429, 4004},
		"/sse/app/" + appKey + "?channels=a&token=x.y.z": {403, 4009},
		"/sse/app/away?channels=a":                       {503, 4100},
	} {
		res := w.get(path) //nolint:bodyclose // get sees to it
		require.Equal(t, want.status, res.StatusCode, path)
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(b), fmt.Sprintf(`"code":%d`, want.code), path)
	}
	require.Equal(t, 403, w.get("/sse/app/"+appKey+"?channels=a", "Origin", "https://evil.example.com").StatusCode) //nolint:bodyclose // get sees to it
	// EventSource comes back only after a stream that ends.
	res := w.get("/sse/app/away?channels=a", "Accept", "text/event-stream") //nolint:bodyclose // get sees to it
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	require.Regexp(t, regexp.MustCompile(`^data: .*4100.*\n\nretry: \d+\n\n$`), string(b))
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	stream := bufio.NewReader(w.get("/sse/app/" + appKey + "?channels=a").Body) //nolint:bodyclose // get sees to it
	next(t, stream)
	require.Eventually(t, func() bool { return w.door.Streams() == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, w.door.Drain(t.Context(), time.Second))
	rest, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Contains(t, string(rest), "4200")
	require.Regexp(t, `retry: \d{1,3}\n\n$`, string(rest))
	require.Equal(t, 503, w.get("/sse/app/"+appKey+"?channels=a").StatusCode) //nolint:bodyclose // get sees to it
}

// A page whose origin is not allowed any more is told so and not served again.
func TestOriginsChange(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	stream := bufio.NewReader(w.get("/sse/app/"+appKey+"?channels=a", "Origin", "https://page.example.com").Body) //nolint:bodyclose // get sees to it
	next(t, stream)
	now := *w.app
	now.Settings.AllowedOrigins = []string{"example.org"}
	w.hub.AppChanged(w.app, &now)
	rest, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Contains(t, string(rest), `"code":4009`)
}

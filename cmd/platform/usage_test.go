package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
)

// post publishes one event to channels with a key's signature and returns the status.
func post(t *testing.T, base string, app printedApp, names ...string) (status int, header http.Header, body string) {
	t.Helper()
	return postWith(t, base, app, nil, "hello", names...)
}

func postWith(t *testing.T, base string, app printedApp, with http.Header, data string, names ...string) (status int, header http.Header, body string) {
	t.Helper()
	path := "/apps/" + string(app.ID) + "/events"
	event, err := json.Marshal(map[string]any{"name": "e", "channels": names, "data": data})
	require.NoError(t, err)
	q := tenants.SignRequest(tenants.NewSecret(app.Secret), app.Key, http.MethodPost, path, url.Values{}, event, time.Now())
	return request(t, http.MethodPost, base+path+"?"+q.Encode(), with, string(event))
}

// storedUsage reads what the database of a configuration says an app has used.
func storedUsage(t *testing.T, environ []string, app printedApp) tenants.UsageStep {
	t.Helper()
	cfg, _, err := load(t, environ)
	require.NoError(t, err)
	store, err := openDatabase(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	known, err := store.AppByID(t.Context(), app.ID)
	require.NoError(t, err)
	now := time.Now()
	steps, err := store.Usage(t.Context(), tenants.UsageQuery{
		TenantID: known.TenantID, App: app.ID, From: now.Add(-48 * time.Hour), To: now.Add(time.Hour), Span: tenants.ByDay,
	})
	require.NoError(t, err)
	var sum tenants.UsageStep
	for _, s := range steps { // two if midnight passes
		sum.Counts = sum.Add(s.Counts)
		sum.PeakConnections = max(sum.PeakConnections, s.PeakConnections)
	}
	return sum
}

// events reads n events and returns their bytes on the wire.
func (c *client) events(n int) (size int64) {
	c.t.Helper()
	for range n {
		require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(15*time.Second)))
		_, message, err := c.conn.ReadMessage()
		require.NoError(c.t, err)
		require.Contains(c.t, string(message), `"event":"e"`)
		require.Less(c.t, len(message), 126)
		size += int64(len(message)) + 2 // the header of a short frame
	}
	return size
}

func TestUsageOverACleanRestart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	var want tenants.Counts
	var app printedApp
	for round := range 2 {
		n := startNodeWith(t, extras{}, dir...) // the interval is far longer than the test
		if round == 0 {
			app = createApp(t, n.environ)
		}
		clients := []*client{subscribed(t, n.url, app.Key, "news"), subscribed(t, n.url, app.Key, "news", "sport")}
		for range 20 {
			status, _, body := post(t, n.url, app, "news", "sport", "nobody")
			require.Equal(t, http.StatusOK, status, body)
		}
		want.Publishes += 60
		want.Deliveries += 60
		want.BytesOut += clients[0].events(20) + clients[1].events(40)
		n.end(t)
		got := storedUsage(t, dir, app)
		require.Equal(t, want, got.Counts, "nothing is lost")
		require.EqualValues(t, 2, got.PeakConnections)
	}
}

func TestUsageOverAKill(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); testUsageOverAKill(t) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); testUsageOverAKill(t, "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t)) })
}

func testUsageOverAKill(t *testing.T, database ...string) {
	t.Helper()
	const interval = 300 * time.Millisecond
	environ := append(dataDir(t), "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN=off", "TIDEWIRE_USAGE_INTERVAL="+interval.String())
	environ = append(environ, database...)
	base := "http://" + strings.TrimPrefix(environ[1], "TIDEWIRE_LISTEN=")
	serve := func() (kill func()) {
		server := command(t, environ, "serve")
		require.NoError(t, server.Start())
		kill = func() { _ = server.Process.Kill(); _ = server.Wait() }
		t.Cleanup(kill)
		eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")
		return kill
	}
	kill := serve()
	app := createApp(t, environ)

	var acknowledged []time.Time
	publish := func() {
		status, _, body := post(t, base, app, "news")
		require.Equal(t, http.StatusOK, status, body)
		acknowledged = append(acknowledged, time.Now())
	}
	for publish(); time.Since(acknowledged[0]) < 4*interval; {
		publish()
	}
	died := time.Now()
	kill()

	stored := storedUsage(t, environ, app).Publishes
	certain := 0
	for _, at := range acknowledged {
		// A write may wait its turn on a busy machine: that time is not the interval's.
		if at.Before(died.Add(-2 * interval)) {
			certain++
		}
	}
	require.GreaterOrEqual(t, stored, int64(certain), "at most the last interval is lost")
	require.LessOrEqual(t, stored, int64(len(acknowledged)), "nothing is counted twice")
	require.Positive(t, certain)

	kill = serve()
	for range 10 {
		publish()
	}
	eventually(t, func() bool { return storedUsage(t, environ, app).Publishes == stored+10 }, "what comes after is added to what was stored")
	kill()
	require.Equal(t, stored+10, storedUsage(t, environ, app).Publishes)
}

func TestLimitsOverHTTP(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	n := startNodeWith(t, extras{}, dir...)
	fast := createApp(t, n.environ, "--limits", `{"max_publishes_per_second":3}`)
	status, _, body := post(t, n.url, fast, "a", "b", "c")
	require.Equal(t, http.StatusOK, status, body)
	status, header, body := post(t, n.url, fast, "a", "b", "c")
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.Contains(t, body, "max_publishes_per_second")

	small := createApp(t, n.environ, "--limits", `{"max_messages_per_day":4}`)
	for range 2 {
		status, _, body = post(t, n.url, small, "a", "b")
		require.Equal(t, http.StatusOK, status, body)
	}
	status, _, body = post(t, n.url, small, "a")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "API call failed since (daily) message quota exceeded")

	n.end(t)
	again := startNodeWith(t, extras{}, dir...)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for { // the first call makes the server ask where the app stands
		status, _, body = post(t, again.url, small, "a")
		if status == http.StatusForbidden {
			break
		}
		require.Equal(t, http.StatusOK, status, body)
		require.NoError(t, ctx.Err(), "the messages of today are forgotten")
	}
}

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The whole way of one event: an app created while the server runs, a client
// that connects, an event published by the command, the frame it becomes.
func TestFromCommandToSocket(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	start := time.Now()
	app := createApp(t, n.environ)
	c := subscribed(t, n.url, app.Key, "orders")
	require.Less(t, time.Since(start), 5*time.Second, "a new app must be live at once")

	data := `{"text":"<ü>","n":1}`
	r := platform(t, n.environ, "trigger", "orders", "created", data, "--app", string(app.ID), "--json")
	require.Zero(t, r.code, r.stderr)
	f := c.next()
	require.Equal(t, "created", f.Event)
	require.Equal(t, "orders", f.Channel)
	require.Equal(t, data, f.text())

	status, body := get(t, n.metrics+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "tidewire_connections 1\n")
	require.Contains(t, body, "tidewire_events_published_total 1\n")
	require.NotContains(t, body, app.Key, "no tenant's text in metrics")
}

// A look-up that found nothing is remembered, and must be forgotten as soon as
// the app is there.
func TestAppThatWasUnknownIsLiveWithinASecond(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	const key = "moved-from-elsewhere"
	require.Equal(t, 4001, dial(t, n.url, key).closed())
	createApp(t, n.environ, "--id", "77", "--key", key, "--secret", "moved-secret")
	start := time.Now()
	eventually(t, func() bool {
		return dial(t, n.url, key).next().Event == "pusher:connection_established"
	}, "the app never became known")
	require.Less(t, time.Since(start), 3*time.Second)
}

func TestStopSendsClientsAway(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	clients := make([]*client, 5)
	for i := range clients {
		clients[i] = subscribed(t, n.url, app.Key, "orders")
	}
	r := platform(t, n.environ, "trigger", "orders", "last", "x", "--app", string(app.ID))
	require.Zero(t, r.code, r.stderr)
	n.stop()
	for _, c := range clients {
		require.Equal(t, "last", c.next().Event, "what was accepted is delivered")
		f := c.next()
		require.Equal(t, "pusher:error", f.Event)
		require.Equal(t, 4200, c.closed())
	}
	n.end(t)
	status, _ := get(t, n.url+"/healthz")
	require.Zero(t, status, "the port must be closed")
	require.Contains(t, n.log.String(), `"msg":"stopped"`)
	require.NotContains(t, n.log.String(), `"level":"ERROR"`)
}

func TestPages(t *testing.T) {
	t.Parallel()
	n := startNode(t)

	status, body := get(t, n.url+"/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)

	var ready struct {
		Status string
		Checks map[string]string
	}
	_, body = get(t, n.url+"/readyz")
	require.NoError(t, json.Unmarshal([]byte(body), &ready))
	require.Equal(t, "ready", ready.Status)
	require.Equal(t, map[string]string{"database": "ok", "configuration": "ok", "room": "ok"}, ready.Checks)

	status, header, _ := request(t, http.MethodGet, n.url+"/", nil, "")
	require.Equal(t, http.StatusFound, status)
	require.Equal(t, "/dashboard/", header.Get("Location"))
	status, _ = get(t, n.url+"/dashboard/")
	require.Equal(t, http.StatusOK, status)
	status, _, _ = request(t, http.MethodPost, n.url+"/playground/events", nil, "{}")
	require.Equal(t, http.StatusNotFound, status, "no playground outside dev")
	status, _ = get(t, n.url+"/metrics")
	require.Equal(t, http.StatusNotFound, status, "metrics have a port of their own")
	status, _ = get(t, n.metrics+"/debug/pprof/")
	require.Equal(t, http.StatusOK, status)
}

func TestCrossOriginRequestsToTheAPI(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	origin := http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"POST"}}
	status, header, _ := request(t, http.MethodOptions, n.url+"/apps/1/events", origin, "")
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, header.Get("Access-Control-Allow-Methods"), "POST")
	require.Empty(t, header.Get("Access-Control-Allow-Credentials"))

	status, header, _ = request(t, http.MethodPost, n.url+"/apps/1/events", origin, "{}")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"), "errors must be readable too")

	_, header, _ = request(t, http.MethodGet, n.url+"/healthz", origin, "")
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
}

func TestRequestsAreLoggedWithoutTheirQuery(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_LOG_LEVEL=debug")
	_, _ = get(t, n.url+"/apps/1/channels?auth_signature=geheim&token=geheim")
	eventually(t, func() bool { return strings.Contains(n.log.String(), `"path":"/apps/1/channels"`) }, "not logged")
	require.NotContains(t, n.log.String(), "geheim")
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+"/healthz", nil)
	require.NoError(t, err)
	req.Header.Set("X-Filler", strings.Repeat("x", 32<<10))
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close()) // the server cuts the rest, so there may be no body
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

func TestPortInUseIsOneLineAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	address := strings.TrimPrefix(n.url, "http://")
	dir := t.TempDir()
	r := platform(t, []string{"TIDEWIRE_DATA_DIR=" + dir}, "serve", "--listen", address, "--metrics-listen", "off")
	requireOneLine(t, r, "already in use", "--listen", address[strings.LastIndex(address, ":")+1:])
	require.Empty(t, namesIn(t, dir), "nothing may have been written")

	r = platform(t, []string{"TIDEWIRE_DATA_DIR=" + dir}, "serve", "--listen", freePort(t), "--metrics-listen", address)
	requireOneLine(t, r, "already in use", "--metrics-listen")
	require.Empty(t, namesIn(t, dir))
}

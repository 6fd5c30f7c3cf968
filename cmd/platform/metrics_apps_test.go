package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an app does is in a scrape of its own; the main one names no app, and
// neither these nor profiles are on the port that everybody reaches.
func TestMetricsOfApps(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	require.Equal(t, "pusher:connection_established", dial(t, n.url, app.Key).next().Event)
	_, page := get(t, n.metrics+"/metrics/apps")
	require.Contains(t, page, `tidewire_app_connections{app="`+app.ID+`"} 1`)
	require.Contains(t, page, `tidewire_app_deliveries_total{app="`+app.ID+`"} 0`)
	_, page = get(t, n.metrics+"/metrics")
	require.NotContains(t, page, `app="`)
	for _, path := range []string{"/metrics", "/metrics/apps", "/debug/pprof/", "/debug/pprof/heap"} {
		status, _ := get(t, n.url+path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	status, _ := get(t, n.metrics+"/debug/pprof/heap?debug=1")
	require.Equal(t, http.StatusOK, status)
}

// Requests are timed, and nothing that a client chose becomes a label.
func TestRequestsAreTimed(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	status, _, body := post(t, n.url, app, "orders")
	require.Equal(t, http.StatusOK, status, body)
	for _, path := range []string{"/apps/1/channels", "/apps/x/nowhere", "/api/v1/me", "/api/v1/nothing"} {
		_, _ = get(t, n.url+path)
	}
	_, _, _ = request(t, "PROPFIND", n.url+"/apps/1/channels", nil, "")
	_, _, _ = request(t, http.MethodDelete, n.url+"/api/v1/nothing", nil, "")
	_, page := get(t, n.metrics+"/metrics")
	var counts []string
	for _, m := range regexp.MustCompile(`(?m)^tidewire_request_seconds_count\{(.*)\} (\d+)$`).FindAllStringSubmatch(page, -1) {
		counts = append(counts, strings.ReplaceAll(m[1], `"`, "")+" "+m[2])
	}
	require.Equal(t, []string{
		"api=admin,method=GET,status=4xx 2", "api=admin,method=other,status=4xx 1",
		"api=http,method=GET,status=4xx 2", "api=http,method=POST,status=2xx 1",
	}, counts)
}

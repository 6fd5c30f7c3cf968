package main

import (
	"net/http"
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

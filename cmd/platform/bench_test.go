package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBench(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	args := []string{"bench", "--app", string(app.ID), "--connections", "20", "--channels", "4", "--rate", "100", "--duration", "500ms"}
	r := platform(t, n.environ, append(args, "--json")...)
	require.Zero(t, r.code, r.stderr)
	var report benchReport
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
	require.EqualValues(t, 20, report.Connects.Count)
	require.EqualValues(t, 50, report.Publishes.Count)
	require.EqualValues(t, 250, report.Deliveries.Count)
	require.Zero(t, report.Missing)
	require.Zero(t, report.LostConns)
	require.Empty(t, report.Failures)
	require.Positive(t, report.Deliveries.P99)
	require.NotContains(t, r.stdout, app.Secret)
	require.Contains(t, report.Command, "--connections 20 --channels 4 --rate 100 --duration 500ms")

	r = platform(t, n.environ, append(args, "--url", n.url, "--key", app.Key, "--secret", app.Secret)...)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "p99.9")

	dir := t.TempDir()
	earlier, chart := filepath.Join(dir, "earlier.json"), filepath.Join(dir, "report.svg")
	report.Label = "<b>earlier & slower</b>"
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(earlier, text, 0o600))
	r = platform(t, n.environ, append(args, "--label", "now", "--chart", chart, "--beside", earlier)...)
	require.Zero(t, r.code, r.stderr)
	drawn, err := os.ReadFile(chart)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(drawn, new(struct{})), "%s", drawn)
	require.Contains(t, string(drawn), "&lt;b&gt;earlier &amp; slower")
	require.Equal(t, 2, strings.Count(string(drawn), ">p99.9<"))
	require.NotContains(t, string(drawn), app.Secret)

	requireOneLine(t, platform(t, n.environ, append(args, "--beside", chart)...), "platform bench --json")
	requireOneLine(t, platform(t, n.environ, "bench", "--app", string(app.ID), "--channels", "200"), "--channels")
	requireOneLine(t, platform(t, n.environ, "bench", "--app", string(app.ID), "--url", "http://"+freePort(t)), "connect to")
	requireOneLine(t, platform(t, n.environ, "bench", "--app", string(app.ID), "--key", "nobody", "--secret", "nobodys-secret"), "refused", "4001")
}

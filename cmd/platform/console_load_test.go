package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleLoadSeconds is how long the console is used under load; make
// console-load says 30 seconds, and nobody else asks.
func consoleLoadSeconds(t *testing.T) int {
	t.Helper()
	v := os.Getenv("CONSOLE_LOAD")
	if v == "" {
		t.Skip("asked for by make console-load")
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err)
	return n
}

// TestConsoleLoad opens a live console in a browser, publishes 1,000 events a
// second, and prints how the page answers whoever uses it meanwhile.
func TestConsoleLoad(t *testing.T) {
	t.Parallel()
	seconds := consoleLoadSeconds(t)
	needClients(t)
	cfg, info := devConfig(t, "load")
	cfg["load"] = map[string]any{"seconds": seconds, "app": scriptApp{ID: info.AppID, Key: info.Key, Secret: info.Secret}}
	startScript(t, "dashboard/run.mjs", cfg).succeed(t)
}

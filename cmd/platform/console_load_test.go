package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleLoadSeconds is how long the console is used under load; make
// console-load says 30 seconds.
func consoleLoadSeconds(t *testing.T) int {
	t.Helper()
	v := os.Getenv("CONSOLE_LOAD")
	if v == "" {
		return 2
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err)
	return n
}

// TestConsoleLoad opens a live console in a browser, publishes 1,000 events a
// second, and prints how the page answers whoever uses it meanwhile.
func TestConsoleLoad(t *testing.T) {
	t.Parallel()
	needClients(t)
	cfg, info := devConfig(t, "load")
	cfg["load"] = map[string]any{"seconds": consoleLoadSeconds(t), "app": scriptApp{ID: info.AppID, Key: info.Key, Secret: info.Secret}}
	startScript(t, "dashboard/run.mjs", cfg).succeed(t)
}

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command prepares this program as a process of its own.
func command(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(environ, actAsPlatform+"=1", "PATH="+os.Getenv("PATH"))
	cmd.Dir = t.TempDir()
	return cmd
}

// process runs any program to its end, in a folder of its own.
func process(t *testing.T, dir, name string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), actAsPlatform+"=1")
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// The real thing: a process, a signal, an exit code.
func TestProcessStopsOnSIGTERM(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN=off")
	var stderr buffer
	server := command(t, environ, "serve")
	server.Stderr = &stderr
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill() })
	eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")

	app := createApp(t, environ)
	url := "http://" + strings.TrimPrefix(environ[1], "TIDEWIRE_LISTEN=")
	c := subscribed(t, url, app.Key, "orders")
	require.NoError(t, server.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 4200, c.closed())
	done := make(chan error, 1)
	go func() { done <- server.Wait() }()
	select {
	case err := <-done:
		require.NoError(t, err, "exit code 0 after an orderly stop: %s", stderr.String())
	case <-time.After(20 * time.Second):
		require.FailNow(t, "did not stop", stderr.String())
	}
	r := platform(t, environ, "healthcheck")
	requireOneLine(t, r, "is the server running there?")
}

func TestProcessExitCodes(t *testing.T) {
	t.Parallel()
	for want, args := range map[int][]string{
		exitOK: {"version"}, exitUsage: {"serve", "--nonsense"}, exitFailure: {"healthcheck", "--listen", freePort(t)},
	} {
		cmd := command(t, nil, args...)
		_ = cmd.Run()
		require.Equal(t, want, cmd.ProcessState.ExitCode(), "%v", args)
	}
}

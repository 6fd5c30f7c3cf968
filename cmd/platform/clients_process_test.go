package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serverProcess is the server as a process of its own.
type serverProcess struct {
	environ []string // makes commands talk to it and to its database
	url     string
	cmd     *exec.Cmd
	stdout  *buffer
	log     *buffer
	ended   chan error
}

// startProcess starts the command, serve if no other is given, and waits until
// it is ready. Without an address in environ it takes a free port. It is
// stopped when the test ends, in order and with exit code 0.
func startProcess(t *testing.T, environ []string, args ...string) *serverProcess {
	t.Helper()
	const listen = "TIDEWIRE_LISTEN="
	i := slices.IndexFunc(environ, func(s string) bool { return strings.HasPrefix(s, listen) })
	if i < 0 {
		i = len(environ)
		environ = append(environ[:i:i], listen+freePort(t), "TIDEWIRE_METRICS_LISTEN=off")
	}
	if len(args) == 0 {
		args = []string{"serve"}
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &serverProcess{
		environ: environ, url: "http://" + strings.TrimPrefix(environ[i], listen),
		stdout: &buffer{}, log: &buffer{}, ended: make(chan error, 1),
	}
	// Not bound to the test's context: that ends before its cleanup, and would
	// kill what is to end in order.
	p.cmd = exec.CommandContext(context.Background(), exe, args...)
	p.cmd.Env = append(environ[:len(environ):len(environ)], actAsPlatform+"=1", "PATH="+os.Getenv("PATH"))
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.log
	require.NoError(t, p.cmd.Start())
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.stop(t)
		requireClean(t, p.log.String(), secretMark, password)
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.url, p.log)
		}
	})
	eventually(t, func() bool {
		status, _ := get(t, p.url+"/readyz")
		return status == http.StatusOK || len(p.ended) > 0
	}, "the server is not ready")
	require.Empty(t, p.ended, "the server ended: %s", p.log)
	return p
}

func (p *serverProcess) address() string { return strings.TrimPrefix(p.url, "http://") }

// stop ends the server in order; stopping twice is in order.
func (p *serverProcess) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		p.ended <- err
		require.NoError(t, err, p.log.String())
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		require.NoError(t, <-p.ended, "the server does not stop: %s", p.log)
	}
}

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// actAsPlatform makes the test binary behave like the command itself, so that
// tests can run it as a process of its own.
const actAsPlatform = "ACT_AS_PLATFORM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsPlatform) != "" {
		main()
		return
	}
	if os.Getenv(actAsLoud) != "" {
		actLoud()
		return
	}
	if os.Getenv(actAsWanderers) != "" {
		actWanderers()
		return
	}
	if os.Getenv(actAsACME) != "" {
		actACME()
		return
	}
	// A link of the fault proxy that was cut while it wrote may stay: a test's tool.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"))
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// result is what one command printed and how it ended.
type result struct {
	code           int
	stdout, stderr string
}

// platform runs one command to its end, inside this process, in an environment
// of its own.
func platform(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var stdout, stderr buffer
	c := &cli{environ: environ, stdout: &stdout, stderr: &stderr}
	code := c.execute(ctx, args)
	return result{code, stdout.String(), stderr.String()}
}

// requireOneLine asserts a refusal a person can act on: one line on stderr
// that holds every one of the parts, and nothing on stdout.
func requireOneLine(t *testing.T, r result, parts ...string) {
	t.Helper()
	require.NotZero(t, r.code, "must fail")
	require.Empty(t, r.stdout)
	require.Equal(t, 1, strings.Count(r.stderr, "\n"), "want one line, got %q", r.stderr)
	require.True(t, strings.HasPrefix(r.stderr, "platform: "), r.stderr)
	for _, part := range parts {
		require.Contains(t, r.stderr, part)
	}
}

// eventually polls until what holds, and fails the test if it never does.
func eventually(t *testing.T, what func() bool, message string) {
	t.Helper()
	require.Eventually(t, what, time.Minute, 10*time.Millisecond, message)
}

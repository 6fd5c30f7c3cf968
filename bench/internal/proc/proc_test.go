//go:build linux

package proc_test

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/bench/internal/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCPUAgreesWithTheKernelsOwnCount(t *testing.T) {
	before, err := proc.CPU(os.Getpid())
	require.NoError(t, err)
	var ru0, ru1 syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &ru0))
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
	}
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &ru1))
	after, err := proc.CPU(os.Getpid())
	require.NoError(t, err)
	want := ru1.Utime.Nano() + ru1.Stime.Nano() - ru0.Utime.Nano() - ru0.Stime.Nano()
	require.Positive(t, want)
	require.InDelta(t, float64(want), float64(after-before), float64(15*time.Millisecond))
}

func TestCPUOfNobody(t *testing.T) {
	t.Parallel()
	_, err := proc.CPU(1 << 22) // above the largest id the kernel gives
	require.Error(t, err)
}

func TestRSS(t *testing.T) {
	t.Parallel()
	rss, err := proc.RSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, rss, int64(1<<20))
}

func TestStartTellsWhyAServerDidNotComeUp(t *testing.T) {
	t.Parallel()
	// A port that was free may be given to a test beside this one; nobody is given this one.
	_, err := proc.Start(t.Context(), "127.0.0.1:1", "/bin/sh", []string{"-c", "echo no such setting; exit 3"}, nil)
	require.ErrorContains(t, err, "ended before it listened")
	require.ErrorContains(t, err, "no such setting")
}

func TestStopEndsTheProcess(t *testing.T) {
	t.Parallel()
	// The test itself listens; the process only has to live.
	addr, closeListener := listen(t)
	defer closeListener()
	p, err := proc.Start(t.Context(), addr, "/bin/sleep", []string{"60"}, nil)
	require.NoError(t, err)
	require.True(t, p.Alive())
	p.Stop()
	p.Stop()
	require.False(t, p.Alive())
	_, err = os.Stat("/proc/" + strconv.Itoa(p.PID))
	require.ErrorIs(t, err, os.ErrNotExist)
}

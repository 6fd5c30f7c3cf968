//go:build unix

package main

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain makes the test binary act as testenv itself when a test asks for it,
// so that signals and deaths can be tried on a real process.
func TestMain(m *testing.M) {
	if os.Getenv("TESTENV_AS_MAIN") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// asMain prepares a real testenv process with a temporary folder of its own and
// none of the variables that the surrounding test run may have.
func asMain(t *testing.T, args ...string) (cmd *exec.Cmd, temp string, out *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	// Not t.TempDir: Postgres runs as another user and must reach it.
	temp, err = os.MkdirTemp("", "testenv-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(temp, 0o711))
	t.Cleanup(func() { _ = os.RemoveAll(temp) })

	cmd = exec.CommandContext(t.Context(), exe, args...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "TEST_") && !strings.HasPrefix(kv, "TMPDIR=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "TESTENV_AS_MAIN=1", "TMPDIR="+temp)
	out = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, temp, out
}

// script is a command that notes what it was given in a file, then goes on.
func script(note, then string) []string {
	text := `printf '%s\n%s\n%s\n' "$TEST_DATABASE_URL" "$TEST_REDIS_URL" $$ > "$0.part" && mv "$0.part" "$0"; ` + then
	return []string{"--", "sh", "-c", text, note}
}

// notes waits for the note of script and returns the servers' addresses and the
// command's process id.
func notes(t *testing.T, path string, out *bytes.Buffer) (addrs []string, pid int) {
	t.Helper()
	var text []byte
	eventually(t, "the command runs", func() bool {
		var err error
		text, err = os.ReadFile(path)
		return err == nil
	}, out)
	lines := strings.Split(string(text), "\n")
	for _, raw := range lines[:2] {
		if raw != "" {
			u, err := url.Parse(raw)
			require.NoError(t, err)
			addrs = append(addrs, u.Host)
		}
	}
	pid, err := strconv.Atoi(lines[2])
	require.NoError(t, err)
	return addrs, pid
}

func eventually(t *testing.T, what string, ok func() bool, out *bytes.Buffer) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			require.FailNow(t, "not in time: "+what, out.String())
		}
	}
}

func listening(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// running tells whether the process lives; one that ended and waits for an
// init process to take note of it does not.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}

func needsRedisBinary(t *testing.T) {
	t.Helper()
	if findProgram("redis-server", "valkey-server") == "" {
		t.Skip("this machine has no Redis binary; containers are not tried here")
	}
}

func requireExit(t *testing.T, want int, err error, out *bytes.Buffer) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, out.String())
	require.Equal(t, want, exit.ExitCode(), out.String())
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left, "testenv leaves no files")
}

func TestExitCodeIsTheCommands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"its own", []string{"-need", "", "--", "sh", "-c", "exit 7"}, 7},
		{"killed by a signal", []string{"-need", "", "--", "sh", "-c", "kill -TERM $$"}, 143},
		{"no such command", []string{"-need", "", "--", "/no/such/command"}, exitCannot},
		{"no command", []string{"-need", ""}, exitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd, temp, out := asMain(t, c.args...)
			requireExit(t, c.want, cmd.Run(), out)
			requireEmpty(t, temp)
		})
	}
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		cmd, _, out := asMain(t, "-need", "", "--", "true")
		require.NoError(t, cmd.Run(), out.String())
	})
}

func TestServersEndAfterAFailedCommand(t *testing.T) {
	t.Parallel()
	needsRedisBinary(t)
	needs := "redis"
	if findPostgres() != "" {
		needs = "postgres,redis"
	}
	note := filepath.Join(t.TempDir(), "note")
	hold := filepath.Join(t.TempDir(), "hold")
	require.NoError(t, os.WriteFile(hold, nil, 0o600))
	cmd, temp, out := asMain(t, append([]string{"-need", needs},
		script(note, "while [ -e '"+hold+"' ]; do sleep 0.05; done; exit 3")...)...)
	require.NoError(t, cmd.Start())
	addrs, _ := notes(t, note, out)
	require.Len(t, addrs, strings.Count(needs, ",")+1)
	for _, addr := range addrs {
		require.True(t, listening(addr), "%s must be up while the command runs", addr)
	}
	require.NoError(t, os.Remove(hold))
	requireExit(t, 3, cmd.Wait(), out)
	for _, addr := range addrs {
		require.False(t, listening(addr), "%s must be gone", addr)
	}
	requireEmpty(t, temp)
}

func TestServersEndWithASignal(t *testing.T) {
	t.Parallel()
	needsRedisBinary(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			note := filepath.Join(t.TempDir(), "note")
			cmd, temp, out := asMain(t, append([]string{"-need", "redis"}, script(note, "exec sleep 600")...)...)
			require.NoError(t, cmd.Start())
			addrs, pid := notes(t, note, out)
			require.NoError(t, cmd.Process.Signal(sig))
			requireExit(t, exitSignal+int(sig), cmd.Wait(), out)
			require.False(t, listening(addrs[0]), "redis must be gone")
			require.False(t, running(pid), "the command must be gone")
			requireEmpty(t, temp)
		})
	}
}

func TestServersDoNotSurviveAKilledTestenv(t *testing.T) {
	t.Parallel()
	needsRedisBinary(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	note := filepath.Join(t.TempDir(), "note")
	cmd, temp, out := asMain(t, append([]string{"-need", "redis"}, script(note, "exec sleep 600")...)...)
	require.NoError(t, cmd.Start())
	addrs, pid := notes(t, note, out)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	eventually(t, "redis ends", func() bool { return !listening(addrs[0]) }, out)
	eventually(t, "the command ends", func() bool { return !running(pid) }, out)

	// Its files are left; the next run takes them away.
	next, _, out := asMain(t, "-need", "", "--", "true")
	next.Env = append(next.Env, "TMPDIR="+temp)
	require.NoError(t, next.Run(), out.String())
	requireEmpty(t, temp)
}

func TestWhatTheCommandLeavesBehindEnds(t *testing.T) {
	t.Parallel()
	note := filepath.Join(t.TempDir(), "note")
	cmd, _, out := asMain(t, append([]string{"-need", ""}, "--", "sh", "-c", `sleep 600 & printf '\n\n%s\n' $! > "$0"`, note)...)
	require.NoError(t, cmd.Run(), out.String())
	_, pid := notes(t, note, out)
	eventually(t, "the left process ends", func() bool { return !running(pid) }, out)
}

func TestAServerThatCannotStartIsTold(t *testing.T) {
	t.Parallel()
	k, _ := testKit(t)
	cmd := exec.Command("sh", "-c", "echo first; echo the port is taken >&2; exit 1")
	s, err := k.startServer("redis", cmd, syscall.SIGKILL)
	require.NoError(t, err)
	err = s.await(t.Context(), func() bool { return false })
	require.EqualError(t, err, "redis ended while starting: the port is taken")
	s.end()
}

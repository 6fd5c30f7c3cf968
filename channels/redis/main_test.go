package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/channels"
	"tidewire/channels/redis"
)

func TestMain(m *testing.M) {
	// The library notices up to a second late that a pool was closed whose server
	// could not be reached.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// patience bounds waits for things that should happen soon.
const patience = 30 * time.Second

// sharedURL is the server that all tests may use, each with its own app ids.
func sharedURL(t *testing.T) string {
	t.Helper()
	if url := os.Getenv("TEST_REDIS_URL"); url != "" {
		return url
	}
	if testing.Short() {
		t.Skip("needs Redis, and TEST_REDIS_URL is not set")
	}
	t.Fatal("TEST_REDIS_URL is not set: run the tests with make test, which starts a Redis")
	return ""
}

// open joins a Redis until the test ends.
func open(t *testing.T, url string) *redis.Client {
	t.Helper()
	c, err := redis.Open(t.Context(), redis.Config{URL: url, Node: "test"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// running is a client whose broker runs, with the names of what it delivered.
type running struct {
	*redis.Client
	mu  sync.Mutex
	got map[channels.Topic][]string
}

func run(t *testing.T, url string) *running {
	t.Helper()
	return runClient(t, open(t, url))
}

// runClient is run for a client that is open already.
func runClient(t *testing.T, c *redis.Client) *running {
	t.Helper()
	r := &running{Client: c, got: make(map[channels.Topic][]string)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Broker().Run(ctx, r.deliver); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "the broker runs", func() bool {
		_, err := c.Broker().Publish(t.Context(), nil)
		return err == nil
	})
	return r
}

func (r *running) deliver(ev *channels.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ev.Kind == channels.Missed {
		return nil
	}
	r.got[ev.Topic] = append(r.got[ev.Topic], ev.Name)
	return nil
}

func (r *running) names(tp channels.Topic) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got[tp]...)
}

func (r *running) publish(t *testing.T, tp channels.Topic, name string) error {
	t.Helper()
	_, err := r.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: name, Data: []byte(`""`)}})
	return err
}

// eventually polls cond until it holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, 5*time.Millisecond, what)
}

// server is a redis-server of one test.
type server struct {
	port int
	dir  string
	args []string
	conf string // of a Sentinel
	cmd  *exec.Cmd
}

// startServer starts a server on a free port and waits until it answers. A
// password in args is used for that too.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts its own redis-server")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not in PATH")
	}
	s := &server{port: freePort(t), dir: t.TempDir(), args: args}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// startSentinel starts a Sentinel with a configuration file.
func startSentinel(t *testing.T, conf string) *server {
	t.Helper()
	s := &server{port: freePort(t), dir: t.TempDir(), conf: conf}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	args := []string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir}
	if s.conf != "" {
		args = append([]string{s.conf}, append(args, "--sentinel")...)
	} else {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	args = append(args, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	require.NoError(t, s.cmd.Start())
	eventually(t, "redis-server answers", func() bool {
		conn, err := net.DialTimeout("tcp", s.addr(), time.Second)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		buf := make([]byte, 1)
		_, err = fmt.Fprint(conn, "PING\r\n")
		if err == nil {
			_, err = conn.Read(buf)
		}
		return err == nil
	})
}

// kill ends the server at once, as a crash would.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// logged is the file that the server appends to, as long as it is now.
func (s *server) logged(t *testing.T) (file loggedFile) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	info, err := os.Stat(names[0])
	require.NoError(t, err)
	return loggedFile{names[0], info.Size()}
}

type loggedFile struct {
	name string
	size int64
}

func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }
func (s *server) url() string  { return "redis://" + s.addr() }

// raw is a plain connection to the server, for what only a test would do.
func raw(t *testing.T, addr string) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: addr, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// freePort finds a port such that port+10000, a Cluster's bus, is free as well.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		require.NoError(t, l.Close())
		if port > 55535 {
			continue
		}
		bus, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+10000))
		if err != nil {
			continue
		}
		require.NoError(t, bus.Close())
		return port
	}
	t.Fatal("no free port")
	return 0
}

// logBuffer is a logger that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// lines counts the log lines with all the parts.
func (b *logBuffer) lines(parts ...string) int {
	count := 0
	for line := range strings.Lines(b.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			count++
		}
	}
	return count
}

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// balancer gives each connection to the next node that says it may have some,
// as any balancer with a health check does.
type balancer struct {
	address string
	nodes   []string
	up      []atomic.Bool
	next    atomic.Int64
	running sync.WaitGroup
}

func startBalancer(t *testing.T, nodes []string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{address: l.Addr().String(), nodes: nodes, up: make([]atomic.Bool, len(nodes))}
	ended := make(chan struct{})
	for i := range nodes {
		b.running.Go(func() { b.check(i, ended) })
	}
	b.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.running.Go(func() { b.pass(conn, ended) })
		}
	})
	t.Cleanup(func() { close(ended); _ = l.Close(); b.running.Wait() })
	return b
}

// check asks a node ten times a second, where others ask once.
func (b *balancer) check(i int, ended chan struct{}) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := client.Get("http://" + b.nodes[i] + "/readyz?degraded=ok")
		if err == nil {
			_ = resp.Body.Close()
		}
		b.up[i].Store(err == nil && resp.StatusCode == http.StatusOK)
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
}

func (b *balancer) pass(in net.Conn, ended chan struct{}) {
	defer in.Close()
	for range b.nodes {
		i := int(b.next.Add(1)) % len(b.nodes)
		if !b.up[i].Load() {
			continue
		}
		out, err := net.DialTimeout("tcp", b.nodes[i], time.Second)
		if err != nil {
			continue
		}
		join(in, out, ended)
		return
	}
}

// join copies both ways until either side ends, or the balancer does.
func join(a, b net.Conn, ended chan struct{}) {
	defer b.Close()
	done := make(chan struct{})
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	go func() { both.Wait(); close(done) }()
	select {
	case <-done:
	case <-ended:
		_, _ = a.Close(), b.Close()
		<-done
	}
}

// startHAProxy is the same with a balancer that people use.
func startHAProxy(t *testing.T, nodes []string) string {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not in PATH")
	}
	address := freePort(t)
	config := "global\n maxconn 1000\ndefaults\n mode http\n retries 3\n option redispatch\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n timeout tunnel 1h\n" +
		"frontend f\n bind " + address + "\n default_backend b\nbackend b\n balance roundrobin\n option httpchk GET /readyz?degraded=ok\n"
	for i, node := range nodes {
		config += fmt.Sprintf(" server n%d %s check inter 200ms fall 1 rise 1\n", i, node)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(program, "-db", "-f", file)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, func() bool { status, _ := get(t, "http://"+address+"/readyz"); return status == http.StatusOK }, "haproxy does not answer")
	return address
}

// rider is a client of a presence channel that comes back whenever it is sent
// away, as the libraries do.
type rider struct {
	user  string
	mu    sync.Mutex
	in    bool
	moves int
	codes []string // why it was sent away
	left  []string // whom it was told of as gone
}

// ride keeps the client on the channel until ended is closed.
func (r *rider) ride(base string, app printedApp, channel string, ended chan struct{}) {
	for {
		select {
		case <-ended:
			return
		default:
		}
		conn, id := greeted(base, app.Key)
		if conn == nil {
			time.Sleep(50 * time.Millisecond) // the pause of a client, not a wait of the test
			continue
		}
		_ = conn.SetReadDeadline(time.Time{})
		stop := make(chan struct{})
		go func() {
			select {
			case <-ended:
			case <-stop:
			}
			_ = conn.Close()
		}()
		data := `{"user_id":` + strconv.Quote(r.user) + `}`
		m := hmac.New(sha256.New, []byte(app.Secret))
		m.Write([]byte(id + ":" + channel + ":" + data))
		_ = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{
			"channel": channel, "auth": app.Key + ":" + hex.EncodeToString(m.Sum(nil)), "channel_data": data,
		}})
		for {
			var f frame
			if err := conn.ReadJSON(&f); err != nil {
				r.note(func() { r.in = false; r.moves++; r.codes = append(r.codes, err.Error()) })
				break
			}
			switch f.Event {
			case "pusher_internal:subscription_succeeded":
				r.note(func() { r.in = true })
			case "pusher_internal:member_removed":
				r.note(func() { r.left = append(r.left, f.text()) })
			}
		}
		close(stop)
	}
}

func (r *rider) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *rider) isIn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.in
}

// plainPublisher publishes with what a plain client does on its own: it tries
// again a few times when there is no answer or a 5xx.
type plainPublisher struct{ published, retried, failed atomic.Int64 }

func (p *plainPublisher) run(base string, app printedApp, ended chan struct{}) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	body := []byte(`{"name":"tick","channels":["presence-room"],"data":"geheime-last"}`)
	for {
		select {
		case <-ended:
			return
		case <-time.After(10 * time.Millisecond): // the pace of the load
		}
		ok := false
		for try := range 4 {
			if try > 0 {
				p.retried.Add(1)
				time.Sleep(time.Duration(try) * 100 * time.Millisecond) // the client's own pause
			}
			resp, err := client.Post(signed(base, app, http.MethodPost, "/events", body), "application/json", bytes.NewReader(body))
			if err != nil {
				continue
			}
			_ = resp.Body.Close()
			if ok = resp.StatusCode == http.StatusOK; ok || resp.StatusCode < 500 {
				break
			}
		}
		if ok {
			p.published.Add(1)
		} else {
			p.failed.Add(1)
		}
	}
}

// TestRollingRestart stops and starts three nodes one after the other under
// load. Nobody who uses them learns of it.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	for name, front := range map[string]func(*testing.T, []string) string{
		"round robin": func(t *testing.T, nodes []string) string { return startBalancer(t, nodes).address },
		"haproxy":     startHAProxy,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); rollingRestart(t, front) })
	}
}

func rollingRestart(t *testing.T, front func(*testing.T, []string) string) {
	redis := startOwnRedis(t)
	environ := append(twoNodes(t), "TIDEWIRE_REDIS_URL="+redis.url(), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8",
		"TIDEWIRE_METRICS_LISTEN=off", "TIDEWIRE_SHUTDOWN_TIMEOUT=20s", "TIDEWIRE_LOG_FORMAT=json", "TIDEWIRE_DRAIN_DELAY=500ms")
	var nodes []*serverProcess
	var addresses []string
	for range 3 {
		n := startProcess(t, append(environ[:len(environ):len(environ)], "TIDEWIRE_LISTEN="+freePort(t)))
		nodes, addresses = append(nodes, n), append(addresses, n.address())
	}
	hooks := newReceiver(t)
	app := hookedApp(t, nodes[0].environ, hooks)
	for _, n := range nodes {
		hooks.await(n.url, app)
	}
	base := "http://" + front(t, addresses)

	ended := make(chan struct{})
	var running sync.WaitGroup
	var riders []*rider
	for i := range 9 {
		r := &rider{user: "user-" + strconv.Itoa(i)}
		riders = append(riders, r)
		running.Go(func() { r.ride(base, app, "presence-room", ended) })
	}
	all := func() bool { return !slices.ContainsFunc(riders, func(r *rider) bool { return !r.isIn() }) }
	eventually(t, all, "not all come in")
	var load plainPublisher
	for range 3 {
		running.Go(func() { load.run(base, app, ended) })
	}
	logs := ""
	for i, n := range nodes {
		n.stop(t)
		logs += n.log.String()
		nodes[i] = startProcess(t, n.environ)
		eventually(t, all, "not all are back")
	}
	// A channel that comes and goes now is told of after all that was before it.
	probe := subscribed(t, nodes[0].url, app.Key, "probe")
	hooks.expect("channel_occupied probe")
	_ = probe.conn.Close()
	hooks.expect("channel_vacated probe")
	var left []string
	for _, r := range riders { // what they are told when all go home does not count
		r.note(func() { left = append(left, r.left...) })
	}
	close(ended)
	running.Wait()

	require.Empty(t, left, "somebody was told that somebody had left")
	moves := 0
	for _, r := range riders {
		moves += r.moves
	}
	require.Zero(t, load.failed.Load())
	require.Positive(t, load.published.Load())
	require.GreaterOrEqual(t, moves, len(riders), "nobody had to move: nothing was tried")
	told := hooks.names()
	require.Equal(t, 1, count(told, "channel_occupied presence-room"))
	for _, name := range told {
		require.False(t, strings.HasPrefix(name, "member_removed") && !strings.HasSuffix(name, "probe"), name)
	}
	for _, r := range riders {
		require.Equal(t, 1, count(told, "member_added presence-room "+r.user))
	}
	requireClean(t, logs, app.Secret, hooks.secret, "geheime-last")
	t.Logf("%d publishes, %d tried again, %d moves", load.published.Load(), load.retried.Load(), moves)
}

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
)

// ownRedis is a Redis of one test, which may stop it.
type ownRedis struct {
	address string
	cmd     *exec.Cmd
}

func startOwnRedis(t *testing.T) *ownRedis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not in PATH: this test stops its own")
	}
	r := &ownRedis{address: freePort(t)}
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

func (r *ownRedis) url() string { return "redis://" + r.address }

// start starts it, empty; after kill too.
func (r *ownRedis) start(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(r.address)
	require.NoError(t, err)
	r.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	require.NoError(t, r.cmd.Start())
	eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", r.address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte("PING\r\n"))
		n, _ := conn.Read(make([]byte, 16))
		return n == len("+PONG\r\n")
	}, "redis-server does not answer")
}

// kill ends it at once, with all it knows; killing twice is in order.
func (r *ownRedis) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// healthOf asks a node how it is.
func healthOf(t *testing.T, base string) (told health) {
	t.Helper()
	_, body := get(t, base+"/readyz")
	_ = json.Unmarshal([]byte(body), &told)
	return told
}

// healthProbe tries what health makes claims about.
type healthProbe struct {
	n     *node
	known printedApp
	fresh func() printedApp // an app that was never used
	admin *person
}

// try reports what works, by ability. Webhooks are not tried: see the test.
func (p healthProbe) try(t *testing.T) map[string]bool {
	t.Helper()
	publishes := func(app printedApp) bool {
		status, _, _ := post(t, p.n.url, app, "news")
		return status == http.StatusOK
	}
	status, _, _ := p.admin.do(http.MethodGet, "/tenants/acme", nil)
	return map[string]bool{
		"events": publishes(p.known), "connections": connects(p.n.url, p.known.Key),
		"new_apps": publishes(p.fresh()) || connects(p.n.url, p.fresh().Key), "admin": status == http.StatusOK,
	}
}

// connects reports whether a client is greeted.
func connects(base, key string) bool {
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+base[len("http"):]+"/app/"+key+"?protocol=7", nil)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer resp.Body.Close()
	var f frame
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return conn.ReadJSON(&f) == nil && f.Event == "pusher:connection_established"
}

// TestHealthIsTrue stops the real Postgres and the real Redis of a node, and
// compares what the node says of itself with what works.
func TestHealthIsTrue(t *testing.T) {
	t.Parallel()
	redis, database := startOwnRedis(t), dbtest.Postgres(t)
	n := startNode(t, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_DATABASE_URL="+database, "TIDEWIRE_REDIS_URL="+redis.url(), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
	ada := signUp(t, n.url, "ada@example.com", "Acme", "")
	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "ada@example.com", "Confirm")})
	hooks := newReceiver(t)
	app := hookedApp(t, n.environ, hooks)
	hooks.await(n.url, app)
	fresh := make(chan printedApp, 12)
	for i := range cap(fresh) {
		fresh <- call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Fresh " + strconv.Itoa(i)}).printed()
	}
	probe := healthProbe{n, app, func() printedApp { return <-fresh }, ada}
	compare := func(status string) {
		t.Helper()
		eventually(t, func() bool { return healthOf(t, n.url).Status == status }, "never "+status)
		told, found := healthOf(t, n.url), probe.try(t)
		found["webhooks"] = told.Works["webhooks"]
		require.Equal(t, found, told.Works)
		want := 503
		if told.Works["events"] {
			want = 200
		}
		code, _ := get(t, n.url+"/readyz?degraded=ok")
		require.Equal(t, want, code)
	}
	compare(stateReady)
	metric(t, n, `tidewire_dependency_up{dependency="database"} 1`, `tidewire_ready 1`)

	dbtest.Shut(t, database)
	compare(stateDegraded)
	metric(t, n, `tidewire_dependency_up{dependency="database"} 0`, `tidewire_ready 0`, `tidewire_works{ability="events"} 1`)
	r := platform(t, n.environ, "healthcheck")
	requireOneLine(t, r, "degraded: database away", "admin")
	require.Zero(t, platform(t, n.environ, "healthcheck", "--degraded-ok").code)
	member(t, n.url, app, "presence-later", "ada")
	dbtest.Reopen(t, database)
	compare(stateReady)
	hooks.expect("channel_occupied presence-later", "member_added presence-later ada")

	redis.kill()
	compare(stateNotReady)
	requireOneLine(t, platform(t, n.environ, "healthcheck", "--degraded-ok"), "not ready: redis away", "events")
	redis.start(t)
	compare(stateReady)
}

// metric waits until the node shows every line.
func metric(t *testing.T, n *node, lines ...string) {
	t.Helper()
	for _, line := range lines {
		eventually(t, func() bool {
			_, page := get(t, n.metrics+"/metrics")
			return slices.Contains(strings.Split(page, "\n"), line)
		}, "no "+line)
	}
}

// A node that stops says so, on the metrics port to the end.
func TestHealthWhileDraining(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	// A request under way holds the stop up.
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /apps/1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 64)) // 100 Continue: it is read
	require.NoError(t, err)
	n.stop()
	eventually(t, func() bool { return healthOf(t, n.metrics).Status == stateDraining }, "never draining")
	require.NoError(t, conn.Close())
	n.end(t)
}

package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// limitsWorld opens connections until there are no more.
type limitsWorld struct {
	*processes
	mu   sync.Mutex
	open map[int][]*websocket.Conn // by node
}

// fill asks every node n times at once for each app, and returns how many were
// admitted of each.
func (w *limitsWorld) fill(nodes []int, n int, apps ...printedApp) []int {
	admitted := make([]atomic.Int64, len(apps))
	var group sync.WaitGroup
	for i, app := range apps {
		for _, node := range nodes {
			for range n {
				group.Go(func() {
					if conn, _ := greeted(w.nodes[node].url, app.Key); conn != nil {
						admitted[i].Add(1)
						w.mu.Lock()
						w.open[node] = append(w.open[node], conn)
						w.mu.Unlock()
					}
				})
			}
		}
	}
	group.Wait()
	counts := make([]int, len(apps))
	for i := range counts {
		counts[i] = int(admitted[i].Load())
	}
	return counts
}

func (w *limitsWorld) end() {
	for _, list := range w.open {
		for _, conn := range list {
			_ = conn.Close()
		}
	}
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Limits hold over three nodes to the connection, and to 5 % of a rate: of an
// app, of the two apps of a tenant, after a node was killed, and, as each node's
// part, without Redis.
func TestChaosLimits(t *testing.T) {
	t.Parallel()
	w := &limitsWorld{processes: startProcesses(t, setup{}), open: make(map[int][]*websocket.Conn)}
	t.Cleanup(w.end)
	environ := w.nodes[0].environ
	plans := filepath.Join(t.TempDir(), "plans.json")
	require.NoError(t, os.WriteFile(plans, []byte(`[{"name":"small","max_connections":30}]`), 0o600))
	for _, command := range [][]string{{"plans", "apply", plans}, {"tenants", "create", "acme", "--plan", "small"}} {
		r := platform(t, environ, command...)
		require.Zero(t, r.code, r.stderr)
	}
	one := createApp(t, environ, "--limits", `{"max_connections":20}`)
	two := createApp(t, environ, "--limits", `{"max_connections":20}`)
	all, left := []int{0, 1, 2}, []int{1, 2}

	first := sum(w.fill([]int{0}, 2, one, two)) // so that the node which is killed has some
	require.Equal(t, 4, first)
	counts := w.fill(all, 15, one, two)
	require.Equal(t, 30, first+sum(counts), "the plan's limit, to the connection")
	require.LessOrEqual(t, slices.Max(counts), 18)
	require.Equal(t, 0, sum(w.fill(all, 3, one, two)))
	refusedWith(t, w.nodes[1].url, one, 4004)

	w.kill(0)
	killed := len(w.open[0])
	require.NotZero(t, killed)
	got := 0
	w.eventually(func() bool { got += sum(w.fill(left, 2, one, two)); return got >= killed }, "the dead node's connections still count")
	got += sum(w.fill(left, 5, one, two))
	require.Equal(t, killed, got, "no more than the dead node had")
	w.start(0)
	require.Equal(t, 0, sum(w.fill(all, 3, one, two)))

	w.rate()
	w.withoutRedis()
}

// refusedWith asserts how a connection is refused, and that the reason is said.
func refusedWith(t *testing.T, base string, app printedApp, code int) {
	t.Helper()
	c := dial(t, base, app.Key)
	f := c.next()
	require.Equal(t, "pusher:error", f.Event)
	require.Contains(t, string(f.Data), fmt.Sprint(code))
	require.Equal(t, code, c.closed())
}

// rate publishes on all nodes, faster than is allowed. A machine that stops for a
// moment in one window gets another: the rate is a property of the limit, not of
// the machine.
func (w *limitsWorld) rate() {
	const rate, windows = 60, 3
	for n := range windows {
		got := w.admitted(rate)
		w.t.Logf("%.1f publishes/s admitted over three nodes where %d are allowed", got, rate)
		if n == windows-1 || math.Abs(got-rate) <= rate*0.05 {
			require.InEpsilon(w.t, rate, got, 0.05)
			return
		}
	}
}

// admitted is how many publishes a second are admitted.
func (w *limitsWorld) admitted(rate int) float64 {
	const warm, window = 4 * time.Second, 12 * time.Second
	app := createApp(w.t, w.nodes[0].environ, "--tenant", "rates", "--limits", fmt.Sprintf(`{"max_publishes_per_second":%d}`, rate))
	var counted, refused atomic.Int64
	var group sync.WaitGroup
	begun := time.Now()
	for i := range 2 * severalNodes {
		group.Go(func() {
			for time.Since(begun) < warm+window {
				at := time.Now()
				status, header, _ := post(w.t, w.nodes[i%severalNodes].url, app, "news")
				switch {
				case status == http.StatusTooManyRequests:
					refused.Add(1)
					if header.Get("Retry-After") == "" {
						w.t.Error("a refusal that does not say when to come again")
					}
				case status != http.StatusOK:
					w.t.Errorf("unexpected status %d", status)
				case at.Sub(begun) >= warm: // what came as a burst is paid off
					counted.Add(1)
				}
				time.Sleep(max(time.Until(at.Add(20*time.Millisecond)), 0))
			}
		})
	}
	group.Wait()
	require.NotZero(w.t, refused.Load())
	return float64(counted.Load()) / time.Since(begun.Add(warm)).Seconds()
}

// withoutRedis admits on each node its part of the limit, and no more.
func (w *limitsWorld) withoutRedis() {
	app := createApp(w.t, w.nodes[0].environ, "--tenant", "others", "--limits", `{"max_connections":30}`)
	for i := range w.nodes { // they know the app, and each other
		w.eventually(func() bool { status, _, _ := post(w.t, w.nodes[i].url, app, "news"); return status == http.StatusOK }, "the app is not known")
	}
	for _, link := range w.links {
		link.Stop()
	}
	for i := range w.nodes {
		n := sum(w.fill([]int{i}, 20, app))
		require.LessOrEqual(w.t, n, 10, "a third of what is allowed")
		require.Positive(w.t, n)
	}
	for _, link := range w.links {
		require.NoError(w.t, link.Start())
	}
}

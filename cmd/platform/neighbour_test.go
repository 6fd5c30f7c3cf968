package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
)

// neighbourPlan is how much is measured: make neighbour says 10 times.
type neighbourPlan struct {
	times, crowd int
	phase        time.Duration
	full         bool
}

func planNeighbours(t *testing.T) neighbourPlan {
	t.Helper()
	v := os.Getenv("NEIGHBOUR")
	if v == "" {
		return neighbourPlan{times: 1, crowd: 100, phase: 250 * time.Millisecond}
	}
	times, err := strconv.Atoi(v)
	require.NoError(t, err)
	return neighbourPlan{times: times, crowd: 1000, phase: 1200 * time.Millisecond, full: true}
}

// TestNoisyNeighbour has one tenant do what it may, and then ten times that, in
// each way, while another goes on and loses nothing. How much slower the other
// gets is not judged, because tests share their machine: make neighbour measures
// it, ten times, alone and over two nodes.
func TestNoisyNeighbour(t *testing.T) {
	t.Parallel()
	plan := planNeighbours(t)
	t.Run("one node", func(t *testing.T) {
		neighbours(t, plan, []*serverProcess{startProcess(t, append(dataDir(t), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"))})
	})
	if !plan.full {
		return
	}
	t.Run("two nodes", func(t *testing.T) {
		environ := append(dataDir(t), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8", "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t),
			"TIDEWIRE_REDIS_URL="+startOwnRedis(t).url())
		neighbours(t, plan, []*serverProcess{startProcess(t, environ), startProcess(t, environ)})
	})
}

// The levels of the loud tenant.
var levels = []float64{0, 0.9, 10} // times what it may

// neighbours measures every axis on an installation.
func neighbours(t *testing.T, plan neighbourPlan, nodes []*serverProcess) {
	l := startLoud(t, plan, nodes)
	q := newQuiet(t, nodes)
	t.Logf("| flood | asked, taken a second at 10 × | p99 quiet | within | 10 × | more at 10 × | webhook p95 quiet | within | 10 × | more at 10 × |")
	for _, a := range axes {
		told := make([][]loudCount, len(levels))
		deliver, hook := make([][]float64, len(levels)), make([][]float64, len(levels))
		for round := range plan.times {
			for i := range levels {
				at := (i + round) % len(levels) // each is as often the first
				stop := l.begin(t, a.name, levels[at])
				d, h := q.phase(plan.phase)
				told[at] = append(told[at], stop())
				deliver[at], hook[at] = append(deliver[at], quantile(d, 0.99)), append(hook[at], quantile(h, 0.95))
			}
		}
		var asked, took []float64
		for _, c := range told[2] {
			asked, took = append(asked, c.Asked), append(took, c.Took)
		}
		t.Logf("| %s | %.0f, %.0f | %s | %s |", a.name, median(asked), median(took), neighbourCells(deliver), neighbourCells(hook))
	}
	q.complete()
}

// neighbourCells are the medians of three levels, and how much more the last is
// than the first in the same round: the median, and its interval.
func neighbourCells(v [][]float64) string {
	var more []float64
	for i := range v[0] {
		more = append(more, v[2][i]-v[0][i])
	}
	mid, low, high := medianWithin(more)
	return fmt.Sprintf("%.1f | %.1f | %.1f | %+.1f [%+.1f, %+.1f]", median(v[0]), median(v[1]), median(v[2]), mid, low, high)
}

func median(v []float64) float64 {
	mid, _, _ := medianWithin(v)
	return mid
}

// medianWithin is the median and an interval of at least 95 % around it that
// supposes nothing about the distribution: the widest for fewer than six values.
func medianWithin(v []float64) (mid, low, high float64) {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	mid = (v[(n-1)/2] + v[n/2]) / 2
	cut, tail, term := 0, 0.0, math.Pow(0.5, float64(n))
	for k := 0; k < n/2; k++ {
		if tail += term; 2*tail > 0.05 {
			break
		}
		cut = k
		term *= float64(n-k) / float64(k+1)
	}
	return mid, v[cut], v[n-1-cut]
}

func quantile(v []time.Duration, q float64) float64 {
	slices.Sort(v)
	return float64(v[int(q*float64(len(v)-1))].Microseconds()) / 1000
}

// elsewhere prepares a program whose machine is another one in life: what it
// computes is not to be taken for what a server makes others wait. It gets what
// they leave, which may be nothing while other tests run: unless alone, it has a
// small share.
func elsewhere(exe string, alone bool) *exec.Cmd {
	if alone {
		return exec.Command("chrt", "--idle", "0", exe)
	}
	return exec.Command("nice", "-n", "19", exe)
}

// loudProcess is the other end of [actLoud].
type loudProcess struct {
	in  io.Writer
	out *bufio.Scanner
}

func startLoud(t *testing.T, plan neighbourPlan, nodes []*serverProcess) *loudProcess {
	t.Helper()
	orders := loudOrders{Apps: map[string]printedApp{}, Hook: freePort(t), Crowd: plan.crowd}
	for _, n := range nodes {
		orders.Bases = append(orders.Bases, n.url)
	}
	for _, a := range axes {
		app := createApp(t, nodes[0].environ, "--tenant", "loud", "--name", a.name, "--limits", a.limits, "--settings", a.settings)
		if a.name == "failing webhooks" {
			printed[printedWebhook](t, nodes[0].environ, "webhooks", "create", "--app", string(app.ID), "--url", "http://"+orders.Hook)
		}
		orders.Apps[a.name] = app
	}
	text, err := json.Marshal(orders)
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := elsewhere(exe, plan.full)
	cmd.Env = append(os.Environ(), actAsLoud+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &loudProcess{in, bufio.NewScanner(out)}
}

// begin has it do times what it may, until stop is called.
func (l *loudProcess) begin(t *testing.T, axis string, times float64) (stop func() loudCount) {
	t.Helper()
	if times == 0 {
		return func() loudCount { return loudCount{} }
	}
	_, err := fmt.Fprintf(l.in, "%s=%g\n", axis, times)
	require.NoError(t, err)
	require.True(t, l.out.Scan(), "the loud tenant has ended")
	return func() (c loudCount) {
		_, err := fmt.Fprintln(l.in, "stop")
		require.NoError(t, err)
		require.True(t, l.out.Scan(), "the loud tenant has ended")
		require.NoError(t, json.Unmarshal(l.out.Bytes(), &c))
		return c
	}
}

// quiet is the tenant that is looked at: it publishes over one node, hears over
// another, and is told of client events by its webhook.
type quiet struct {
	t      *testing.T
	app    printedApp
	api    string
	sub    *client
	client *http.Client

	mu        sync.Mutex
	sent, due map[string]time.Time // by number: of publishes, of client events
	took      map[string]time.Duration
	told      map[string]time.Duration
}

func newQuiet(t *testing.T, nodes []*serverProcess) *quiet {
	t.Helper()
	q := &quiet{
		t: t, api: nodes[len(nodes)-1].url, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		sent: map[string]time.Time{}, due: map[string]time.Time{}, took: map[string]time.Duration{}, told: map[string]time.Duration{},
	}
	t.Cleanup(q.client.CloseIdleConnections)
	hooks := httptest.NewServer(http.HandlerFunc(q.hook))
	t.Cleanup(hooks.Close)
	q.app = createApp(t, nodes[0].environ, "--tenant", "quiet", "--settings", `{"client_events":true,"webhook_batching":false}`, "--limits", `{"max_client_events_per_second":1000}`)
	printed[printedWebhook](t, nodes[0].environ, "webhooks", "create", "--app", string(q.app.ID), "--url", hooks.URL, "--events", "client_event")
	q.sub = member(t, nodes[0].url, q.app, "presence-quiet", "ada")
	require.NoError(t, q.sub.conn.SetReadDeadline(time.Time{}))
	var reading sync.WaitGroup
	reading.Go(q.read)
	t.Cleanup(func() { _ = q.sub.conn.Close(); reading.Wait() })
	eventually(t, func() bool { // until the endpoint is known, nothing is told
		q.say("0")
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.told) > 0
	}, "the webhook is never called")
	return q
}

// arrive notes that what began at since[n] has come, and complains when it comes
// twice.
func (q *quiet) arrive(n string, since map[string]time.Time, into map[string]time.Duration, once bool) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, twice := into[n]; twice {
		if once {
			q.t.Errorf("event %s came twice", n)
		}
		return
	}
	into[n] = now.Sub(since[n])
}

func (q *quiet) read() {
	for {
		var f frame
		if q.sub.conn.ReadJSON(&f) != nil {
			return
		}
		if f.Event == "e" {
			q.arrive(f.text(), q.sent, q.took, true)
		}
	}
}

func (q *quiet) hook(w http.ResponseWriter, r *http.Request) {
	var told struct {
		Events []struct {
			Data string `json:"data"`
		} `json:"events"`
	}
	_ = json.NewDecoder(r.Body).Decode(&told)
	for _, e := range told.Events { // a webhook may come twice
		q.arrive(strings.Trim(e.Data, `"`), q.due, q.told, false)
	}
	w.WriteHeader(http.StatusOK)
}

// say sends a client event, of which the webhook tells.
func (q *quiet) say(n string) {
	q.mu.Lock()
	q.due[n] = time.Now()
	q.mu.Unlock()
	require.NoError(q.t, q.sub.conn.WriteJSON(map[string]any{"event": "client-say", "channel": "presence-quiet", "data": n}))
}

func (q *quiet) publish(n string) {
	body := []byte(`{"name":"e","channels":["presence-quiet"],"data":"` + n + `"}`)
	q.mu.Lock()
	q.sent[n] = time.Now()
	q.mu.Unlock()
	resp, err := q.client.Post(signed(q.api, q.app, http.MethodPost, "/events", body), "application/json", bytes.NewReader(body))
	if err != nil {
		q.t.Error(err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		q.t.Errorf("a publish of the quiet tenant is answered with %d", resp.StatusCode)
	}
}

// complete waits until everything has come: nothing of the quiet tenant is lost.
func (q *quiet) complete() {
	q.t.Helper()
	eventually(q.t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.took) == len(q.sent) && len(q.told) == len(q.due)
	}, "something of the quiet tenant is lost")
}

// phase publishes a hundred times a second and sends a client event every fifth
// time, waits until all of it has come, and says what it took.
func (q *quiet) phase(d time.Duration) (deliver, hook []time.Duration) {
	q.t.Helper()
	first := len(q.sent) + 1
	last := first - 1
	var running sync.WaitGroup
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		last++
		n := strconv.Itoa(last)
		running.Go(func() { q.publish(n) })
		if last%5 == 0 {
			q.say(n)
		}
	}
	running.Wait()
	q.complete()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := first; i <= last; i++ {
		n := strconv.Itoa(i)
		deliver = append(deliver, q.took[n])
		if t, ok := q.told[n]; ok {
			hook = append(hook, t)
		}
	}
	return deliver, hook
}

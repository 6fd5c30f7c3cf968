package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

var (
	chaosRounds  = flag.Int("rounds", 21, "rounds of TestChaos")
	chaosReaders = flag.Int("readers", 6, "clients that resume on a channel with history in TestChaos; make chaos has 20")
	chaosSeed    = flag.Uint64("seed", 0, "of TestChaos; 0 = another one each time")
)

const (
	chaosLease = time.Second
	chaosLimit = 12 // connections of the app
	chaosRoom  = "presence-room"
)

// chaos is an installation that things happen to, and who watches it.
type chaos struct {
	*processes
	rnd      *rand.Rand
	lease    time.Duration
	patience time.Duration // for it to heal
	app      printedApp
	clients  []*attendee
	all      []*attendee    // those who did not come back included
	stuck    bool           // something did not heal: there is nothing left to wait for
	ledger   *ledger        // nil if nobody reads one
	resumes  map[string]int // how those of the ledger ended

	mu      sync.Mutex
	history *history
	next    int // number of the last event
}

func newChaos(t *testing.T, p *processes, seed uint64, patience time.Duration) *chaos {
	return &chaos{
		processes: p, rnd: rand.New(rand.NewPCG(seed, 1)), lease: chaosLease, patience: patience,
		resumes: make(map[string]int), app: createApp(t, p.nodes[0].environ, "--limits", fmt.Sprintf(`{"max_connections":%d}`, chaosLimit)),
	}
}

// await waits for what has to come, and notes that it does not.
func (c *chaos) await(what func() bool, violation string) {
	for end := time.Now().Add(c.patience); !c.stuck && !what(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.stuck, c.history.stuck = true, violation
		}
	}
}

// publish sends one event through a node, and reports whether it was vouched for.
func (c *chaos) publish(i int, timeout time.Duration) (n int, ok bool) {
	c.next++
	if c.ledger != nil {
		c.ledger.publish(i, timeout)
	}
	body := fmt.Sprintf(`{"name":"e","channel":%q,"data":"%d"}`, chaosRoom, c.next)
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(signed(c.nodes[i].url, c.app, http.MethodPost, "/events", []byte(body)), "application/json", strings.NewReader(body))
	if err != nil {
		return c.next, false
	}
	_ = resp.Body.Close()
	ok = resp.StatusCode == http.StatusOK
	c.history.acked[c.next] = ok
	return c.next, ok
}

// join connects every client that is not connected.
func (c *chaos) join() {
	for _, cl := range c.clients {
		c.await(func() bool {
			if !cl.isOpen() && cl.attend(&c.mu, c.nodes[cl.node].url, c.app, chaosRoom) {
				c.history.sessions = append(c.history.sessions, cl.s)
			}
			return cl.isOpen()
		}, cl.user+" cannot come back")
	}
}

// round breaks something, waits until it has healed, and checks what was seen.
func (c *chaos) round(nemesis string, victim int) []string {
	c.history = &history{live: make(map[string]bool), acked: make(map[int]bool), limit: chaosLimit, lagged: nemesis == "failover"}
	c.clients, c.stuck = nil, false
	for i := range 2 * severalNodes {
		c.clients = append(c.clients, &attendee{user: fmt.Sprintf("u%d-%d", c.next, i), node: i % severalNodes})
	}
	c.all = slices.Clone(c.clients)
	c.join()
	c.calm()
	nemeses[nemesis](c, victim)
	for i := range c.nodes {
		c.await(func() bool { return c.ready(i) }, "a node does not recover")
	}
	c.join()
	c.settle()
	c.calm()
	c.full()
	for _, cl := range c.clients {
		cl.s.calm = cl.isOpen()
	}
	c.mu.Lock()
	violations := c.history.check()
	c.mu.Unlock()
	if c.ledger != nil {
		violations = append(violations, c.audit(nemesis == "failover")...)
	}
	for _, cl := range c.all {
		cl.close()
	}
	c.await(func() bool { return c.membersAt(0, c.app, chaosRoom) == nil && c.ready(0) }, "members stay after all have left")
	if c.stuck && len(violations) == 0 {
		violations = []string{c.history.stuck}
	}
	return violations
}

// audit is the check of the ledger.
func (c *chaos) audit(lossy bool) []string {
	c.await(func() bool { return c.ledger.publish(0, 2*time.Second) }, "the ledger takes no number")
	c.await(func() bool { return c.ledger.level(lossy) }, "a reader of the ledger does not catch up")
	violations, resumes := c.ledger.close(lossy)
	for how, n := range resumes {
		c.resumes[how] += n
	}
	return violations
}

// settle waits until every node lists those who are there.
func (c *chaos) settle() {
	var live []string
	for _, cl := range c.clients {
		c.history.live[cl.user], live = true, append(live, cl.user)
	}
	slices.Sort(live)
	for i := range c.nodes {
		c.await(func() bool { return slices.Equal(c.membersAt(i, c.app, chaosRoom), live) }, "the members are not those who are there")
	}
	for i := range c.nodes {
		c.history.members = append(c.history.members, c.membersAt(i, c.app, chaosRoom))
	}
}

// calm publishes while nothing is broken, so everybody has to hear it.
func (c *chaos) calm() {
	heard := func(n int) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !slices.ContainsFunc(c.clients, func(cl *attendee) bool {
			return cl.s == nil || !cl.s.heard(n)
		})
	}
	c.await(func() bool { // all subscriptions are in force
		n, ok := c.publish(0, time.Second)
		for end := time.Now().Add(time.Second); ok && time.Now().Before(end); time.Sleep(time.Millisecond) {
			if heard(n) {
				return true
			}
		}
		return false
	}, "a subscription stays deaf")
	var sessions []*session
	for _, cl := range c.clients {
		sessions = append(sessions, cl.s)
	}
	last := 0
	for i := range 3 * severalNodes {
		if n, ok := c.publish(i%severalNodes, 2*time.Second); ok && !c.stuck {
			c.history.due = append(c.history.due, due{n, sessions})
			last = n
		}
	}
	c.await(func() bool { return last != 0 && heard(last) }, "the last event is not heard")
}

// full opens connections over all nodes until no more is admitted.
func (c *chaos) full() {
	var open []*websocket.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	attempts := 0
	try := func() {
		attempts++
		if conn, _ := greeted(c.nodes[attempts%severalNodes].url, c.app.Key); conn != nil {
			open = append(open, conn)
		}
	}
	c.await(func() bool { // a dead node's seats come back with its lease
		try()
		return len(c.clients)+len(open) >= chaosLimit
	}, "a counter is not released")
	for range 2 * severalNodes {
		try()
	}
	c.history.admitted = len(c.clients) + len(open)
}

// Three nodes, and things that break. -args -seed repeats a run with the seed it
// prints, -args -rounds makes it longer.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	c, begun := newChaos(t, startProcesses(t, setup{policy: "always"}), seed, time.Minute), time.Now()
	if *chaosReaders > 0 {
		c.ledger = newLedger(t, c.processes, *chaosReaders)
	}
	var names []string
	for name := range nemeses {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range *chaosRounds {
		name, victim, at := names[i%len(names)], c.rnd.IntN(severalNodes), time.Now()
		violations := c.round(name, victim)
		t.Logf("round %d: %s, node %d: %d violations, %s", i+1, name, victim, len(violations), time.Since(at).Round(10*time.Millisecond))
		require.Empty(t, violations)
	}
	t.Logf("%d rounds, 0 violations, %s", *chaosRounds, time.Since(begun).Round(time.Second))
	if c.ledger != nil {
		t.Logf("%d readers were sent %d numbers, resumes: %v", *chaosReaders, len(c.ledger.said), c.resumes)
	}
}

package channelstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// HistoryChecker publishes numbers on one channel while things break, and holds
// what every client was sent against what was accepted.
type HistoryChecker struct {
	t   *testing.T
	app *tenants.App

	mu    sync.Mutex
	nodes []*checkedNode
	said  map[string]string // serial → number, as accepted or as any client was sent it
	acked map[string]bool   // serials that the publisher was given
	head  channels.Position // of the last accepted
	next  int

	clients []*historyClient
	running sync.WaitGroup
	quit    chan struct{}
}

type checkedNode struct {
	hub  *channels.Hub
	stop func()
	dead chan struct{}
}

const checkedChannel = "private-ledger"

// NewHistoryChecker makes a checker whose app keeps max events.
func NewHistoryChecker(t *testing.T, nodes, maxEvents int) *HistoryChecker {
	k := &HistoryChecker{t: t, nodes: make([]*checkedNode, nodes), said: make(map[string]string), acked: make(map[string]bool), quit: make(chan struct{})}
	k.app = appWith(newApp(t), func(a *tenants.App) {
		a.Settings.History = []tenants.HistoryRule{{Pattern: "*", MaxMessages: maxEvents, TTLSeconds: 3600}}
	})
	return k
}

// StartNode puts a node in place i, on engines that stop ends.
func (k *HistoryChecker) StartNode(i int, e Engines, end func()) {
	hub := channels.NewHub(channels.HubConfig{Broker: e.Broker, Presence: e.Presence})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	if e.Run != nil {
		wg.Go(func() { _ = e.Run(ctx) })
	}
	n := &checkedNode{hub: hub, dead: make(chan struct{})}
	n.stop = sync.OnceFunc(func() { close(n.dead); cancel(); wg.Wait(); end() })
	k.mu.Lock()
	k.nodes[i] = n
	k.mu.Unlock()
}

// KillNode ends the node in place i.
func (k *HistoryChecker) KillNode(i int) {
	k.mu.Lock()
	n := k.nodes[i]
	k.nodes[i] = nil
	k.mu.Unlock()
	n.stop()
}

func (k *HistoryChecker) someNode() *checkedNode {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range rand.Perm(len(k.nodes)) {
		if k.nodes[i] != nil {
			return k.nodes[i]
		}
	}
	return nil
}

// StartClients starts n clients that come back whenever they lose their node or
// are sent away, or by themselves now and then, and always resume.
func (k *HistoryChecker) StartClients(n int) {
	for range n {
		c := &historyClient{k: k}
		k.clients = append(k.clients, c)
		k.running.Go(c.run)
	}
}

// Publish publishes n numbers, each once, whatever becomes of it.
func (k *HistoryChecker) Publish(n int) (accepted int) {
	for range n {
		k.next++
		number := fmt.Sprint(k.next)
		node := k.someNode()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		positions, err := node.hub.Publish(ctx, k.app, []channels.Event{{
			Topic: channels.Topic{App: k.app.ID, Channel: checkedChannel}, Name: "e", Data: []byte(`"` + number + `"`),
		}})
		cancel()
		if err != nil {
			continue
		}
		accepted++
		k.note(positions[0].String(), number, true)
		k.mu.Lock()
		k.head = positions[0]
		k.mu.Unlock()
	}
	return accepted
}

// note holds that a serial has one meaning.
func (k *HistoryChecker) note(serial, number string, acked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, known := k.said[serial]; known && was != number {
		k.t.Errorf("serial %s is both %s and %s", serial, was, number)
	}
	k.said[serial] = number
	if acked {
		k.acked[serial] = true
	}
}

// Settle publishes until an event is accepted, and waits until every client has it.
func (k *HistoryChecker) Settle() {
	k.t.Helper()
	require.Eventually(k.t, func() bool { return k.Publish(1) == 1 }, 2*patience, 20*time.Millisecond, "nothing is accepted")
	k.mu.Lock()
	head := k.head
	k.mu.Unlock()
	var late string
	if !pollUntil(2*patience, func() bool {
		for i, c := range k.clients {
			if last := c.last(); last.Epoch != head.Epoch || last.Offset < head.Offset {
				late = fmt.Sprintf("client %d is at %s, the history at %s; %s", i, last, head, c.story())
				return false
			}
		}
		return true
	}) {
		require.FailNow(k.t, "clients do not catch up", late)
	}
}

func pollUntil(patience time.Duration, cond func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if cond() {
			return true
		}
		<-time.After(10 * time.Millisecond)
	}
	return false
}

// Gaps adds up what resumes were told since the last call.
func (k *HistoryChecker) Gaps() (recovered, gaps int, reasons map[string]int) {
	reasons = make(map[string]int)
	for _, c := range k.clients {
		c.mu.Lock()
		recovered += c.recovered
		for reason, n := range c.reasons {
			gaps += n
			reasons[reason] += n
		}
		c.recovered, c.reasons = 0, nil
		c.mu.Unlock()
	}
	return recovered, gaps, reasons
}

// ReconnectAll has every client drop its connection and resume.
func (k *HistoryChecker) ReconnectAll() {
	for _, c := range k.clients {
		c.mu.Lock()
		c.restart = true
		c.mu.Unlock()
	}
	require.True(k.t, pollUntil(patience, func() bool {
		for _, c := range k.clients {
			c.mu.Lock()
			waiting := c.restart || !c.joined
			c.mu.Unlock()
			if waiting {
				return false
			}
		}
		return true
	}), "clients do not come back")
}

// Stop ends clients and nodes.
func (k *HistoryChecker) Stop() {
	close(k.quit)
	k.running.Wait()
	for i, n := range k.nodes {
		if n != nil {
			k.KillNode(i)
		}
	}
}

// historyClient is one client of a checker. It checks each frame as it comes.
type historyClient struct {
	k *HistoryChecker

	mu        sync.Mutex
	at        channels.Position // zero before the first confirmation
	joined    bool
	restart   bool
	recovered int
	reasons   map[string]int
	events    int
	log       []string
}

func (c *historyClient) last() channels.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *historyClient) story() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.log[max(0, len(c.log)-12):], "; ")
}

func (c *historyClient) run() {
	for {
		select {
		case <-c.k.quit:
			return
		default:
		}
		if n := c.k.someNode(); n != nil {
			c.session(n)
		}
	}
}

// session is the life of one connection.
func (c *historyClient) session(n *checkedNode) {
	client := &Client{t: c.k.t, hub: n.hub, app: c.k.app}
	client.cond = sync.NewCond(&client.mu)
	client.conn, _ = n.hub.Connect(&channels.Entry{App: c.k.app, Key: c.k.app.Keys[0].Key}, (*sink)(client))
	if client.conn == nil {
		return
	}
	client.ID = string(client.conn.ID())
	client.conn.Serials()
	resumed := c.last()
	c.mu.Lock()
	c.joined, c.restart = false, false
	c.mu.Unlock()
	past := map[string]any{}
	if !resumed.IsZero() {
		past = resumeAt(resumed.String())
	}
	client.subscribeWith(checkedChannel, past)
	for alive := true; alive; {
		f, ok := client.poll(20 * time.Millisecond)
		c.mu.Lock()
		if ok {
			alive = c.frame(f, resumed)
		}
		alive = alive && !c.restart
		c.mu.Unlock()
		select {
		case <-n.dead: // as with a process that is gone, nobody clears up
			return
		case <-c.k.quit:
			alive = false
		default:
		}
	}
	client.Disconnect()
}

// frame checks one frame and reports whether the connection is still of use.
func (c *historyClient) frame(f Frame, resumed channels.Position) bool {
	c.log = append(c.log, fmt.Sprint(f.Event, " ", f.Serial, " ", f.CloseCode))
	switch {
	case f.CloseCode != 0 || f.Event == "pusher:error":
		return false
	case f.Event == "pusher_internal:subscription_succeeded":
		c.confirmed(f.Tidewire, resumed)
	case f.Event == "e":
		c.event(f)
	}
	return true
}

func (c *historyClient) confirmed(s *Standing, resumed channels.Position) {
	if s == nil {
		c.k.t.Error("a confirmation without tidewire")
		return
	}
	c.joined = true
	at, err := channels.ParsePosition(s.Serial)
	if err != nil {
		at = channels.Position{}
	}
	switch {
	case resumed.IsZero():
	case s.Recovered == nil:
		c.k.t.Error("a resume that was not answered")
	case *s.Recovered:
		c.recovered++
		if at != resumed {
			c.k.t.Errorf("recovered from %s after %s", at, resumed)
		}
	default:
		if c.reasons == nil {
			c.reasons = make(map[string]int)
		}
		c.reasons[s.Reason]++
	}
	c.log = append(c.log, fmt.Sprint("standing ", *s))
	c.at = at
}

func (c *historyClient) event(f Frame) {
	at, err := channels.ParsePosition(f.Serial)
	if err != nil {
		c.k.t.Errorf("an event without a serial: %+v", f)
		return
	}
	var number string
	if json.Unmarshal(f.Data, &number) != nil {
		c.k.t.Errorf("an event without a number: %s", f.Data)
	}
	c.k.note(f.Serial, number, false)
	follows := at.Epoch == c.at.Epoch && at.Offset == c.at.Offset+1 || at.Epoch != c.at.Epoch && at.Offset == 1 || c.at.IsZero()
	if !follows {
		c.k.t.Errorf("%s after %s: lost, doubled or out of order: %s", at, c.at, strings.Join(c.log[max(0, len(c.log)-12):], "; "))
	}
	c.at = at
	c.events++
}

// poll waits a moment for the next frame.
func (c *Client) poll(d time.Duration) (Frame, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frames) == 0 {
		stop := time.AfterFunc(d, c.cond.Broadcast)
		c.cond.Wait()
		stop.Stop()
	}
	if len(c.frames) == 0 {
		return Frame{}, false
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f, true
}

// Verify holds the history that is left against what was accepted in its epoch.
func (k *HistoryChecker) Verify() (events int) {
	k.t.Helper()
	n := k.someNode()
	var run channels.Run
	require.Eventually(k.t, func() (ok bool) {
		var err error
		run, ok, err = n.hub.History(context.Background(), k.app, checkedChannel, channels.Query{Limit: 100_000})
		return err == nil && ok
	}, patience, 20*time.Millisecond)
	stored := make(map[string]bool)
	for _, ev := range run.Events {
		stored[ev.Position.String()] = true
	}
	for serial := range k.acked {
		pos, err := channels.ParsePosition(serial)
		require.NoError(k.t, errors.Join(err))
		if pos.Epoch == run.Head.Epoch && pos.Offset >= run.Oldest && !stored[serial] {
			k.t.Errorf("%s was accepted and is not in the history", serial)
		}
	}
	return len(run.Events)
}

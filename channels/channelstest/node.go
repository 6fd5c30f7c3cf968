package channelstest

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// patience bounds every wait of the suite. It is long because a loaded machine
// must not fail a test; nothing waits for it to pass.
const patience = 20 * time.Second

// node is one broker that runs, and what it has delivered so far.
type node struct {
	channels.Broker
	stop func() // ends Run and waits for it; safe to call twice

	mu      sync.Mutex
	got     map[channels.Topic][]channels.Event
	refuse  func(*channels.Event) error // asked before an event is taken; nil takes all
	changed chan struct{}               // closed and replaced whenever got grows
	ended   bool                        // Run has returned
	late    int                         // deliveries after that
}

// start runs b and waits until it has started.
func start(t *testing.T, b channels.Broker) *node {
	t.Helper()
	n := &node{Broker: b, got: make(map[channels.Topic][]channels.Event), changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := b.Run(ctx, n.deliver)
		n.mu.Lock()
		n.ended = true
		n.mu.Unlock()
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Run did not return after its context ended")
		}
	}
	t.Cleanup(n.stop)

	select {
	case <-b.Started():
	case <-time.After(patience):
		require.FailNow(t, "the broker does not start")
	}
	return n
}

// startAll opens a cluster and starts its nodes.
func startAll(t *testing.T, open func(*testing.T) Cluster) ([]*node, Cluster) {
	t.Helper()
	c := open(t)
	require.NotEmpty(t, c.Nodes)
	nodes := make([]*node, 0, len(c.Nodes))
	for _, b := range c.Nodes {
		nodes = append(nodes, start(t, b))
	}
	return nodes, c
}

func (n *node) deliver(ev *channels.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		n.late++
		return nil
	}
	if n.refuse != nil {
		if err := n.refuse(ev); err != nil {
			return err
		}
	}
	if ev.Kind == channels.Missed {
		return nil // whether a connection broke is not what the suite is about
	}
	n.got[ev.Topic] = append(n.got[ev.Topic], *ev)
	close(n.changed)
	n.changed = make(chan struct{})
	return nil
}

// events returns what arrived on a topic so far.
func (n *node) events(tp channels.Topic) []channels.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]channels.Event(nil), n.got[tp]...)
}

// names returns the event names that arrived on a topic so far.
func (n *node) names(tp channels.Topic) []string {
	var names []string
	for _, ev := range n.events(tp) {
		names = append(names, ev.Name)
	}
	return names
}

// wait returns once a topic has count events, or reports false when patience ends.
func (n *node) wait(tp channels.Topic, count int) bool {
	return n.until(func() bool { return len(n.got[tp]) >= count })
}

// waitName returns once an event of that name arrived on a topic.
func (n *node) waitName(tp channels.Topic, name string) bool {
	seen := 0
	return n.until(func() bool {
		for ; seen < len(n.got[tp]); seen++ {
			if n.got[tp][seen].Name == name {
				return true
			}
		}
		return false
	})
}

// until waits for cond, which is asked under n's lock after every delivery.
func (n *node) until(cond func() bool) bool {
	timeout := time.After(patience)
	for {
		n.mu.Lock()
		ok, changed := cond(), n.changed
		n.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timeout:
			return false
		}
	}
}

// subscribe subscribes several nodes to topics, one after the other.
func subscribe(t *testing.T, nodes []*node, topics ...channels.Topic) {
	t.Helper()
	for _, n := range nodes {
		for _, tp := range topics {
			require.NoError(t, n.Subscribe(t.Context(), tp))
		}
	}
}

// publish publishes one event per name on a topic, in one call.
func publish(t *testing.T, n *node, tp channels.Topic, names ...string) {
	t.Helper()
	evs := make([]channels.Event, 0, len(names))
	for _, name := range names {
		evs = append(evs, event(tp, name))
	}
	positions, err := n.Publish(t.Context(), evs)
	require.NoError(t, err)
	require.Len(t, positions, len(evs))
}

func event(tp channels.Topic, name string) channels.Event {
	return channels.Event{Topic: tp, Name: name, Data: []byte(`"` + name + `"`)}
}

// newApp returns an app id that no other test uses: engines may share a server.
func newApp(t *testing.T) tenants.AppID {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1e16))
	require.NoError(t, err)
	return tenants.AppID("9" + strconv.FormatInt(n.Int64()+1e16, 10))
}

// beside returns another topic of the same partition. Topics of one partition
// reach a node by one road, so that its event proves that whatever was
// published before on the first topic has arrived, or never will.
func beside(tp channels.Topic) channels.Topic {
	for i := 0; ; i++ {
		other := channels.Topic{App: tp.App, Channel: "fence-" + strconv.Itoa(i)}
		if other != tp && other.Partition() == tp.Partition() {
			return other
		}
	}
}

// fence proves on every node that nothing more of tp is under way.
func fence(t *testing.T, nodes []*node, tp channels.Topic) {
	t.Helper()
	other := beside(tp)
	subscribe(t, nodes, other)
	name := "fence-" + string(newApp(t))
	publish(t, nodes[0], other, name)
	for i, n := range nodes {
		require.True(t, n.waitName(other, name), "node %d did not receive the fence", i)
	}
}

// isBusy reports whether err says that exactly the event at index was refused as busy.
func isBusy(err error, index int) bool {
	var pe *channels.PublishError
	return errors.As(err, &pe) && errors.Is(err, channels.ErrBusy) &&
		len(pe.Failed) == 1 && pe.Failed[0] == index
}

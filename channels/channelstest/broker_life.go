package channelstest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

func testUnsubscribe(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "leaving"}
	leaver, stayers := nodes[0], nodes[1:]
	subscribe(t, nodes, tp)
	publish(t, leaver, tp, "one")
	for _, n := range nodes {
		require.True(t, n.wait(tp, 1))
	}
	require.NoError(t, leaver.Unsubscribe(t.Context(), tp))
	publish(t, leaver, tp, "two")
	fence(t, nodes, tp)
	require.Equal(t, []string{"one"}, leaver.names(tp))
	for _, n := range stayers {
		require.Equal(t, []string{"one", "two"}, n.names(tp), "another node's subscription ended too")
	}
	subscribe(t, nodes[:1], tp)
	publish(t, leaver, tp, "three")
	require.True(t, leaver.waitName(tp, "three"))
	require.Equal(t, []string{"one", "three"}, leaver.names(tp))
	// A topic never subscribed to can be unsubscribed from.
	require.NoError(t, leaver.Unsubscribe(t.Context(), channels.Topic{App: tp.App, Channel: "never"}))
}

func testSubscribeTwice(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "twice"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := nodes[0].Subscribe(t.Context(), tp); err != nil {
				t.Errorf("subscribe: %v", err)
			}
		})
	}
	wg.Wait()
	publish(t, nodes[0], tp, "once")
	require.True(t, nodes[0].wait(tp, 1))
	require.NoError(t, nodes[0].Unsubscribe(t.Context(), tp))
	publish(t, nodes[0], tp, "after")
	fence(t, nodes, tp)
	require.Equal(t, []string{"once"}, nodes[0].names(tp), "one unsubscribe ends it, and one delivery is all there is")
}

// testBusy: a node refuses one event of three for a while. Either the publisher
// learns which, and the others are delivered, or the event is offered again in
// its place.
func testBusy(t *testing.T, open func(*testing.T) Cluster) {
	nodes, c := startAll(t, open)
	n := nodes[0]
	tp := channels.Topic{App: newApp(t), Channel: "busy"}
	subscribe(t, nodes[:1], tp)
	var refused atomic.Int32
	n.mu.Lock()
	n.refuse = func(ev *channels.Event) error {
		if ev.Name == "b" && refused.Add(1) <= 3 {
			return channels.ErrBusy
		}
		return nil
	}
	n.mu.Unlock()
	evs := []channels.Event{event(tp, "a"), event(tp, "b"), event(tp, "c")}
	positions, err := n.Publish(t.Context(), evs)
	require.Len(t, positions, len(evs))
	if c.RetriesBusy {
		require.NoError(t, err)
		require.True(t, n.wait(tp, 3))
		fence(t, nodes[:1], tp)
		require.Equal(t, []string{"a", "b", "c"}, n.names(tp))
		require.EqualValues(t, 4, refused.Load())
		return
	}
	require.True(t, isBusy(err, 1), "want a PublishError naming event 1, got %v", err)
	require.Equal(t, []string{"a", "c"}, n.names(tp))
	for range 2 {
		_, err = n.Publish(t.Context(), []channels.Event{event(tp, "b")})
		require.True(t, isBusy(err, 0), "got %v", err)
	}
	publish(t, n, tp, "b")
	require.Equal(t, []string{"a", "c", "b"}, n.names(tp))
}

func testCancelled(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	heard, unheard := channels.Topic{App: app, Channel: "heard"}, channels.Topic{App: app, Channel: "unheard"}
	subscribe(t, nodes, heard)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := nodes[0].Publish(ended, []channels.Event{event(heard, "no")})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, nodes[0].Subscribe(ended, unheard), context.Canceled)
	publish(t, nodes[0], unheard, "no")
	fence(t, nodes, heard)
	fence(t, nodes, unheard)
	for _, n := range nodes {
		require.Empty(t, n.names(heard), "published with an ended context")
		require.Empty(t, n.names(unheard), "subscribed with an ended context")
	}
}

// testChurn is what a hub does: several connections of each node come and go on
// one topic, the first subscribes the node and the last unsubscribes it. While
// a connection is there, it hears everything, whoever else leaves.
func testChurn(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "churn"}
	const conns, rounds = 3, 20
	var wg sync.WaitGroup
	for i, n := range nodes {
		var mu sync.Mutex // the hub's lock of the topic: keeps the node's calls in order
		members := 0
		for c := range conns {
			wg.Go(func() {
				for r := range rounds {
					mu.Lock()
					if members++; members == 1 {
						if err := n.Subscribe(t.Context(), tp); err != nil {
							t.Errorf("subscribe: %v", err)
						}
					}
					mu.Unlock()
					name := fmt.Sprintf("%d-%d-%d", i, c, r)
					sender := nodes[(i+r)%len(nodes)]
					if _, err := sender.Publish(t.Context(), []channels.Event{event(tp, name)}); err != nil {
						t.Errorf("publish: %v", err)
					}
					if !n.waitName(tp, name) {
						t.Errorf("node %d has subscribers and did not receive %s", i, name)
						return
					}
					mu.Lock()
					if members--; members == 0 {
						if err := n.Unsubscribe(t.Context(), tp); err != nil {
							t.Errorf("unsubscribe: %v", err)
						}
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	publish(t, nodes[0], tp, "nobody is here")
	fence(t, nodes, tp)
	for _, n := range nodes {
		require.NotContains(t, n.names(tp), "nobody is here")
	}
}

// testUnorderedChurn lets subscribe and unsubscribe of one topic race without
// any order. Nothing is promised about the middle; whatever is called last, on
// its own, holds.
func testUnorderedChurn(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	n := nodes[0]
	tp := channels.Topic{App: newApp(t), Channel: "chaos"}
	for round := range 6 {
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for range 5 {
					err := n.Subscribe(t.Context(), tp)
					if w%2 == 0 {
						err = n.Unsubscribe(t.Context(), tp)
					}
					if err != nil {
						t.Errorf("churn: %v", err)
					}
				}
			})
		}
		wg.Wait()
		name := fmt.Sprintf("round %d", round)
		if round%2 == 0 {
			subscribe(t, nodes[:1], tp)
			publish(t, n, tp, name)
			require.True(t, n.waitName(tp, name), name)
			continue
		}
		require.NoError(t, n.Unsubscribe(t.Context(), tp))
		publish(t, n, tp, name)
		fence(t, nodes[:1], tp)
		require.NotContains(t, n.names(tp), name)
	}
}

func testBeforeRun(t *testing.T, open func(*testing.T) Cluster) {
	b := open(t).Nodes[0]
	tp := channels.Topic{App: newApp(t), Channel: "early"}
	select {
	case <-b.Started():
		require.Fail(t, "started before Run was called")
	default:
	}
	_, err := b.Publish(t.Context(), []channels.Event{event(tp, "early")})
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.ErrorIs(t, b.Subscribe(t.Context(), tp), channels.ErrBrokerAway)
	n := start(t, b)
	subscribe(t, []*node{n}, tp)
	publish(t, n, tp, "on time")
	require.True(t, n.wait(tp, 1))
	require.Equal(t, []string{"on time"}, n.names(tp))
}

// testRunEnds stops a node in the middle of a stream: no delivery after Run has
// returned, and every call says that the broker is away.
func testRunEnds(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	n := nodes[0]
	tp := channels.Topic{App: newApp(t), Channel: "end"}
	subscribe(t, nodes, tp)
	stream := make(chan struct{})
	go func() {
		defer close(stream)
		for i := 0; ; i++ {
			if _, err := n.Publish(context.Background(), []channels.Event{event(tp, fmt.Sprint(i))}); err != nil {
				return
			}
		}
	}()
	require.True(t, n.wait(tp, 10))
	n.stop()
	<-stream // ends only because Publish fails after Run
	_, err := n.Publish(t.Context(), []channels.Event{event(tp, "late")})
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.ErrorIs(t, n.Subscribe(t.Context(), tp), channels.ErrBrokerAway)
	require.NoError(t, n.Unsubscribe(t.Context(), tp), "there is nothing left to end")
	n.stop() // ending twice is safe
	for i, other := range nodes[1:] {
		publish(t, other, tp, "still here")
		require.True(t, other.waitName(tp, "still here"), "node %d died with node 0", i+1)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	require.Zero(t, n.late, "deliveries after Run returned")
}

package channelstest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// testSubscribeThenPublish: once Subscribe has returned, the very next publish
// from any node arrives. Every round uses a fresh topic, so that each depends
// on its own subscription being in force.
func testSubscribeThenPublish(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	for round := range 100 {
		tp := channels.Topic{App: app, Channel: fmt.Sprintf("room-%d", round)}
		listener, sender := nodes[round%len(nodes)], nodes[(round/2)%len(nodes)]
		subscribe(t, []*node{listener}, tp)
		publish(t, sender, tp, "hello")
		require.True(t, listener.wait(tp, 1), "round %d: not delivered", round)
	}
}

// testSequentialOrder publishes on many topics in turn, from alternating nodes;
// each topic's events arrive in the order of the calls, each once.
func testSequentialOrder(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	const topicCount, rounds = 20, 15
	topics := make([]channels.Topic, topicCount)
	for i := range topics {
		topics[i] = channels.Topic{App: app, Channel: fmt.Sprintf("order-%d", i)}
	}
	subscribe(t, nodes, topics...)
	var want []string
	for r := range rounds {
		for i, tp := range topics {
			// Two events in one call keep their order as well.
			publish(t, nodes[(r+i)%len(nodes)], tp, fmt.Sprintf("%d-a", r), fmt.Sprintf("%d-b", r))
		}
		want = append(want, fmt.Sprintf("%d-a", r), fmt.Sprintf("%d-b", r))
	}
	for i, n := range nodes {
		for _, tp := range topics {
			require.True(t, n.wait(tp, len(want)), "node %d, %s: %d of %d", i, tp.Channel, len(n.names(tp)), len(want))
			require.Equal(t, want, n.names(tp), "node %d, %s", i, tp.Channel)
		}
	}
}

// testConcurrentOrder: publishers on all nodes race on one topic. All nodes see
// one order, and in it each publisher's own events keep theirs.
func testConcurrentOrder(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "race"}
	subscribe(t, nodes, tp)
	const publishers, each = 4, 40
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				_, err := nodes[p%len(nodes)].Publish(t.Context(), []channels.Event{event(tp, fmt.Sprintf("p%d %d", p, i))})
				if err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for i, n := range nodes {
		require.True(t, n.wait(tp, publishers*each), "node %d: %d of %d", i, len(n.names(tp)), publishers*each)
		require.Equal(t, nodes[0].names(tp), n.names(tp), "node %d sees another order than node 0", i)
	}
	fence(t, nodes, tp)
	next := make(map[string]int)
	for _, name := range nodes[0].names(tp) {
		p, number, _ := strings.Cut(name, " ")
		require.Equal(t, fmt.Sprint(next[p]), number, "publisher %s out of order", p)
		next[p]++
	}
	require.Len(t, nodes[0].names(tp), publishers*each)
}

// testContent compares every field of what arrives with what was published.
func testContent(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "presence-content"}
	subscribe(t, nodes, tp)
	datas := []string{
		`""`,
		`"{\"a\":1}"`,
		`"\u0000\ud83d\ude00 \" \\"`,
		"\"é 日本語 \U0001F600 \u2028 \u00a0 \x7f \u0080 \uFFFD\"",
		`"` + strings.Repeat("0123456789", 1024) + `"`,
		`"\r\n*3\r\n$8\r\nsmessage"`,
		"\"\x00\x01\r\n\"",
	}
	var want []channels.Event
	for i, data := range datas {
		ev := channels.Event{Topic: tp, Name: fmt.Sprintf("event %d é#", i), Data: []byte(data)}
		if i%2 == 1 {
			ev.Except, ev.UserID = "123456.7891011", "user-é:1"
			ev.Trace = &channels.Trace{ID: [16]byte{0, 0xff, 2}, Span: [8]byte{7: 1}, Flags: 1}
		}
		want = append(want, ev)
	}
	sent := make([]channels.Event, len(want))
	for i, ev := range want {
		sent[i] = ev
		sent[i].Data = []byte(datas[i])
	}
	// A position is the broker's to give: what the caller left there is not carried.
	sent[0].Position = channels.Position{Epoch: "made-up", Offset: 7}
	positions, err := nodes[0].Publish(t.Context(), sent)
	require.NoError(t, err)
	require.Equal(t, make([]channels.Position, len(sent)), positions)
	for i, data := range datas {
		require.Equal(t, data, string(sent[i].Data), "the publisher's bytes were changed")
	}
	for i, n := range nodes {
		require.True(t, n.wait(tp, len(want)), "node %d: %v", i, n.names(tp))
		require.Equal(t, want, n.events(tp), "node %d", i)
	}
}

// testBatch publishes to 100 topics in one call, half of them subscribed.
func testBatch(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	var evs []channels.Event
	for i := range 100 {
		tp := channels.Topic{App: app, Channel: fmt.Sprintf("batch-%d", i)}
		evs = append(evs, event(tp, fmt.Sprintf("e%d", i)))
		if i%2 == 0 {
			subscribe(t, nodes, tp)
		}
	}
	positions, err := nodes[0].Publish(t.Context(), evs)
	require.NoError(t, err)
	require.Len(t, positions, len(evs))
	for i, ev := range evs {
		for _, n := range nodes {
			if i%2 == 0 {
				require.True(t, n.wait(ev.Topic, 1), "%s not delivered", ev.Topic.Channel)
				require.Equal(t, []string{ev.Name}, n.names(ev.Topic))
			} else {
				require.Empty(t, n.names(ev.Topic))
			}
		}
	}
	positions, err = nodes[0].Publish(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, positions)
}

// testIsolation publishes on one topic of each pair and looks at the other: the
// pairs are those that a key built by gluing strings together would confuse.
func testIsolation(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	legal := "ABCXYZabcxyz0123456789_-=@,.;#"
	topic := func(app tenants.AppID, channel string) channels.Topic {
		return channels.Topic{App: app, Channel: channel}
	}
	for _, pair := range [][2]channels.Topic{
		{topic(app, "same"), topic(newApp(t), "same")},
		{topic(app, legal), topic(newApp(t), legal)},
		{topic(app, legal), topic(app, strings.ToLower(legal))},
		{topic(app, "2:c"), topic(app+"2", ":c")},
		{topic(app, "1room"), topic(app+"1", "room")},
		{topic(app, "private-a"), topic(app, "a")},
		{topic(app, "a*"), topic(app, "ab")},
		{topic(app, "a?"), topic(app, "ac")},
		{topic(app, "[ad]"), topic(app, "d")},
		{topic(app, "{1}x"), topic(app, "{2}x")},
		{topic(app, "x "), topic(app, "x")},
		{topic(app, "e:1:y"), topic(app+":e:1", "y")},
		{topic(app, "2:z"), topic(app+":2", "z")},
	} {
		for dir := range pair {
			isolated(t, nodes, pair[dir], pair[1-dir])
		}
	}
}

// isolated subscribes to heard and publishes on other. An engine may refuse a
// topic that no valid app or channel can have; mixing two up is the failure.
func isolated(t *testing.T, nodes []*node, heard, other channels.Topic) {
	t.Helper()
	last := nodes[len(nodes)-1]
	if err := last.Subscribe(t.Context(), heard); err != nil {
		require.NotErrorIs(t, err, channels.ErrBrokerAway)
		return
	}
	before := len(last.events(heard))
	if _, err := nodes[0].Publish(t.Context(), []channels.Event{event(other, "for the other")}); err != nil {
		require.NotErrorIs(t, err, channels.ErrBrokerAway)
	}
	publish(t, nodes[0], heard, "for me")
	require.True(t, last.wait(heard, before+1))
	fence(t, nodes[len(nodes)-1:], heard)
	require.Equal(t, []string{"for me"}, last.names(heard)[before:], "%q hears %q", heard, other)
	require.NoError(t, last.Unsubscribe(t.Context(), heard))
}

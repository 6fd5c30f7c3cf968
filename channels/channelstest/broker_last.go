package channelstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// testLastEvents: an event published with a time to live is kept, on every
// node, whether anybody listened or not, until it is replaced or its time ends.
func testLastEvents(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	app := newApp(t)
	tp := channels.Topic{App: app, Channel: "cache-room"}
	first := channels.Event{
		Topic: tp, Name: "first é", Data: []byte(`"{\"a\":1}"`), Except: "1.2", CacheTTL: time.Hour,
	}
	requireLast(t, nodes, tp, nil)
	send(t, nodes[0], first)
	kept := first
	kept.Except = "" // it was for the live delivery only
	requireLast(t, nodes, tp, &kept)
	requireLast(t, nodes, channels.Topic{App: newApp(t), Channel: tp.Channel}, nil)
	requireLast(t, nodes, channels.Topic{App: app, Channel: "cache-roo"}, nil)

	// Not every event replaces it, and those that do are delivered as well.
	subscribe(t, nodes, tp)
	second := channels.Event{Topic: tp, Name: "second", Data: []byte(`""`), Except: "3.4", CacheTTL: 30 * time.Minute}
	send(t, nodes[0], channels.Event{Topic: tp, Name: "passing", Data: []byte(`"x"`)})
	requireLast(t, nodes, tp, &kept)
	send(t, nodes[len(nodes)-1], second)
	for i, n := range nodes {
		require.True(t, n.wait(tp, 2), "node %d", i)
		require.Equal(t, second, n.events(tp)[1], "node %d: the live event still names who must not get it", i)
	}
	second.Except = ""
	requireLast(t, nodes, tp, &second)

	short := channels.Topic{App: app, Channel: "cache-short"}
	send(t, nodes[0], channels.Event{Topic: short, Name: "e", Data: []byte(`""`), CacheTTL: 50 * time.Millisecond})
	require.Eventually(t, func() bool {
		ev, _, err := nodes[0].Broker.(channels.LastEvents).Last(t.Context(), short)
		return err == nil && ev == nil
	}, patience, 5*time.Millisecond, "its time ends")
}

func send(t *testing.T, n *node, ev channels.Event) {
	t.Helper()
	_, err := n.Publish(t.Context(), []channels.Event{ev})
	require.NoError(t, err)
}

// requireLast asks every node for the last event of a topic.
func requireLast(t *testing.T, nodes []*node, tp channels.Topic, want *channels.Event) {
	t.Helper()
	for i, n := range nodes {
		keeper, ok := n.Broker.(channels.LastEvents)
		require.True(t, ok, "the engine keeps no last events")
		ev, left, err := keeper.Last(t.Context(), tp)
		require.NoError(t, err)
		require.Equal(t, want, ev, "node %d", i)
		if want == nil {
			require.Zero(t, left)
			continue
		}
		require.Greater(t, left, want.CacheTTL-time.Minute)
		require.LessOrEqual(t, left, want.CacheTTL)
	}
}

// testKinds: what kind of event it is, and the number that belongs to the kind,
// arrive as they were sent.
func testKinds(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "presence-kinds"}
	subscribe(t, nodes, tp)
	want := []channels.Event{
		{Topic: tp, Kind: channels.MemberAdded, UserID: "u", Data: []byte(`{"name":"é"}`), Seq: 1},
		{Topic: tp, Kind: channels.MemberAdded, UserID: "v", Seq: 2},
		{Topic: tp, Kind: channels.MemberUpdated, UserID: "u", Data: []byte(`null`), Seq: 3},
		{Topic: tp, Kind: channels.MemberRemoved, UserID: "u", Seq: 1<<63 + 1},
		{Topic: tp, Kind: channels.CountChanged, Count: 1_000_000},
		{Topic: tp, Kind: channels.CountChanged},
		{Topic: tp, Kind: channels.Terminate},
		{Topic: tp, Kind: channels.Message, Name: "e", Data: []byte(`""`)},
	}
	_, err := nodes[0].Publish(t.Context(), append([]channels.Event(nil), want...))
	require.NoError(t, err)
	for i, n := range nodes {
		require.True(t, n.wait(tp, len(want)), "node %d", i)
		require.Equal(t, want, n.events(tp), "node %d", i)
	}
}

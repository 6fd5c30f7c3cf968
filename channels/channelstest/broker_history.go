package channelstest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

var keepAll = channels.Retention{Max: 1000, TTL: time.Hour}

func historyOf(t *testing.T, n *node) channels.History {
	t.Helper()
	h, ok := n.Broker.(channels.History)
	require.True(t, ok, "the engine keeps no history")
	return h
}

// keep publishes one event per name into the history of a topic, one call each.
func keepEach(t *testing.T, n *node, tp channels.Topic, keep channels.Retention, names ...string) []channels.Position {
	t.Helper()
	var all []channels.Position
	for _, name := range names {
		ev := event(tp, name)
		ev.Keep = keep
		positions, err := n.Publish(t.Context(), []channels.Event{ev})
		require.NoError(t, err)
		all = append(all, positions...)
	}
	return all
}

func read(t *testing.T, n *node, tp channels.Topic, keep channels.Retention, q channels.Query) channels.Run {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 10_000
	}
	run, err := historyOf(t, n).Read(t.Context(), tp, keep, q)
	require.NoError(t, err)
	return run
}

func namesOf(evs []channels.Event) []string {
	names := []string{}
	for _, ev := range evs {
		names = append(names, ev.Name)
	}
	return names
}

// testHistory: what is appended has its position live, in the answer and when read.
func testHistory(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	first, last := nodes[0], nodes[len(nodes)-1]
	app := newApp(t)
	tp := channels.Topic{App: app, Channel: "history-room"}
	require.Equal(t, channels.Run{Oldest: 1}, read(t, first, tp, keepAll, channels.Query{}), "reading begins nothing")

	subscribe(t, nodes, tp)
	begun := time.Now().Add(-time.Minute)
	ev := channels.Event{
		Topic: tp, Name: "é", Data: []byte(`"{\"a\":1}"`), Except: "1.2", UserID: "u", Keep: keepAll, CacheTTL: time.Hour,
		Trace: &channels.Trace{ID: [16]byte{1}, Span: [8]byte{2}},
	}
	positions, err := first.Publish(t.Context(), []channels.Event{ev, event(channels.Topic{App: app, Channel: "plain"}, "x")})
	require.NoError(t, err)
	require.Len(t, positions, 2)
	require.True(t, positions[1].IsZero(), "no history, no position")
	require.EqualValues(t, 1, positions[0].Offset)
	require.Len(t, positions[0].Epoch, channels.EpochLen)
	for i, n := range nodes {
		require.True(t, n.wait(tp, 1), "node %d", i)
		require.Equal(t, positions[0], n.events(tp)[0].Position, "node %d", i)
	}
	run := read(t, last, tp, keepAll, channels.Query{})
	require.Equal(t, positions[0], run.Head)
	require.EqualValues(t, 1, run.Oldest)
	require.Len(t, run.Events, 1)
	got := run.Events[0]
	require.WithinRange(t, got.At, begun, time.Now().Add(time.Minute))
	want := ev
	want.Position, want.At, want.Keep, want.CacheTTL = positions[0], got.At, channels.Retention{}, got.CacheTTL
	require.Equal(t, want, got)
	kept := ev
	kept.Keep, kept.Except = channels.Retention{}, ""
	requireLast(t, nodes, tp, &kept)

	pos, err := historyOf(t, last).Position(t.Context(), tp, keepAll)
	require.NoError(t, err)
	require.Equal(t, positions[0], pos)
	other := channels.Topic{App: newApp(t), Channel: tp.Channel}
	pos, err = historyOf(t, last).Position(t.Context(), other, keepAll)
	require.NoError(t, err)
	require.Zero(t, pos.Offset, "another app's history is another one")
	require.NotEqual(t, positions[0].Epoch, pos.Epoch)
	again, err := historyOf(t, first).Position(t.Context(), other, keepAll)
	require.NoError(t, err)
	require.Equal(t, pos, again, "a history begun is the same for all")
	require.Equal(t, channels.Position{Epoch: pos.Epoch, Offset: 1}, keepEach(t, first, other, keepAll, "x")[0])
}

// testHistoryQueries reads by all bounds and compares with a slice.
func testHistoryQueries(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "queries"}
	const n = 150
	var names []string
	for i := range n {
		names = append(names, strconv.Itoa(i+1))
	}
	keep := channels.Retention{Max: 100, TTL: time.Hour}
	positions := keepEach(t, nodes[0], tp, keep, names...)
	require.EqualValues(t, n, positions[n-1].Offset)
	node := nodes[len(nodes)-1]
	all := read(t, node, tp, keep, channels.Query{})
	require.EqualValues(t, n-100+1, all.Oldest, "not more than the rule allows")
	require.Equal(t, names[50:], namesOf(all.Events))
	require.False(t, all.More)
	for _, q := range []channels.Query{
		{After: 60},
		{After: 10},
		{After: 51},
		{After: 50},
		{After: n},
		{After: n + 50},
		{Before: 60},
		{Before: 1},
		{Before: 51},
		{Before: 1000},
		{After: 60, Before: 70},
		{After: 70, Before: 60},
		{Limit: 7},
		{After: 60, Limit: 65},
		{After: 60, Limit: 1},
		{MaxBytes: 1},
		{Since: all.Events[20].At},
		{Until: all.Events[20].At},
		{Since: all.Events[20].At, Until: all.Events[90].At},
		{Since: time.Now().Add(time.Hour)},
		{Until: time.Now().Add(-time.Hour)},
		{Since: all.Events[20].At, Before: 90, Limit: 5},
	} {
		for _, q.Backwards = range []bool{false, true} {
			want, more := expected(all.Events, q)
			run := read(t, node, tp, keep, q)
			require.Equal(t, want, namesOf(run.Events), "%+v", q)
			require.Equal(t, more, run.More, "%+v", q)
			require.Equal(t, positions[n-1], run.Head)
		}
	}
	keepEach(t, nodes[0], tp, channels.Retention{Max: 3, TTL: time.Hour}, "last")
	require.Equal(t, []string{"149", "150", "last"}, namesOf(read(t, node, tp, keep, channels.Query{}).Events), "a rule that keeps less takes effect")
}

// expected is what a query should give, the slow way.
func expected(all []channels.Event, q channels.Query) (names []string, more bool) {
	names = []string{}
	for i := range all {
		ev := &all[i]
		if q.Backwards {
			ev = &all[len(all)-1-i]
		}
		o := ev.Position.Offset
		if o <= q.After || (q.Before > 0 && o >= q.Before) || ev.At.Before(q.Since) || (!q.Until.IsZero() && ev.At.After(q.Until)) {
			continue
		}
		if (q.Limit > 0 && len(names) >= q.Limit) || (q.MaxBytes > 0 && len(names) > 0) {
			return names, true
		}
		names = append(names, ev.Name)
	}
	return names, false
}

// testHistoryOrder: concurrent publishers on all nodes; every node hears the
// events in the order of their positions, without a hole.
func testHistoryOrder(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "ordered"}
	subscribe(t, nodes, tp)
	const each = 100
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range each / 2 {
				a, b := event(tp, fmt.Sprint(i, "-", 2*k)), event(tp, fmt.Sprint(i, "-", 2*k+1))
				a.Keep, b.Keep = keepAll, keepAll
				positions, err := nodes[i%len(nodes)].Publish(t.Context(), []channels.Event{a, b})
				if err != nil || len(positions) != 2 || positions[0].Offset >= positions[1].Offset {
					t.Errorf("publish: %v %v", positions, err)
				}
			}
		})
	}
	wg.Wait()
	stored := read(t, nodes[0], tp, keepAll, channels.Query{})
	require.Len(t, stored.Events, 4*each)
	for i, n := range nodes {
		require.True(t, n.wait(tp, 4*each), "node %d", i)
		heard := n.events(tp)
		require.Equal(t, namesOf(stored.Events), namesOf(heard), "node %d", i)
		for k, ev := range heard {
			require.EqualValues(t, k+1, ev.Position.Offset)
			require.Equal(t, stored.Head.Epoch, ev.Position.Epoch)
		}
	}
}

// testHistoryEnds: what is too old is gone, a forgotten history begins anew,
// and one that is asked for is not forgotten.
func testHistoryEnds(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	n, app := nodes[0], newApp(t)
	asked, left := channels.Topic{App: app, Channel: "asked"}, channels.Topic{App: app, Channel: "left"}
	keep := channels.Retention{Max: 10, TTL: 300 * time.Millisecond}
	before := keepEach(t, n, asked, keep, "a", "b")[1]
	leftAt := keepEach(t, n, left, keep, "a")[0]
	require.Eventually(t, func() bool {
		pos, err := historyOf(t, n).Position(t.Context(), asked, keep)
		require.NoError(t, err)
		require.Equal(t, before, pos, "whoever asks keeps it remembered")
		run := read(t, n, asked, keep, channels.Query{})
		require.Equal(t, before, run.Head)
		if len(run.Events) == 0 {
			require.EqualValues(t, 3, run.Oldest)
		}
		return len(run.Events) == 0 && read(t, n, left, keep, channels.Query{}).Head.IsZero()
	}, patience, 20*time.Millisecond)
	require.EqualValues(t, 3, keepEach(t, n, asked, keepAll, "c")[0].Offset, "offsets go on")
	after := keepEach(t, n, left, keepAll, "b")[0]
	require.EqualValues(t, 1, after.Offset)
	require.NotEqual(t, leftAt.Epoch, after.Epoch)
}

// testHistoryRenew ends an epoch, once.
func testHistoryRenew(t *testing.T, open func(*testing.T) Cluster) {
	nodes, _ := startAll(t, open)
	tp := channels.Topic{App: newApp(t), Channel: "renewed"}
	old := keepEach(t, nodes[0], tp, keepAll, "a", "b")[1]
	for _, n := range nodes { // every node may notice
		require.NoError(t, historyOf(t, n).Renew(t.Context(), tp, keepAll, old.Epoch))
	}
	require.NoError(t, historyOf(t, nodes[0]).Renew(t.Context(), tp, keepAll, "0123456789abcdef"))
	run := read(t, nodes[0], tp, keepAll, channels.Query{})
	require.Empty(t, run.Events)
	require.Zero(t, run.Head.Offset)
	require.NotEqual(t, old.Epoch, run.Head.Epoch)
	now := keepEach(t, nodes[len(nodes)-1], tp, keepAll, "c")[0]
	require.Equal(t, channels.Position{Epoch: run.Head.Epoch, Offset: 1}, now)
	require.NoError(t, historyOf(t, nodes[0]).Renew(t.Context(), tp, keepAll, old.Epoch))
	require.Equal(t, now, read(t, nodes[0], tp, keepAll, channels.Query{}).Head)
}

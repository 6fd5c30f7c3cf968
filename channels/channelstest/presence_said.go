package channelstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

func testCounts(t *testing.T, nodes []*attendant) {
	tp := channels.Topic{App: newApp(t), Channel: "counted"}
	subscribe(t, brokers(nodes), tp)
	newRoom(t, nodes[0], tp).sayAll(t, nodes, 0,
		"0 count 0", "0 count 3", "0 count 3", "1 count 2", "1 announce 4", "1 announce 4", "2 announce 1",
		"0 count 0", "1 count 1", "2 announce 0", "1 count 0", "1 count 0", "0 announce 1", "0 announce 0",
		"0 count 2147483647", "0 count 0")
}

func testMembers(t *testing.T, nodes []*attendant) {
	tp := channels.Topic{App: newApp(t), Channel: "presence-room"}
	subscribe(t, brokers(nodes), tp)
	newRoom(t, nodes[0], tp).sayAll(t, nodes, 3,
		"0 leave nobody", "0 enter a", `1 enter b {"n":1}`, "2 enter a", "1 leave a", "0 leave a", "2 leave a",
		`0 enter b {"n":2}`, `0 enter b {"n":2}`, `1 enter b {"n":1}`, "1 enter b", `2 enter b {"n":3}`,
		"0 leave b", "1 leave b", "2 leave b", "2 leave b",
		"0 enter a", "1 enter b", "2 enter c", "0 enter d", "0 enter c", `1 enter a {"x":"|,|"}`, "2 leave c", "0 enter d", "0 leave c", "1 enter d",
		"0 count 1", "1 count 2", "0 leave a", "1 leave a", "0 count 0", "1 count 0")
}

// testSayAgain: a node that repeats itself, whatever the others did meanwhile,
// causes no event.
func testSayAgain(t *testing.T, nodes []*attendant) {
	tp := channels.Topic{App: newApp(t), Channel: "presence-again"}
	subscribe(t, brokers(nodes), tp)
	r := newRoom(t, nodes[0], tp)
	r.sayAll(t, nodes, 9, "0 count 2", "1 count 5", "0 enter a {}", "1 enter a {}", "2 enter b {}")
	before := len(r.events)
	last := "1 count 5"
	if len(nodes) == 1 {
		last = "0 count 5"
	} else {
		r.sayAll(t, nodes, 9, "0 count 2")
	}
	for range 3 {
		r.sayAll(t, nodes, 9, last, "0 enter a {}", "1 enter a {}", "2 enter b {}", "1 leave c")
	}
	require.Len(t, r.events, before)
}

// testExactLimit lets more users come at once, through all nodes, than there is
// room for.
func testExactLimit(t *testing.T, nodes []*attendant) {
	const limit, each, rounds = 7, 10, 5
	for round := range rounds {
		tp := channels.Topic{App: newApp(t), Channel: fmt.Sprint("presence-", round)}
		subscribe(t, brokers(nodes), tp)
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for i, n := range nodes {
			wg.Go(func() {
				for u := range each {
					_, err := n.Enter(t.Context(), tp, channels.Member{UserID: fmt.Sprint(i, "-", u)}, limit)
					switch {
					case err == nil:
						admitted.Add(1)
					case !errors.Is(err, channels.ErrFull):
						t.Errorf("enter: %v", err)
					}
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, limit, admitted.Load())
		now, err := nodes[0].Roster(t.Context(), tp)
		require.NoError(t, err)
		require.Len(t, now.Members, limit)
		for _, m := range now.Members {
			_, err := nodes[0].Enter(t.Context(), tp, m, limit)
			require.NoError(t, err, "who is in may come in again")
		}
		for i, n := range nodes {
			require.True(t, n.wait(tp, limit), "node %d", i)
			fence(t, []*node{n.node}, tp)
			require.Len(t, n.events(tp), limit, "node %d", i)
		}
	}
}

// testCountChurn: nodes change their counts at once; at the end the sum is
// right, and the last event heard says so.
func testCountChurn(t *testing.T, nodes []*attendant) {
	tp := channels.Topic{App: newApp(t), Channel: "busy"}
	subscribe(t, brokers(nodes), tp)
	want := 0
	var wg sync.WaitGroup
	for i, n := range nodes {
		want += i + 1
		wg.Go(func() {
			for step := range 50 {
				count := (step * 7 % 5)
				if step == 49 {
					count = i + 1
				}
				if _, err := n.SetCount(t.Context(), tp, count, true); err != nil {
					t.Errorf("set count: %v", err)
				}
			}
		})
	}
	wg.Wait()
	counts, err := nodes[0].Occupancy(t.Context(), []channels.Topic{tp})
	require.NoError(t, err)
	require.Equal(t, want, counts[0].Subscriptions)
	fence(t, brokers(nodes), tp)
	for i, n := range nodes {
		evs := n.events(tp)
		require.Equal(t, want, evs[len(evs)-1].Count, "node %d", i)
		require.Equal(t, nodes[0].events(tp), evs, "node %d", i)
		for j := 1; j < len(evs); j++ {
			require.NotEqual(t, evs[j-1].Count, evs[j].Count, "an event without a change")
		}
	}
}

func testOccupiedTopics(t *testing.T, nodes []*attendant) {
	app := newApp(t)
	set := func(i int, channel string, count int) {
		t.Helper()
		_, err := nodes[i%len(nodes)].SetCount(t.Context(), channels.Topic{App: app, Channel: channel}, count, false)
		require.NoError(t, err)
	}
	list := func(prefix string) []channels.Occupancy {
		t.Helper()
		got, err := nodes[len(nodes)-1].Occupied(t.Context(), app, prefix)
		require.NoError(t, err)
		slices.SortFunc(got, func(a, b channels.Occupancy) int { return strings.Compare(a.Channel, b.Channel) })
		return got
	}
	require.Empty(t, list(""))
	var want []channels.Occupancy
	for i := range 200 { // more than there are partitions
		name := fmt.Sprintf("room-%03d", i)
		set(i, name, i+1)
		want = append(want, channels.Occupancy{Channel: name, Subscriptions: i + 1})
	}
	presence := channels.Topic{App: app, Channel: "presence-x"}
	_, err := nodes[0].Enter(t.Context(), presence, channels.Member{UserID: "u"}, 9)
	require.NoError(t, err)
	require.Equal(t, want, list(""), "members alone do not occupy a channel")
	set(1, "presence-x", 2)
	require.Equal(t, []channels.Occupancy{{Channel: "presence-x", Subscriptions: 2, Users: 1}}, list("presence-"))
	require.Equal(t, want[10:20], list("room-01"))
	require.Equal(t, want, list("room-"))
	require.Empty(t, list("oom-"))
	require.NoError(t, nodes[0].Leave(t.Context(), presence, "u"))
	require.Equal(t, []channels.Occupancy{{Channel: "presence-x", Subscriptions: 2}}, list("p"))

	got, err := nodes[0].Occupancy(t.Context(), []channels.Topic{
		{App: app, Channel: "room-199"}, {App: app, Channel: "nobody"}, {App: app, Channel: "room-000"}, {App: app, Channel: "room-199"},
	})
	require.NoError(t, err)
	require.Equal(t, []channels.Occupancy{want[199], {Channel: "nobody"}, want[0], want[199]}, got)
	got, err = nodes[0].Occupancy(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)

	for i := range 200 {
		set(i, want[i].Channel, 0)
	}
	set(1, "presence-x", 0)
	require.Empty(t, list(""))
}

// testSpecialNames uses names and info that an engine which glues strings
// together, matches patterns or splits at separators would get wrong.
func testSpecialNames(t *testing.T, nodes []*attendant) {
	app := newApp(t)
	names := []string{
		"a*", "ab", "a?", "ac", "[ab]", "{1}x", "x:y", "x", ":", "ünï", "a b", "a|b", "#server-to-user-1", "a\nb", "a\x00b", "%s", "a,b", "-1", "A*",
	}
	for i, name := range names {
		tp := channels.Topic{App: app, Channel: name}
		_, err := nodes[i%len(nodes)].SetCount(t.Context(), tp, i+1, false)
		require.NoError(t, err, name)
	}
	for i, name := range names {
		counts, err := nodes[0].Occupied(t.Context(), app, name)
		require.NoError(t, err)
		for _, o := range counts {
			require.True(t, strings.HasPrefix(o.Channel, name), "%q is listed for prefix %q", o.Channel, name)
		}
		require.Contains(t, counts, channels.Occupancy{Channel: name, Subscriptions: i + 1})
	}

	tp := channels.Topic{App: app, Channel: "presence-{1}*:|"}
	subscribe(t, brokers(nodes), tp)
	steps := []string{}
	for _, user := range []string{"a*", "ab", "a|b", "a,b", "{1}", "é", "0123456789abcdef,", "-1", "%s", "a\nb", strings.Repeat("u", 128)} {
		steps = append(steps, "0 enter "+user, "1 enter "+user+` {"x":"|0123456789abcdef,|%s\u0000"}`, "0 leave "+user)
	}
	r := newRoom(t, nodes[0], tp)
	r.sayAll(t, nodes, 99, steps...)
	for i := 1; i < len(steps); i += 3 {
		user := strings.SplitN(steps[i], " ", 4)[2]
		r.sayAll(t, nodes, 99, "1 leave "+user)
	}
	require.Empty(t, r.on)
}

func testPresenceApps(t *testing.T, nodes []*attendant) {
	mine, theirs := channels.Topic{App: newApp(t), Channel: "presence-x"}, channels.Topic{App: newApp(t), Channel: "presence-x"}
	subscribe(t, brokers(nodes), mine, theirs)
	r := newRoom(t, nodes[0], mine)
	r.sayAll(t, nodes, 1, "0 count 2", "1 enter u {}")
	empty := newRoom(t, nodes[0], theirs)
	empty.check(t, nodes[0])
	empty.sayAll(t, nodes, 1, "1 leave u", "0 count 0", "2 enter v")
	r.check(t, nodes[0])
	for _, n := range nodes {
		got, err := n.Occupied(t.Context(), theirs.App, "")
		require.NoError(t, err)
		require.Empty(t, got)
		require.Len(t, n.events(mine), 2)
	}
	_, err := nodes[0].Occupied(t.Context(), tenants.AppID(string(mine.App)[:5]), "")
	require.NoError(t, err)
}

func testPresenceCancelled(t *testing.T, nodes []*attendant) {
	n := nodes[0]
	tp := channels.Topic{App: newApp(t), Channel: "presence-late"}
	subscribe(t, brokers(nodes), tp)
	r := newRoom(t, n, tp)
	r.sayAll(t, nodes, 9, "0 enter a", "0 count 1")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"SetCount":  func() error { _, err := n.SetCount(ended, tp, 5, true); return err },
		"Enter":     func() error { _, err := n.Enter(ended, tp, channels.Member{UserID: "b"}, 9); return err },
		"Leave":     func() error { return n.Leave(ended, tp, "a") },
		"Roster":    func() error { _, err := n.Roster(ended, tp); return err },
		"Occupancy": func() error { _, err := n.Occupancy(ended, []channels.Topic{tp}); return err },
		"Occupied":  func() error { _, err := n.Occupied(ended, tp.App, ""); return err },
	} {
		require.ErrorIs(t, call(), context.Canceled, name)
	}
	r.sayAll(t, nodes, 9, "0 leave nobody")
}

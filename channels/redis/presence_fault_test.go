package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

// A node is cut off for longer than its lease: the others clear up after it,
// once. Then it is back: it is on everything again, once, and what it tried to
// say meanwhile, and Redis gets to read only now, has no effect.
func TestNodeDiesAndWakes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	link := startProxy(t, s.addr())
	first, second := startPeer(t, s.url(), testLease), startPeer(t, s.url(), testLease)
	sleeper := startPeer(t, "redis://"+link.addr(), testLease)
	alive := []*peer{first, second}
	room := newTopic(t, "presence-room")
	counted := channels.Topic{App: room.App, Channel: "counted"}
	for _, p := range alive {
		p.listen(t, room)
		p.listen(t, counted)
	}
	users := numbered("u", 300)
	sleeper.enter(t, room, users...)
	sleeper.enter(t, room, "both")
	first.enter(t, room, "both")
	sleeper.count(t, counted, 5)
	first.count(t, counted, 2)

	link.freeze()
	began := time.Now()
	_, err := sleeper.Enter(t.Context(), room, channels.Member{UserID: "ghost"}, 1000)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	for i, p := range alive {
		eventually(t, "the dead node's users are removed", func() bool { return len(p.heard(room, channels.MemberRemoved)) == len(users) })
		eventually(t, "its count is gone", func() bool { return p.total(counted) == 2 })
		t.Logf("node %d: cleared up after %s", i, time.Since(began).Round(10*time.Millisecond))
		require.Equal(t, []string{"both"}, p.users(room))
	}

	link.thaw()
	for _, p := range alive {
		eventually(t, "all are back", func() bool { return p.total(counted) == 7 && len(p.users(room)) == len(users)+1 })
	}
	require.NotContains(t, first.users(room), "ghost")
	sleeper.enter(t, room, "end")
	for _, p := range alive {
		eventually(t, "all is heard", func() bool { return p.heard(room, channels.MemberAdded)["end"] == 1 })
		requireOnce(t, users, p.heard(room, channels.MemberRemoved))
		requireGapless(t, p.events(room))
		added := p.heard(room, channels.MemberAdded)
		require.Zero(t, added["ghost"])
		for _, u := range users {
			require.Equal(t, 2, added[u], "%s comes in the beginning, and with the node that is back", u)
		}
		require.Equal(t, first.events(room), p.events(room), "all hear the same")
	}
	require.Positive(t, sleeper.Stats().Retold)
}

// A node that is gone for good leaves no trace in Redis.
func TestDeadNodeLeavesNoTrace(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	link := startProxy(t, s.addr())
	lives, dies := startPeer(t, s.url(), testLease), startPeer(t, "redis://"+link.addr(), testLease)
	room := newTopic(t, "presence-room")
	for i := range 200 {
		dies.count(t, channels.Topic{App: room.App, Channel: fmt.Sprint("room-", i)}, i+1)
	}
	dies.enter(t, room, "a", "b")
	link.freeze()
	admin := raw(t, s.addr())
	eventually(t, "nothing is left of it", func() bool {
		for _, key := range admin.Keys(t.Context(), "*").Val() {
			kind := admin.Type(t.Context(), key).Val()
			if kind == "hash" && admin.HLen(t.Context(), key).Val() != 1 || kind == "string" && admin.TTL(t.Context(), key).Val() < 0 {
				return false
			}
		}
		n := len(slices.DeleteFunc(admin.Keys(t.Context(), "tw:*").Val(), func(key string) bool { return strings.HasSuffix(key, "}:x") }))
		return n == channels.Partitions+1 // the leases of the other, and the number of the last change
	})
	require.Empty(t, lives.users(room))
	dies.stop() // while it is cut off: it gives up in time
}

// A statement times out and is read by Redis later: it is undone, whatever the order.
func TestLateStatementIsUndone(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	link := startProxy(t, s.addr())
	watcher, p := startPeer(t, s.url(), 0), startPeer(t, "redis://"+link.addr(), 0)
	room := newTopic(t, "presence-room")
	p.enter(t, room, "a", "b")
	p.count(t, room, 2)
	link.freeze()
	_, err := p.Enter(t.Context(), room, channels.Member{UserID: "ghost"}, 9)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	_, err = p.SetCount(t.Context(), room, 7, true)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.ErrorIs(t, p.Leave(t.Context(), room, "a"), channels.ErrBrokerAway)
	link.thaw()
	eventually(t, "Redis is told again", func() bool { return p.Stats().Retold > 0 })
	require.ElementsMatch(t, []string{"a", "b"}, watcher.users(room))
	require.Equal(t, 2, watcher.total(room))
	require.NoError(t, p.Leave(t.Context(), room, "a"))
	require.Equal(t, []string{"b"}, watcher.users(room))
}

// A lease that is lost is noticed by the next statement, which succeeds under a
// new one; what comes under the old one is refused.
func TestFencing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	watcher, p := startPeer(t, s.url(), 0), startPeer(t, s.url(), 0)
	admin := raw(t, s.addr())
	room := newTopic(t, "presence-room")
	watcher.listen(t, room)
	p.enter(t, room, "a")
	nodes, _, members, _, _ := p.StateKeys(room)
	old := p.Generation(room)
	refused, err := p.EnterUnder(t.Context(), old, room, "b")
	require.NoError(t, err)
	require.False(t, refused, "the generation is in force")
	refused, err = watcher.Reap(t.Context(), room, p.Node())
	require.NoError(t, err)
	require.True(t, refused, "the node is back")

	for _, loss := range []string{"", "1 1", "x"} { // gone, run out, unreadable
		require.NoError(t, admin.HSet(t.Context(), nodes, p.Node(), loss).Err())
		if loss == "" {
			require.NoError(t, admin.HDel(t.Context(), nodes, p.Node()).Err())
		}
		refused, err = p.EnterUnder(t.Context(), p.Generation(room), room, "late")
		require.NoError(t, err)
		require.True(t, refused, "without a lease")
		before := p.Stats().Fenced
		p.enter(t, room, "c"+loss)
		require.Equal(t, before+1, p.Stats().Fenced)
		require.Greater(t, p.Generation(room), old)
		refused, err = p.EnterUnder(t.Context(), old, room, "late")
		require.NoError(t, err)
		require.True(t, refused, "the generation is over")
		old = p.Generation(room)
	}
	require.ElementsMatch(t, []string{"a", "c", "c1 1", "cx"}, p.users(room), "b was never said by the node itself, and is gone")

	// Somebody else cleared up in between: everything is said again.
	require.NoError(t, admin.Del(t.Context(), nodes, members).Err())
	p.enter(t, room, "d")
	require.ElementsMatch(t, []string{"a", "c", "c1 1", "cx", "d"}, p.users(room))
	requireGapless(t, watcher.events(room))
}

// What is said again is old: it neither replaces a newer info, nor is it subject
// to a limit that others have reached meanwhile.
func TestSayingAgainIsNotNews(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p, other := startPeer(t, s.url(), 0), startPeer(t, s.url(), 0)
	admin := raw(t, s.addr())
	room := newTopic(t, "presence-room")
	enter := func(p *peer, user, info string) {
		t.Helper()
		_, err := p.Enter(t.Context(), room, channels.Member{UserID: user, Info: []byte(info)}, 2)
		require.NoError(t, err)
	}
	enter(p, "both", `{"v":1}`)
	enter(other, "both", `{"v":2}`)
	enter(p, "mine", `{}`)
	nodes, _, _, _, _ := p.StateKeys(room)
	require.NoError(t, admin.HDel(t.Context(), nodes, p.Node()).Err())
	refused, err := other.Reap(t.Context(), room, p.Node())
	require.NoError(t, err)
	require.False(t, refused)
	enter(other, "theirs", `{}`)
	other.listen(t, room)
	p.count(t, room, 1)
	now, err := other.Roster(t.Context(), room)
	require.NoError(t, err)
	require.ElementsMatch(t, []channels.Member{
		{UserID: "both", Info: []byte(`{"v":2}`)}, {UserID: "mine", Info: []byte(`{}`)}, {UserID: "theirs", Info: []byte(`{}`)},
	}, now.Members)
	require.Empty(t, other.heard(room, channels.MemberUpdated))
}

// Redis comes back empty: the nodes say everything again, by themselves.
func TestRedisComesBackEmpty(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	nodes := []*peer{startPeer(t, s.url(), testLease), startPeer(t, s.url(), testLease)}
	room := newTopic(t, "presence-room")
	var want []string
	for i, p := range nodes {
		p.listen(t, room)
		p.enter(t, room, append(numbered(fmt.Sprint(i, "-"), 20), "both")...)
		p.count(t, room, 20+i)
		p.count(t, channels.Topic{App: room.App, Channel: fmt.Sprint("of-", i)}, 1+i)
		want = append(want, numbered(fmt.Sprint(i, "-"), 20)...)
	}
	want = append(want, "both")
	last, err := nodes[0].Roster(t.Context(), room)
	require.NoError(t, err)
	s.kill()
	require.ErrorIs(t, nodes[0].Leave(t.Context(), room, "0-0"), channels.ErrBrokerAway)
	_, err = nodes[0].Roster(t.Context(), room)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	_, err = nodes[0].Occupied(t.Context(), room.App, "")
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	_, err = nodes[0].Occupancy(t.Context(), []channels.Topic{room})
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	s.start(t)
	began := time.Now()
	for _, p := range nodes {
		eventually(t, "all members are back", func() bool { return len(p.users(room)) == len(want) })
		require.ElementsMatch(t, want, p.users(room))
		eventually(t, "all counts are back", func() bool { return p.total(room) == 41 })
		eventually(t, "the other channels are back", func() bool {
			list, err := p.Occupied(t.Context(), room.App, "of-")
			return err == nil && len(list) == 2
		})
		now, err := p.Roster(t.Context(), room)
		require.NoError(t, err)
		require.Greater(t, now.Seq, last.Seq, "numbers do not begin again")
	}
	t.Logf("all is told again after %s", time.Since(began).Round(10*time.Millisecond))
}

// Redis is away for longer than a lease and has lost nothing. Nobody could say
// that he is alive, so whoever is back first does not take the others for dead.
func TestRedisAwayForLong(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	link := startProxy(t, s.addr())
	first, late := startPeer(t, s.url(), testLease), startPeer(t, "redis://"+link.addr(), testLease)
	room := newTopic(t, "presence-room")
	first.listen(t, room)
	first.enter(t, room, "first", "both")
	late.enter(t, room, "late", "both")
	late.count(t, room, 3)
	established := time.Now().Add(testLease + testLease/2)
	eventually(t, "both may clear up", func() bool { return time.Now().After(established) })
	before := first.Generation(room)

	s.kill()
	link.freeze()
	expired := time.Now().Add(testLease + testLease/4)
	eventually(t, "the leases have run out", func() bool { return time.Now().After(expired) })
	s.start(t)
	eventually(t, "the first is back", func() bool { return first.Generation(room) > before && len(first.users(room)) == 3 })
	soon := time.Now().Add(testLease / 2)
	eventually(t, "there was time to clear up", func() bool { return time.Now().After(soon) })
	link.thaw()
	eventually(t, "the late one is back", func() bool { return late.Stats().Retold > 0 })
	fenced := time.Now().Add(testLease * 3 / 2)
	eventually(t, "clearing up is allowed again", func() bool { return time.Now().After(fenced) })
	require.Empty(t, first.heard(room, channels.MemberRemoved))
	require.ElementsMatch(t, []string{"first", "late", "both"}, first.users(room))
	require.Equal(t, 3, first.total(room))
}

func TestClusterPresence(t *testing.T) {
	t.Parallel()
	c := startReplicated(t)
	t.Run("suite", func(t *testing.T) { // ends before the master dies
		channelstest.TestPresence(t, engines(c.url(), 2))
	})
	one, two := startPeer(t, c.url(), testLease), startPeer(t, c.url(), testLease)
	dead, alive := c.topicOf(t, 2), c.topicOf(t, 0)
	for _, tp := range []channels.Topic{dead, alive} {
		two.listen(t, tp)
		one.enter(t, tp, "a")
		one.count(t, tp, 1)
	}
	c.servers[2].kill()
	_, err := one.Enter(t.Context(), dead, channels.Member{UserID: "b"}, 9)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	gone := time.Now().Add(2 * testLease)
	for i := 0; time.Now().Before(gone); i++ { // the others go on, and nobody is taken for dead there
		one.enter(t, alive, fmt.Sprint(i%7))
		require.Contains(t, two.users(alive), "a")
	}
	require.Empty(t, two.heard(alive, channels.MemberRemoved))
	c.servers[2].start(t)
	eventually(t, "what was there is told again", func() bool { return len(two.users(dead)) == 1 && two.total(dead) == 1 })
	require.Equal(t, []string{"a"}, two.users(dead))
	require.Equal(t, 1, two.total(alive))
}

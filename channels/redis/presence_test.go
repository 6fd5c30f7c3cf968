package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/redis"
)

// testLease is short, so that a death is seen soon, and long enough for a
// machine that is busy with other tests.
const testLease = 2 * time.Second

func TestPresence(t *testing.T) {
	t.Parallel()
	channelstest.TestPresence(t, engines(sharedURL(t), 3))
}

func TestHub(t *testing.T) {
	t.Parallel()
	channelstest.TestHub(t, engines(sharedURL(t), 3))
}

// engines opens nodes of one Redis.
func engines(url string, nodes int) func(t *testing.T) []channelstest.Engines {
	return func(t *testing.T) []channelstest.Engines {
		var list []channelstest.Engines
		for range nodes {
			c := openLease(t, url, 0)
			list = append(list, channelstest.Engines{Broker: c.Broker(), Presence: c.Presence(), Run: c.Run})
		}
		return list
	}
}

// openLease is open with a lease.
func openLease(t *testing.T, url string, lease time.Duration) *redis.Client {
	t.Helper()
	c, err := redis.Open(t.Context(), redis.Config{URL: url, Node: "test", Lease: lease})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// A node that ends cleanly is off everything at once, and leaves no trace.
func TestCleanLeave(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	stays, goes := startPeer(t, s.url(), 0), startPeer(t, s.url(), 0)
	room := newTopic(t, "presence-room")
	stays.listen(t, room)
	stays.enter(t, room, "both", "stays")
	stays.count(t, room, 2)
	users := numbered("u", 50)
	goes.enter(t, room, users...)
	goes.enter(t, room, "both")
	goes.count(t, room, 51)
	for i := range 150 { // more than one round of clearing up in some partition
		goes.count(t, channels.Topic{App: room.App, Channel: fmt.Sprint("room-", i)}, 1)
	}
	began := time.Now()
	goes.stop()
	require.Less(t, time.Since(began), 5*time.Second)
	eventually(t, "all are heard to leave", func() bool { return len(stays.heard(room, channels.MemberRemoved)) == len(users) })
	requireOnce(t, users, stays.heard(room, channels.MemberRemoved))
	requireGapless(t, stays.events(room))
	require.ElementsMatch(t, []string{"both", "stays"}, stays.users(room))
	list, err := stays.Occupied(t.Context(), room.App, "")
	require.NoError(t, err)
	require.Equal(t, []channels.Occupancy{{Channel: room.Channel, Subscriptions: 2, Users: 2}}, list)

	_, err = goes.SetCount(t.Context(), room, 1, true)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	_, err = goes.Enter(t.Context(), room, channels.Member{UserID: "late"}, 9)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.ErrorContains(t, goes.Run(t.Context()), "before")
	stays.stop()
	admin := raw(t, s.addr())
	for _, key := range admin.Keys(t.Context(), "*").Val() {
		if strings.HasSuffix(key, "}:x") { // the log of changes waits for its reader
			continue
		}
		require.Contains(t, key, "}:s:", "a key is left")
		require.Positive(t, admin.TTL(t.Context(), key).Val(), "the number of the last change is kept for a while")
	}
}

// The number of changes goes on after a topic was empty, and does not go back
// when Redis has lost it: a node that heard the earlier ones must see a gap.
func TestSequence(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startPeer(t, s.url(), 0)
	admin := raw(t, s.addr())
	room := newTopic(t, "presence-room")
	p.listen(t, room)
	p.enter(t, room, "a")
	_, _, _, _, seq := p.StateKeys(room)
	require.Negative(t, admin.TTL(t.Context(), seq).Val(), "while somebody is there it is not forgotten")
	require.NoError(t, p.Leave(t.Context(), room, "a"))
	require.Positive(t, admin.TTL(t.Context(), seq).Val())
	p.enter(t, room, "b")
	require.Negative(t, admin.TTL(t.Context(), seq).Val())
	eventually(t, "heard", func() bool { return len(p.events(room)) == 3 })
	requireGapless(t, p.events(room))
	last := p.events(room)[2].Seq
	require.NoError(t, admin.Del(t.Context(), seq).Err())
	p.enter(t, room, "c")
	eventually(t, "heard", func() bool { return len(p.events(room)) == 4 })
	require.Greater(t, p.events(room)[3].Seq, last+1)
	require.Negative(t, admin.TTL(t.Context(), seq).Val())
	require.Equal(t, 1, p.Remembered())
	for _, user := range []string{"b", "c"} {
		require.NoError(t, p.Leave(t.Context(), room, user))
	}
	require.Zero(t, p.Remembered(), "a topic this node has nothing to do with costs it nothing")
}

// What is in Redis may be anything. It spoils neither an answer nor a change.
func TestPoisonedPresence(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p, other := startPeer(t, s.url(), testLease), openLease(t, s.url(), testLease).Presence()
	admin := raw(t, s.addr())
	room := newTopic(t, "presence-room")
	p.listen(t, room)
	p.enter(t, room, "a")
	p.count(t, room, 1)
	nodes, counts, members, held, seq := p.StateKeys(room)
	require.NoError(t, admin.HSet(t.Context(), members, "x", "no bar", "\xff", "ab,|", "y", "ab,|\xff", "z", "|{}").Err())
	require.NoError(t, admin.HSet(t.Context(), counts, "x", "many").Err())
	require.NoError(t, admin.Set(t.Context(), seq, "x", 0).Err())
	require.NoError(t, admin.HSet(t.Context(), nodes, "dead", "x", other.Node(), "1 1").Err())
	require.NoError(t, admin.HSet(t.Context(), strings.Replace(held, p.Node(), other.Node(), 1), "no topic", 1, "1:elsewhere", 1, redis.TopicName(room), 1).Err())
	require.ElementsMatch(t, []string{"a", "z"}, p.users(room))
	require.EqualValues(t, 3, p.Stats().Malformed)
	p.enter(t, room, "x")
	p.count(t, room, 2)
	require.Equal(t, 2, p.total(room))
	require.NoError(t, p.Leave(t.Context(), room, "x"))
	require.ElementsMatch(t, []string{"a", "z"}, p.users(room))
	eventually(t, "the dead are forgotten", func() bool {
		n, err := admin.HLen(t.Context(), nodes).Result()
		return err == nil && n == 1
	})
	for _, ev := range p.events(room) {
		require.NotEqual(t, "z", ev.UserID)
	}
}

func TestPresenceRefuses(t *testing.T) {
	t.Parallel()
	url := sharedURL(t)
	p := startPeer(t, url, 0)
	good, bad := newTopic(t, "presence-x"), channels.Topic{App: "1:2", Channel: "presence-x"}
	enter := func(tp channels.Topic, m channels.Member) error {
		_, err := p.Enter(t.Context(), tp, m, 9)
		return err
	}
	set := func(tp channels.Topic, n int) error { _, err := p.SetCount(t.Context(), tp, n, true); return err }
	for want, err := range map[string]error{
		"UTF-8":               enter(good, channels.Member{UserID: "\xff"}),
		"is not valid UTF-8":  enter(good, channels.Member{UserID: "u", Info: []byte("\xff")}),
		"too large":           enter(good, channels.Member{UserID: "u", Info: make([]byte, redis.MaxEnvelope)}),
		"not a number":        enter(bad, channels.Member{UserID: "u"}),
		"is not a number":     set(bad, 1),
		"-1 is out of range":  set(good, -1),
		"leave: app id \"1:2": p.Leave(t.Context(), bad, "u"),
	} {
		require.ErrorContains(t, err, want)
		require.NotErrorIs(t, err, channels.ErrBrokerAway)
	}
	require.Empty(t, p.users(good))
	_, err := p.Occupied(t.Context(), "*", "")
	require.ErrorContains(t, err, "not a number")
	_, err = p.Occupancy(t.Context(), []channels.Topic{good, bad})
	require.ErrorContains(t, err, "not a number")
	_, err = p.Roster(t.Context(), bad)
	require.ErrorContains(t, err, "not a number")
	require.Zero(t, p.Remembered())
	for _, lease := range []time.Duration{time.Millisecond, 16 * time.Second, -1} {
		_, err := redis.Open(t.Context(), redis.Config{URL: url, Lease: lease})
		require.ErrorContains(t, err, "node lease is")
	}
}

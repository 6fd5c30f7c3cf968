package redis_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/redis"
)

var (
	historyRounds   = flag.Int("history.rounds", 4, "rounds of faults of TestHistoryUnderFaults")
	historyChannels = flag.Int("history.channels", 20_000, "channels of TestHistoriesLeaveNothingBehind")
	historyClients  = flag.Int("history.clients", 30, "clients of TestHistoryUnderFaults")
)

// faulty is a checker whose nodes each reach Redis through a proxy of their own.
type faulty struct {
	*channelstest.HistoryChecker
	server  *server
	proxies []*proxy
}

func startFaulty(t *testing.T, nodes, clients int, policy string) *faulty {
	t.Helper()
	f := &faulty{
		HistoryChecker: channelstest.NewHistoryChecker(t, nodes, 10_000),
		server:         startServer(t, "--appendonly", "yes", "--appendfsync", policy), proxies: make([]*proxy, nodes),
	}
	for i := range f.proxies {
		f.start(t, i)
	}
	f.StartClients(clients)
	f.Settle()
	return f
}

func (f *faulty) start(t *testing.T, i int) {
	p := startProxy(t, f.server.addr())
	f.proxies[i] = p
	c, err := redis.Open(t.Context(), redis.Config{URL: "redis://" + p.addr(), Node: "test", Lease: testLease})
	require.NoError(t, err)
	f.StartNode(i, channelstest.Engines{Broker: c.Broker(), Presence: c.Presence(), Run: c.Run}, func() { _ = c.Close() })
}

// Nodes die, links break and Redis is killed and comes back: no client misses,
// doubles or reorders an event without being told, and nothing that was accepted
// is lost. Redis comes back empty: every resume says that there is a gap.
func TestHistoryUnderFaults(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3, *historyClients, "always")
	defer f.Stop()
	accepted, recovered := 0, 0
	for round := range *historyRounds {
		accepted += f.Publish(50)
		i := rand.IntN(len(f.proxies))
		switch round % 4 {
		case 0:
			f.proxies[i].breakAll()
			f.KillNode(i)
			accepted += f.Publish(50)
			f.start(t, i)
		case 1:
			f.server.kill()
			accepted += f.Publish(1)
			f.server.start(t)
		case 2:
			f.proxies[i].breakAll()
			accepted += f.Publish(50)
			f.proxies[(i+1)%len(f.proxies)].breakAll()
		case 3:
			admin := raw(t, f.server.addr())
			_ = admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err()
			accepted += f.Publish(50)
		}
		accepted += f.Publish(50)
		f.Settle()
		f.ReconnectAll()
		f.Settle()
		ok, gaps, reasons := f.Gaps()
		require.Zero(t, gaps, "round %d: nothing was lost, and gaps were told: %v", round, reasons)
		recovered += ok
	}
	t.Logf("%d rounds, %d clients: %d accepted, %d resumes recovered, %d events in the history",
		*historyRounds, *historyClients, accepted, recovered, f.Verify())

	f.server.kill()
	f.server.args = []string{"--appendonly", "no"}
	f.server.start(t)
	f.ReconnectAll()
	ok, gaps, reasons := f.Gaps()
	require.Zero(t, ok, "a resume recovered from a Redis that was empty")
	require.GreaterOrEqual(t, gaps, *historyClients)
	f.Settle()
	t.Logf("wiped: %d gaps told, %v", gaps, reasons)
}

// Redis is killed and has forgotten acknowledged events, as it may if it does not
// write each one down at once: every client is told of a gap, and none is told
// that it has all.
func TestHistoryForgottenByEveryResume(t *testing.T) {
	t.Parallel()
	const clients, rounds = 10, 2
	f := startFaulty(t, 2, clients, "everysec")
	defer f.Stop()
	for range rounds {
		f.Publish(20)
		f.Settle()
		before := f.server.logged(t)
		f.Publish(20)
		f.Settle()
		_, _, _ = f.Gaps()
		f.server.kill()
		require.NoError(t, os.Truncate(before.name, before.size-7)) // in the middle of an entry
		f.server.start(t)
		f.Settle()
		f.ReconnectAll()
		f.Settle()
		ok, gaps, reasons := f.Gaps()
		require.GreaterOrEqual(t, gaps, clients)
		require.GreaterOrEqual(t, reasons["epoch_changed"], clients)
		t.Logf("%d resumes recovered in the new epoch, %d gaps told, %v", ok, gaps, reasons)
	}
	f.Verify()
}

// A replica is promoted that lacks the last events: nobody recovers over that,
// and no place is given out twice.
func TestHistoryFailover(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startServer(t, "--replicaof", "127.0.0.1", strconv.Itoa(master.port))
	keep := channels.Retention{Max: 100, TTL: time.Hour}
	tp := newTopic(t, "failover")
	c := run(t, master.url())
	publishKept := func(r *running, name string) channels.Position {
		positions, err := r.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: name, Data: []byte(`""`), Keep: keep}})
		require.NoError(t, err)
		return positions[0]
	}
	first := publishKept(c, "a")
	admin := raw(t, replica.addr())
	eventually(t, "the replica has it", func() bool { return admin.DBSize(t.Context()).Val() > 0 })
	require.NoError(t, admin.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err()) // the link is cut
	lost := publishKept(c, "b")
	require.Equal(t, channels.Position{Epoch: first.Epoch, Offset: 2}, lost)
	require.NoError(t, admin.Do(t.Context(), "replicaof", "no", "one").Err())
	after := run(t, replica.url())
	again := publishKept(after, "c")
	require.NotEqual(t, first.Epoch, again.Epoch)
	requirePast(t, after, tp, keep, "a", "c")
}

// requirePast holds what is kept against names, in one epoch and without a hole.
func requirePast(t *testing.T, r *running, tp channels.Topic, keep channels.Retention, names ...string) {
	t.Helper()
	answer, err := r.Broker().Read(t.Context(), tp, keep, channels.Query{Limit: 10})
	require.NoError(t, err)
	var got []string
	for i, ev := range answer.Events {
		got = append(got, ev.Name)
		require.Equal(t, channels.Position{Epoch: answer.Head.Epoch, Offset: answer.Oldest + uint64(i)}, ev.Position)
	}
	require.Equal(t, names, got)
}

// Redis is killed and comes back without its last acknowledged event. Under
// every policy but the strictest, places are given out in another epoch then,
// behind what is left; under that one nothing was lost.
func TestHistoryForgotten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		again bool // the epoch goes on
	}{
		"always":               {[]string{"--appendfsync", "always"}, true},
		"always, not so":       {[]string{"--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"}, false},
		"everysec":             {[]string{"--appendfsync", "everysec"}, false},
		"no":                   {[]string{"--appendfsync", "no"}, false},
		"the user may not ask": {[]string{"--appendfsync", "always", "--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, append(c.args, "--appendonly", "yes")...)
			r := run(t, s.url())
			keep, tp := channels.Retention{Max: 100, TTL: time.Hour}, newTopic(t, "forgotten")
			publish := func(name string) (pos channels.Position) {
				eventually(t, "published", func() bool {
					positions, err := r.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: name, Data: []byte(`""`), Keep: keep}})
					if err == nil {
						pos = positions[0]
					}
					return err == nil
				})
				return pos
			}
			first := publish("a")
			if c.again {
				publish("b")
				s.kill()
			} else {
				before := s.logged(t)
				publish("b")
				s.kill()
				require.NoError(t, os.Truncate(before.name, before.size))
			}
			s.start(t)
			second := publish("c")
			if c.again {
				require.Equal(t, channels.Position{Epoch: first.Epoch, Offset: 3}, second)
				requirePast(t, r, tp, keep, "a", "b", "c")
				return
			}
			require.NotEqual(t, first.Epoch, second.Epoch)
			requirePast(t, r, tp, keep, "a", "c")
			require.Equal(t, channels.Position{Epoch: second.Epoch, Offset: 3}, publish("d"), "one life, one epoch")
		})
	}
}

// A history that went back, as a crash of the machine can do to it, gets a new
// epoch from a node that had delivered more.
func TestHistoryWentBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	k := channelstest.NewHistoryChecker(t, 1, 100)
	c := openLease(t, s.url(), 0)
	k.StartNode(0, channelstest.Engines{Broker: c.Broker(), Presence: c.Presence(), Run: c.Run}, func() {})
	defer k.Stop()
	k.StartClients(3)
	k.Settle()
	k.Publish(5)
	k.Settle()
	admin := raw(t, s.addr())
	keys := admin.Keys(t.Context(), "tw:{*}:p:*").Val()
	require.Len(t, keys, 1)
	place := admin.Get(t.Context(), keys[0]).Val()
	epoch, rest := place[:channels.EpochLen], place[channels.EpochLen+2:] // an offset of one digit
	require.NoError(t, admin.Set(t.Context(), keys[0], epoch+":3"+rest, time.Hour).Err())
	require.NoError(t, admin.LTrim(t.Context(), strings.Replace(keys[0], ":p:", ":y:", 1), 0, 2).Err())
	require.NoError(t, admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err()) // a crash ends that too
	eventually(t, "a node notices", func() bool {
		now := admin.Get(t.Context(), keys[0]).Val()
		return now != "" && now[:channels.EpochLen] != epoch
	})
	k.Settle()
}

// Thousands of channels with history leave nothing in Redis when their time has passed.
func TestHistoriesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	admin := raw(t, s.addr())
	memory := func() int { return infoNumber(t, admin, "memory", "used_memory:") }
	keep := channels.Retention{Max: 100, TTL: 4 * time.Second}
	base, before := newTopic(t, ""), memory()
	full := 0
	for i := range *historyChannels / 100 {
		evs := make([]channels.Event, 100)
		for k := range evs {
			tp := channels.Topic{App: base.App, Channel: "room-" + strconv.Itoa(i*100+k)}
			evs[k] = channels.Event{Topic: tp, Name: "e", Data: []byte(`"some payload"`), Keep: keep}
		}
		require.Eventually(t, func() bool { // a machine that is busy makes Redis look away
			_, err := r.Broker().Publish(t.Context(), evs)
			return err == nil
		}, patience, time.Millisecond)
		if i%50 == 0 {
			full = max(full, memory())
		}
	}
	full = max(full, memory())
	require.Eventually(t, func() bool { return admin.DBSize(t.Context()).Val() == 0 }, 2*patience, 50*time.Millisecond)
	t.Logf("%d histories: %d kB at most, afterwards %d kB", *historyChannels, (full-before)>>10, (memory()-before)>>10)
	require.Less(t, memory()-before, 4<<20)
}

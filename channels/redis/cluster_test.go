package redis_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

// cluster is three masters, and as many replicas or none.
type cluster struct {
	servers []*server // the masters first
	admins  []*goredis.Client
	ids     []string
}

const clusterMasters = 3

func startCluster(t *testing.T) *cluster { t.Helper(); return startClusterOf(t, clusterMasters) }

// startReplicated starts three masters with a replica each.
func startReplicated(t *testing.T) *cluster {
	t.Helper()
	c := startClusterOf(t, 2*clusterMasters)
	for i, admin := range c.admins[clusterMasters:] {
		eventually(t, "a replica is taken", func() bool { return admin.ClusterReplicate(t.Context(), c.ids[i]).Err() == nil })
	}
	for _, admin := range c.admins[clusterMasters:] {
		eventually(t, "the replicas are in step", func() bool {
			return strings.Contains(admin.Info(t.Context(), "replication").Val(), "master_link_status:up")
		})
	}
	return c
}

func startClusterOf(t *testing.T, servers int) *cluster {
	t.Helper()
	c := &cluster{}
	for range servers {
		s := startServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
			"--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		admin := raw(t, s.addr())
		id, err := admin.ClusterMyID(t.Context()).Result()
		require.NoError(t, err)
		c.servers, c.admins, c.ids = append(c.servers, s), append(c.admins, admin), append(c.ids, id)
	}
	const slots = 16384
	for i, admin := range c.admins {
		require.NoError(t, admin.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err())
		if i < clusterMasters {
			require.NoError(t, admin.ClusterAddSlotsRange(t.Context(), i*slots/clusterMasters, (i+1)*slots/clusterMasters-1).Err())
		}
	}
	for _, s := range c.servers[1:] {
		require.NoError(t, c.admins[0].ClusterMeet(t.Context(), "127.0.0.1", fmt.Sprint(s.port)).Err())
	}
	eventually(t, "the Cluster is complete", func() bool {
		for _, admin := range c.admins {
			info := admin.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", servers)) {
				return false
			}
		}
		return true
	})
	return c
}

func (c *cluster) url() string {
	var addrs []string
	for _, s := range c.servers {
		addrs = append(addrs, s.addr())
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// owner returns which master holds the slot of a topic.
func (c *cluster) owner(t *testing.T, tp channels.Topic) (master, slot int) {
	t.Helper()
	key := fmt.Sprintf("tw:{%d}:e:", tp.Partition())
	n, err := c.admins[0].ClusterKeySlot(t.Context(), key).Result()
	require.NoError(t, err)
	for master := range clusterMasters {
		if int(n) < (master+1)*16384/clusterMasters {
			return master, int(n)
		}
	}
	t.Fatal("no owner")
	return 0, 0
}

// topicOf returns a new topic that the master holds.
func (c *cluster) topicOf(t *testing.T, master int) channels.Topic {
	t.Helper()
	for i := 0; ; i++ {
		tp := newTopic(t, fmt.Sprint("of-", master, "-", i))
		if m, _ := c.owner(t, tp); m == master {
			return tp
		}
	}
}

func TestClusterBroker(t *testing.T) {
	t.Parallel()
	channelstest.TestBroker(t, joined(startReplicated(t).url(), 2))
}

// A slot goes to another master: Redis ends the subscriptions there, and they
// are made again at the new one.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	r := run(t, c.url())
	moving, staying := c.topicOf(t, 0), c.topicOf(t, 1)
	sibling := moving
	for i := 0; sibling == moving || sibling.Partition() != moving.Partition(); i++ {
		sibling.Channel = fmt.Sprint("sibling-", i)
	}
	for _, tp := range []channels.Topic{moving, sibling, staying} {
		require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
		require.NoError(t, r.publish(t, tp, "before"))
		eventually(t, "delivered before", func() bool { return len(r.names(tp)) == 1 })
	}
	_, slot := c.owner(t, moving)
	for _, i := range []int{2, 0, 1} { // the new owner first
		require.NoError(t, c.admins[i].Do(t.Context(), "cluster", "setslot", slot, "node", c.ids[2]).Err())
	}
	eventually(t, "the move is seen", func() bool {
		g := r.Stats().Gaps
		return g["moved"]+g["refused"]+g["connection"] > 0
	})
	for _, tp := range []channels.Topic{moving, sibling, staying} {
		eventually(t, "subscribed again", func() bool { return r.Broker().Subscribe(t.Context(), tp) == nil })
		eventually(t, "published again", func() bool { return r.publish(t, tp, "after") == nil })
		eventually(t, "delivered after", func() bool { return strings.HasSuffix(strings.Join(r.names(tp), ","), "after") })
	}
	require.EqualValues(t, 1, r.Stats().Gaps["moved"])
}

// One master dies: its topics are away, the others go on, and the error of a
// publish to both names the right ones.
func TestClusterMasterDies(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	r := run(t, c.url())
	dead, alive := c.topicOf(t, 2), c.topicOf(t, 0)
	for _, tp := range []channels.Topic{dead, alive} {
		require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	}
	c.servers[2].kill()
	evs := []channels.Event{
		{Topic: alive, Name: "a", Data: []byte(`""`)},
		{Topic: dead, Name: "d", Data: []byte(`""`)},
		{Topic: alive, Name: "b", Data: []byte(`""`)},
	}
	_, err := r.Broker().Publish(t.Context(), evs)
	var pe *channels.PublishError
	require.ErrorAs(t, err, &pe)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.Equal(t, []int{1}, pe.Failed)
	eventually(t, "the others are delivered", func() bool { return len(r.names(alive)) == 2 })
	require.Equal(t, []string{"a", "b"}, r.names(alive))

	c.servers[2].start(t)
	eventually(t, "publishing works again", func() bool { return r.publish(t, dead, "back") == nil })
	eventually(t, "delivered", func() bool {
		if err := r.publish(t, dead, "end"); err != nil {
			require.True(t, errors.Is(err, channels.ErrBrokerAway))
		}
		return strings.HasSuffix(strings.Join(r.names(dead), ","), "end")
	})
}

// One master of a Cluster with replicas dies: its partitions heal by themselves,
// and nothing happens to the others, whoever is on them.
func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	c := startReplicated(t)
	one, two := startPeer(t, c.url(), testLease), startPeer(t, c.url(), testLease)
	topics := make([]channels.Topic, clusterMasters) // by master
	for i := range topics {
		topics[i] = c.topicOf(t, i)
		two.listen(t, topics[i])
		one.enter(t, topics[i], "a", "b")
		one.count(t, topics[i], 2)
		eventually(t, "heard before", func() bool { return len(two.heard(topics[i], channels.MemberAdded)) == 2 })
	}
	say := func(tp channels.Topic, name string) error {
		_, err := one.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: name, Data: []byte(`""`)}})
		return err
	}
	hears := func(tp channels.Topic, name string) bool {
		return slices.ContainsFunc(two.events(tp), func(ev channels.Event) bool { return ev.Name == name })
	}
	const dead = 1
	before := two.Stats().Gaps
	c.servers[dead].kill()
	began := time.Now()
	rounds := 0
	for healed := false; !healed; <-time.After(20 * time.Millisecond) {
		require.Less(t, time.Since(began), patience, "the dead master's topic is not heard again")
		rounds++
		for i, tp := range topics {
			if i != dead {
				require.NoError(t, say(tp, fmt.Sprint("meanwhile-", rounds)), "the others go on")
			}
		}
		name := fmt.Sprint("after-", rounds)
		if err := say(topics[dead], name); err != nil {
			require.ErrorIs(t, err, channels.ErrBrokerAway)
		}
		healed = hears(topics[dead], fmt.Sprint("after-", rounds-1)) || hears(topics[dead], name)
	}
	t.Logf("healed after %s", time.Since(began).Round(10*time.Millisecond))
	for i, tp := range topics {
		eventually(t, "members and counts are as before", func() bool { return len(two.users(tp)) == 2 && two.total(tp) == 2 })
		if i == dead {
			continue
		}
		require.Empty(t, two.heard(tp, channels.MemberRemoved))
		for n := range rounds {
			eventually(t, "nothing is missed on the others", func() bool { return hears(tp, fmt.Sprint("meanwhile-", n+1)) })
		}
		requireGapless(t, two.events(tp))
	}
	gaps := 0
	for reason, n := range two.Stats().Gaps {
		gaps += int(n - before[reason])
	}
	require.Equal(t, 1, gaps, "only the lane of the dead master's partition was interrupted")
	one.enter(t, topics[dead], "c")
	eventually(t, "changes are heard again", func() bool { return two.heard(topics[dead], channels.MemberAdded)["c"] == 1 })
}

// Sentinel makes the replica the master; publishers and subscriptions follow.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startServer(t, "--replicaof", "127.0.0.1", fmt.Sprint(master.port), "--repl-diskless-sync-delay", "0")
	eventually(t, "the replica is in step", func() bool {
		return strings.Contains(raw(t, replica.addr()).Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"sentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
		master.port), 0o600))
	sentinel := startSentinel(t, conf)
	eventually(t, "the Sentinel knows the replica", func() bool {
		list, err := raw(t, sentinel.addr()).Do(t.Context(), "sentinel", "replicas", "main").Slice()
		return err == nil && len(list) == 1
	})
	url := "redis+sentinel://" + sentinel.addr() + "/main"
	one, two := run(t, url), run(t, url)
	tp := newTopic(t, "room")
	require.NoError(t, two.Broker().Subscribe(t.Context(), tp))
	require.NoError(t, one.publish(t, tp, "before"))
	eventually(t, "delivered before", func() bool { return len(two.names(tp)) == 1 })
	master.kill()
	eventually(t, "delivered after", func() bool {
		if err := one.publish(t, tp, "after"); err != nil {
			require.ErrorIs(t, err, channels.ErrBrokerAway)
		}
		return len(two.names(tp)) > 1
	})
	require.EqualValues(t, 1, two.Stats().Gaps["connection"])
}

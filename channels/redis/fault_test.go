package redis_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/redis"
)

// A crash and an empty restart of Redis: publishers learn at once, waiting
// subscribers within the bound, and when it is back so are the subscriptions.
func TestRedisKilledAndRestarted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	var topics []channels.Topic
	for i := range 20 {
		topics = append(topics, newTopic(t, fmt.Sprintf("room-%d", i)))
		require.NoError(t, r.Broker().Subscribe(t.Context(), topics[i]))
	}
	left := newTopic(t, "left while away")
	require.NoError(t, r.Broker().Subscribe(t.Context(), left))
	require.NoError(t, r.publish(t, topics[0], "before"))
	eventually(t, "delivered before", func() bool { return len(r.names(topics[0])) == 1 })

	s.kill()
	began := time.Now()
	evs := []channels.Event{
		{Topic: topics[0], Name: "lost", Data: []byte(`""`)},
		{Topic: topics[1], Name: "lost", Data: []byte(`""`)},
	}
	_, err := r.Broker().Publish(t.Context(), evs)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.Less(t, time.Since(began), 4*time.Second, "fails fast")
	var pe *channels.PublishError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, []int{0, 1}, pe.Failed)
	require.Error(t, r.Ping(t.Context()))
	require.NoError(t, r.Broker().Unsubscribe(t.Context(), left), "leaving needs nobody's consent")

	// Those who join while Redis is away wait for it, or give up in time.
	hasty, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	given := newTopic(t, "given up")
	require.ErrorIs(t, r.Broker().Subscribe(hasty, given), context.DeadlineExceeded)
	patient := newTopic(t, "patient")
	joined := make(chan error, 1)
	go func() { joined <- r.Broker().Subscribe(t.Context(), patient) }()

	s.start(t)
	require.NoError(t, <-joined)
	for _, tp := range topics {
		// Subscribing again is the same as once, and returns when it is in force.
		require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	}
	for _, tp := range append(topics, patient) {
		require.NoError(t, r.publish(t, tp, "after"))
		eventually(t, "delivered after", func() bool {
			names := r.names(tp)
			return len(names) > 0 && names[len(names)-1] == "after"
		})
	}
	require.NoError(t, r.publish(t, left, "x"))
	require.NoError(t, r.publish(t, given, "x"))
	require.NoError(t, r.publish(t, patient, "fence"))
	eventually(t, "fence", func() bool { return len(r.names(patient)) == 2 })
	require.Empty(t, r.names(left))
	require.Empty(t, r.names(given))
	require.EqualValues(t, 1, r.Stats().Gaps["connection"], "one gap, however many attempts it took")
	require.Equal(t, 21, r.Stats().Subscribed)
}

func TestSubscribeGivesUpByItself(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	s.kill()
	began := time.Now()
	tp := newTopic(t, "room")
	err := r.Broker().Subscribe(t.Context(), tp)
	require.ErrorIs(t, err, channels.ErrBrokerAway)
	require.ErrorContains(t, err, "connect", "the error says why")
	require.Less(t, time.Since(began), 10*time.Second)
	require.Zero(t, r.Stats().Pending)
}

// Redis ends all subscription connections, as it does to a slow reader.
func TestPubSubConnectionsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log logBuffer
	c, err := redis.Open(t.Context(), redis.Config{URL: s.url(), Log: log.logger()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	r := runClient(t, c)
	admin := raw(t, s.addr())
	tp := newTopic(t, "room")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	for i := range 3 {
		require.NoError(t, admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
		eventually(t, "the gap is counted", func() bool { return r.Stats().Gaps["connection"] == uint64(i+1) })
		require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
		name := fmt.Sprint(i)
		require.NoError(t, r.publish(t, tp, name), "publishing goes on")
		eventually(t, "delivered", func() bool { return strings.HasSuffix(strings.Join(r.names(tp), ","), name) })
		require.Len(t, clientList(t, admin, "pubsub"), 1, "one connection, not one more for each gap")
	}
	require.Equal(t, 3, log.lines("subscriptions interrupted", "reason=connection", "topics=1"))
	eventually(t, "recovery is logged", func() bool { return log.lines("subscriptions restored") == 3 })
}

// A connection on which nothing comes any more, not even an end, is noticed.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr())
	r := run(t, "redis://"+p.addr())
	tp := newTopic(t, "room")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	require.NoError(t, r.publish(t, tp, "before"))
	eventually(t, "delivered", func() bool { return len(r.names(tp)) == 1 })
	p.freeze()
	began := time.Now()
	eventually(t, "silence is noticed", func() bool { return r.Stats().Gaps["silent"] == 1 })
	require.Less(t, time.Since(began), 15*time.Second)
	p.thaw()
	eventually(t, "heals by itself", func() bool { return r.Stats().Subscribed == 1 })
	eventually(t, "publishing works", func() bool { return r.publish(t, tp, "after") == nil })
	eventually(t, "delivered", func() bool { return strings.HasSuffix(strings.Join(r.names(tp), ","), "after") })
}

// The reply to a publish is cut off. It has happened, so it must not happen again.
func TestLostReplyIsNotRetried(t *testing.T) {
	t.Parallel()
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		p := startProxy(t, s.addr())
		lostReply(t, p, "redis://"+p.addr())
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, "--cluster-enabled", "yes")
		p := startProxy(t, s.addr())
		admin := raw(t, s.addr())
		_, port, err := net.SplitHostPort(p.addr())
		require.NoError(t, err)
		require.NoError(t, admin.ConfigSet(t.Context(), "cluster-announce-port", port).Err())
		require.NoError(t, admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
		eventually(t, "the Cluster is complete", func() bool {
			return strings.Contains(admin.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
		})
		lostReply(t, p, "redis+cluster://"+p.addr())
	})
}

func lostReply(t *testing.T, p *proxy, url string) {
	t.Helper()
	publisher, listener := run(t, url), run(t, url)
	tp := newTopic(t, "once")
	require.NoError(t, listener.Broker().Subscribe(t.Context(), tp))
	require.NoError(t, publisher.publish(t, tp, "warm"))
	eventually(t, "delivered", func() bool { return len(listener.names(tp)) == 1 })
	p.cutIntegers()
	evs := []channels.Event{{Topic: tp, Name: "cut", Data: []byte(`""`)}, {Topic: tp, Name: "cut too", Data: []byte(`""`)}}
	_, err := publisher.Broker().Publish(t.Context(), evs)
	var pe *channels.PublishError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, []int{0, 1}, pe.Failed)
	p.thaw()
	eventually(t, "publishing works again", func() bool { return publisher.publish(t, tp, "end") == nil })
	eventually(t, "delivered", func() bool { return strings.HasSuffix(strings.Join(listener.names(tp), ","), "end") })
	require.Equal(t, []string{"warm", "cut", "cut too", "end"}, listener.names(tp))
}

// A node that is busy for long neither drops events nor loses its connection,
// and other publishers do not notice.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	var mu sync.Mutex
	busy, got := true, 0
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Broker().Run(ctx, func(*channels.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if busy {
				return channels.ErrBusy
			}
			got++
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	tp := newTopic(t, "flood")
	eventually(t, "subscribed", func() bool { return c.Broker().Subscribe(t.Context(), tp) == nil })
	publisher := run(t, s.url())
	data := []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	const calls, each = 20, 50
	for range calls {
		evs := make([]channels.Event, each)
		for i := range evs {
			evs[i] = channels.Event{Topic: tp, Name: "e", Data: data}
		}
		_, err := publisher.Broker().Publish(t.Context(), evs)
		require.NoError(t, err)
	}
	eventually(t, "the node is seen busy", func() bool { return c.Stats().Busy > 20 })
	mu.Lock()
	busy = false
	mu.Unlock()
	eventually(t, "everything arrives", func() bool { return c.Stats().Received == calls*each })
	for reason, count := range c.Stats().Gaps {
		require.Zero(t, count, reason)
	}
}

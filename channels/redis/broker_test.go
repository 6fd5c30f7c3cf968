package redis_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/redis"
	"tidewire/tenants"
)

func TestBroker(t *testing.T) {
	t.Parallel()
	url := sharedURL(t)
	channelstest.TestBroker(t, joined(url, 3))
}

// joined opens brokers of one Redis.
func joined(url string, nodes int) func(t *testing.T) channelstest.Cluster {
	return func(t *testing.T) channelstest.Cluster {
		c := channelstest.Cluster{RetriesBusy: true}
		for range nodes {
			c.Nodes = append(c.Nodes, open(t, url).Broker())
		}
		return c
	}
}

func newTopic(t *testing.T, channel string) channels.Topic {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1e16))
	require.NoError(t, err)
	return channels.Topic{App: tenants.AppID("8" + n.String()), Channel: channel}
}

// Whoever reaches Redis can publish anything. None of it is delivered, all of
// it is counted, and what comes after is delivered.
func TestPoisonIsCountedAndDropped(t *testing.T) {
	t.Parallel()
	url := sharedURL(t)
	r := run(t, url)
	tp := newTopic(t, "poisoned")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	name, err := redis.ShardChannel(tp)
	require.NoError(t, err)
	opts, err := goredis.ParseURL(url)
	require.NoError(t, err)
	attacker := goredis.NewClient(opts)
	t.Cleanup(func() { _ = attacker.Close() })
	good, err := redis.AppendEnvelope(nil, &channels.Event{Name: "good", Data: []byte(`"x"`)})
	require.NoError(t, err)
	for _, payload := range []string{
		"", "x", "\x01", "\x01\x00\xff\xff\x00\x00\x00\x00short", string(good[:15]), string(good) + "\xff",
		strings.Repeat("\x01", redis.MaxEnvelope+1),
		"\x04" + string(good[1:]), "{\"event\":\"x\"}",
		"\x01\x07" + string(good[2:]),
	} {
		require.NoError(t, attacker.SPublish(t.Context(), name, payload).Err())
	}
	require.NoError(t, r.publish(t, tp, "after"))
	eventually(t, "the next event arrives", func() bool { return len(r.names(tp)) > 0 })
	require.Equal(t, []string{"after"}, r.names(tp))
	s := r.Stats()
	require.EqualValues(t, 7, s.Malformed)
	require.EqualValues(t, 2, s.UnknownVersion)
	require.EqualValues(t, 1, s.UnknownKind)
	require.EqualValues(t, 1, s.Received)
}

func TestPublishRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	r := run(t, sharedURL(t))
	tp := newTopic(t, "refused")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	ok := channels.Event{Topic: tp, Name: "fine", Data: []byte(`""`)}
	for want, bad := range map[string]channels.Event{
		"too large":    {Topic: tp, Name: "big", Data: make([]byte, redis.MaxEnvelope)},
		"UTF-8":        {Topic: tp, Name: "text", Data: []byte("\"\xff\"")},
		"not a number": {Topic: channels.Topic{App: "1:2", Channel: "c"}, Name: "app", Data: []byte(`""`)},
	} {
		_, err := r.Broker().Publish(t.Context(), []channels.Event{ok, bad})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "event 1")
		require.NotErrorIs(t, err, channels.ErrBrokerAway)
	}
	require.NoError(t, r.publish(t, tp, "last"))
	eventually(t, "the last event arrives", func() bool { return len(r.names(tp)) > 0 })
	require.Equal(t, []string{"last"}, r.names(tp), "nothing of a refused call is sent")
}

func TestStats(t *testing.T) {
	t.Parallel()
	r := run(t, sharedURL(t))
	tp := newTopic(t, "counted")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	require.NoError(t, r.publish(t, tp, "e"))
	eventually(t, "delivered", func() bool { return len(r.names(tp)) == 1 })
	eventually(t, "counted", func() bool { return r.Stats().Received == 1 })
	s := r.Stats()
	require.EqualValues(t, 1, s.Published)
	require.Equal(t, 1, s.Subscribed)
	require.Zero(t, s.Pending)
	for reason, count := range s.Gaps {
		require.Zero(t, count, reason)
	}
	require.NoError(t, r.Broker().Unsubscribe(t.Context(), tp))
	require.Zero(t, r.Stats().Subscribed)
}

// A subscription that Redis has confirmed survives without a topic for a moment,
// the connection of a node without topics does not.
func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	tp := newTopic(t, "visitor")
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	admin := raw(t, s.addr())
	subscribers := func() int { return len(clientList(t, admin, "pubsub")) }
	require.Equal(t, 1, subscribers())
	require.NoError(t, r.Broker().Unsubscribe(t.Context(), tp))
	eventually(t, "the connection is closed", func() bool {
		return subscribers() == 0 && !strings.Contains(admin.ClientList(t.Context()).Val(), "cmd=sunsubscribe")
	})
	require.NoError(t, r.Broker().Subscribe(t.Context(), tp))
	require.NoError(t, r.publish(t, tp, "back"))
	eventually(t, "delivered", func() bool { return len(r.names(tp)) == 1 })
	for reason, count := range r.Stats().Gaps {
		require.Zero(t, count, reason)
	}
}

func clientList(t *testing.T, admin *goredis.Client, kind string) []string {
	t.Helper()
	list, err := admin.Do(t.Context(), "client", "list", "type", kind).Text()
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(list, "\n"), "\n")[:strings.Count(list, "\n")]
}

// Thousands of topics, subscribed at once, need few commands and one connection.
func TestManyTopicsShareCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	admin := raw(t, s.addr())
	const count = 3000
	base := newTopic(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := make(chan error, count)
	for i := range count {
		go func() {
			errs <- r.Broker().Subscribe(ctx, channels.Topic{App: base.App, Channel: fmt.Sprint(i)})
		}()
	}
	for range count {
		require.NoError(t, <-errs)
	}
	require.Equal(t, count, r.Stats().Subscribed)
	require.Len(t, clientList(t, admin, "pubsub"), 1)
	n := infoNumber(t, admin, "commandstats", "cmdstat_ssubscribe:calls=")
	require.Less(t, n, count/2, "concurrent calls share commands")

	// All come back after a lost connection, by one new connection.
	connections := infoNumber(t, admin, "stats", "total_connections_received:")
	began := time.Now()
	require.NoError(t, admin.Do(ctx, "client", "kill", "type", "pubsub").Err())
	eventually(t, "the gap is seen", func() bool { return r.Stats().Gaps["connection"] == 1 })
	eventually(t, "all are back", func() bool { return r.Stats().Subscribed == count })
	t.Logf("%d topics: %d commands, back after %s", count, n, time.Since(began))
	require.Equal(t, connections+1, infoNumber(t, admin, "stats", "total_connections_received:"))
	last := channels.Topic{App: base.App, Channel: fmt.Sprint(count - 1)}
	require.NoError(t, r.publish(t, last, "e"))
	eventually(t, "delivered", func() bool { return len(r.names(last)) == 1 })
}

// infoNumber returns the number that follows prefix in a section of INFO.
func infoNumber(t *testing.T, admin *goredis.Client, section, prefix string) int {
	t.Helper()
	info := admin.Info(t.Context(), section).Val()
	_, text, ok := strings.Cut(info, prefix)
	require.True(t, ok, info)
	var n int
	_, err := fmt.Sscanf(text, "%d", &n)
	require.NoError(t, err)
	return n
}

// What is kept in Redis is trusted as little as what is published there.
func TestPoisonedLastEvent(t *testing.T) {
	t.Parallel()
	url := sharedURL(t)
	r := run(t, url)
	opts, err := goredis.ParseURL(url)
	require.NoError(t, err)
	attacker := goredis.NewClient(opts)
	t.Cleanup(func() { _ = attacker.Close() })
	tp := newTopic(t, "cache-poisoned")
	key, err := redis.LastKey(tp)
	require.NoError(t, err)
	good, err := redis.AppendEnvelope(nil, &channels.Event{Name: "good"})
	require.NoError(t, err)
	for i, set := range []func() error{
		func() error { return attacker.Set(t.Context(), key, "x", time.Minute).Err() },
		func() error { return attacker.Set(t.Context(), key, good, 0).Err() }, // without an end
	} {
		require.NoError(t, set())
		ev, left, err := r.Broker().Last(t.Context(), tp)
		require.NoError(t, err)
		require.Nil(t, ev)
		require.Zero(t, left)
		require.EqualValues(t, 1, r.Stats().Malformed, i)
	}
	require.NoError(t, attacker.Del(t.Context(), key).Err())
	require.NoError(t, attacker.RPush(t.Context(), key, "a list").Err())
	_, _, err = r.Broker().Last(t.Context(), tp)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	require.NoError(t, attacker.Del(t.Context(), key).Err())
}

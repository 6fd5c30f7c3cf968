package redis_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/redis"
)

// An app that publishes more than its histories may weigh loses events of the
// channels longest without one, then its oldest, and whoever resumes is told.
// Other apps lose nothing.
func TestHistoryCeiling(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	const ceiling, size = 64 << 10, 1000
	r.HoldHistories(ceiling)
	keep := channels.Retention{Max: 10_000, TTL: time.Hour}
	topic := newTopic(t, "old")
	of := func(app channels.Topic, i int) channels.Topic { // one more of the partition
		for n := 0; ; n++ {
			app.Channel = fmt.Sprint("room-", i, "-", n)
			if app.Partition() == topic.Partition() {
				return app
			}
		}
	}
	other := of(newTopic(t, ""), 0)
	publish := func(tp channels.Topic, n int) (last channels.Position) {
		for range n {
			positions, err := r.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: "e", Data: bytes.Repeat([]byte("1"), size), Keep: keep}})
			require.NoError(t, err)
			last = positions[0]
		}
		return last
	}
	read := func(tp channels.Topic) channels.Run {
		got, err := r.Broker().Read(t.Context(), tp, keep, channels.Query{Limit: 10_000})
		require.NoError(t, err)
		return got
	}
	publish(other, 20)
	publish(topic, 10)
	younger := of(topic, 1)
	publish(younger, 10)
	require.Len(t, read(topic).Events, 10)

	busy := of(topic, 2)
	publish(busy, 40)
	past := read(topic)
	require.Empty(t, past.Events, "the channel longest without an event has lost its own")
	require.EqualValues(t, 11, past.Oldest, "a resume is told that they have expired")
	require.Len(t, read(younger).Events, 10)
	require.Len(t, read(busy).Events, 40)

	last := publish(busy, 500)
	past = read(busy)
	require.Empty(t, read(younger).Events)
	require.Equal(t, last, past.Head)
	require.Greater(t, len(past.Events), ceiling*3/4/(size+200))
	require.Less(t, len(past.Events), ceiling/size)
	require.EqualValues(t, last.Offset+1-uint64(len(past.Events)), past.Oldest)
	require.Len(t, read(other).Events, 20, "another app is a stranger")

	require.EqualValues(t, 11, publish(topic, 1).Offset, "places go on")
	admin := raw(t, s.addr())
	weights := admin.HGetAll(t.Context(), redis.WeightsKey(topic)).Val()
	sum := 0
	for channel, text := range weights {
		var n int
		_, err := fmt.Sscan(text, &n)
		require.NoError(t, err)
		if channel != "" {
			sum += n
		}
	}
	require.Equal(t, fmt.Sprint(sum), weights[""])
	require.LessOrEqual(t, sum, ceiling)
}

// Channels come and go while one stays: what is noted of those that are gone
// does not pile up, and what is noted is what there is.
func TestHistoryWeightsAreForgotten(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := run(t, s.url())
	admin := raw(t, s.addr())
	stays := newTopic(t, "stays")
	short := channels.Retention{Max: 3, TTL: 50 * time.Millisecond}
	publish := func(tp channels.Topic, keep channels.Retention) {
		_, err := r.Broker().Publish(t.Context(), []channels.Event{{Topic: tp, Name: "e", Data: []byte(`""`), Keep: keep}})
		require.NoError(t, err)
	}
	for i := 0; i < 3000; i++ {
		tp := stays
		if tp.Channel = fmt.Sprint("gone-", i); tp.Partition() == stays.Partition() {
			publish(tp, short)
		}
	}
	require.Greater(t, admin.HLen(t.Context(), redis.WeightsKey(stays)).Val(), int64(10))
	eventually(t, "what is gone is not noted", func() bool {
		publish(stays, channels.Retention{Max: 3, TTL: time.Hour})
		return admin.HLen(t.Context(), redis.WeightsKey(stays)).Val() == 2
	})
	weights := admin.HGetAll(t.Context(), redis.WeightsKey(stays)).Val()
	require.Equal(t, weights["stays"], weights[""])
	keys := admin.Keys(t.Context(), "tw:{*}:y:*stays").Val()
	require.Len(t, keys, 1)
	want := 0
	for _, event := range admin.LRange(t.Context(), keys[0], 0, -1).Val() {
		want += len(event) + 64
	}
	require.Equal(t, fmt.Sprint(want), weights["stays"])
}

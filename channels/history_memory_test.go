package channels_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// 100,000 channels with history leave nothing behind when their time has passed.
func TestHistoriesLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := channels.NewMemoryBroker()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = b.Run(ctx, func(*channels.Event) error { return nil }) }()
		synctest.Wait()
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		keep := channels.Retention{Max: 100, TTL: time.Minute}
		before := heap()
		for i := range 100_000 {
			_, err := b.Publish(ctx, []channels.Event{{
				Topic: channels.Topic{App: "1", Channel: fmt.Sprint("room-", i)}, Name: "e", Data: []byte(`"some payload"`), Keep: keep,
			}})
			require.NoError(t, err)
		}
		full := heap() - before
		time.Sleep(3 * time.Minute) // of the bubble
		synctest.Wait()
		left := heap() - before
		t.Logf("100,000 histories: %d kB, afterwards %d kB", full>>10, left>>10)
		require.Greater(t, full, int64(20<<20))
		require.Less(t, left, int64(2<<20))
		cancel()
		synctest.Wait()
	})
}

// Above the ceiling of an app its histories lose events, and no other app's do.
func TestMemoryHistoryCeiling(t *testing.T) {
	t.Parallel()
	own, other := channels.Topic{App: "1", Channel: "a"}, channels.Topic{App: "2", Channel: "a"}
	b := runMemory(t, own)
	keep := channels.Retention{Max: 10_000, TTL: time.Hour}
	data := make([]byte, 64<<10)
	publish := func(tp channels.Topic) {
		_, err := b.Publish(t.Context(), []channels.Event{{Topic: tp, Name: "e", Data: data, Keep: keep}})
		require.NoError(t, err)
	}
	publish(other)
	for range channels.MaxMemoryHistoryBytes/len(data) + 100 {
		publish(own)
	}
	run, err := b.Read(t.Context(), own, keep, channels.Query{Limit: 10_000})
	require.NoError(t, err)
	require.LessOrEqual(t, len(run.Events)*len(data), channels.MaxMemoryHistoryBytes)
	require.Greater(t, len(run.Events), 1000)
	require.EqualValues(t, channels.MaxMemoryHistoryBytes/len(data)+100, run.Head.Offset)
	run, err = b.Read(t.Context(), other, keep, channels.Query{Limit: 10})
	require.NoError(t, err)
	require.Len(t, run.Events, 1)
}

func BenchmarkMemoryBrokerPublishKept(b *testing.B) {
	tp := channels.Topic{App: "1", Channel: "room"}
	broker := runMemory(b, tp)
	evs := []channels.Event{{Topic: tp, Name: "e", Data: []byte(`"x"`), Keep: channels.Retention{Max: 100, TTL: time.Hour}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := broker.Publish(context.Background(), evs); err != nil {
			b.Fatal(err)
		}
	}
}

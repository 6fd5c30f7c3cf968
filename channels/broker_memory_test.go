package channels_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

func TestMemoryBroker(t *testing.T) {
	t.Parallel()
	channelstest.TestBroker(t, func(*testing.T) channelstest.Cluster {
		return channelstest.Cluster{Nodes: []channels.Broker{channels.NewMemoryBroker()}}
	})
}

func TestMemoryBrokerRunsOnce(t *testing.T) {
	t.Parallel()
	b := channels.NewMemoryBroker()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	deliver := func(*channels.Event) error { return nil }
	require.NoError(t, b.Run(ctx, deliver))
	require.ErrorContains(t, b.Run(ctx, deliver), "called before")
}

// runMemory starts a broker that counts deliveries, subscribed to tp.
func runMemory(tb testing.TB, tp channels.Topic) *channels.MemoryBroker {
	tb.Helper()
	b := channels.NewMemoryBroker()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx, func(*channels.Event) error { return nil })
	}()
	tb.Cleanup(func() { cancel(); <-done })
	for b.Subscribe(ctx, tp) != nil {
		if tb.Context().Err() != nil {
			tb.Fatal("broker does not start")
		}
	}
	return b
}

// A publish costs the slice of positions it returns and nothing else.
func TestMemoryBrokerAllocations(t *testing.T) {
	tp := channels.Topic{App: "1", Channel: "room"}
	b := runMemory(t, tp)
	evs := []channels.Event{{Topic: tp, Name: "e", Data: []byte(`"x"`)}}
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := b.Publish(t.Context(), evs); err != nil {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, allocs, 1.0)
}

func BenchmarkMemoryBrokerPublish(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			tp := channels.Topic{App: "1", Channel: "room"}
			broker := runMemory(b, tp)
			evs := make([]channels.Event, size)
			for i := range evs {
				evs[i] = channels.Event{Topic: tp, Name: "e", Data: []byte(`"x"`)}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := broker.Publish(context.Background(), evs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

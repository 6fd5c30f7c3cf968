package channels_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

// outage is a presence engine that can be away, and notes what it was told of one
// channel.
type outage struct {
	channels.Presence
	mu   sync.Mutex
	away bool
	told []int
	hold chan struct{} // if there is one, nothing is taken before it is closed
}

func (o *outage) SetCount(ctx context.Context, t channels.Topic, local int, announce bool) (int, error) {
	if o.hold != nil {
		<-o.hold
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		return 0, errors.New("away")
	}
	if t.Channel == "orders" {
		o.told = append(o.told, local)
	}
	return o.Presence.SetCount(ctx, t, local, announce)
}

// Who comes and goes while the engine is away was there: the outside learns of
// both when the engine is back.
func TestComingAndGoingDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := channels.NewMemoryBroker()
		o := &outage{Presence: channels.NewMemoryPresence(broker), away: true}
		hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: o, CountInterval: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		synctest.Wait()

		c := channelstest.Connect(t, hub, meteredApp("7", "tn"))
		c.Send("pusher:subscribe", "", map[string]string{"channel": "orders"})
		require.Equal(t, "pusher_internal:subscription_succeeded", c.Next().Event)
		c.Disconnect()
		time.Sleep(3 * time.Second) // of the test's own clock
		o.mu.Lock()
		require.Empty(t, o.told)
		o.away = false
		o.mu.Unlock()
		time.Sleep(3 * time.Second)
		o.mu.Lock()
		require.Equal(t, []int{1, 0}, slices.Clone(o.told))
		o.mu.Unlock()
		cancel()
		require.NoError(t, <-done)
	})
}

// A client is told that it is on a channel when the engine knows, not before: a
// node killed in between would leave somebody on a channel of whom nobody was told.
func TestCountedBeforeTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := channels.NewMemoryBroker()
		o := &outage{Presence: channels.NewMemoryPresence(broker), hold: make(chan struct{})}
		hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: o, CountInterval: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		synctest.Wait()

		c := channelstest.Connect(t, hub, meteredApp("7", "tn"))
		first := make(chan channelstest.Frame, 1)
		go func() { first <- c.Next() }()
		go c.Send("pusher:subscribe", "", map[string]string{"channel": "orders"})
		synctest.Wait()
		require.Empty(t, first)
		close(o.hold)
		require.Equal(t, "pusher_internal:subscription_succeeded", (<-first).Event)
		synctest.Wait()
		o.mu.Lock()
		require.Equal(t, []int{1}, slices.Clone(o.told))
		o.mu.Unlock()
		c.Disconnect()
		cancel()
		require.NoError(t, <-done)
	})
}

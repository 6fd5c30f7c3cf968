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
}

func (o *outage) SetCount(ctx context.Context, t channels.Topic, local int, announce bool) (int, error) {
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

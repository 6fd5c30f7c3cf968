package channels_test

import (
	"testing"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

func TestMemoryPresence(t *testing.T) {
	t.Parallel()
	channelstest.TestPresence(t, func(*testing.T) []channelstest.Engines {
		broker := channels.NewMemoryBroker()
		return []channelstest.Engines{{Broker: broker, Presence: channels.NewMemoryPresence(broker)}}
	})
}

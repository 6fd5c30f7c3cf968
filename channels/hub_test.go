package channels_test

import (
	"testing"

	"tidewire/channels"
	"tidewire/channels/channelstest"
)

func TestHubOnMemory(t *testing.T) {
	t.Parallel()
	channelstest.TestHub(t, func(*testing.T) []channelstest.Engines {
		broker := channels.NewMemoryBroker()
		return []channelstest.Engines{{Broker: broker, Presence: channels.NewMemoryPresence(broker)}}
	})
}

func BenchmarkResume(b *testing.B) {
	broker := channels.NewMemoryBroker()
	channelstest.BenchmarkResume(b, channelstest.Engines{Broker: broker, Presence: channels.NewMemoryPresence(broker)})
}

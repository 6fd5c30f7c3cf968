package channels

import (
	"hash/fnv"

	"tidewire/tenants"
)

// Partitions is the fixed number of parts topics are spread over. Every Redis
// key of a topic carries its partition as hash tag, so the number can never
// change while data lives.
const Partitions = 64

// Topic is one channel of one app.
type Topic struct {
	App     tenants.AppID
	Channel string
}

// Partition returns the topic's partition, 0 ≤ p < [Partitions]. It is the same
// on every node and in every version.
func (t Topic) Partition() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.App))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(t.Channel))
	return int(h.Sum32() % Partitions)
}

// SocketID names one connection, as "digits.digits". It is unique over nodes
// and restarts: channel authorizations are bound to it and never expire.
type SocketID string

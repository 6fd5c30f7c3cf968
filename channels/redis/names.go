package redis

import (
	"fmt"
	"strconv"
	"strings"

	"tidewire/channels"
	"tidewire/tenants"
)

// What a name is used for. Names of one partition share its hash tag, so that
// they lie in one slot.
const (
	useEvents    = "e" // of a topic: its shard channel
	useLast      = "l" // of a topic: the last event, if kept
	usePlace     = "p" // of a topic: where its history ends
	useHistory   = "y" // of a topic: the events of its history
	useWeights   = "w" // of an app: what its histories weigh, by channel
	useCounts    = "c" // of a topic: subscriptions by node
	useMembers   = "m" // of a topic: users, the nodes they are on, their info
	useSeq       = "s" // of a topic: the number of the last change of its members
	useOccupied  = "o" // of an app: subscriptions by channel
	usePopulated = "u" // of an app: users by channel
	useHeld      = "h" // of a node: the topics it has a part in
	useNodes     = "n" // of the partition: the nodes and their leases
	useChanges   = "x" // of the partition: the log of changes
	useFollower  = "f" // of the partition: the node that reads that log
)

// shardChannel is where a topic's events are published.
func shardChannel(t channels.Topic) (string, error) { return name(t, useEvents) }

// lastKey is where a topic's last event is kept.
func lastKey(t channels.Topic) (string, error) { return name(t, useLast) }

// name is the one place that makes a Redis name of a topic. App ids are digits,
// so the last colon before the channel is unambiguous whatever that is called.
func name(t channels.Topic, use string) (string, error) {
	if err := checkApp(t.App); err != nil {
		return "", err
	}
	return partitionName(t.Partition(), use) + ":" + topicName(t), nil
}

// partitionName is a name that belongs to a whole partition.
func partitionName(partition int, use string) string {
	return "tw:{" + strconv.Itoa(partition) + "}:" + use
}

// topicName names a topic inside of its partition.
func topicName(t channels.Topic) string { return string(t.App) + ":" + t.Channel }

// topicNamed is the reverse of topicName, for what is read from Redis. It
// reports false for what is not the name of a topic of that partition.
func topicNamed(s string, partition int) (channels.Topic, bool) {
	app, channel, ok := strings.Cut(s, ":")
	t := channels.Topic{App: tenants.AppID(app), Channel: channel}
	return t, ok && checkApp(t.App) == nil && t.Partition() == partition
}

func checkApp(id tenants.AppID) error {
	if id == "" || strings.ContainsFunc(string(id), func(r rune) bool { return r < '0' || r > '9' }) {
		return fmt.Errorf("app id %q is not a number", id)
	}
	return nil
}

// Places in what stateKeys returns.
const (
	keyOccupied  = 3
	keyPopulated = 4
)

// stateKeys are the keys of the scripts on one topic, in the order in which
// lua/state.lua names them.
func stateKeys(t channels.Topic, node string) ([]string, error) {
	if err := checkApp(t.App); err != nil {
		return nil, err
	}
	p, app, topic := t.Partition(), ":"+string(t.App), ":"+topicName(t)
	return []string{
		partitionName(p, useNodes),
		partitionName(p, useCounts) + topic,
		partitionName(p, useMembers) + topic,
		partitionName(p, useOccupied) + app,
		partitionName(p, usePopulated) + app,
		heldKey(p, node),
		partitionName(p, useSeq) + topic,
		partitionName(p, useEvents) + topic,
		partitionName(p, useChanges),
	}, nil
}

// heldKey is the index of what a node has a part in.
func heldKey(partition int, node string) string {
	return partitionName(partition, useHeld) + ":" + node
}

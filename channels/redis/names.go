package redis

import (
	"fmt"
	"strconv"
	"strings"

	"tidewire/channels"
)

// shardChannel is where a topic's events are published.
func shardChannel(t channels.Topic) (string, error) { return name(t, "e") }

// lastKey is where a topic's last event is kept.
func lastKey(t channels.Topic) (string, error) { return name(t, "l") }

// name is the one place that makes a Redis name of a topic. App ids are digits,
// so the last colon before the channel is unambiguous whatever that is called.
func name(t channels.Topic, use string) (string, error) {
	if t.App == "" || strings.ContainsFunc(string(t.App), func(r rune) bool { return r < '0' || r > '9' }) {
		return "", fmt.Errorf("app id %q is not a number", t.App)
	}
	return "tw:{" + strconv.Itoa(t.Partition()) + "}:" + use + ":" + string(t.App) + ":" + t.Channel, nil
}

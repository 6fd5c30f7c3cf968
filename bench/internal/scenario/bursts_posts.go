//go:build linux

package scenario

import (
	"tidewire/bench/internal/contender"
)

// burstsPosts is the same burst from a backend that does not batch: ten
// connections that send one event each at the same moment.
func burstsPosts() Scenario {
	const together = 10
	t := traffic{apps: 1, channels: 1, listeners: 1000, publishers: together, rate: 20 * together, together: together}
	return Scenario{
		Name:       "bursts-posts",
		About:      "the same from 10 connections at once, one signed publish each, 20 times a second",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1, Buffer: naiveBuffer},
		Metrics:    paced(),
		Run:        t.run,
	}
}

//go:build linux

package scenario

import (
	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// saturated publishes as fast as the server answers, with a bound on what may be
// under way, so that nobody wins by letting a queue grow.
func saturated() Scenario {
	t := traffic{apps: 1, channels: 1, listeners: 1000, publishers: 4, waiting: 64}
	return Scenario{
		Name:       "saturated",
		About:      "1 channel x 1,000 subscribers x 200 B, 4 publishers as fast as they are answered, at most 64 events outstanding; latency is queue depth",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1, Buffer: naiveBuffer},
		Metrics:    perDelivery(),
		Goals: []report.Goal{
			{Metric: perM, Of: contender.Naive, Against: contender.Tidewire, AtLeast: 3},
		},
		Run: t.run,
	}
}

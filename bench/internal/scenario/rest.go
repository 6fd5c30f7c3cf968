//go:build linux

package scenario

import (
	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// rest publishes to channels nobody listens to: what is left is the HTTP API.
func rest() Scenario {
	t := traffic{apps: 1, channels: 4, publishers: 4, waiting: 1}
	const metric = "cpu_s_per_100k_publishes"
	return Scenario{
		Name:       "rest",
		About:      "4 publishers of signed requests to nobody, as fast as they are answered",
		Contenders: []string{contender.Tidewire, contender.Handler},
		Options:    contender.Options{Apps: 1},
		Metrics: []report.Metric{
			{Name: metric, Unit: "s", Digits: 2, Compare: true},
			{Name: "publishes_per_s", Unit: "1/s"},
			{Name: "cores_used", Unit: "cores", Digits: 2},
			{Name: "refused", Unit: "requests"},
		},
		Goals: []report.Goal{
			{Metric: metric, Of: contender.Tidewire, Against: contender.Handler, AtMost: 1.5},
		},
		Run: t.run,
	}
}

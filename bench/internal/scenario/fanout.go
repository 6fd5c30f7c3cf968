//go:build linux

package scenario

import (
	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// everyone is who takes part in a scenario with subscribers.
func everyone() []string {
	return []string{contender.Tidewire, contender.Naive, contender.Floor}
}

const perM = "cpu_s_per_m_deliveries"

// paced are the metrics of a run with a schedule.
func paced() []report.Metric {
	return append(perDelivery(),
		report.Metric{Name: "unsent", Unit: "requests"},
		report.Metric{Name: "send_lag_p99_ms", Unit: "ms", Digits: 1})
}

// fanout is the hard case: one wide channel and a rate at which there is
// nothing to coalesce.
func fanout() Scenario {
	t := traffic{apps: 1, channels: 1, listeners: 1000, publishers: 4, rate: 100}
	return Scenario{
		Name:       "fanout-rate",
		About:      "1 channel x 1,000 subscribers x 200 B, 100 signed publishes/s",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1, Buffer: naiveBuffer},
		Metrics:    paced(),
		Goals: []report.Goal{
			{Metric: perM, Of: contender.Tidewire, Against: contender.Floor, AtMost: 1.25},
			{Metric: perM, Of: contender.Tidewire, Against: contender.Naive, AtMost: 0.75},
			{Metric: "p99_ms", Of: contender.Tidewire, Against: contender.Floor, AtMost: 1.3},
		},
		Run: t.run,
	}
}

// bursts sends ten events at once by the request made for that.
func bursts() Scenario {
	t := traffic{apps: 1, channels: 1, listeners: 1000, publishers: 2, batch: 10, rate: 20}
	return Scenario{
		Name:       "bursts",
		About:      "1 channel x 1,000 subscribers x 200 B, 20 times a second a batch_events of 10",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1, Buffer: naiveBuffer},
		Metrics:    paced(),
		Goals: []report.Goal{
			{Metric: perM, Of: contender.Naive, Against: contender.Tidewire, AtLeast: 5},
		},
		Run: t.run,
	}
}

//go:build linux

package scenario

import (
	"context"
	"fmt"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// pairs is how often a ratio is taken within a run.
const pairs = 10

// clientEventsWebhook compares client events of which a webhook is told with such
// of which none is, in pairs.
func clientEventsWebhook(name string, r rooms) Scenario {
	const ratio = "on_to_off"
	return Scenario{
		Name: name,
		About: fmt.Sprintf("%d private channels x %d members, each of whom sends %d client events of 200 B a second: an app without webhooks (off) and one whose client_event webhook is told of them (on), in turn, %d times",
			r.channels, r.members, r.rate/r.channels/r.members, pairs),
		Contenders: []string{contender.Tidewire},
		Options:    contender.Options{Apps: 2, Webhooks: true},
		Metrics: append([]report.Metric{
			{Name: ratio, Unit: "1", Digits: 2},
			{Name: ratio + "_low", Unit: "1", Digits: 2},
			{Name: ratio + "_high", Unit: "1", Digits: 2},
		}, perEvent()...),
		Goals: []report.Goal{{Metric: ratio, Of: contender.Tidewire, AtMost: 1.15}},
		Once:  true,
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			h, err := r.open(ctx, e)
			if err != nil {
				return nil, err
			}
			defer h.close()
			n := pairs
			if e.Quick {
				n = 2
			}
			var sum [2]side
			ratios := make([]float64, n)
			for i := range ratios {
				var pair [2]side
				for _, which := range []int{i % 2, 1 - i%2} { // neither is always the first
					if pair[which], err = h.measure(ctx, e, which); err != nil {
						return nil, err
					}
					sum[which].add(&pair[which])
				}
				ratios[i] = pair[on].cpu.Seconds() / pair[off].cpu.Seconds()
			}
			f := figuresOf(&sum)
			f[ratio], f[ratio+"_low"], f[ratio+"_high"] = report.Interval(ratios)
			return f, nil
		},
	}
}

//go:build linux

package scenario

import (
	"context"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// webhooksDeliveries is what webhooks cost that carry as many events as they may,
// on one node, in memory or with a Redis.
func webhooksDeliveries(nodes int) Scenario {
	name, about := "webhooks-deliveries", "in memory"
	if nodes > 0 {
		name, about = "webhooks-deliveries-redis", "with Redis"
	}
	s := deliveries(rooms{channels: 200, members: 2, rate: 2000})
	s.Name, s.Options = name, contender.Options{Apps: 2, Webhooks: true, Nodes: nodes}
	s.About = "2,000 client events of 200 B a second in 200 private channels of 2, without webhooks (off), then told to one endpoint in batches, as is the default (on), " + about
	return s
}

// webhooksSingly is what webhooks cost that carry one event each.
func webhooksSingly() Scenario {
	s := deliveries(rooms{channels: 100, members: 2, rate: 400})
	s.Name, s.Options = "webhooks-singly", contender.Options{Apps: 2, Webhooks: true, Singly: true}
	s.About = "400 client events of 200 B a second in 100 private channels of 2, without webhooks (off), then each told to one endpoint in a request of its own (on)"
	return s
}

func deliveries(r rooms) Scenario {
	return Scenario{
		Contenders: []string{contender.Tidewire},
		Metrics: append([]report.Metric{
			{Name: "deliveries_per_cpu_s", Unit: "1/s"},
			{Name: "cpu_s_per_1000_deliveries", Unit: "s", Digits: 2},
			{Name: "webhooks_share", Unit: "1", Digits: 2},
			{Name: "events_per_delivery", Unit: "1", Digits: 1},
		}, perEvent()...),
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			h, err := r.open(ctx, e)
			if err != nil {
				return nil, err
			}
			defer h.close()
			var sides [2]side
			for which := range sides {
				if sides[which], err = h.measure(ctx, e, which); err != nil {
					return nil, err
				}
			}
			all, told := sides[on].cpu.Seconds(), float64(sides[on].told.Requests)
			f := figuresOf(&sides)
			f["deliveries_per_cpu_s"] = told / all
			f["cpu_s_per_1000_deliveries"] = all / told * 1000
			f["webhooks_share"] = (all - sides[off].cpu.Seconds()) / all
			f["events_per_delivery"] = float64(sides[on].told.Events) / told
			return f, nil
		},
	}
}

//go:build linux

package scenario

import (
	"context"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// kept compares publishing to channels that keep their events with publishing
// to such that do not, on one node, in memory or with a Redis.
func kept(nodes int) Scenario {
	name, about := "history", "in memory"
	metrics := []report.Metric{
		{Name: "on_to_off", Unit: "1", Digits: 2},
		{Name: "off_cpu_s_per_100k_publishes", Unit: "s", Digits: 2},
		{Name: "on_cpu_s_per_100k_publishes", Unit: "s", Digits: 2},
		{Name: "off_publishes_per_s", Unit: "1/s"},
		{Name: "on_publishes_per_s", Unit: "1/s"},
	}
	if nodes > 0 {
		name, about = "history-redis", "with Redis"
		metrics = append(metrics,
			report.Metric{Name: "off_redis_cpu_s_per_100k_publishes", Unit: "s", Digits: 2},
			report.Metric{Name: "on_redis_cpu_s_per_100k_publishes", Unit: "s", Digits: 2})
	}
	return Scenario{
		Name:       name,
		About:      "4 publishers to nobody as fast as they are answered, 200 B, to 4 channels that keep nothing (off) and 4 that keep 1,000 events (on), " + about,
		Contenders: []string{contender.Tidewire},
		Options:    contender.Options{Apps: 1, Nodes: nodes, History: true},
		Metrics:    metrics,
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			f := make(map[string]float64)
			for _, prefix := range []string{"off_", "on_"} {
				got, err := traffic{apps: 1, channels: 4, publishers: 4, waiting: 1, kept: prefix == "on_"}.run(ctx, e)
				if err != nil {
					return nil, err
				}
				for name, v := range got {
					f[prefix+name] = v
				}
			}
			f["on_to_off"] = f["on_cpu_s_per_100k_publishes"] / f["off_cpu_s_per_100k_publishes"]
			return f, nil
		},
	}
}

//go:build linux

package scenario

import (
	"context"
	"fmt"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/load"
	"tidewire/bench/internal/report"
)

// storm is everyone coming at once: connect, greeting, one subscribe.
func storm() Scenario {
	const metric = "conns_per_cpu_s"
	return Scenario{
		Name:       "storm",
		About:      "5,000 connections with one public subscribe each, 128 on the way at a time",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1},
		Metrics: []report.Metric{
			{Name: metric, Unit: "1/s", Compare: true},
			{Name: "cpu_us_per_conn", Unit: "us"},
			{Name: "conns_per_s", Unit: "1/s"},
			{Name: "cores_used", Unit: "cores", Digits: 2},
		},
		Goals: []report.Goal{
			{Metric: metric, Of: contender.Tidewire, Against: contender.Naive, AtLeast: 1.2},
		},
		Run: runStorm,
	}
}

func runStorm(ctx context.Context, e Env) (map[string]float64, error) {
	loop, err := load.NewLoop(e.Server.Addr, inFlight)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	if err := loop.Open(ctx, stormSubs(e.scale(500), 0)); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	n := e.scale(5000)
	subs := stormSubs(n, 1)
	m, err := e.meter()
	if err != nil {
		return nil, err
	}
	if err := loop.Open(ctx, subs); err != nil {
		return nil, err
	}
	cpu, wall, err := m.stop()
	if err != nil {
		return nil, err
	}
	return map[string]float64{
		"conns_per_cpu_s": float64(n) / cpu.Seconds(),
		"cpu_us_per_conn": cpu.Seconds() / float64(n) * 1e6,
		"conns_per_s":     float64(n) / wall.Seconds(),
		"cores_used":      cpu.Seconds() / wall.Seconds(),
	}, nil
}

// stormSubs spreads n clients over channels of ten.
func stormSubs(n, wave int) []load.Subscription {
	subs := make([]load.Subscription, n)
	for i := range subs {
		subs[i] = load.Subscription{App: app(), Channel: fmt.Sprintf("storm-%d-%d", wave, i/10)}
	}
	return subs
}

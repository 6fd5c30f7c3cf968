//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/load"
	"tidewire/bench/internal/report"
)

const (
	resumers = 5000
	// missed is how many events each of them has to be sent.
	missed = 100
	// perChannel is how many of them share a channel.
	perChannel = 100
)

// resume is everyone coming back at once after missing some events.
func resume(nodes int) Scenario {
	name, about := "resume", "in memory"
	if nodes > 0 {
		name, about = "resume-redis", "with Redis"
	}
	return Scenario{
		Name:       name,
		About:      fmt.Sprintf("5,000 clients on channels of %d come back and are sent the %d events of 200 B that they missed, 128 on the way at a time, %s", perChannel, missed, about),
		Contenders: []string{contender.Tidewire},
		Options:    contender.Options{Apps: 1, Nodes: nodes, History: true},
		Metrics: []report.Metric{
			{Name: "cpu_us_per_event", Unit: "us", Digits: 2},
			{Name: "cpu_us_per_resume", Unit: "us"},
			{Name: "cpu_us_per_empty_resume", Unit: "us"},
			{Name: "all_back_s", Unit: "s", Digits: 2},
			{Name: "events_per_s", Unit: "1/s"},
			{Name: "cores_used", Unit: "cores", Digits: 2},
			{Name: "lost", Unit: "events"},
			{Name: "gaps", Unit: "events"},
			{Name: "repeats", Unit: "events"},
		},
		Run: runResume,
	}
}

func runResume(ctx context.Context, e Env) (map[string]float64, error) {
	n := e.scale(resumers)
	serials, err := standing(ctx, e, (n+perChannel-1)/perChannel)
	if err != nil {
		return nil, err
	}
	empty, err := comeBack(ctx, e, n, 0, serials)
	if err != nil {
		return nil, err
	}
	if err := publishMissed(ctx, e, len(serials)); err != nil {
		return nil, err
	}
	full, err := comeBack(ctx, e, n, missed, serials)
	if err != nil {
		return nil, err
	}
	events := float64(n * missed)
	return map[string]float64{
		"cpu_us_per_event":        (full.cpu - empty.cpu).Seconds() / events * 1e6,
		"cpu_us_per_resume":       full.cpu.Seconds() / float64(n) * 1e6,
		"cpu_us_per_empty_resume": empty.cpu.Seconds() / float64(n) * 1e6,
		"all_back_s":              full.wall.Seconds(),
		"events_per_s":            events / full.wall.Seconds(),
		"cores_used":              full.cpu.Seconds() / full.wall.Seconds(),
		"lost":                    events - float64(full.stats.Received),
		"gaps":                    float64(full.stats.Gaps),
		"repeats":                 float64(full.stats.Repeats),
	}, nil
}

func resumedChannel(i int) string { return fmt.Sprintf("kept-%d", i) }

// standing returns where the history of each channel stands.
func standing(ctx context.Context, e Env, channels int) ([]string, error) {
	loop, err := load.NewLoop(e.Server.Addr, inFlight)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	subs := make([]load.Subscription, channels)
	for i := range subs {
		subs[i] = load.Subscription{App: app(), Channel: resumedChannel(i), Serials: true}
	}
	if err := loop.Open(ctx, subs); err != nil {
		return nil, err
	}
	serials := make([]string, channels)
	for i := range subs {
		serials[i] = subs[i].Serial
	}
	return serials, nil
}

// publishMissed publishes what is missed on each channel, in batches of ten.
func publishMissed(ctx context.Context, e Env, channels int) error {
	var targets []load.Target
	for i := range channels {
		targets = append(targets, load.Target{App: app(), Channel: resumedChannel(i)})
	}
	const batch = 10
	group, err := load.NewGroup(ctx, e.Server.Addr, 1, targets, load.Shape{Bytes: eventBytes, Batch: batch})
	if err != nil {
		return err
	}
	defer group.Close()
	requests := channels * missed / batch
	const rate = 2000
	sent, err := group.Paced(ctx, rate, 1, time.Duration(requests)*time.Second/rate)
	if err != nil {
		return err
	}
	if int(sent.Events) != channels*missed {
		return errors.New("what is to be missed could not be published")
	}
	return nil
}

// cameBack is what it took until all were back and had what they missed.
type cameBack struct {
	cpu, wall time.Duration
	stats     load.Stats
}

func comeBack(ctx context.Context, e Env, n, each int, serials []string) (b cameBack, err error) {
	loop, err := load.NewLoop(e.Server.Addr, inFlight)
	if err != nil {
		return b, err
	}
	defer loop.Close()
	subs := make([]load.Subscription, n)
	for i := range subs {
		c := i % len(serials)
		subs[i] = load.Subscription{App: app(), Channel: resumedChannel(c), Serials: true, Resume: serials[c]}
	}
	m, err := e.meter()
	if err != nil {
		return b, err
	}
	if err := loop.Open(ctx, subs); err != nil {
		return b, err
	}
	loop.Drain(ctx, int64(n*each), patience)
	if b.cpu, b.wall, err = m.stop(); err != nil {
		return b, err
	}
	b.stats = loop.Stats()
	return b, nil
}

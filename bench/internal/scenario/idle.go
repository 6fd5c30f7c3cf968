//go:build linux

package scenario

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/load"
	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/report"
)

// idleClients is how many connections sit there.
const idleClients = 10000

// idle is what a connection costs that does nothing. All of them listen to one
// private channel, so that it is the connection that is weighed.
func idle() Scenario {
	return Scenario{
		Name:       "idle",
		About:      "10,000 connections, each subscribed to the same private channel, then silence; naive and floor check no auth and are told to give free memory back",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1},
		Metrics:    idleMetrics(),
		Goals: []report.Goal{
			{Metric: "rss_bytes_per_conn", Of: contender.Tidewire, AtMost: 11500},
		},
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			return runIdle(ctx, e, func(int) string { return "private-idle" })
		},
	}
}

// idleOwn gives each connection a public channel of its own: the difference to
// idle is what a channel costs, less what an authorization leaves behind.
func idleOwn() Scenario {
	return Scenario{
		Name:       "idle-own",
		About:      "10,000 connections, each subscribed to a public channel of its own, then silence",
		Contenders: []string{contender.Tidewire, contender.Naive},
		Options:    contender.Options{Apps: 1},
		Metrics:    idleMetrics(),
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			return runIdle(ctx, e, func(i int) string { return fmt.Sprintf("idle-%d", i) })
		},
	}
}

func idleMetrics() []report.Metric {
	return []report.Metric{
		{Name: "rss_bytes_per_conn", Unit: "B", Compare: true},
		{Name: "rss_start_mb", Unit: "MB", Digits: 1},
		{Name: "rss_mb", Unit: "MB", Digits: 1},
		{Name: "settled_after_s", Unit: "s", Digits: 1},
	}
}

func runIdle(ctx context.Context, e Env, channel func(int) string) (map[string]float64, error) {
	before, err := proc.RSS(e.Server.PID)
	if err != nil {
		return nil, err
	}
	loop, err := load.NewLoop(e.Server.Addr, inFlight)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	subs := make([]load.Subscription, idleClients)
	for i := range subs {
		subs[i] = load.Subscription{App: app(), Channel: channel(i)}
	}
	if err := loop.Open(ctx, subs); err != nil {
		return nil, err
	}
	if e.Contender != contender.Tidewire { // which has to see to its memory itself
		if err := e.Server.Signal(syscall.SIGUSR1); err != nil {
			return nil, fmt.Errorf("ask the server to free its memory: %w", err)
		}
	}
	after, took, err := settle(ctx, e.Server.PID)
	if err != nil {
		return nil, err
	}
	if n := loop.Ready(); n != idleClients {
		stats := loop.Stats()
		return nil, fmt.Errorf("%d of %d connections are left, the first to go: %w", n, idleClients, stats.FirstErr)
	}
	return map[string]float64{
		"rss_bytes_per_conn": float64(after-before) / idleClients,
		"rss_start_mb":       float64(before) / (1 << 20),
		"rss_mb":             float64(after) / (1 << 20),
		"settled_after_s":    took.Seconds(),
	}, nil
}

const (
	calm    = 7 * time.Second  // unchanged for so long is settled
	tooLong = 30 * time.Second // taken as it is after so long
)

// settle waits until the memory of pid has stayed within 1 % for a while, and
// returns it with the time after which it changed no more.
func settle(ctx context.Context, pid int) (rss int64, after time.Duration, err error) {
	start := time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for level := int64(0); ; {
		rss, err = proc.RSS(pid)
		if err != nil {
			return 0, 0, err
		}
		if d := rss - level; max(d, -d) > level/100 {
			level, after = rss, time.Since(start)
		}
		if since := time.Since(start); since-after >= calm || since >= tooLong {
			return rss, after, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
}

//go:build linux

package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/load"
	"tidewire/bench/internal/report"
)

const (
	presenceChannel = "presence-room"
	// churners join and leave at the same time.
	churners = 4
)

// presence is users coming to and going from a channel with so many members,
// each of whom is told of every one.
func presence(members int) Scenario {
	name := fmt.Sprintf("presence-%d", members)
	return Scenario{
		Name:       name,
		About:      fmt.Sprintf("%d members of one presence channel, %d more joining and leaving as fast as they are let in", members, churners),
		Contenders: []string{contender.Tidewire},
		Options:    contender.Options{Apps: 1},
		Metrics: []report.Metric{
			{Name: "cpu_ms_per_pair", Unit: "ms", Digits: 3},
			{Name: "cpu_us_per_change_told", Unit: "us", Digits: 2},
			{Name: "pairs_per_s", Unit: "1/s"},
			{Name: "cores_used", Unit: "cores", Digits: 2},
			{Name: "lost", Unit: "changes"},
		},
		Run: func(ctx context.Context, e Env) (map[string]float64, error) { return runPresence(ctx, e, members) },
	}
}

func runPresence(ctx context.Context, e Env, n int) (map[string]float64, error) {
	var all []*load.Member
	defer func() {
		for _, m := range all {
			m.Close()
		}
	}()
	for i := range n + churners {
		m, err := load.NewMember(ctx, e.Server.Addr, app(), i, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if i < n {
			if err := m.Join(ctx, presenceChannel); err != nil {
				return nil, err
			}
		}
	}
	members, coming := all[:n], all[n:]
	heard := func() (sum int64) {
		for _, m := range members {
			sum += m.Changes()
		}
		return sum
	}
	if err := await(ctx, heard, int64(n)*int64(n-1)/2); err != nil {
		return nil, err
	}
	before := heard()
	meter, err := e.meter()
	if err != nil {
		return nil, err
	}
	pairs, err := churn(ctx, coming, e.length())
	if err != nil {
		return nil, err
	}
	want := before + int64(pairs)*2*int64(n)
	lost := await(ctx, heard, want)
	cpu, wall, err := meter.stop()
	if err != nil {
		return nil, err
	}
	if lost != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return map[string]float64{
		"cpu_ms_per_pair":        cpu.Seconds() * 1000 / float64(pairs),
		"cpu_us_per_change_told": cpu.Seconds() * 1e6 / float64(heard()-before),
		"pairs_per_s":            float64(pairs) / wall.Seconds(),
		"cores_used":             cpu.Seconds() / wall.Seconds(),
		"lost":                   float64(want - heard()),
	}, nil
}

// await waits until heard has reached want; an error says that it did not.
func await(ctx context.Context, heard func() int64, want int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for heard() < want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d changes arrived: %w", heard(), want, ctx.Err())
		}
	}
	return nil
}

// churn lets everybody join and leave for d and returns how many pairs that made.
func churn(ctx context.Context, coming []*load.Member, d time.Duration) (pairs int, err error) {
	end := time.Now().Add(d)
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for _, m := range coming {
		wg.Go(func() {
			n, failure := joinAndLeave(ctx, m, end)
			mu.Lock()
			defer mu.Unlock()
			pairs += n
			if failure != nil {
				err = failure
			}
		})
	}
	wg.Wait()
	return pairs, err
}

func joinAndLeave(ctx context.Context, m *load.Member, end time.Time) (pairs int, err error) {
	for time.Now().Before(end) {
		if err := m.Join(ctx, presenceChannel); err != nil {
			return pairs, err
		}
		if err := m.Leave(presenceChannel); err != nil {
			return pairs, err
		}
		pairs++
	}
	return pairs, nil
}

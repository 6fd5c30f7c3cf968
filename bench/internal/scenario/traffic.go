//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidewire/bench/internal/load"
	"tidewire/bench/internal/pusher"
	"tidewire/bench/internal/report"
)

const (
	// inFlight is how many clients connect at the same time.
	inFlight = 128
	// eventBytes is the size of an event's data, everywhere.
	eventBytes = 200
	// naiveBuffer is deep enough that melody drops nothing while it is loaded.
	naiveBuffer = 4096
	// patience is how long the last deliveries may stay away before they count as lost.
	patience = 2 * time.Second
)

// traffic is what the publishing scenarios have in common: subscribers that
// wait, publishers that publish, and the count of what arrived.
type traffic struct {
	apps      int // each with the channels below
	channels  int
	listeners int  // per channel, each a connection of its own
	kept      bool // the channels keep their events

	publishers int
	batch      int  // events per request; 0 = one, to /events
	rate       int  // requests per second; 0 = as fast as answers come
	together   int  // requests that are due at the same moment; 0 = one
	waiting    int  // closed loop only: deliveries per listener of a channel that may be outstanding
	across     bool // the listeners are on the second node, the publishers on the first
}

func (t traffic) targets() (targets []load.Target, subs []load.Subscription) {
	for _, a := range pusher.Apps(t.apps) {
		for c := range t.channels {
			name := fmt.Sprintf("room-%d", c)
			if t.kept {
				name = fmt.Sprintf("kept-%d", c)
			}
			targets = append(targets, load.Target{App: a, Channel: name, Listeners: t.listeners})
			for range t.listeners {
				subs = append(subs, load.Subscription{App: a, Channel: name})
			}
		}
	}
	return targets, subs
}

// run is one run against one server.
func (t traffic) run(ctx context.Context, e Env) (map[string]float64, error) {
	targets, subs := t.targets()
	listenAt := e.Server.Addr
	if t.across {
		listenAt = e.Server.Second.Addr
	}
	loop, err := load.NewLoop(listenAt, inFlight)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	if err := loop.Open(ctx, subs); err != nil {
		return nil, err
	}
	group, err := load.NewGroup(ctx, e.Server.Addr, t.publishers, targets, load.Shape{Bytes: eventBytes, Batch: t.batch})
	if err != nil {
		return nil, err
	}
	defer group.Close()

	if _, err := t.publish(ctx, group, loop, e.length()/5); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	loop.Drain(ctx, group.Expected(), patience)
	loop.Reset()

	m, err := e.meter()
	if err != nil {
		return nil, err
	}
	sent, err := t.publish(ctx, group, loop, e.length())
	if err != nil {
		return nil, err
	}
	loop.Drain(ctx, sent.Deliveries, patience)
	cpu, wall, err := m.stop()
	if err != nil {
		return nil, err
	}
	stats := loop.Stats()
	f, err := figures(sent, &stats, cpu, wall)
	if err == nil && m.redis != nil {
		f["redis_cpu_s_per_100k_publishes"] = m.redisUsed.Seconds() / float64(sent.Events) * 1e5
	}
	return f, err
}

func (t traffic) publish(ctx context.Context, g *load.Group, l *load.Loop, d time.Duration) (*load.Sent, error) {
	if t.rate > 0 {
		return g.Paced(ctx, t.rate, max(t.together, 1), d)
	}
	// With many channels the publishers' own turns bound what is outstanding per
	// channel; the sum is bounded as if all of it were in as many as there are publishers.
	limit := int64(t.waiting * t.listeners * min(t.publishers, t.apps*t.channels))
	return g.Closed(ctx, d, limit, l.Received)
}

func figures(sent *load.Sent, got *load.Stats, cpu, wall time.Duration) (map[string]float64, error) {
	if sent.Requests == 0 {
		return nil, errors.New("nothing was published")
	}
	f := map[string]float64{
		"publishes_per_s":          float64(sent.Events) / sent.Elapsed.Seconds(),
		"cpu_s_per_100k_publishes": cpu.Seconds() / float64(sent.Events) * 1e5,
		"cores_used":               cpu.Seconds() / wall.Seconds(),
		"send_lag_p99_ms":          ms(sent.Lag.Quantile(0.99)),
		"unsent":                   float64(sent.Unsent),
		"refused":                  float64(sent.Refused),
	}
	if sent.Deliveries == 0 {
		return f, nil
	}
	if got.Received == 0 {
		return nil, errors.New("nothing arrived")
	}
	f["deliveries_per_s"] = float64(got.Received) / wall.Seconds()
	f["cpu_s_per_m_deliveries"] = cpu.Seconds() / float64(got.Received) * 1e6
	f["deliveries_per_read"] = float64(got.Received) / float64(got.Reads)
	f["p50_ms"] = ms(got.Latency.Quantile(0.5))
	f["p99_ms"] = ms(got.Latency.Quantile(0.99))
	f["lost"] = float64(sent.Deliveries - got.Received)
	f["gaps"] = float64(got.Gaps)
	f["repeats"] = float64(got.Repeats)
	f["cut_off"] = float64(got.Closed)
	return f, nil
}

// perDelivery are the metrics of a scenario whose work is deliveries.
func perDelivery() []report.Metric {
	return append([]report.Metric{
		{Name: "cpu_s_per_m_deliveries", Unit: "s", Digits: 2, Compare: true},
		{Name: "deliveries_per_s", Unit: "1/s"},
	}, delivered()...)
}

// perPublish are the metrics of a scenario whose work is publishes.
func perPublish() []report.Metric {
	return append([]report.Metric{
		{Name: "cpu_s_per_100k_publishes", Unit: "s", Digits: 2, Compare: true},
		{Name: "publishes_per_s", Unit: "1/s"},
	}, delivered()...)
}

func delivered() []report.Metric {
	return []report.Metric{
		{Name: "deliveries_per_read", Unit: "1", Digits: 1},
		{Name: "p50_ms", Unit: "ms", Digits: 1},
		{Name: "p99_ms", Unit: "ms", Digits: 1, Compare: true},
		{Name: "cores_used", Unit: "cores", Digits: 2},
		{Name: "lost", Unit: "deliveries"},
		{Name: "gaps", Unit: "deliveries"},
		{Name: "repeats", Unit: "deliveries"},
		{Name: "cut_off", Unit: "clients"},
		{Name: "refused", Unit: "requests"},
	}
}

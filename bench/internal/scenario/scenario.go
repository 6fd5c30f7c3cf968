//go:build linux

// Package scenario holds what is measured: one file per row of the table, and
// the table itself. To add a row, write a file with a function that returns a
// [Scenario] and name it in [All].
//
// A scenario drives a server that somebody else started and knows only its
// address and its process id, so that every contender gets the same treatment.
package scenario

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/pusher"
	"tidewire/bench/internal/report"
)

// Scenario is one row of the bench.
type Scenario struct {
	Name       string
	About      string   // one line: what is done to the server
	Contenders []string // the first of each pair is the numerator of its ratios
	Options    contender.Options
	Metrics    []report.Metric
	Goals      []report.Goal
	Once       bool // it repeats within a run: one round is all there is
	Run        func(context.Context, Env) (map[string]float64, error)
}

// Env is one run: a server that just came up, and how much to do to it.
type Env struct {
	Server    *contender.Server
	Contender string
	Quick     bool // shorter phases and fewer connections
}

// All returns every scenario, in the order they run and print. Those with a
// Redis are left out where there is none.
func All() []Scenario {
	all := []Scenario{
		fanout(), bursts(), burstsPosts(), saturated(),
		manyApps(), manyChannels(),
		presence(100), presence(1000),
		idle(), idleOwn(), storm(), rest(),
		kept(0), resume(0),
		clientEventsWebhook("client-events-webhook", rooms{channels: 20, members: 10, rate: 1000}),
		clientEventsWebhook("client-events-webhook-busy", rooms{channels: 100, members: 10, rate: 5000}),
		webhooksDeliveries(0), webhooksSingly(),
	}
	if _, err := exec.LookPath("redis-server"); err == nil {
		all = append(all, kept(1), resume(1), twoNodes(), webhooksDeliveries(1))
	}
	return all
}

// length is how long the measured phase of a run lasts.
func (e Env) length() time.Duration {
	if e.Quick {
		return time.Second
	}
	return 3 * time.Second
}

// scale returns n, or a fifth of it in a quick run.
func (e Env) scale(n int) int {
	if e.Quick {
		return max(n/5, 1)
	}
	return n
}

// app is the one app of the scenarios that need no more.
func app() pusher.App { return pusher.Apps(1)[0] }

// meter reads the processor time of the server's nodes between two moments.
type meter struct {
	nodes []*proc.Process
	redis *proc.Process // may be nil
	begin time.Duration
	at    time.Time

	redisBegin, redisUsed time.Duration // redisUsed is set by stop
}

func (e Env) meter() (*meter, error) {
	m := &meter{nodes: []*proc.Process{e.Server.Process}, redis: e.Server.Redis}
	if e.Server.Second != nil {
		m.nodes = append(m.nodes, e.Server.Second)
	}
	if m.redis != nil {
		var err error
		if m.redisBegin, err = proc.CPU(m.redis.PID); err != nil {
			return nil, err
		}
	}
	cpu, err := m.cpu()
	if err != nil {
		return nil, err
	}
	m.begin, m.at = cpu, time.Now()
	return m, nil
}

func (m *meter) cpu() (sum time.Duration, err error) {
	for _, p := range m.nodes {
		cpu, err := proc.CPU(p.PID)
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// stop returns the processor time used since the meter was made and the time
// that passed.
func (m *meter) stop() (cpu, wall time.Duration, err error) {
	wall = time.Since(m.at)
	now, err := m.cpu()
	if err == nil && m.redis != nil {
		m.redisUsed, err = proc.CPU(m.redis.PID)
		m.redisUsed -= m.redisBegin
	}
	if err != nil {
		return 0, 0, fmt.Errorf("the server ended during the run: %w", err)
	}
	return now - m.begin, wall, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// MaxClients is the most connections a scenario opens at a time.
const MaxClients = idleClients

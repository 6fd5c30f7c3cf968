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
	Run        func(context.Context, Env) (map[string]float64, error)
}

// Env is one run: a server that just came up, and how much to do to it.
type Env struct {
	Server    *proc.Process
	Contender string
	Quick     bool // shorter phases and fewer connections
}

// All returns every scenario, in the order they run and print.
func All() []Scenario {
	return []Scenario{
		fanout(), bursts(), burstsPosts(), saturated(),
		manyApps(), manyChannels(),
		presence(100), presence(1000),
		idle(), idleOwn(), storm(), rest(),
	}
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

// meter reads the server's processor time between two moments.
type meter struct {
	pid   int
	begin time.Duration
	at    time.Time
}

func (e Env) meter() (*meter, error) {
	cpu, err := proc.CPU(e.Server.PID)
	if err != nil {
		return nil, err
	}
	return &meter{pid: e.Server.PID, begin: cpu, at: time.Now()}, nil
}

// stop returns the processor time used since the meter was made and the time
// that passed.
func (m *meter) stop() (cpu, wall time.Duration, err error) {
	wall = time.Since(m.at)
	now, err := proc.CPU(m.pid)
	if err != nil {
		return 0, 0, fmt.Errorf("the server ended during the run: %w", err)
	}
	return now - m.begin, wall, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// MaxClients is the most connections a scenario opens at a time.
const MaxClients = idleClients

package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

const (
	readyEvery   = time.Second           // how often dependencies are asked
	readyTimeout = 2 * time.Second       // for each answer
	readySoon    = 20 * time.Millisecond // how often at the start, for up to readyTimeout
)

// The dependencies that abilities name.
const (
	needsDatabase      = "database"
	needsConfiguration = "configuration"
	needsRoom          = "room" // descriptors and memory for more clients
)

// readyCheck asks one dependency.
type readyCheck struct {
	name string
	ask  func(context.Context) error
}

func readyChecks(store *sqlstore.Store, apps *tenants.Directory, live *realtime, admission *channels.Admission) []readyCheck {
	checks := []readyCheck{
		{needsDatabase, store.Ping},
		{needsConfiguration, func(context.Context) error { return apps.Ready() }},
		{needsRoom, func(context.Context) error { return admission.Full() }},
	}
	if live.ping != nil {
		checks = append(checks, readyCheck{live.engine, live.ping})
	}
	return checks
}

// readiness knows whether this node should get traffic. The dependencies are
// asked at a steady pace, not on request, so that asking often costs nothing.
type readiness struct {
	log      *slog.Logger
	checks   []readyCheck
	away     []atomic.Bool // by check; all true until first asked
	asked    atomic.Bool   // the start is over
	draining atomic.Bool
}

func newReadiness(log *slog.Logger, checks []readyCheck) *readiness {
	r := &readiness{log: log, checks: checks, away: make([]atomic.Bool, len(checks))}
	for i := range r.away {
		r.away[i].Store(true)
	}
	return r
}

// run asks until ctx ends. At the start it asks often and says nothing: a part
// that needs a moment is not away.
func (r *readiness) run(ctx context.Context) error {
	start := time.Now()
	tick := time.NewTicker(readySoon)
	defer tick.Stop()
	for starting := true; ; {
		r.askAll(ctx, starting)
		if starting && (r.allThere() || time.Since(start) > readyTimeout) {
			starting = false
			r.asked.Store(true)
			tick.Reset(readyEvery)
			r.logAway()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// askAll asks the dependencies at once, so that one that hangs does not make
// the word on the others old.
func (r *readiness) askAll(ctx context.Context, quiet bool) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, check := range r.checks {
		wg.Go(func() { r.ask(ctx, i, check, quiet) })
	}
}

func (r *readiness) ask(ctx context.Context, i int, check readyCheck, quiet bool) {
	asking, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := check.ask(asking)
	if ctx.Err() != nil {
		return
	}
	was := r.away[i].Swap(err != nil)
	switch {
	case quiet || was == (err != nil):
	case err != nil:
		r.log.Error("dependency is away", "dependency", check.name, "stops", stoppedBy(check.name), "error", err)
	default:
		r.log.Info("dependency is back", "dependency", check.name)
	}
}

func (r *readiness) allThere() bool {
	for i := range r.away {
		if r.away[i].Load() {
			return false
		}
	}
	return true
}

func (r *readiness) logAway() {
	for i, check := range r.checks {
		if r.away[i].Load() {
			r.log.Error("dependency is away", "dependency", check.name, "stops", stoppedBy(check.name))
		}
	}
}

// drain makes the node not ready for good.
func (r *readiness) drain() { r.draining.Store(true) }

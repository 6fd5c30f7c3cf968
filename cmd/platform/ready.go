package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

const (
	readyEvery   = time.Second           // how often dependencies are asked
	readyTimeout = 2 * time.Second       // for each answer
	readySoon    = 20 * time.Millisecond // how often at the start, for up to readyTimeout
)

// readyCheck asks one dependency.
type readyCheck struct {
	name string
	ask  func(context.Context) error
}

func readyChecks(store *sqlstore.Store, apps *tenants.Directory, live *realtime) []readyCheck {
	checks := []readyCheck{
		{"database", store.Ping},
		{"configuration", func(context.Context) error { return apps.Ready() }},
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
		for i, check := range r.checks {
			r.ask(ctx, i, check, starting)
		}
		if starting && (r.allThere() || time.Since(start) > readyTimeout) {
			starting = false
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
		r.log.Error("dependency is away", "dependency", check.name, "error", err)
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
			r.log.Error("dependency is away", "dependency", check.name)
		}
	}
}

// drain makes the node not ready for good.
func (r *readiness) drain() { r.draining.Store(true) }

// ServeHTTP implements [http.Handler]: 200 or 503, and which dependency is away.
// The reason is in the log, not in the answer: the endpoint is public.
func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{"ready", make(map[string]string, len(r.checks))}
	for i, check := range r.checks {
		answer.Checks[check.name] = "ok"
		if r.away[i].Load() {
			answer.Checks[check.name] = "away"
			answer.Status = "not ready"
		}
	}
	if r.draining.Load() {
		answer.Status = "draining"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if answer.Status != "ready" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

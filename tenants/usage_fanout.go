package tenants

import (
	"sync"
	"sync/atomic"
	"time"
)

// fanoutBudget holds a tenant to its max_deliveries_per_second on this node. What
// an event costs is known only after it went out, to so many subscribers: it is
// paid off afterwards, and until then the next one has to wait. So the path to
// the sockets has one more addition, and nothing to decide.
type fanoutBudget struct {
	delivered atomic.Int64 // since the process started

	mu    sync.Mutex
	seen  int64     // deliveries that are in until
	asked time.Time // when that was
	until time.Time // when everything is paid off
}

// fanoutBurst is how far deliveries may be ahead of their rate.
const fanoutBurst = time.Second

// wait is how long the tenant must wait before it publishes again, 0 for not at all.
func (f *fanoutBudget) wait(now time.Time, perSecond int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	delivered := f.delivered.Load()
	cost := time.Duration(delivered-f.seen) * time.Second / time.Duration(perSecond)
	if f.asked.IsZero() {
		f.asked = now
	}
	// What went out since the last question did so after it.
	if f.until.Before(f.asked) {
		f.until = f.asked
	}
	f.until = f.until.Add(cost)
	f.seen, f.asked = delivered, now
	return max(f.until.Sub(now)-fanoutBurst, 0)
}

// Fanout refuses, with a [*RateError], to publish while the tenant's apps have
// had more delivered on this node than its plan allows (max_deliveries_per_second).
func (u *AppUsage) Fanout(app *App) error {
	if u == nil || app.Plan.MaxDeliveriesPerSecond <= 0 {
		return nil
	}
	perSecond := min(app.Plan.MaxDeliveriesPerSecond, PlanCeilings().MaxDeliveriesPerSecond)
	if wait := u.tenant.fanout.wait(time.Now(), perSecond); wait > 0 {
		return &RateError{Limit: "max_deliveries_per_second", PerSecond: perSecond, OfTenant: true, RetryAfter: wait}
	}
	return nil
}

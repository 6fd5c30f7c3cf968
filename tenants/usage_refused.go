package tenants

import (
	"maps"
	"sync"
)

// Refusals is how often something was refused for one reason.
type Refusals struct {
	Reason  string `json:"reason"` // a code of the console's table
	Refused int64  `json:"refused"`
}

// refused is what was refused since it was last taken, by reason. Refusing is
// rare, or cheaper than what is refused would have been: a lock will do.
type refused struct {
	mu sync.Mutex
	by map[string]int64
}

func (r *refused) take() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	by := r.by
	r.by = nil
	return by
}

// Refused counts something that was refused. The reasons are those of a table, so
// that there are no more than that.
func (u *AppUsage) Refused(reason string) {
	if u == nil {
		return
	}
	u.refused.mu.Lock()
	defer u.refused.mu.Unlock()
	if u.refused.by == nil {
		u.refused.by = make(map[string]int64)
	}
	u.refused.by[reason]++
}

// AddRefused adds what was refused in another part of the hour.
func (h *UsageHour) AddRefused(by map[string]int64) {
	if len(by) == 0 {
		return
	}
	sum := maps.Clone(h.Refused)
	if sum == nil {
		sum = make(map[string]int64, len(by))
	}
	for reason, n := range by {
		sum[reason] += n
	}
	h.Refused = sum
}

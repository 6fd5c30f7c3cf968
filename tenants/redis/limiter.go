package redis

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/tenants"
)

const (
	// period is the time between two exchanges with Redis.
	period = 100 * time.Millisecond
	// lazily is how long something small may go untold.
	lazily = 500 * time.Millisecond
	// telling: what was taken is told at once when it is this part of the burst.
	telling = 10
	// idle is how long a bucket is watched that is full and nobody takes from.
	idle = 5 * time.Second
	// away is how long after the last exchange a node keeps to its share.
	away = time.Second
	// dead is when a silent node no longer counts.
	dead = 5 * time.Second
	// keep is how long Redis keeps a bucket that is full; longer than idle, so
	// that a total which is watched never begins anew.
	keep = 4 * idle
)

// Config sets up a [Limiter].
type Config struct {
	// Log receives when Redis goes away and comes back; nil discards.
	Log *slog.Logger
	// Now is the clock of the buckets; nil is [time.Now].
	Now func() time.Time
}

// Limiter is the engine of [tenants.Limiter] that shares rates with the other
// nodes. It works without Run as well, then for this node only.
type Limiter struct {
	rdb   goredis.UniversalClient
	log   *slog.Logger
	node  string
	local *tenants.MemoryLimiter

	nodes    atomic.Int64 // known to live, this one included
	exchange atomic.Int64 // unix nanoseconds of the last exchange; 0 before Run

	mu      sync.Mutex
	watched map[name]*watch

	scripts // owned by Run
	failing bool
}

var _ tenants.Limiter = (*Limiter)(nil)

// name is a bucket's full name.
type name struct {
	tenant, bucket string
	app            tenants.AppID
}

// watch is a bucket that was taken from lately.
type watch struct {
	bucket tenants.Bucket // as in the latest demand
	untold int            // taken here and not told yet
	busy   time.Time      // it is not full, or was tried, until about then
	told   time.Time      // of the last exchange
	state  knowledge
	total  int64 // what all nodes ever took, as of the last exchange
}

// knowledge is what is known of a bucket's total.
type knowledge uint8

const (
	neverAsked knowledge = iota
	unsure               // an exchange failed: Redis may have what was told or not
	known
)

// NewLimiter makes a limiter over the connections of rdb, which stay the caller's.
func NewLimiter(rdb goredis.UniversalClient, cfg Config) *Limiter {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Limiter{
		rdb: rdb, log: cfg.Log, node: rand.Text(), local: tenants.NewMemoryLimiter(cfg.Now), //nolint:forbidigo // what it falls back to, not an engine of its own
		watched: make(map[name]*watch), scripts: newScripts(),
	}
	l.nodes.Store(1)
	return l
}

// Take implements [tenants.Limiter]. It asks nobody.
func (l *Limiter) Take(ctx context.Context, d tenants.Demand) tenants.Decision {
	now := time.Now()
	whole := d.Buckets
	if l.alone(now) {
		for i := range d.Buckets {
			l.shrink(&d.Buckets[i])
		}
	}
	decision := l.local.Take(ctx, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range whole {
		if whole[i].Rate <= 0 {
			continue
		}
		w := l.watch(name{d.Tenant, whole[i].Name, whole[i].App})
		w.bucket = whole[i]
		if w.busy.Before(now) {
			w.busy = now
		}
		if decision.Allowed {
			cost := max(d.Cost, 1)
			w.untold += cost
			w.busy = w.busy.Add(time.Duration(cost) * time.Second / time.Duration(whole[i].Rate))
		}
	}
	return decision
}

// alone reports whether Redis has not been heard of for too long. Before the
// first exchange there is nobody known to share with.
func (l *Limiter) alone(now time.Time) bool {
	last := l.exchange.Load()
	return last != 0 && now.UnixNano()-last > int64(away)
}

// shrink makes a bucket this node's share of it.
func (l *Limiter) shrink(b *tenants.Bucket) {
	if b.Rate <= 0 {
		return
	}
	n := int(l.nodes.Load())
	burst := b.Burst
	if burst <= 0 {
		burst = b.Rate
	}
	b.Rate, b.Burst = max(b.Rate/n, 1), max(burst/n, 1)
}

// watch needs mu.
func (l *Limiter) watch(n name) *watch {
	w := l.watched[n]
	if w == nil {
		w = &watch{}
		l.watched[n] = w
	}
	return w
}

// Nodes is how many nodes are known to share the rates, this one included.
func (l *Limiter) Nodes() int { return int(l.nodes.Load()) }

// Watched is how many buckets are exchanged with the others now.
func (l *Limiter) Watched() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watched)
}

package tenants

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

const (
	limiterShards = 16
	// limiterSweep is the number of buckets from which a shard looks for those
	// it can drop.
	limiterSweep = 64
)

// MemoryLimiter is the in-process engine of [Limiter]. It keeps one number for
// each bucket that is not full (GCRA: the time at which it will be full again);
// a bucket that is full is as good as forgotten, so its memory is bounded by
// what was used in the last moments. A decision on a known bucket allocates
// nothing.
type MemoryLimiter struct {
	now    func() time.Time
	start  time.Time
	seed   maphash.Seed
	shards [limiterShards]limiterShard
}

var _ Limiter = (*MemoryLimiter)(nil)

// limiterShard holds the buckets of some tenants: all of one are in one shard,
// so that several can be decided as one.
type limiterShard struct {
	mu      sync.Mutex
	full    map[bucketKey]int64 // nanoseconds after start at which the bucket is full
	sweepAt int                 // number of buckets at which full ones are dropped
}

type bucketKey struct {
	tenant, name string
	app          AppID
}

// NewMemoryLimiter returns a limiter whose buckets are full. now is its clock;
// nil is [time.Now].
func NewMemoryLimiter(now func() time.Time) *MemoryLimiter {
	if now == nil {
		now = time.Now
	}
	return &MemoryLimiter{now: now, start: now(), seed: maphash.MakeSeed()}
}

// Take implements [Limiter].
func (l *MemoryLimiter) Take(_ context.Context, d Demand) Decision {
	s := &l.shards[maphash.String(l.seed, d.Tenant)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := int64(l.now().Sub(l.start))
	cost := int64(max(d.Cost, 1))
	var (
		decision = Decision{Allowed: true, Remaining: math.MaxInt}
		then     [MaxBuckets]int64
	)
	for i := range d.Buckets {
		b := &d.Buckets[i]
		if b.Rate <= 0 {
			continue
		}
		level := bucketLevel{now: now, full: s.full[d.key(i)], each: b.each(), room: b.room()}
		wait := level.wait(cost)
		switch {
		case wait > 0 && (decision.Allowed || wait > int64(decision.RetryAfter)):
			decision = level.decision(i)
			decision.Allowed, decision.RetryAfter = false, time.Duration(wait)
		case wait <= 0 && decision.Allowed:
			level.take(cost)
			then[i] = level.full
			if after := level.decision(i); after.Remaining < decision.Remaining {
				decision = after
			}
		}
	}
	if !decision.Allowed {
		return decision
	}
	for i := range d.Buckets {
		if then[i] != 0 {
			s.put(d.key(i), then[i], now)
		}
	}
	if decision.Remaining == math.MaxInt { // no bucket was named
		decision.Remaining = 0
	}
	return decision
}

// Buckets is how many buckets are remembered now.
func (l *MemoryLimiter) Buckets() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.full)
		s.mu.Unlock()
	}
	return n
}

// Charge takes n from a bucket of a tenant whether it has them or not: they
// were used already, somewhere else. What is missing is paid off first.
func (l *MemoryLimiter) Charge(tenant string, b Bucket, n int) {
	if n > 0 && b.Rate > 0 {
		l.adjust(tenant, b, func(level *bucketLevel) { level.take(int64(n)) })
	}
}

// Lower makes a bucket of a tenant at least so far from full, as a time of its
// filling.
func (l *MemoryLimiter) Lower(tenant string, b Bucket, missing time.Duration) {
	if missing > 0 && b.Rate > 0 {
		l.adjust(tenant, b, func(level *bucketLevel) { level.full = max(level.full, level.now+int64(missing)) })
	}
}

func (l *MemoryLimiter) adjust(tenant string, b Bucket, how func(*bucketLevel)) {
	s := &l.shards[maphash.String(l.seed, tenant)%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	key := bucketKey{tenant: tenant, name: b.Name, app: b.App}
	level := bucketLevel{now: int64(l.now().Sub(l.start)), full: s.full[key], each: b.each(), room: b.room()}
	how(&level)
	s.put(key, level.full, level.now)
}

func (d *Demand) key(i int) bucketKey {
	return bucketKey{tenant: d.Tenant, name: d.Buckets[i].Name, app: d.Buckets[i].App}
}

// each is what one costs, in nanoseconds of the bucket's filling.
func (b *Bucket) each() int64 { return max(int64(time.Second)/int64(b.Rate), 1) }

// room is what the bucket holds, in the same measure.
func (b *Bucket) room() int64 {
	burst := b.Burst
	if burst <= 0 {
		burst = b.Rate
	}
	return int64(burst) * b.each()
}

// put stores a bucket and, when there are many, drops those that are full.
func (s *limiterShard) put(key bucketKey, full, now int64) {
	if s.full == nil {
		s.full, s.sweepAt = make(map[bucketKey]int64), limiterSweep
	}
	s.full[key] = full
	if len(s.full) < s.sweepAt {
		return
	}
	for k, at := range s.full {
		if at <= now {
			delete(s.full, k)
		}
	}
	s.sweepAt = max(limiterSweep, 2*len(s.full))
}

// bucketLevel is the arithmetic of one bucket at one moment, in nanoseconds.
type bucketLevel struct {
	now, full  int64 // full: when it will be full again
	each, room int64
}

// used is how much of the bucket is taken; above room while a large cost is paid off.
func (l *bucketLevel) used() int64 { return max(l.full-l.now, 0) }

// wait is the time until cost can be taken; 0 or less is now.
func (l *bucketLevel) wait(cost int64) int64 {
	return l.used() + min(cost*l.each, l.room) - l.room
}

func (l *bucketLevel) take(cost int64) { l.full = l.now + l.used() + cost*l.each }

func (l *bucketLevel) decision(bucket int) Decision {
	used := l.used()
	return Decision{
		Allowed: true, Bucket: bucket,
		Remaining: int(max(l.room-used, 0) / l.each), Reset: time.Duration(used),
	}
}

package webhooks

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// schedule is the pause after each failed attempt. The first five minutes are
// those of Pusher ("Webhooks", retries with exponential back-off for five
// minutes); the rest reaches over a day.
var schedule = []time.Duration{
	time.Second, 4 * time.Second, 15 * time.Second, 40 * time.Second, 2 * time.Minute, 2 * time.Minute,
	10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 10 * time.Hour,
}

const (
	// lifetime is how long a delivery is tried.
	lifetime = 24 * time.Hour
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
	// jitter spreads retries by up to this share, so that what failed together
	// does not come back together.
	jitter = 0.2
)

// Pace is how patient a [Service] is. What is zero is as the documentation says;
// tests are in more of a hurry.
type Pace struct {
	// Schedule is the pause after each failed attempt. The attempt after the last
	// one is the last.
	Schedule []time.Duration
	// MaxRest bounds the rest that a failing endpoint gets between calls.
	MaxRest time.Duration
	// Lease is how long a node may hold an endpoint's queue without a word: what a
	// killed node held is taken over after that. It must be more than twice as long
	// as a call may take: a round takes a sixth of it, one more call, and the time
	// in which the outcome is stored.
	Lease time.Duration
}

func (p Pace) withDefaults() Pace {
	if p.Schedule == nil {
		p.Schedule = schedule
	}
	p.MaxRest = cmp.Or(p.MaxRest, maxRest)
	p.Lease = cmp.Or(p.Lease, laneLease)
	return p
}

// roundTime is after how long no further call of a round is begun. With the
// longest time a receiver may have it stays well below the lease.
func (p Pace) roundTime() time.Duration { return p.Lease / 6 }

// retryAt is when to try again after tries failed attempts; ok is false when the
// schedule is used up. after is what the receiver asked for; 0 = nothing.
func (p Pace) retryAt(now time.Time, tries int, after time.Duration) (at time.Time, ok bool) {
	if tries < 1 || tries > len(p.Schedule) {
		return time.Time{}, false
	}
	pause := p.Schedule[tries-1]
	pause += time.Duration((rand.Float64()*2 - 1) * jitter * float64(pause)) // #nosec G404 -- no secret
	return now.Add(max(pause, min(after, maxRetryAfter))), true
}

// Bounds of the circuit breaker of an endpoint.
const (
	breakAfter = 5 // failures in a row before the endpoint gets a rest
	maxRest    = time.Minute
	// pauseAfter is how long an endpoint may fail without one success before it is
	// paused, provided that it failed at least pauseFailures times.
	pauseAfter    = 72 * time.Hour
	pauseFailures = 20
)

// rest is how long nothing is sent to an endpoint after so many failures in a row.
func (p Pace) rest(failures int) time.Duration {
	if failures < breakAfter {
		return 0
	}
	return min(time.Second<<min(failures-breakAfter, 10), p.MaxRest)
}

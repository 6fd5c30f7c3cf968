package webhooks

import (
	"math/rand/v2"
	"time"
)

// DefaultSchedule is the waits between the attempts of a delivery. The first
// five minutes are Pusher's, which backs off and then gives up; this goes on for
// a day.
func DefaultSchedule() []time.Duration {
	const s, m, h = time.Second, time.Minute, time.Hour
	return []time.Duration{
		1 * s, 3 * s, 10 * s, 30 * s, 75 * s, 180 * s,
		15 * m, 30 * m, 1 * h, 2 * h, 4 * h, 6 * h, 10 * h,
	}
}

// jitter spreads a wait by a fifth in both directions, so that what failed
// together does not come back together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// The circuit breaker: after so many failures in a row an endpoint gets one
// probe at a time, with growing waits between them.
const (
	breakerAt    = 5
	breakerFirst = 5 * time.Second
	breakerMost  = 5 * time.Minute
)

// breakerWait is how long an endpoint with that many failures in a row is left alone.
func breakerWait(failures int) time.Duration {
	if failures < breakerAt {
		return 0
	}
	wait := breakerFirst
	for i := breakerAt; i < failures && wait < breakerMost; i++ {
		wait *= 2
	}
	return jitter(min(wait, breakerMost))
}

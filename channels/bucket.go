package channels

import "time"

// Bucket is a token bucket in 8 bytes: the time until which the past is paid.
// The zero value is full. It has no lock.
type Bucket struct{ paid int64 } // unix nanoseconds

// Spend takes one token and reports whether rate a second, and burst at once,
// allow it. What is not allowed is owed all the same: see [Bucket.Debt].
func (b *Bucket) Spend(now int64, rate, burst int64) bool {
	cost := int64(time.Second) / rate
	b.paid = max(b.paid, now-burst*cost) + cost
	return b.paid <= now
}

// Debt is how long after now the bucket is even again; not above 0 if it is.
func (b *Bucket) Debt(now int64) time.Duration { return time.Duration(b.paid - now) }

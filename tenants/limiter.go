package tenants

import (
	"context"
	"time"
)

// MaxBuckets is how many buckets one [Demand] can name.
const MaxBuckets = 3

// Limiter bounds how often something happens. It has two engines, in-process
// ([MemoryLimiter]) and Redis, held to one suite (tenantstest.TestLimiter).
//
// A bucket of rate r and burst b lets through b at once and r a second in the
// long run, evenly: there is no window at whose turn twice as much would pass.
type Limiter interface {
	// Take takes the cost from every bucket of d, or, if one of them has not
	// enough, from none. It does not wait. A cost above a bucket's burst passes
	// when that bucket is full, and is paid off before the next one passes: no
	// demand is impossible, and none raises the rate.
	Take(ctx context.Context, d Demand) Decision
}

// Demand is one thing somebody wants to do now.
type Demand struct {
	Tenant string // whose buckets they are
	Cost   int    // how many times it counts; below 1 is 1
	// Buckets are those it is taken from. One without a rate is left out.
	Buckets [MaxBuckets]Bucket
}

// Bucket is one bound. It is named by the tenant, the app and the name; rate and
// burst may differ from one demand to the next, and those of the latest count.
type Bucket struct {
	Name  string // what is bounded, such as "publish"
	App   AppID  // empty for a bucket of the whole tenant
	Rate  int    // a second; 0 or less leaves the bucket out
	Burst int    // the most at once; 0 is one second's worth
}

// Decision is the answer to a [Demand]. Its zero value refuses.
type Decision struct {
	Allowed bool
	// Bucket is the place in Demand.Buckets of the bucket that refused, or of
	// the one with the least left; 0 if the demand named none.
	Bucket    int
	Remaining int           // how much of that bucket is left now
	Reset     time.Duration // until that bucket is full again
	// RetryAfter is the time until the same demand would pass if nobody else
	// came; 0 if it passed.
	RetryAfter time.Duration
}

// The names of the buckets of an app's HTTP API.
const (
	bucketPublish = "publish"
	bucketRead    = "read"
)

// PublishDemand asks leave to publish n times: each event counts once for every
// channel it is published to, in a batch or not. The first bucket is the app's
// (max_publishes_per_second), the second the tenant's, which all its apps share.
func (a *App) PublishDemand(n int) Demand {
	high := Ceilings().MaxPublishesPerSecond
	return a.demand(n, bucketPublish,
		within(a.Limits.MaxPublishesPerSecond, high), within(a.Plan.MaxPublishesPerSecond, high))
}

// ReadDemand asks leave for one call that reads the state of channels; the
// buckets are as in [App.PublishDemand], with max_reads_per_second.
func (a *App) ReadDemand() Demand {
	high := Ceilings().MaxReadsPerSecond
	return a.demand(1, bucketRead,
		within(a.Limits.MaxReadsPerSecond, high), within(a.Plan.MaxReadsPerSecond, high))
}

func (a *App) demand(cost int, name string, ofApp, ofTenant int) Demand {
	return Demand{
		Tenant: a.TenantID, Cost: cost,
		Buckets: [MaxBuckets]Bucket{
			{Name: name, App: a.ID, Rate: min(ofApp, ofTenant)},
			{Name: name, Rate: ofTenant},
		},
	}
}

// within reads one limit as [Limits.Effective] does, without the detour over
// all of them: it is asked for on the path of an event.
func within(limit, ceiling int) int {
	if limit <= 0 || limit > ceiling {
		return ceiling
	}
	return limit
}

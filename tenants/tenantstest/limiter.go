package tenantstest

import (
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/tenants"
)

// NewClock returns a clock that shows a time of no importance.
func NewClock() *Clock { return &Clock{now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)} }

// OpenLimiter makes a limiter that goes by the clock given. Limiters may share
// a server: the suite uses tenants of its own for every test.
type OpenLimiter func(t *testing.T, now func() time.Time) tenants.Limiter

// TestLimiter is the suite of [tenants.Limiter].
func TestLimiter(t *testing.T, open OpenLimiter) {
	for name, test := range map[string]func(*testing.T, OpenLimiter){
		"burst, then the rate":      limiterBurstThenRate,
		"all buckets or none":       limiterAllOrNone,
		"cost above the burst":      limiterLargeCost,
		"a bucket has a full name":  limiterNames,
		"rates may change":          limiterRateChanges,
		"no bucket, no bound":       limiterNoBucket,
		"exact under concurrency":   limiterConcurrent,
		"agrees with the reference": limiterAgrees,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

var limiterTenant atomic.Int64

// newTenant is a tenant nobody has used.
func newTenant() string {
	return "tn_" + strconv.FormatInt(time.Now().UnixNano(), 36) + "_" + strconv.FormatInt(limiterTenant.Add(1), 10)
}

func one(tenant string, cost, rate, burst int) tenants.Demand {
	return tenants.Demand{Tenant: tenant, Cost: cost, Buckets: [tenants.MaxBuckets]tenants.Bucket{
		{Name: "publish", App: "1", Rate: rate, Burst: burst},
	}}
}

func limiterBurstThenRate(t *testing.T, open OpenLimiter) {
	clock, tenant := NewClock(), newTenant()
	l := open(t, clock.Now)
	for i := range 10 {
		d := l.Take(t.Context(), one(tenant, 1, 10, 0))
		require.Equal(t, tenants.Decision{
			Allowed: true, Remaining: 9 - i, Reset: time.Duration(i+1) * 100 * time.Millisecond,
		}, d)
	}
	refused := tenants.Decision{Reset: time.Second, RetryAfter: 100 * time.Millisecond}
	for range 3 { // what is refused costs nothing
		require.Equal(t, refused, l.Take(t.Context(), one(tenant, 1, 10, 0)))
	}
	clock.Advance(refused.RetryAfter - time.Nanosecond)
	require.False(t, l.Take(t.Context(), one(tenant, 1, 10, 0)).Allowed)
	clock.Advance(time.Nanosecond)
	require.True(t, l.Take(t.Context(), one(tenant, 1, 10, 0)).Allowed, "after RetryAfter it passes")
	require.False(t, l.Take(t.Context(), one(tenant, 1, 10, 0)).Allowed)

	clock.Advance(time.Hour)
	require.Equal(t, 9, l.Take(t.Context(), one(tenant, 1, 10, 0)).Remaining, "it never holds more than the burst")
}

func limiterAllOrNone(t *testing.T, open OpenLimiter) {
	tenant := newTenant()
	l := open(t, NewClock().Now)
	both := func(app tenants.AppID, cost int) tenants.Demand {
		return tenants.Demand{Tenant: tenant, Cost: cost, Buckets: [tenants.MaxBuckets]tenants.Bucket{
			{Name: "publish", App: app, Rate: 8}, {}, {Name: "publish", Rate: 10},
		}}
	}
	require.True(t, l.Take(t.Context(), both("1", 8)).Allowed)
	d := l.Take(t.Context(), both("1", 1))
	require.False(t, d.Allowed)
	require.Zero(t, d.Bucket, "the app's bucket is empty, the tenant's is not")

	d = l.Take(t.Context(), both("2", 3))
	require.False(t, d.Allowed)
	require.Equal(t, 2, d.Bucket, "the tenant has two left for all its apps")
	require.Equal(t, 2, d.Remaining)
	require.Equal(t, 100*time.Millisecond, d.RetryAfter)

	d = l.Take(t.Context(), both("2", 2))
	require.True(t, d.Allowed, "the refusal before took nothing from either bucket")
	require.Equal(t, 2, d.Bucket, "the one with the least left is told of")
	require.Zero(t, d.Remaining)
}

func limiterLargeCost(t *testing.T, open OpenLimiter) {
	clock, tenant := NewClock(), newTenant()
	l := open(t, clock.Now)
	require.True(t, l.Take(t.Context(), one(tenant, 35, 10, 0)).Allowed, "it passes a full bucket")
	require.Equal(t, 2600*time.Millisecond, l.Take(t.Context(), one(tenant, 1, 10, 0)).RetryAfter, "and is paid off")
	require.Equal(t, 3500*time.Millisecond, l.Take(t.Context(), one(tenant, 35, 10, 0)).RetryAfter)
	clock.Advance(2600 * time.Millisecond)
	require.True(t, l.Take(t.Context(), one(tenant, 1, 10, 0)).Allowed)
	require.False(t, l.Take(t.Context(), one(tenant, 35, 10, 0)).Allowed, "not a bucket that is not full")
}

func limiterNames(t *testing.T, open OpenLimiter) {
	l := open(t, NewClock().Now)
	tenant := newTenant()
	for _, d := range []tenants.Demand{
		{Tenant: tenant, Buckets: [3]tenants.Bucket{{Name: "publish", App: "1", Rate: 1}}},
		{Tenant: tenant, Buckets: [3]tenants.Bucket{{Name: "publish", App: "2", Rate: 1}}},
		{Tenant: tenant, Buckets: [3]tenants.Bucket{{Name: "publish", Rate: 1}}},
		{Tenant: tenant, Buckets: [3]tenants.Bucket{{Name: "read", App: "1", Rate: 1}}},
		{Tenant: newTenant(), Buckets: [3]tenants.Bucket{{Name: "publish", App: "1", Rate: 1}}},
	} {
		require.True(t, l.Take(t.Context(), d).Allowed, "%+v is a bucket of its own", d)
		require.False(t, l.Take(t.Context(), d).Allowed)
	}
}

func limiterRateChanges(t *testing.T, open OpenLimiter) {
	clock, tenant := NewClock(), newTenant()
	l := open(t, clock.Now)
	require.True(t, l.Take(t.Context(), one(tenant, 10, 10, 0)).Allowed)
	require.False(t, l.Take(t.Context(), one(tenant, 1, 10, 0)).Allowed)
	clock.Advance(100 * time.Millisecond)
	require.Equal(t, 99, l.Take(t.Context(), one(tenant, 1, 1000, 1000)).Remaining,
		"what is left of the debt is a time, so 0.9 s are 900 of 1000")
}

func limiterNoBucket(t *testing.T, open OpenLimiter) {
	l := open(t, NewClock().Now)
	for range 100 {
		d := l.Take(t.Context(), tenants.Demand{Tenant: "t", Cost: math.MaxInt32})
		require.Equal(t, tenants.Decision{Allowed: true}, d)
	}
}

func limiterConcurrent(t *testing.T, open OpenLimiter) {
	tenant := newTenant()
	l := open(t, NewClock().Now)
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if l.Take(t.Context(), one(tenant, 1, 300, 0)).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 300, allowed.Load())
}

// taken is something a limiter let through.
type taken struct{ at, cost int64 }

// reference decides by going through everything that was ever let through: it
// pours each cost into a vessel that leaks at the rate.
type reference map[string][]taken

func (r reference) used(name string, now, each int64) int64 {
	var level, last int64
	for _, one := range r[name] {
		level = max(level-(one.at-last), 0) + one.cost*each
		last = one.at
	}
	return max(level-(now-last), 0)
}

func limiterAgrees(t *testing.T, open OpenLimiter) {
	rapid.Check(t, func(r *rapid.T) {
		clock, tenant := NewClock(), newTenant()
		l, ref, start := open(t, clock.Now), reference{}, clock.Now()
		rates := [2]int{rapid.IntRange(1, 50).Draw(r, "app rate"), rapid.IntRange(1, 80).Draw(r, "tenant rate")}
		bursts := [2]int{rapid.IntRange(1, 60).Draw(r, "app burst"), rapid.IntRange(1, 90).Draw(r, "tenant burst")}
		for range rapid.IntRange(1, 60).Draw(r, "demands") {
			clock.Advance(time.Duration(rapid.Int64Range(0, int64(300*time.Millisecond)).Draw(r, "pause")))
			app := tenants.AppID(strconv.Itoa(rapid.IntRange(1, 2).Draw(r, "app")))
			cost := rapid.IntRange(1, 70).Draw(r, "cost")
			got := l.Take(t.Context(), tenants.Demand{Tenant: tenant, Cost: cost, Buckets: [3]tenants.Bucket{
				{Name: "x", App: app, Rate: rates[0], Burst: bursts[0]}, {Name: "x", Rate: rates[1], Burst: bursts[1]},
			}})
			now := int64(clock.Now().Sub(start))
			var wait int64
			names := [2]string{"app " + string(app), "tenant"}
			for i, name := range names {
				each := int64(time.Second) / int64(rates[i])
				room := int64(bursts[i]) * each
				wait = max(wait, ref.used(name, now, each)+min(int64(cost)*each, room)-room)
			}
			if got.Allowed != (wait == 0) || int64(got.RetryAfter) != wait {
				r.Fatalf("cost %d: got %+v, the reference would wait %s", cost, got, time.Duration(wait))
			}
			if got.Allowed {
				for _, name := range names {
					ref[name] = append(ref[name], taken{now, int64(cost)})
				}
			}
		}
	})
}

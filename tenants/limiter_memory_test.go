package tenants_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

func TestMemoryLimiter(t *testing.T) {
	t.Parallel()
	tenantstest.TestLimiter(t, func(_ *testing.T, now func() time.Time) tenants.Limiter {
		return tenants.NewMemoryLimiter(now)
	})
}

func limitedApp() *tenants.App {
	app := &tenants.App{ID: "7", TenantID: "tn_1"}
	app.Limits.MaxPublishesPerSecond, app.Plan.MaxPublishesPerSecond = 20, 30
	app.Limits.MaxReadsPerSecond, app.Plan.MaxReadsPerSecond = 50, 5
	return app
}

func TestDemandsOfAnApp(t *testing.T) {
	t.Parallel()
	app := limitedApp()
	require.Equal(t, tenants.Demand{Tenant: "tn_1", Cost: 3, Buckets: [3]tenants.Bucket{
		{Name: "publish", App: "7", Rate: 20}, {Name: "publish", Rate: 30},
	}}, app.PublishDemand(3))
	read := app.ReadDemand()
	require.Equal(t, 5, read.Buckets[0].Rate, "an app has at most what its tenant has")

	for _, d := range []tenants.Demand{(&tenants.App{}).PublishDemand(1), (&tenants.App{}).ReadDemand()} {
		for _, b := range d.Buckets[:2] {
			require.Positive(t, b.Rate, "nothing is without a bound")
		}
	}
}

func TestMemoryLimiterForgetsFullBuckets(t *testing.T) {
	t.Parallel()
	clock := tenantstest.NewClock()
	l := tenants.NewMemoryLimiter(clock.Now)
	for i := range 100_000 {
		clock.Advance(time.Millisecond)
		l.Take(t.Context(), tenants.Demand{Tenant: strconv.Itoa(i), Buckets: [3]tenants.Bucket{{Name: "x", Rate: 100}}})
	}
	require.Less(t, l.Buckets(), 5_000, "only what was used a moment ago is kept")
}

func TestMemoryLimiterDoesNotAllocate(t *testing.T) {
	app, l := limitedApp(), tenants.Limiter(tenants.NewMemoryLimiter(nil))
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Take(ctx, app.PublishDemand(1)) }))
}

func BenchmarkMemoryLimiter(b *testing.B) {
	app, l := limitedApp(), tenants.Limiter(tenants.NewMemoryLimiter(nil))
	app.Limits.MaxPublishesPerSecond, app.Plan.MaxPublishesPerSecond = 100_000, 100_000
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		l.Take(ctx, app.PublishDemand(1))
	}
}

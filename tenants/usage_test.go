package tenants_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

func usageApp(id tenants.AppID, tenant string) *tenants.App {
	return &tenants.App{ID: id, TenantID: tenant}
}

// meters makes meters that run until the returned function is called.
func meters(t *testing.T, store tenants.UsageStore, opts tenants.MetersOptions) (m *tenants.Meters, stop func()) {
	t.Helper()
	m = tenants.NewMeters(store, opts)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = m.Run(ctx) })
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return m, stop
}

func TestUsageIsAddedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var store tenantstest.UsageStore
		m, stop := meters(t, &store, tenants.MetersOptions{})
		app := usageApp("1", "tn_a")
		u := m.App(app)
		require.Same(t, u, m.App(app))
		require.NoError(t, u.Connect(app))
		require.NoError(t, u.Connect(app))
		u.Disconnect()
		u.Published(3)
		u.Queried()
		u.ClientEvent()
		u.Delivered(5, 100)
		u.PresenceChanged(2, 10)
		u.Webhooks(1)
		require.EqualValues(t, 13, u.Today())

		time.Sleep(11 * time.Second)
		want := tenants.UsageHour{
			TenantID: "tn_a", App: "1", Hour: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
			Counts: tenants.Counts{
				Publishes: 3, Queries: 1, ClientEvents: 1, Deliveries: 5, PresenceChanges: 2,
				Webhooks: 1, BytesOut: 520,
			},
			PeakConnections: 2,
		}
		require.Equal(t, []tenants.UsageHour{want}, store.Hours())
		require.EqualValues(t, 1, store.Open("1"))
		require.EqualValues(t, 13, u.Today())

		u.Published(1)
		u.Disconnect()
		stop()
		want.Publishes++
		require.Equal(t, []tenants.UsageHour{want}, store.Hours(), "a clean stop loses nothing")
		require.Zero(t, store.Open("1"))
	})
}

func TestUsageOfHoursAndDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock starts at midnight
		var store tenantstest.UsageStore
		m, stop := meters(t, &store, tenants.MetersOptions{})
		app := usageApp("1", "tn_a")
		app.Limits.MaxMessagesPerDay = 30
		u := m.App(app)
		require.NoError(t, u.Connect(app))
		time.Sleep(500 * time.Millisecond) // off the beat of the clock
		for range 25 {                     // one in each hour of the day, and one more
			require.NoError(t, u.Quota(app))
			u.Published(1)
			time.Sleep(time.Hour)
		}
		require.EqualValues(t, 1, u.Today(), "a new day begins at zero")
		u.Published(29)
		require.ErrorAs(t, u.Quota(app), new(*tenants.QuotaError))
		stop()
		hours := store.Hours()
		require.Len(t, hours, 26)
		for i, h := range hours {
			require.Equal(t, time.Date(2000, 1, 1, i, 0, 0, 0, time.UTC), h.Hour)
			require.EqualValues(t, 1, h.PeakConnections, "who is connected is seen in every hour")
			switch {
			case i < 25:
				require.EqualValues(t, 1, h.Publishes, "hour %d", i)
			default:
				require.EqualValues(t, 29, h.Publishes)
			}
		}
	})
}

func TestUsageSurvivesAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]tenantstest.Trouble{
		"asked in vain": tenantstest.RefuseBatch, "answer lost": tenantstest.LoseAnswer, "both": tenantstest.RefuseBatch | tenantstest.LoseAnswer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := tenantstest.UsageStore{Fail: errors.New("away")}
				m, stop := meters(t, &store, tenants.MetersOptions{})
				apps := []*tenants.App{usageApp("1", "tn_a"), usageApp("2", "tn_a"), usageApp("3", "tn_b")}
				rng, want := rand.New(rand.NewPCG(1, 2)), map[tenants.AppID]int64{}
				for range 300 {
					if rng.IntN(3) == 0 {
						store.Trouble(trouble)
					} else {
						store.Trouble(0)
					}
					app := apps[rng.IntN(len(apps))]
					n := rng.IntN(50)
					m.App(app).Published(n)
					want[app.ID] += int64(n)
					time.Sleep(time.Duration(rng.IntN(20)) * time.Minute)
				}
				store.Trouble(trouble)
				m.App(apps[0]).Published(7)
				want["1"] += 7
				synctest.Wait()
				go func() { time.Sleep(time.Second); store.Trouble(0) }()
				stop()
				got := map[tenants.AppID]int64{}
				for _, h := range store.Hours() {
					got[h.App] += h.Publishes
				}
				require.Equal(t, want, got, "nothing lost, nothing twice")
			})
		})
	}
}

func TestQuotaOverNodesAndRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var store tenantstest.UsageStore
		one, other := usageApp("1", "tn_a"), usageApp("2", "tn_a")
		for _, app := range []*tenants.App{one, other} {
			app.Limits.MaxMessagesPerDay, app.Plan.MaxMessagesPerDay = 100, 150
		}
		a, stopA := meters(t, &store, tenants.MetersOptions{})
		b, stopB := meters(t, &store, tenants.MetersOptions{})
		a.App(one).Published(60)
		b.App(one).Published(39)
		require.NoError(t, a.App(one).Quota(one))
		time.Sleep(21 * time.Second) // two intervals: what a told and b asked
		for _, m := range []*tenants.Meters{a, b} {
			require.EqualValues(t, 99, m.App(one).Today())
		}
		b.App(one).Published(1)
		require.Equal(t, &tenants.QuotaError{Limit: 100}, b.App(one).Quota(one))

		b.App(other).Published(50)
		require.Equal(t, &tenants.QuotaError{Limit: 150, OfTenant: true}, b.App(other).Quota(other), "all apps of a tenant share its plan")
		stranger := usageApp("3", "tn_b")
		stranger.Plan.MaxMessagesPerDay = 150
		require.NoError(t, b.App(stranger).Quota(stranger))
		stopA()
		stopB()

		c, _ := meters(t, &store, tenants.MetersOptions{})
		c.App(other)
		synctest.Wait() // it asks at once where a new app stands
		require.EqualValues(t, 50, c.App(other).Today(), "a restart forgets nothing")
		require.Equal(t, &tenants.QuotaError{Limit: 150, OfTenant: true}, c.App(other).Quota(other))
	})
}

func TestQuotaNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []tenants.QuotaNotice
		var store tenantstest.UsageStore
		m, _ := meters(t, &store, tenants.MetersOptions{OnNotice: func(n tenants.QuotaNotice) { got = append(got, n) }})
		app := usageApp("1", "tn_a")
		app.Limits.MaxMessagesPerDay, app.Plan.MaxMessagesPerDay = 10, 100
		u := m.App(app)
		for range 12 {
			_ = u.Quota(app)
			u.Published(1)
		}
		near, over := tenants.QuotaNotice{TenantID: "tn_a", App: "1", Used: 8, Limit: 10}, tenants.QuotaNotice{TenantID: "tn_a", App: "1", Used: 10, Limit: 10}
		require.Equal(t, []tenants.QuotaNotice{near, over}, got, "each once a day")
		require.False(t, near.Stopped())
		require.True(t, over.Stopped())
		time.Sleep(24*time.Hour + time.Minute)
		u.Published(8)
		require.NoError(t, u.Quota(app))
		require.Equal(t, []tenants.QuotaNotice{near, over, near}, got)
	})
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var store tenantstest.UsageStore
		one, other := usageApp("1", "tn_a"), usageApp("2", "tn_a")
		for _, app := range []*tenants.App{one, other} {
			app.Limits.MaxConnections, app.Plan.MaxConnections = 3, 5
		}
		a, stopA := meters(t, &store, tenants.MetersOptions{})
		b, _ := meters(t, &store, tenants.MetersOptions{})
		for range 3 {
			require.NoError(t, a.App(one).Connect(one))
		}
		require.Equal(t, &tenants.ConnectionsError{Limit: 3}, a.App(one).Connect(one))
		require.NoError(t, a.App(other).Connect(other))
		require.NoError(t, a.App(other).Connect(other))
		full := &tenants.ConnectionsError{Limit: 5, OfTenant: true}
		require.Equal(t, full, a.App(other).Connect(other), "a refused connection takes no room, and the tenant's sum counts")
		a.App(other).Disconnect()
		require.NoError(t, a.App(other).Connect(other))

		time.Sleep(11 * time.Second)
		b.App(other)
		synctest.Wait()
		require.Equal(t, full, b.App(other).Connect(other), "over all nodes")
		require.EqualValues(t, 2, b.App(other).Connections())
		alone, _ := meters(t, &store, tenants.MetersOptions{Alone: true})
		alone.App(other)
		synctest.Wait()
		require.NoError(t, alone.App(other).Connect(other), "a node on its own does not wait for the dead")

		stopA()
		b.App(usageApp("9", "tn_a")) // makes it ask again
		synctest.Wait()
		require.NoError(t, b.App(other).Connect(other))
	})
}

func TestDeletedAppIsForgottenOnceStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var store tenantstest.UsageStore
		m, _ := meters(t, &store, tenants.MetersOptions{})
		app, other := usageApp("1", "tn_a"), usageApp("2", "tn_a")
		other.Plan.MaxMessagesPerDay = 12
		u := m.App(app)
		require.NoError(t, u.Connect(app))
		u.Published(10)
		m.App(other).Published(1)
		m.Forget(app.ID)
		time.Sleep(time.Minute)
		require.NotNil(t, m.Find(app.ID), "it is still connected")
		u.Disconnect()
		time.Sleep(time.Minute)
		require.Nil(t, m.Find(app.ID))
		require.NoError(t, m.App(other).Quota(other))
		m.App(other).Published(1)
		require.ErrorAs(t, m.App(other).Quota(other), new(*tenants.QuotaError), "what it used stays used")
	})
}

func TestCountingWithoutMeters(t *testing.T) {
	t.Parallel()
	var m *tenants.Meters
	app := usageApp("1", "tn_a")
	u := m.App(app)
	require.Nil(t, u)
	u.Published(1)
	u.Delivered(1, 1)
	require.NoError(t, u.Connect(app))
	require.NoError(t, u.Quota(app))
	u.Disconnect()
}

func TestCountingDoesNotAllocate(t *testing.T) {
	app := usageApp("1", "tn_a")
	m := tenants.NewMeters(&tenantstest.UsageStore{}, tenants.MetersOptions{})
	m.App(app)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		u := m.App(app)
		if u.Quota(app) == nil {
			u.Published(1)
			u.Delivered(1000, 100)
		}
	}))
}

func BenchmarkCounting(b *testing.B) {
	app := usageApp("1", "tn_a")
	m := tenants.NewMeters(&tenantstest.UsageStore{}, tenants.MetersOptions{})
	b.ReportAllocs()
	for b.Loop() {
		u := m.App(app)
		if u.Quota(app) == nil {
			u.Published(1)
			u.Delivered(1, 100)
		}
	}
}

package sqlstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

var noon = time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)

func batch(source string, seq int64, hours ...tenants.UsageHour) tenants.UsageBatch {
	now := time.Now()
	return tenants.UsageBatch{Source: source, Seq: seq, Hours: hours, At: now, AliveUntil: now.Add(time.Minute)}
}

func used(app *tenants.App, hour time.Time, publishes, peak int64) tenants.UsageHour {
	return tenants.UsageHour{
		TenantID: app.TenantID, App: app.ID, Hour: hour, PeakConnections: peak,
		Counts: tenants.Counts{Publishes: publishes, Queries: 1, ClientEvents: 2, Deliveries: 3, PresenceChanges: 4, Webhooks: 5, BytesOut: 6},
	}
}

func usage(t *testing.T, s *sqlstore.Store, q tenants.UsageQuery) []tenants.UsageStep {
	t.Helper()
	if q.From.IsZero() {
		q.From, q.To = noon.Add(-24*time.Hour), noon.Add(24*time.Hour)
	}
	steps, err := s.Usage(t.Context(), q)
	require.NoError(t, err)
	return steps
}

func TestUsageIsAddedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		app := create(t, store, "acme")
		first := batch("node-1", 1, used(app, noon, 10, 7))
		for range 3 {
			require.NoError(t, store.AddUsage(t.Context(), first))
		}
		require.NoError(t, store.AddUsage(t.Context(), batch("node-2", 1, used(app, noon, 100, 3))))
		require.NoError(t, store.AddUsage(t.Context(), batch("node-1", 2, used(app, noon, 1000, 5))))
		require.NoError(t, store.AddUsage(t.Context(), first), "an old one comes late")
		require.Equal(t, []tenants.UsageStep{{
			Start: noon, PeakConnections: 7, Messages: 1110 + 3*15,
			Counts: tenants.Counts{Publishes: 1110, Queries: 3, ClientEvents: 6, Deliveries: 9, PresenceChanges: 12, Webhooks: 15, BytesOut: 18},
		}}, usage(t, store, tenants.UsageQuery{TenantID: app.TenantID}))
	})
}

func TestUsageBatchIsAddedOnceByManyAtATime(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		apps := []*tenants.App{create(t, store, "acme"), create(t, store, "acme"), create(t, store, "other")}
		var all sync.WaitGroup
		for i := range 6 { // three sources, each batch twice at the same time
			all.Go(func() {
				for seq := range int64(5) {
					b := batch(fmt.Sprint("node-", i%3), seq+1)
					for _, app := range apps {
						b.Hours = append(b.Hours, used(app, noon, 1, 1))
					}
					if err := store.AddUsage(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for _, app := range apps {
			got := usage(t, store, tenants.UsageQuery{TenantID: app.TenantID, App: app.ID})
			require.EqualValues(t, 15, got[0].Publishes)
		}
	})
}

func TestUsageByHourAndDay(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		one, two, foreign := create(t, store, "acme"), create(t, store, "acme"), create(t, store, "other")
		yesterday := noon.Add(-24 * time.Hour)
		require.NoError(t, store.AddUsage(t.Context(), batch("n", 1,
			used(one, yesterday, 1, 5), used(one, noon, 2, 6), used(one, noon.Add(time.Hour), 4, 9),
			used(two, noon, 8, 7), used(foreign, noon, 16, 8))))

		brief := func(steps []tenants.UsageStep) (list []string) {
			for _, s := range steps {
				list = append(list, fmt.Sprint(s.Start.Sub(yesterday), " ", s.Publishes, " ", s.PeakConnections))
			}
			return list
		}
		q := tenants.UsageQuery{TenantID: one.TenantID}
		require.Equal(t, []string{"0s 1 5", "24h0m0s 10 13", "25h0m0s 4 9"}, brief(usage(t, store, q)))
		q.Span = tenants.ByDay
		require.Equal(t, []string{"-12h0m0s 1 5", "12h0m0s 14 13"}, brief(usage(t, store, q)))
		q.App = two.ID
		require.Equal(t, []string{"12h0m0s 8 7"}, brief(usage(t, store, q)))
		q.Span, q.From, q.To = tenants.ByHour, noon.Add(30*time.Minute), noon.Add(31*time.Minute)
		require.Equal(t, []string{"24h0m0s 8 7"}, brief(usage(t, store, q)), "an hour that is touched is told whole")
		q.App = foreign.ID
		require.Empty(t, usage(t, store, q), "another tenant's app")

		for _, bad := range []tenants.UsageQuery{
			{From: noon, To: noon}, {From: noon, To: noon.Add(401 * 24 * time.Hour)}, {From: noon, To: noon.Add(1), Span: "week"},
		} {
			_, err := store.Usage(t.Context(), bad)
			require.ErrorAs(t, err, new(*tenants.InvalidError))
		}
	})
}

func TestStandings(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		one, two, foreign := create(t, store, "acme"), create(t, store, "acme"), create(t, store, "other")
		mine := batch("mine", 1, used(one, noon, 10, 0), used(one, noon.Add(-24*time.Hour), 100, 0), used(foreign, noon, 5, 0))
		mine.Connections = []tenants.AppConnections{{TenantID: one.TenantID, App: one.ID, Open: 50}}
		require.NoError(t, store.AddUsage(t.Context(), mine))
		other := batch("other", 1, used(one, noon, 20, 0))
		other.Connections = []tenants.AppConnections{
			{TenantID: one.TenantID, App: one.ID, Open: 4}, {TenantID: two.TenantID, App: two.ID, Open: 3},
		}
		require.NoError(t, store.AddUsage(t.Context(), other))
		dead := batch("dead", 1)
		dead.AliveUntil = time.Now().Add(-time.Second)
		dead.Connections = []tenants.AppConnections{{TenantID: one.TenantID, App: one.ID, Open: 1000}}
		require.NoError(t, store.AddUsage(t.Context(), dead))

		stand := func(source string) map[tenants.AppID]tenants.Standing {
			list, err := store.Standings(t.Context(), source, noon.Truncate(24*time.Hour), []string{one.TenantID})
			require.NoError(t, err)
			sums := make(map[tenants.AppID]tenants.Standing)
			for _, s := range list {
				require.Equal(t, one.TenantID, s.TenantID)
				was := sums[s.App]
				s.Messages, s.Elsewhere = s.Messages+was.Messages, s.Elsewhere+was.Elsewhere
				sums[s.App] = s
			}
			return sums
		}
		require.Equal(t, map[tenants.AppID]tenants.Standing{
			one.ID: {TenantID: one.TenantID, App: one.ID, Messages: 60, Elsewhere: 4},
			two.ID: {TenantID: one.TenantID, App: two.ID, Elsewhere: 3},
		}, stand("mine"))
		require.EqualValues(t, 50, stand("other")[one.ID].Elsewhere)

		gone := batch("other", 2)
		gone.Connections = []tenants.AppConnections{{TenantID: one.TenantID, App: one.ID}, {TenantID: two.TenantID, App: two.ID, Open: 2}}
		require.NoError(t, store.AddUsage(t.Context(), gone))
		require.Zero(t, stand("mine")[one.ID].Elsewhere)
		require.EqualValues(t, 2, stand("mine")[two.ID].Elsewhere)
	})
}

func TestUsageOfATenantThatIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		app := create(t, store, "acme")
		ghost := &tenants.App{ID: "1", TenantID: "tn_gone"}
		b := batch("n", 1, used(ghost, noon, 1, 1), used(app, noon, 2, 2))
		b.Connections = []tenants.AppConnections{{TenantID: ghost.TenantID, App: ghost.ID, Open: 1}}
		require.NoError(t, store.AddUsage(t.Context(), b))
		require.Len(t, usage(t, store, tenants.UsageQuery{TenantID: app.TenantID}), 1)
		require.Empty(t, usage(t, store, tenants.UsageQuery{TenantID: ghost.TenantID}), "a late batch must not bring it back")
		var rows int
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM usage_connections").Scan(&rows))
		require.Zero(t, rows)
	})
}

func TestLargeUsageBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		app := create(t, store, "acme")
		var b tenants.UsageBatch
		for seq := range int64(2) {
			b = batch("n", seq+1)
			for i := range 1201 {
				one := *app
				one.ID = tenants.AppID(fmt.Sprint(1000 + i))
				b.Hours = append(b.Hours, used(&one, noon, 1, 1))
				b.Connections = append(b.Connections, tenants.AppConnections{TenantID: app.TenantID, App: one.ID, Open: 1 - seq})
			}
			require.NoError(t, store.AddUsage(t.Context(), b))
		}
		got := usage(t, store, tenants.UsageQuery{TenantID: app.TenantID})
		require.EqualValues(t, 2402, got[0].Publishes)
	})
}

func TestRefusalsAreAddedUp(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		one, two, foreign := create(t, store, "acme"), create(t, store, "acme"), create(t, store, "other")
		refused := func(app *tenants.App, hour time.Time, by map[string]int64) tenants.UsageHour {
			return tenants.UsageHour{TenantID: app.TenantID, App: app.ID, Hour: hour, Refused: by}
		}
		first := batch("n", 1,
			refused(one, noon, map[string]int64{"auth_missing": 1, "publish_rate": 5}), refused(one, noon.Add(time.Hour), map[string]int64{"auth_missing": 2}),
			refused(two, noon, map[string]int64{"auth_missing": 10}), refused(foreign, noon, map[string]int64{"auth_missing": 100}))
		for range 2 {
			require.NoError(t, store.AddUsage(t.Context(), first))
		}
		require.NoError(t, store.AddUsage(t.Context(), batch("m", 1, refused(one, noon, map[string]int64{"auth_missing": 3}))))
		ask := func(app tenants.AppID, from, to time.Time) []tenants.Refusals {
			list, err := store.Refusals(t.Context(), tenants.UsageQuery{TenantID: one.TenantID, App: app, From: from, To: to})
			require.NoError(t, err)
			return list
		}
		require.Equal(t, []tenants.Refusals{{Reason: "auth_missing", Refused: 6}, {Reason: "publish_rate", Refused: 5}}, ask(one.ID, noon, noon.Add(2*time.Hour)))
		require.Equal(t, []tenants.Refusals{{Reason: "auth_missing", Refused: 16}, {Reason: "publish_rate", Refused: 5}}, ask("", noon, noon.Add(2*time.Hour)))
		require.Equal(t, []tenants.Refusals{{Reason: "auth_missing", Refused: 2}}, ask(one.ID, noon.Add(time.Hour), noon.Add(2*time.Hour)))
		require.Empty(t, ask(foreign.ID, noon, noon.Add(2*time.Hour)), "of another tenant")
	})
}

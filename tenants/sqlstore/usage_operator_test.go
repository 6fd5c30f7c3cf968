package sqlstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func TestUsageForOperators(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store, ctx := db.open(t), t.Context()
		one, two, other := create(t, store, "acme"), create(t, store, "acme"), create(t, store, "other")
		create(t, store, "idle")
		first := batch("node-a", 1, used(one, noon, 10, 7), used(one, noon.Add(time.Hour), 10, 9), used(two, noon, 1, 2), used(other, noon, 500, 1))
		first.Connections = []tenants.AppConnections{{TenantID: one.TenantID, App: one.ID, Open: 4}, {TenantID: two.TenantID, App: two.ID, Open: 1}}
		require.NoError(t, store.AddUsage(ctx, first))
		dead := batch("node-b", 1)
		dead.AliveUntil = time.Now().Add(-time.Second)
		require.NoError(t, store.AddUsage(ctx, dead))

		list, err := store.TenantsUsage(ctx, noon.Add(-time.Hour), noon.Add(2*time.Hour), 10)
		require.NoError(t, err)
		require.Len(t, list, 2, "who used nothing is not there")
		require.Equal(t, "other", list[0].Tenant, "the most first")
		require.Equal(t, tenants.TenantUsage{
			TenantID: one.TenantID, Tenant: "acme", Messages: 21 + 3*15, PeakConnections: 11, Connections: 5,
			Counts: tenants.Counts{Publishes: 21, Queries: 3, ClientEvents: 6, Deliveries: 9, PresenceChanges: 12, Webhooks: 15, BytesOut: 18},
		}, list[1])
		list, err = store.TenantsUsage(ctx, noon.Add(-time.Hour), noon.Add(2*time.Hour), 1)
		require.NoError(t, err)
		require.Len(t, list, 1)

		nodes, err := store.Nodes(ctx)
		require.NoError(t, err)
		require.Len(t, nodes, 1, "one that is dead is not there")
		require.Equal(t, "node-a", nodes[0].Name)
		require.EqualValues(t, 5, nodes[0].Connections)
		require.WithinDuration(t, time.Now(), nodes[0].SeenAt, time.Minute)
	})
}

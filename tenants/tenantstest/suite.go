package tenantstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// Store is what the suite asks of a store of apps.
type Store interface {
	tenants.Source
	CreateApp(ctx context.Context, n tenants.NewApp) (*tenants.App, bool, error)
	ListApps(ctx context.Context, tenantSlug string) ([]*tenants.App, error)
	Ping(ctx context.Context) error
}

// TestStore holds a store to its contract. open returns an empty store of its
// own for each test.
func TestStore(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"create and find":       testCreateAndFind,
		"given values are kept": testGivenValuesAreKept,
		"taken id or key":       testTaken,
		"refused values":        testRefused,
		"not found":             testNotFound,
		"list":                  testList,
		"changes":               testChanges,
		"concurrent writers":    testConcurrentWriters,
		"cancelled context":     testCancelled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func newApp(tenant, name string) tenants.NewApp {
	return tenants.NewApp{TenantSlug: tenant, Name: name}
}

func testCreateAndFind(t *testing.T, s Store) {
	ctx := t.Context()
	require.NoError(t, s.Ping(ctx))
	created, tenantCreated, err := s.CreateApp(ctx, newApp("acme", "shop"))
	require.NoError(t, err)
	require.True(t, tenantCreated)
	require.Regexp(t, `^[1-9][0-9]{5,8}$`, string(created.ID))
	require.Len(t, created.Keys, 1)
	require.Regexp(t, `^[0-9a-f]{20}$`, created.Keys[0].Key)
	require.Regexp(t, `^[0-9a-f]{20}$`, created.Keys[0].Secret.Reveal())
	require.Equal(t, tenants.DefaultSettings(), created.Settings)
	require.Equal(t, tenants.DefaultLimits(), created.Limits)
	require.True(t, created.Serving())

	byKey, err := s.AppByKey(ctx, created.Keys[0].Key)
	require.NoError(t, err)
	require.Equal(t, created, byKey)
	byID, err := s.AppByID(ctx, created.ID)
	require.NoError(t, err)
	require.Equal(t, created, byID)

	second, tenantCreated, err := s.CreateApp(ctx, newApp("acme", "shop"))
	require.NoError(t, err)
	require.False(t, tenantCreated)
	require.Equal(t, created.TenantID, second.TenantID)
	require.NotEqual(t, created.ID, second.ID)
	require.Greater(t, second.Version, created.Version)
}

func testGivenValuesAreKept(t *testing.T, s Store) {
	settings, err := tenants.ParseSettings([]byte(`{"client_events":true,"allowed_origins":["https://*.example.com"],
		"history":[{"pattern":"orders-*","max_messages":50,"ttl_seconds":60}]}`))
	require.NoError(t, err)
	limits, err := tenants.ParseLimits([]byte(`{"max_connections":7,"max_event_bytes":0}`))
	require.NoError(t, err)
	n := tenants.NewApp{
		TenantSlug: "acme", TenantName: "Acme GmbH ✓", Name: "L'été 日本", Cluster: "eu-1",
		ID: "123456789012345678", Key: "App-Key_1", Secret: tenants.NewSecret("p4ss'word;--\"%"),
		Settings: &settings, Limits: &limits,
	}
	_, _, err = s.CreateApp(t.Context(), n)
	require.NoError(t, err)
	app, err := s.AppByKey(t.Context(), "App-Key_1")
	require.NoError(t, err)
	require.Equal(t, n.ID, app.ID)
	require.Equal(t, n.Name, app.Name)
	require.Equal(t, "eu-1", app.Cluster)
	require.Equal(t, n.Secret.Reveal(), app.Key("App-Key_1").Secret.Reveal())
	require.Equal(t, settings, app.Settings)
	require.Equal(t, limits, app.Limits)
}

func testTaken(t *testing.T, s Store) {
	ctx := t.Context()
	first := newApp("acme", "one")
	first.ID, first.Key = "4711", "the-key"
	_, _, err := s.CreateApp(ctx, first)
	require.NoError(t, err)
	before, err := s.Changes(ctx, -1)
	require.NoError(t, err)

	sameID := newApp("stranger", "two")
	sameID.ID = "4711"
	_, _, err = s.CreateApp(ctx, sameID)
	require.ErrorIs(t, err, tenants.ErrExists)
	require.ErrorContains(t, err, "app id 4711 already exists")

	sameKey := newApp("stranger", "two")
	sameKey.Key = "the-key"
	_, _, err = s.CreateApp(ctx, sameKey)
	require.ErrorIs(t, err, tenants.ErrExists)
	require.ErrorContains(t, err, "key the-key already exists")

	after, err := s.Changes(ctx, -1)
	require.NoError(t, err)
	require.Equal(t, before.Version, after.Version, "a refused write must leave nothing behind")
	_, err = s.ListApps(ctx, "stranger")
	require.ErrorIs(t, err, tenants.ErrNotFound, "nor a tenant")
}

func testRefused(t *testing.T, s Store) {
	for name, change := range map[string]func(*tenants.NewApp){
		"slug":   func(n *tenants.NewApp) { n.TenantSlug = "Acme Corp" },
		"id":     func(n *tenants.NewApp) { n.ID = "12a" },
		"key":    func(n *tenants.NewApp) { n.Key = "a:b" },
		"secret": func(n *tenants.NewApp) { n.Secret = tenants.NewSecret("short") },
	} {
		n := newApp("acme", "shop")
		change(&n)
		_, _, err := s.CreateApp(t.Context(), n)
		require.ErrorAs(t, err, new(*tenants.InvalidError), name)
	}
	apps, err := s.ListApps(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, apps)
}

func testNotFound(t *testing.T, s Store) {
	_, _, err := s.CreateApp(t.Context(), newApp("acme", "shop"))
	require.NoError(t, err)
	for _, name := range []string{"", "nope", "%", "' OR '1'='1"} {
		_, err = s.AppByKey(t.Context(), name)
		require.ErrorIs(t, err, tenants.ErrNotFound)
		_, err = s.AppByID(t.Context(), tenants.AppID(name))
		require.ErrorIs(t, err, tenants.ErrNotFound)
	}
}

func testList(t *testing.T, s Store) {
	ctx := t.Context()
	var want []tenants.AppID
	for i, tenant := range []string{"acme", "acme", "zulu"} {
		n := newApp(tenant, "app")
		n.ID = tenants.AppID(fmt.Sprintf("10%d", i))
		_, _, err := s.CreateApp(ctx, n)
		require.NoError(t, err)
		want = append(want, n.ID)
	}
	ids := func(slug string) []tenants.AppID {
		apps, err := s.ListApps(ctx, slug)
		require.NoError(t, err)
		var ids []tenants.AppID
		for _, app := range apps {
			require.Len(t, app.Keys, 1)
			ids = append(ids, app.ID)
		}
		return ids
	}
	require.Equal(t, want, ids(""))
	require.Equal(t, want[:2], ids("acme"), "a tenant sees its own apps only")
	require.Equal(t, want[2:], ids("zulu"))
	_, err := s.ListApps(ctx, "nobody")
	require.ErrorIs(t, err, tenants.ErrNotFound)
}

func testChanges(t *testing.T, s Store) {
	ctx := t.Context()
	start, err := s.Changes(ctx, -1)
	require.NoError(t, err)
	require.False(t, start.Reset)
	require.Empty(t, start.Changes)

	app, _, err := s.CreateApp(ctx, newApp("acme", "shop"))
	require.NoError(t, err)
	set, err := s.Changes(ctx, start.Version)
	require.NoError(t, err)
	require.Equal(t, tenants.ChangeSet{
		Version: app.Version,
		Changes: []tenants.Change{{Version: app.Version, App: app.ID, TenantID: app.TenantID}},
	}, set)

	set, err = s.Changes(ctx, app.Version)
	require.NoError(t, err)
	require.Equal(t, tenants.ChangeSet{Version: app.Version}, set)

	set, err = s.Changes(ctx, app.Version+10)
	require.NoError(t, err)
	require.Equal(t, tenants.ChangeSet{Version: app.Version, Reset: true}, set, "a reader from the future starts over")
}

// testConcurrentWriters has a reader follow while writers race. A version that
// became visible after a later one would be missed.
func testConcurrentWriters(t *testing.T, s Store) {
	const writers, each = 4, 5
	ctx := t.Context()
	start, err := s.Changes(ctx, -1)
	require.NoError(t, err)
	errs := make([]error, writers)
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			for range each {
				if _, _, err := s.CreateApp(ctx, newApp(fmt.Sprintf("tenant-%d", i%2), "app")); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); running.Wait() }()

	seen := make(map[tenants.AppID]bool)
	since := start.Version
	for finished := false; ; {
		set, err := s.Changes(ctx, since)
		require.NoError(t, err)
		require.False(t, set.Reset)
		for _, change := range set.Changes {
			require.Equal(t, since+1, change.Version, "no holes")
			since = change.Version
			seen[change.App] = true
		}
		if finished && len(set.Changes) == 0 {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	require.Equal(t, make([]error, writers), errs)
	require.Len(t, seen, writers*each)
	apps, err := s.ListApps(ctx, "")
	require.NoError(t, err)
	require.Len(t, apps, writers*each)
	require.True(t, slices.IsSortedFunc(apps, func(a, b *tenants.App) int {
		return slices.Compare([]string{a.TenantSlug}, []string{b.TenantSlug})
	}))
}

func testCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.AppByKey(ctx, "some-key")
	require.Error(t, err)
	require.NotErrorIs(t, err, tenants.ErrNotFound, "not known is not the same as not there")
	_, err = s.Changes(ctx, 0)
	require.Error(t, err)
	_, _, err = s.CreateApp(ctx, newApp("acme", "shop"))
	require.Error(t, err)
}

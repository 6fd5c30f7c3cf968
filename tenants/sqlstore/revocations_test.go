package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

func revocation(t *testing.T, kind tenants.RevocationKind, value string, at time.Time) tenants.Revocation {
	t.Helper()
	r, err := tenants.NewRevocation(kind, value, at)
	require.NoError(t, err)
	return r
}

func appFor(t *testing.T, s *sqlstore.Store, slug string) *tenants.App {
	t.Helper()
	app, _, err := s.CreateApp(t.Context(), tenants.NewApp{TenantSlug: slug, Name: "chat"})
	require.NoError(t, err)
	return app
}

func TestRevocationsAreKeptPerAppUntilTheyExpire(t *testing.T) {
	t.Parallel()
	for _, dialect := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			s := database(t, dialect).open(t)
			ours, theirs := appFor(t, s, "ours"), appFor(t, s, "theirs")
			now := time.Now()
			before, err := s.Changes(t.Context(), -1)
			require.NoError(t, err)

			byID := revocation(t, tenants.RevokeJTI, "Token-1", now.Add(-time.Minute))
			byUser := revocation(t, tenants.RevokeSub, "alice", now.Add(-30*time.Second))
			require.NoError(t, s.Revoke(t.Context(), ours.ID, byID))
			require.NoError(t, s.Revoke(t.Context(), ours.ID, byUser))
			list, err := s.Revocations(t.Context(), ours.ID)
			require.NoError(t, err)
			require.Equal(t, []tenants.Revocation{byID, byUser}, list)
			list, err = s.Revocations(t.Context(), theirs.ID)
			require.NoError(t, err)
			require.Empty(t, list, "of another app")

			changes, err := s.Changes(t.Context(), before.Version)
			require.NoError(t, err)
			require.Len(t, changes.Changes, 2, "every node must hear of it")
			require.Equal(t, ours.ID, changes.Changes[0].App)
			require.Equal(t, ours.TenantID, changes.Changes[0].TenantID)

			again := revocation(t, tenants.RevokeSub, "alice", now)
			require.NoError(t, s.Revoke(t.Context(), ours.ID, again))
			list, err = s.Revocations(t.Context(), ours.ID)
			require.NoError(t, err)
			require.Equal(t, []tenants.Revocation{byID, again}, list)

			expired := again
			expired.Value, expired.ExpiresAt = "bob", now.Add(-time.Second)
			require.NoError(t, s.Revoke(t.Context(), ours.ID, expired))
			list, err = s.Revocations(t.Context(), ours.ID)
			require.NoError(t, err)
			require.Equal(t, []tenants.Revocation{byID, again}, list, "expired ones are of no use")
		})
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	s := database(t, migrations.SQLite).open(t)
	app := appFor(t, s, "ours")
	err := s.Revoke(t.Context(), "99", revocation(t, tenants.RevokeJTI, "x", time.Now()))
	require.ErrorIs(t, err, tenants.ErrNotFound)
	err = s.Revoke(t.Context(), app.ID, tenants.Revocation{Kind: "kid", Value: "x"})
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	err = s.Revoke(t.Context(), app.ID, tenants.Revocation{Kind: tenants.RevokeSub})
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	list, err := s.Revocations(t.Context(), app.ID)
	require.NoError(t, err)
	require.Empty(t, list)
}

// The whole road of a revocation: stored, noticed by the directory, known to
// the list, told to whoever closes the connections.
func TestARevocationReachesTheList(t *testing.T) {
	t.Parallel()
	s := database(t, migrations.SQLite).open(t)
	settings := tenants.DefaultSettings()
	settings.JWT.Issuers = []tenants.JWTIssuer{{
		Issuer: "us", Audience: "app", Algorithms: []string{"HS256"}, Secret: tenants.NewSecret("0123456789abcdef0123456789abcdef"),
	}}
	created, _, err := s.CreateApp(t.Context(), tenants.NewApp{TenantSlug: "ours", Name: "chat", Settings: &settings})
	require.NoError(t, err)

	directory := tenants.NewDirectory(s, nil, tenants.DirectoryOptions{PollInterval: 20 * time.Millisecond})
	list := tenants.NewRevocationList(s, nil)
	told := make(chan tenants.AppID, 10)
	directory.OnChange(list.AppChanged)
	list.OnChange(func(id tenants.AppID) { told <- id })
	runUntilDone(t, directory.Run)
	runUntilDone(t, list.Run)
	require.Eventually(t, func() bool { return directory.Ready() == nil }, 5*time.Second, time.Millisecond)

	app, err := directory.ByID(t.Context(), created.ID)
	require.NoError(t, err)
	claims := &tenants.JWTClaims{ID: "one", Subject: "alice", IssuedAt: time.Now().Add(-time.Minute)}
	revoked, err := list.Revoked(t.Context(), app, claims)
	require.NoError(t, err)
	require.False(t, revoked)

	require.NoError(t, s.Revoke(t.Context(), app.ID, revocation(t, tenants.RevokeSub, "alice", time.Now())))
	select {
	case id := <-told:
		require.Equal(t, app.ID, id)
	case <-time.After(5 * time.Second):
		t.Fatal("nobody was told of the revocation")
	}
	revoked, err = list.Revoked(t.Context(), app, claims)
	require.NoError(t, err)
	require.True(t, revoked)
}

// runUntilDone runs a core until the test ends.
func runUntilDone(t *testing.T, core func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- core(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

package tenantstest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testTokens(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Join("ada@example.com", "One") // the sandbox allows 5
	n := tenants.NewToken{Name: "ci", Scopes: []tenants.Scope{tenants.ScopeAppsRead}, ExpiresAt: w.Clock.Now().Add(time.Hour)}
	text, token, err := w.CreateToken(ctx, owner, tenant.ID, n)
	require.NoError(t, err)
	require.Regexp(t, `^twk_[0-9A-Za-z]{36}$`, text)
	require.True(t, tenants.WellFormedToken(text))
	require.Equal(t, text[:8], token.Prefix)
	require.Equal(t, text[36:], token.Last4)
	list, err := w.Tokens(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Equal(t, []tenants.Token{*token}, list)
	printed, err := json.Marshal(list)
	require.NoError(t, err)
	require.NotContains(t, string(printed), token.TokenHash)

	c, err := w.TokenCaller(ctx, text, w.Meta())
	require.NoError(t, err)
	require.Equal(t, tenants.ActorToken, c.Kind())
	list, err = w.Tokens(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Equal(t, w.Clock.Now(), list[0].LastUsedAt)
	w.Clock.Advance(time.Hour)
	_, err = w.TokenCaller(ctx, text, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "expired")

	for name, change := range map[string]func(*tenants.NewToken){
		"no name":       func(n *tenants.NewToken) { n.Name = "" },
		"no scope":      func(n *tenants.NewToken) { n.Scopes = nil },
		"unknown scope": func(n *tenants.NewToken) { n.Scopes = []tenants.Scope{"apps:*"} },
		"double scope":  func(n *tenants.NewToken) { n.Scopes = append(n.Scopes, n.Scopes[0]) },
		"in the past":   func(n *tenants.NewToken) { n.ExpiresAt = w.Clock.Now() },
	} {
		bad := tenants.NewToken{Name: "ci", Scopes: []tenants.Scope{tenants.ScopeAppsRead}}
		change(&bad)
		_, _, err = w.CreateToken(ctx, owner, tenant.ID, bad)
		require.ErrorAs(t, err, new(*tenants.InvalidError), name)
	}
	n.ExpiresAt = time.Time{}
	for range 4 {
		text, token, err = w.CreateToken(ctx, owner, tenant.ID, n)
		require.NoError(t, err)
	}
	_, _, err = w.CreateToken(ctx, owner, tenant.ID, n)
	RequireCode(t, err, "plan_limit")
	require.NoError(t, w.RevokeToken(ctx, owner, tenant.ID, token.ID))
	_, err = w.TokenCaller(ctx, text, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "revoked")
	_, _, err = w.CreateToken(ctx, owner, tenant.ID, n)
	require.NoError(t, err)
}

func testTokenScopes(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app, other := w.NewApp(owner, tenant.ID), w.NewApp(owner, tenant.ID)
	for _, scope := range tenants.Scopes() {
		c := w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{scope}})
		for _, act := range tenants.Actions() {
			_, err := w.AuthorizeApp(ctx, c, app.ID, act)
			if scope.Grants(act) {
				require.NoError(t, err, "%s %s", scope, act)
				continue
			}
			RequireCode(t, err, "scope_missing")
		}
	}
	c := w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAdmin}, Apps: []tenants.AppID{app.ID}})
	_, err := w.App(ctx, c, app.ID)
	require.NoError(t, err)
	_, err = w.App(ctx, c, other.ID)
	require.ErrorIs(t, err, tenants.ErrNotFound, "restricted to another app")
	list, _, err := w.Apps(ctx, c, tenant.ID, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = w.CreateApp(ctx, c, tenant.ID, tenants.NewApp{Name: "x"})
	RequireCode(t, err, "token_restricted")
	_, _, err = w.CreateToken(ctx, c, tenant.ID, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	RequireCode(t, err, "scope_missing")
	members := w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeMembersWrite}})
	_, err = w.Invite(ctx, members, tenant.ID, "x@example.com", tenants.RoleAdmin)
	RequireCode(t, err, "role_too_low") // else a token could make itself an administrator
	_, err = w.Invite(ctx, members, tenant.ID, "x@example.com", tenants.RoleDeveloper)
	require.NoError(t, err)

	_, stranger := w.Owner("eve@example.com", "Two")
	_, _, err = w.CreateToken(ctx, owner, tenant.ID, tenants.NewToken{
		Name: "n", Scopes: []tenants.Scope{tenants.ScopeAdmin}, Apps: []tenants.AppID{w.NewApp(w.Enter("eve@example.com"), stranger.ID).ID},
	})
	require.ErrorIs(t, err, tenants.ErrNotFound, "another tenant's app")
}

func testApps(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	settings, err := tenants.ParseSettings([]byte(`{"client_events":true,
		"jwt":{"issuers":[{"issuer":"me","audience":"us","algorithms":["HS256"],"secret":"0123456789abcdef0123456789abcdef"}]}}`))
	require.NoError(t, err)
	app, err := w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{
		Name: "Shop", ID: "4711", Key: "given-key", Secret: tenants.NewSecret("given-secret"), Cluster: "eu", Settings: &settings,
	})
	require.NoError(t, err)
	require.Equal(t, "given-secret", app.Keys[0].Secret.Reveal())
	read, err := w.App(ctx, owner, "4711")
	require.NoError(t, err)
	require.Equal(t, app, read)
	require.Equal(t, "0123456789abcdef0123456789abcdef", read.Settings.JWT.Issuers[0].Secret.Reveal())
	served, err := w.Source.AppByKey(ctx, "given-key")
	require.NoError(t, err)
	require.Equal(t, app, served)

	_, err = w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{Name: "x", ID: "4711"})
	RequireCode(t, err, "app_id_taken")
	_, err = w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{Name: "x", Key: "given-key"})
	RequireCode(t, err, "key_taken")
	_, err = w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{Name: ""})
	require.ErrorAs(t, err, new(*tenants.InvalidError))

	made := map[tenants.AppID]bool{"4711": true}
	for range 6 {
		made[w.NewApp(owner, tenant.ID).ID] = true
	}
	var after tenants.AppID
	pages := 0
	for seen := (map[tenants.AppID]bool{}); ; pages++ {
		list, next, err := w.Apps(ctx, owner, tenant.ID, after, 3)
		require.NoError(t, err)
		for _, one := range list {
			require.Len(t, one.Keys, 1)
			seen[one.ID] = true
		}
		if after = next; next == "" {
			require.Equal(t, made, seen)
			break
		}
	}
	require.Equal(t, 2, pages)
}

func testAppPatches(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	patch := func(p tenants.AppPatch) (*tenants.App, error) { return w.UpdateApp(ctx, owner, app.ID, p) }
	changed, err := patch(tenants.AppPatch{
		Settings: json.RawMessage(`{"client_events":true,"cache_ttl_seconds":60}`), Limits: json.RawMessage(`{"max_connections":5}`),
	})
	require.NoError(t, err)
	require.True(t, changed.Settings.ClientEvents)
	require.Equal(t, 5, changed.Limits.MaxConnections)
	require.Equal(t, app.Revision+1, changed.Revision)
	require.Greater(t, changed.Version, app.Version)
	served, err := w.Source.AppByID(ctx, app.ID)
	require.NoError(t, err)
	require.Equal(t, changed, served)

	changed, err = patch(tenants.AppPatch{Settings: json.RawMessage(`{"cache_ttl_seconds":null}`), Limits: json.RawMessage(`{"max_event_bytes":null}`)})
	require.NoError(t, err)
	require.True(t, changed.Settings.ClientEvents, "what is not named stays")
	require.Equal(t, 1800, changed.Settings.CacheTTLSeconds, "null is the default")
	require.Equal(t, 10_240, changed.Limits.MaxEventBytes)

	for _, bad := range []string{
		`{"client_event":true}`, `{"client_events":true,"client_events":null}`, `{"Client_Events":true}`, `{"client_events":1}`,
		`null`, `[]`, ``, `{`, `{"client_events":true} x`, `{"unknown":null}`, `{"cache_ttl_seconds":0}`, "{\"client_events\":true\xff}",
	} {
		_, err = patch(tenants.AppPatch{Settings: json.RawMessage(bad)})
		require.ErrorAs(t, err, new(*tenants.InvalidError), bad)
	}
	name, on := "New name", true
	_, err = patch(tenants.AppPatch{Name: &name, Limits: json.RawMessage(`{"max_connections":-1}`)})
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	same, err := w.App(ctx, owner, app.ID)
	require.NoError(t, err)
	require.Equal(t, changed, same, "all of a patch or nothing")

	_, err = patch(tenants.AppPatch{Name: &name, IfRevision: app.Revision})
	require.ErrorIs(t, err, tenants.ErrChanged)
	changed, err = patch(tenants.AppPatch{Name: &name, IfRevision: same.Revision})
	require.NoError(t, err)
	require.Equal(t, name, changed.Name)
	changed, err = patch(tenants.AppPatch{Disabled: &on})
	require.NoError(t, err)
	require.False(t, changed.Serving())
}

func testDeletedApp(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	before, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	require.NoError(t, w.DeleteApp(ctx, owner, app.ID))
	_, err = w.Source.AppByKey(ctx, app.Keys[0].Key)
	require.ErrorIs(t, err, tenants.ErrNotFound)
	set, err := w.Source.Changes(ctx, before.Version)
	require.NoError(t, err)
	require.Equal(t, app.ID, set.Changes[0].App)
	require.ErrorIs(t, w.DeleteApp(ctx, owner, app.ID), tenants.ErrNotFound)

	eve, other := w.Owner("eve@example.com", "Two")
	_, err = w.CreateApp(ctx, eve, other.ID, tenants.NewApp{Name: "x", ID: app.ID})
	RequireCode(t, err, "app_id_taken") // nobody inherits its clients
	_, err = w.CreateApp(ctx, eve, other.ID, tenants.NewApp{Name: "x", Key: app.Keys[0].Key})
	RequireCode(t, err, "key_taken")
}

func testKeys(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	fresh, old, err := w.RotateKey(ctx, owner, app.ID, app.Keys[0].ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, tenants.KeyRetiring, old.Status)
	require.Equal(t, w.Clock.Now().Add(time.Hour), old.RetiresAt)
	require.NotEqual(t, app.Keys[0].Secret.Reveal(), fresh.Secret.Reveal())
	for _, name := range []string{old.Key, fresh.Key} {
		served, err := w.Source.AppByKey(ctx, name)
		require.NoError(t, err, "both work")
		require.NotNil(t, served.Key(name))
		require.False(t, served.Key(name).Secret.IsZero())
	}
	_, _, err = w.RotateKey(ctx, owner, app.ID, old.ID, time.Hour)
	RequireCode(t, err, "key_not_active")
	_, _, err = w.RotateKey(ctx, owner, app.ID, fresh.ID, 91*24*time.Hour)
	require.ErrorAs(t, err, new(*tenants.InvalidError))

	n, err := w.RevokeRetired(ctx)
	require.NoError(t, err)
	require.Zero(t, n, "its time is not over")
	w.Clock.Advance(time.Hour)
	before, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	n, err = w.RevokeRetired(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = w.Source.AppByKey(ctx, old.Key)
	require.ErrorIs(t, err, tenants.ErrNotFound)
	set, err := w.Source.Changes(ctx, before.Version)
	require.NoError(t, err)
	require.Equal(t, app.ID, set.Changes[0].App, "every node closes what is connected with it")
	n, err = w.RevokeRetired(ctx)
	require.NoError(t, err)
	require.Zero(t, n)

	extra, err := w.CreateKey(ctx, owner, app.ID, tenants.NewKey{Key: "second", Secret: tenants.NewSecret("second-secret")})
	require.NoError(t, err)
	_, err = w.CreateKey(ctx, owner, app.ID, tenants.NewKey{Key: old.Key})
	RequireCode(t, err, "key_taken")
	revoked, err := w.RevokeKey(ctx, owner, app.ID, extra.Key)
	require.NoError(t, err)
	require.True(t, revoked.Secret.IsZero())
	_, err = w.RevokeKey(ctx, owner, app.ID, extra.ID)
	RequireCode(t, err, "key_revoked")
	_, gone, err := w.RotateKey(ctx, owner, app.ID, fresh.ID, 0)
	require.NoError(t, err)
	require.Equal(t, tenants.KeyRevoked, gone.Status)
	read, err := w.App(ctx, owner, app.ID)
	require.NoError(t, err)
	require.Nil(t, read.Key(fresh.Key))
}

func testManyRotations(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	first, current := app.Keys[0].Key, app.Keys[0].ID
	for range 30 {
		fresh, _, err := w.RotateKey(ctx, owner, app.ID, current, 0)
		require.NoError(t, err)
		current = fresh.ID
	}
	read, err := w.App(ctx, owner, app.ID)
	require.NoError(t, err)
	require.LessOrEqual(t, len(read.Keys), 22)
	_, err = w.CreateKey(ctx, owner, app.ID, tenants.NewKey{Key: first})
	RequireCode(t, err, "key_taken") // forgotten, and still reserved
	for i := range 19 {
		_, err = w.CreateKey(ctx, owner, app.ID, tenants.NewKey{Key: fmt.Sprintf("k%d", i)})
		require.NoError(t, err)
	}
	_, err = w.CreateKey(ctx, owner, app.ID, tenants.NewKey{})
	RequireCode(t, err, "too_many_keys")
}

func testProvision(t *testing.T, w *World) {
	ctx := t.Context()
	app, isNew, err := w.ProvisionApp(ctx, tenants.CLI(), tenants.NewApp{TenantSlug: "acme", Name: "Chat", ID: "42"})
	require.NoError(t, err)
	require.True(t, isNew)
	require.Equal(t, "acme", app.TenantSlug)
	_, isNew, err = w.ProvisionApp(ctx, tenants.CLI(), tenants.NewApp{TenantSlug: "acme", Name: "Chat"})
	require.NoError(t, err)
	require.False(t, isNew)
	_, _, err = w.ProvisionApp(ctx, tenants.CLI(), tenants.NewApp{TenantSlug: "other", Name: "Chat", ID: "42"})
	require.ErrorIs(t, err, tenants.ErrExists)
	_, err = w.Tenant(ctx, tenants.CLI(), "other")
	require.ErrorIs(t, err, tenants.ErrNotFound, "nothing half-done")
	owner, _ := w.Owner("ada@example.com", "One")
	_, _, err = w.ProvisionApp(ctx, owner, tenants.NewApp{TenantSlug: "acme", Name: "Chat"})
	require.ErrorIs(t, err, tenants.ErrForbidden)
}

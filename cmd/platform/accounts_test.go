package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// printed runs a command that must work and reads what it printed.
func printed[T any](t *testing.T, environ []string, args ...string) (v T) {
	t.Helper()
	r := platform(t, environ, append(args, "--json")...)
	require.Zero(t, r.code, r.stderr)
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v), r.stdout)
	return v
}

func TestTenants(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_PUBLIC_URL=https://rt.example.com")
	user := printed[printedUser](t, environ, "users", "create", "ADA@example.com", "--operator")
	require.Equal(t, "ada@example.com", user.Email)
	require.True(t, user.Operator)
	require.Regexp(t, `^https://rt\.example\.com/dashboard/reset\?token=[0-9a-f]{64}$`, user.PasswordLink)
	made := printed[tenants.Tenant](t, environ, "tenants", "create", "acme", "--name", "Acme Corp", "--owner", "ada@example.com")
	require.Equal(t, tenants.TenantActive, made.Status)
	app := createApp(t, environ)
	require.False(t, app.TenantCreated)

	second := printed[printedUser](t, environ, "users", "create", "bob@example.com", "--tenant", "acme", "--role", "viewer")
	require.Equal(t, tenants.RoleViewer, second.Role)
	suspended := printed[tenants.Tenant](t, environ, "tenants", "suspend", "acme", "--reason", "unpaid")
	require.Equal(t, "unpaid", suspended.StatusReason)
	list := printed[[]tenants.Tenant](t, environ, "tenants", "list", "--status", "suspended")
	require.Len(t, list, 1)
	require.Equal(t, tenants.TenantActive, printed[tenants.Tenant](t, environ, "tenants", "resume", "acme").Status)

	export := printed[map[string]any](t, environ, "tenants", "export", "acme")
	require.Len(t, export["members"], 2)
	require.Len(t, export["apps"], 1)
	require.NotContains(t, platform(t, environ, "tenants", "export", "acme").stdout, app.Secret)
	file := filepath.Join(t.TempDir(), "acme.json")
	require.Zero(t, platform(t, environ, "tenants", "export", "acme", "--out", file).code)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	requireOneLine(t, platform(t, environ, "tenants", "export", "acme", "--out", file), file, "exists")

	closing := printed[tenants.Tenant](t, environ, "tenants", "delete", "acme")
	require.Equal(t, tenants.TenantClosing, closing.Status)
	require.Contains(t, platform(t, environ, "tenants", "list").stdout, "closing")
	requireOneLine(t, platform(t, environ, "tenants", "delete", "acme"), "being deleted already")
	require.Contains(t, platform(t, environ, "tenants", "resume", "acme").stdout, "active")
}

func TestKeysAndTokens(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	app := createApp(t, environ)
	id := string(app.ID)
	rotated := printed[map[string]printedKey](t, environ, "keys", "rotate", app.Key, "--app", id, "--overlap", "1h")
	require.Equal(t, tenants.KeyRetiring, rotated["old"].Status)
	require.Empty(t, rotated["old"].Secret)
	require.Regexp(t, `^[0-9a-f]{20}$`, rotated["key"].Secret)
	require.Equal(t, rotated["key"].Key.Key, printed[printedApp](t, environ, "apps", "show", id).Key, "commands sign with the new one")
	made := printed[map[string]printedKey](t, environ, "keys", "create", "--app", id, "--key", "mine", "--secret", "my-own-secret")
	require.Equal(t, "my-own-secret", made["key"].Secret)
	require.Equal(t, tenants.KeyRevoked, printed[printedKey](t, environ, "keys", "revoke", "mine", "--app", id).Status)
	r := platform(t, environ, "keys", "list", "--app", id)
	require.Contains(t, r.stdout, "retiring")
	require.NotContains(t, r.stdout, rotated["key"].Secret)

	token := printed[printedToken](t, environ, "tokens", "create", "--tenant", "acme", "--name", "ci", "--scopes", "apps:read,keys:write", "--apps", id, "--expires", "90d")
	require.True(t, tenants.WellFormedToken(token.Text))
	require.Equal(t, []tenants.Scope{tenants.ScopeAppsRead, tenants.ScopeKeysWrite}, token.Scopes)
	r = platform(t, environ, "tokens", "list", "--tenant", "acme")
	require.Contains(t, r.stdout, token.Last4)
	require.NotContains(t, r.stdout, token.Text)
	require.Zero(t, platform(t, environ, "tokens", "revoke", token.ID, "--tenant", "acme").code)
	require.Empty(t, printed[[]tenants.Token](t, environ, "tokens", "list", "--tenant", "acme"))
}

func TestAppChanges(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	id := string(createApp(t, environ, "--settings", `{"client_events":true}`).ID)
	changed := printed[printedApp](t, environ, "apps", "update", id, "--name", "New", "--settings", `{"client_events":null,"cache_ttl_seconds":9}`, "--limits", `{"max_connections":3}`)
	require.Equal(t, "New", changed.Name)
	require.False(t, changed.Settings.ClientEvents)
	require.Equal(t, 9, changed.Settings.CacheTTLSeconds)
	require.Equal(t, 3, changed.Limits.MaxConnections)
	require.True(t, printed[printedApp](t, environ, "apps", "disable", id).Disabled)
	require.False(t, printed[printedApp](t, environ, "apps", "enable", id).Disabled)
	r := platform(t, environ, "apps", "delete", id)
	requireOneLine(t, r, "--yes")
	require.Equal(t, exitUsage, r.code)
	require.Zero(t, platform(t, environ, "apps", "delete", id, "--yes").code)
	requireOneLine(t, platform(t, environ, "apps", "show", id), id, "does not exist")
	requireOneLine(t, platform(t, environ, "apps", "create", "--tenant", "other", "--name", "X", "--id", id), id, "already exists")
}

func TestPlans(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	app := createApp(t, environ)
	require.Contains(t, platform(t, environ, "plans", "list").stdout, "sandbox")
	file := filepath.Join(t.TempDir(), "plans.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"name":"team","max_apps":10,"max_connections":50}]`), 0o600))
	require.Len(t, printed[[]tenants.Plan](t, environ, "plans", "apply", file), 1)
	require.Contains(t, platform(t, environ, "plans", "apply", file).stdout, "0 changed, 1 as they were")
	require.Equal(t, "team", printed[tenants.Tenant](t, environ, "tenants", "plan", "acme", "team").Plan)
	requireOneLine(t, platform(t, environ, "apps", "update", string(app.ID), "--limits", `{"max_connections":51}`), "limits.max_connections", "at most 50", "team")
}

func TestAccountMistakes(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	app := string(createApp(t, environ).ID)
	bad := filepath.Join(t.TempDir(), "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`[{"name":"team","max_app":10}]`), 0o600))
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"bad slug":            {[]string{"tenants", "create", "A B"}, exitUsage, []string{"tenant", "a-z"}},
		"slug taken":          {[]string{"tenants", "create", "acme"}, exitFailure, []string{"acme", "taken"}},
		"unknown owner":       {[]string{"tenants", "create", "new", "--owner", "x@example.com"}, exitFailure, []string{"x@example.com", "users create"}},
		"unknown plan":        {[]string{"tenants", "plan", "acme", "gold"}, exitUsage, []string{"gold", "plans list"}},
		"unknown tenant":      {[]string{"tenants", "suspend", "nobody"}, exitFailure, []string{"nobody", "tenants list"}},
		"export of nobody":    {[]string{"tenants", "export", "nobody"}, exitFailure, []string{"nobody", "tenants list"}},
		"nothing to resume":   {[]string{"tenants", "resume", "acme"}, exitFailure, []string{"active", "nothing to resume"}},
		"bad status":          {[]string{"tenants", "list", "--status", "happy"}, exitUsage, []string{"happy", "suspended"}},
		"bad address":         {[]string{"users", "create", "ada"}, exitUsage, []string{"email", "ada@example.com"}},
		"role without tenant": {[]string{"users", "create", "a@example.com", "--role", "viewer"}, exitUsage, []string{"--tenant"}},
		"bad role":            {[]string{"users", "create", "a@example.com", "--tenant", "acme", "--role", "king"}, exitUsage, []string{"role", "viewer"}},
		"user of no tenant":   {[]string{"users", "create", "a@example.com", "--tenant", "nobody"}, exitFailure, []string{"nobody", "tenants list"}},
		"keys without app":    {[]string{"keys", "create"}, exitUsage, []string{"--app"}},
		"keys of no app":      {[]string{"keys", "create", "--app", "99"}, exitFailure, []string{`"99"`, "apps list"}},
		"unknown key":         {[]string{"keys", "revoke", "nokey", "--app", app}, exitFailure, []string{"nokey", "keys list"}},
		"long overlap":        {[]string{"keys", "rotate", "nokey", "--app", app, "--overlap", "9999h"}, exitUsage, []string{"overlap", "90 days"}},
		"no scopes":           {[]string{"tokens", "create", "--tenant", "acme", "--name", "ci"}, exitUsage, []string{"scopes", "apps:read"}},
		"unknown scope":       {[]string{"tokens", "create", "--tenant", "acme", "--name", "ci", "--scopes", "apps:all"}, exitUsage, []string{"apps:all"}},
		"bad expiry":          {[]string{"tokens", "create", "--tenant", "acme", "--name", "ci", "--scopes", "admin", "--expires", "soon"}, exitUsage, []string{"--expires", "90d"}},
		"token of no tenant":  {[]string{"tokens", "list", "--tenant", "nobody"}, exitFailure, []string{"nobody", "tenants list"}},
		"unknown token":       {[]string{"tokens", "revoke", "tok_x", "--tenant", "acme"}, exitFailure, []string{"tok_x", "tokens list"}},
		"no plans file":       {[]string{"plans", "apply", "/nonexistent.json"}, exitUsage, []string{"/nonexistent.json"}},
		"unknown ceiling":     {[]string{"plans", "apply", bad}, exitUsage, []string{"max_app", "max_apps"}},
		"nothing to update":   {[]string{"apps", "update", app}, exitUsage, []string{"--name"}},
		"unknown setting":     {[]string{"apps", "update", app, "--settings", `{"client_event":true}`}, exitUsage, []string{"client_events"}},
		"update of no app":    {[]string{"apps", "update", "99", "--name", "x"}, exitFailure, []string{`"99"`, "apps list"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := platform(t, environ, test.args...)
			requireOneLine(t, r, test.want...)
			require.Equal(t, test.code, r.code, r.stderr)
		})
	}
}

// What the commands change is in the log of the tenant.
func TestCommandsAreAudited(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	app := createApp(t, environ)
	require.Zero(t, platform(t, environ, "keys", "create", "--app", string(app.ID)).code)
	export := platform(t, environ, "tenants", "export", "acme").stdout
	for _, action := range []string{"tenant.created", "app.created", "key.created", "tenant.exported"} {
		require.Equal(t, 1, strings.Count(export, `"action":"`+action+`"`), action)
	}
	require.Contains(t, export, `"actor_kind":"cli"`)
}

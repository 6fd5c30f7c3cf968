package tenants_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func TestNewAppFill(t *testing.T) {
	t.Parallel()
	n := tenants.NewApp{TenantSlug: "acme", Name: "shop"}
	require.NoError(t, n.Validate())
	n.Fill()
	require.NoError(t, n.Validate())
	require.Equal(t, "acme", n.TenantName)
	require.Regexp(t, `^[0-9a-f]{20}$`, n.Key)
	require.Regexp(t, `^[0-9a-f]{20}$`, n.Secret.Reveal())
	require.NotEqual(t, n.Key, n.Secret.Reveal())
	require.Equal(t, tenants.DefaultSettings(), *n.Settings)
	require.Equal(t, tenants.DefaultLimits(), *n.Limits)

	given := tenants.NewApp{TenantSlug: "acme", Name: "shop", Key: "mine", Secret: tenants.NewSecret("app-secret"), Limits: &tenants.Limits{}}
	given.Fill()
	require.Equal(t, "mine", given.Key)
	require.Equal(t, "app-secret", given.Secret.Reveal())
	require.Equal(t, tenants.Limits{}, *given.Limits)

	for range 1000 {
		require.Regexp(t, `^[1-9][0-9]{5,8}$`, string(tenants.RandomAppID()))
	}
}

func TestNewAppValidate(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("1", n) }
	type change = func(*tenants.NewApp)
	for name, c := range map[string]struct {
		change change
		field  string // empty = accepted
	}{
		"slug":               {func(n *tenants.NewApp) { n.TenantSlug = "a-1" }, ""},
		"slug empty":         {func(n *tenants.NewApp) { n.TenantSlug = "" }, "tenant"},
		"slug upper case":    {func(n *tenants.NewApp) { n.TenantSlug = "Acme" }, "tenant"},
		"slug dash first":    {func(n *tenants.NewApp) { n.TenantSlug = "-acme" }, "tenant"},
		"slug longest":       {func(n *tenants.NewApp) { n.TenantSlug = long(63) }, ""},
		"slug too long":      {func(n *tenants.NewApp) { n.TenantSlug = long(64) }, "tenant"},
		"slug newline":       {func(n *tenants.NewApp) { n.TenantSlug = "acme\n" }, "tenant"},
		"name empty":         {func(n *tenants.NewApp) { n.Name = "" }, "name"},
		"name spaces":        {func(n *tenants.NewApp) { n.Name = " shop" }, "name"},
		"name control":       {func(n *tenants.NewApp) { n.Name = "a\x1b[31m" }, "name"},
		"name bidi override": {func(n *tenants.NewApp) { n.Name = "a\u202eb" }, "name"},
		"name bad utf8":      {func(n *tenants.NewApp) { n.Name = "a\xff" }, "name"},
		"name too long":      {func(n *tenants.NewApp) { n.Name = long(101) }, "name"},
		"tenant name":        {func(n *tenants.NewApp) { n.TenantName = "a\tb" }, "tenant name"},
		"cluster":            {func(n *tenants.NewApp) { n.Cluster = "EU" }, "cluster"},
		"id":                 {func(n *tenants.NewApp) { n.ID = "1" }, ""},
		"id longest":         {func(n *tenants.NewApp) { n.ID = tenants.AppID(long(18)) }, ""},
		"id too long":        {func(n *tenants.NewApp) { n.ID = tenants.AppID(long(19)) }, "id"},
		"id zero first":      {func(n *tenants.NewApp) { n.ID = "012" }, "id"},
		"id letters":         {func(n *tenants.NewApp) { n.ID = "app-id" }, "id"},
		"id other digits":    {func(n *tenants.NewApp) { n.ID = "١٢" }, "id"},
		"key":                {func(n *tenants.NewApp) { n.Key = "App_key-1" }, ""},
		"key colon":          {func(n *tenants.NewApp) { n.Key = "a:b" }, "key"},
		"key slash":          {func(n *tenants.NewApp) { n.Key = "a/b" }, "key"},
		"key too long":       {func(n *tenants.NewApp) { n.Key = long(65) }, "key"},
		"secret":             {func(n *tenants.NewApp) { n.Secret = tenants.NewSecret("app-secr") }, ""},
		"secret short":       {func(n *tenants.NewApp) { n.Secret = tenants.NewSecret("1234567") }, "secret"},
		"secret too long":    {func(n *tenants.NewApp) { n.Secret = tenants.NewSecret(long(129)) }, "secret"},
		"secret space":       {func(n *tenants.NewApp) { n.Secret = tenants.NewSecret("hunter22 hunter22") }, "secret"},
		"settings":           {func(n *tenants.NewApp) { n.Settings = &tenants.Settings{} }, "settings.authorization_timeout_seconds"},
		"limits":             {func(n *tenants.NewApp) { n.Limits = &tenants.Limits{MaxConnections: -1} }, "limits.max_connections"},
	} {
		n := tenants.NewApp{TenantSlug: "acme", Name: "shop"}
		c.change(&n)
		err := n.Validate()
		if c.field == "" {
			require.NoError(t, err, name)
			continue
		}
		invalid := new(tenants.InvalidError)
		require.ErrorAs(t, err, &invalid, name)
		require.Equal(t, c.field, invalid.Field, name)
		if !n.Secret.IsZero() {
			require.NotContains(t, err.Error(), n.Secret.Reveal(), "a secret must not be repeated")
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	n := tenants.NewApp{TenantSlug: "acme", Name: "shop", Secret: tenants.NewSecret("hunter2hunter2")}
	require.NotContains(t, printed(n), "hunter2")
}

package tenants_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

func asRefusal(err error, target **tenants.Refusal) bool { return errors.As(err, target) }

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ada@Example.COM ":       "ada@example.com",
		"a+b.c_d-e@x-y.example":   "a+b.c_d-e@x-y.example",
		"o'hara@xn--bcher-kva.de": "o'hara@xn--bcher-kva.de",
		"root@localhost":          "root@localhost",
	} {
		got, err := tenants.NormalizeEmail(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{
		"", "ada", "@example.com", "ada@", "ada@example", "a b@example.com", "ada@exam ple.com", "ada@@example.com", "a@b@example.com",
		"ada\r\nBcc: x@example.com", "ada@example.com\x00", "ädä@example.com", "ada@exаmple.com", "\"ada\"@example.com", "ada,eve@example.com",
		"<ada@example.com>", ".ada@example.com", "ada.@example.com", "a..b@example.com", "ada@-x.com", "ada@example..com", "ada@[127.0.0.1]",
		"ada@under_score.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com",
	} {
		_, err := tenants.NormalizeEmail(bad)
		require.ErrorAs(t, err, new(*tenants.InvalidError), bad)
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.com", " A@B.C ", "a@b\r\n", "K@x.yz", "\xff@x.y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := tenants.NormalizeEmail(in)
		if err != nil {
			return
		}
		if again, err := tenants.NormalizeEmail(out); err != nil || again != out {
			t.Fatalf("%q gives %q, and that %q %v", in, out, again, err)
		}
		if strings.ContainsAny(out, " \r\n\t,;<>\"") || strings.Count(out, "@") != 1 || strings.ToLower(out) != out {
			t.Fatalf("%q gives %q", in, out)
		}
	})
}

func TestWellFormedToken(t *testing.T) {
	t.Parallel()
	// Made by the shape that is documented: the CRC-32 of the first 34 characters.
	const good = "twk_0123456789ABCDEFGHIJKLMNOPQRST" + "477E29"
	require.True(t, tenants.WellFormedToken(good))
	for bad, why := range map[string]string{
		"":                                 "empty",
		good[:len(good)-1]:                 "short",
		good + "0":                         "long",
		"twx_" + good[4:]:                  "prefix",
		good[:10] + "!" + good[11:]:        "character",
		good[:10] + "x" + good[11:]:        "typing slip",
		strings.ToUpper(good):              "case",
		good[:4] + "\u00e9" + good[6:]:     "not ASCII",
		"twk_" + strings.Repeat("0", 30+6): "checksum",
	} {
		require.False(t, tenants.WellFormedToken(bad), why)
	}
}

func FuzzWellFormedToken(f *testing.F) {
	f.Add("twk_0123456789ABCDEFGHIJKLMNOPQRST477E29")
	f.Add("twk_0123456789ABCDEFGHIJKLMNOPQRST000000")
	f.Fuzz(func(t *testing.T, text string) {
		if tenants.WellFormedToken(text) && !regexp.MustCompile(`^twk_[0-9A-Za-z]{36}$`).MatchString(text) {
			t.Fatalf("accepted %q", text)
		}
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	for _, p := range tenants.BuiltInPlans() {
		require.NoError(t, p.Validate(), p.Name)
		e := p.Effective()
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		require.NotContains(t, string(raw), ":0,", "nothing is without a bound")
	}
	plan, err := tenants.ParsePlan([]byte(`{"name":"team","max_connections":50,"max_apps":3,"max_event_bytes":5000}`))
	require.NoError(t, err)
	limits := plan.Lower(tenants.Limits{MaxConnections: 0, MaxEventBytes: 4000, MaxPublishesPerSecond: 9})
	require.Equal(t, tenants.Limits{MaxConnections: 50, MaxEventBytes: 4000, MaxPublishesPerSecond: 9}, limits)
	require.Equal(t, tenants.DefaultLimits(), tenants.Plan{}.Lower(tenants.DefaultLimits()), "the zero plan lowers nothing")
	require.Equal(t, 3, plan.Effective().MaxApps)
	require.Equal(t, 10_000, tenants.Plan{}.Effective().MaxApps)
	for _, bad := range []string{
		`{}`, `{"name":""}`, `{"name":"A B"}`, `{"name":"x","max_apps":-1}`, `{"name":"x","max_app":1}`, `{"name":"x","name":"y"}`,
		`{"name":"x","max_apps":1e9}`, `{"name":"x","version":2}`, `[]`, ``,
	} {
		_, err := tenants.ParsePlan([]byte(bad))
		require.ErrorAs(t, err, new(*tenants.InvalidError), bad)
	}
	for _, bad := range []string{`{}`, `null x`, `[{"name":"x"},{"name":"x"}]`, `[1]`} {
		_, err := tenants.ParsePlans([]byte(bad))
		require.ErrorAs(t, err, new(*tenants.InvalidError), bad)
	}
}

// The table is the whole of who may do what: a row that goes missing, or a role
// that gains something, is seen here.
func TestPermissionTable(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	for _, act := range tenants.Actions() {
		roles, scopes := "", []string{}
		for _, r := range tenants.Roles() {
			if r.May(act) {
				roles += string(r)[:1]
			}
		}
		for _, s := range tenants.Scopes() {
			if s.Grants(act) {
				scopes = append(scopes, string(s))
			}
		}
		if len(scopes) == len(tenants.Scopes()) {
			scopes = []string{"any"}
		}
		if len(scopes) == 0 {
			scopes = []string{"no token"}
		}
		fmt.Fprintf(&table, "%-18s %-4s operator=%-5t closed=%-5t %s\n", act, roles, tenants.OperatorMay(act), tenants.OpenWhileClosed(act), strings.Join(scopes, " "))
	}
	want, err := os.ReadFile("testdata/permissions.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), table.String())
	for i, stronger := range tenants.Roles() {
		for _, weaker := range tenants.Roles()[i+1:] {
			for _, act := range tenants.Actions() {
				require.False(t, weaker.May(act) && !stronger.May(act), "%s may %s, %s may not", weaker, act, stronger)
			}
		}
	}
	require.False(t, tenants.Role("").May(tenants.ActTenantRead))
	require.False(t, tenants.RoleOwner.May("made:up"))
	require.False(t, slices.Contains(tenants.Actions(), ""))
}

func TestRetiringKeyEndsOnTime(t *testing.T) {
	t.Parallel()
	app := &tenants.App{ID: "1", TenantID: "tn", TenantStatus: tenants.TenantActive, Keys: []tenants.Key{
		{Key: "over", Status: tenants.KeyRetiring, RetiresAt: time.Now().Add(-time.Second)},
		{Key: "soon", Status: tenants.KeyRetiring, RetiresAt: time.Now().Add(time.Hour)},
		{Key: "open", Status: tenants.KeyRetiring},
		{Key: "new", Status: tenants.KeyActive},
	}}
	require.Nil(t, app.Key("over"))
	for _, name := range []string{"soon", "open", "new"} {
		require.NotNil(t, app.Key(name), name)
	}
	source := &tenantstest.Source{}
	source.Put(*app)
	d := tenants.NewDirectory(source, nil, tenants.DirectoryOptions{})
	_, err := d.ByKey(t.Context(), "new") // the app is in memory from now on
	require.NoError(t, err)
	_, err = d.ByKey(t.Context(), "over")
	require.ErrorIs(t, err, tenants.ErrNotFound, "by the clock, while the database knows nothing of it yet")
	_, err = d.ByKey(t.Context(), "soon")
	require.NoError(t, err)
}

func TestDirectoryLowersLimitsToThePlan(t *testing.T) {
	t.Parallel()
	source := &tenantstest.Source{}
	source.Put(tenants.App{
		ID: "1", TenantID: "tn", TenantStatus: tenants.TenantActive, Plan: tenants.Plan{Limits: tenants.Limits{MaxConnections: 5, MaxEventBytes: 100}},
		Limits: tenants.Limits{MaxConnections: 9, MaxPresenceMembers: 7}, Keys: []tenants.Key{{Key: "k", Status: tenants.KeyActive}},
	})
	app, err := tenants.NewDirectory(source, nil, tenants.DirectoryOptions{}).ByKey(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, tenants.Limits{MaxConnections: 5, MaxEventBytes: 100, MaxPresenceMembers: 7}, app.Limits)
}

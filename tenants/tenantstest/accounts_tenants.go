package tenantstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testPlanLimits(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Join("ada@example.com", "One")
	w.NewApp(owner, tenant.ID)
	app := w.NewApp(owner, tenant.ID)
	_, err := w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{Name: "third"})
	RequireCode(t, err, "plan_limit")
	require.ErrorIs(t, err, tenants.ErrPlanLimit)
	require.ErrorContains(t, err, "sandbox allows 2 (max_apps)")

	_, err = w.UpdateApp(ctx, owner, app.ID, tenants.AppPatch{Limits: json.RawMessage(`{"max_connections":101}`)})
	var invalid *tenants.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "limits.max_connections", invalid.Field)
	lower, err := w.UpdateApp(ctx, owner, app.ID, tenants.AppPatch{Limits: json.RawMessage(`{"max_connections":7}`)})
	require.NoError(t, err)
	require.Equal(t, 7, lower.Plan.Lower(lower.Limits).MaxConnections, "an app limit can only lower its share")
	require.Equal(t, 20, lower.Plan.Lower(lower.Limits).MaxPublishesPerSecond)

	bob, other := w.Owner("bob@example.com", "Two")
	wide := w.NewApp(bob, other.ID)
	_, err = w.UpdateApp(ctx, bob, wide.ID, tenants.AppPatch{Limits: json.RawMessage(`{"max_connections":5000}`)})
	require.NoError(t, err)
	w.NewApp(bob, other.ID)
	w.NewApp(bob, other.ID)
	_, err = w.SetPlan(ctx, tenants.CLI(), other.ID, tenants.SandboxPlan)
	require.NoError(t, err)
	kept, err := w.Source.AppByID(ctx, wide.ID)
	require.NoError(t, err, "a downgrade takes nothing away")
	require.Equal(t, 5000, kept.Limits.MaxConnections)
	require.Equal(t, 100, kept.Plan.Lower(kept.Limits).MaxConnections, "new use is bounded")
	_, err = w.CreateApp(ctx, bob, other.ID, tenants.NewApp{Name: "fourth"})
	RequireCode(t, err, "plan_limit")
	name := "Renamed"
	_, err = w.UpdateApp(ctx, bob, wide.ID, tenants.AppPatch{Name: &name})
	require.NoError(t, err, "what stood there before may stay")
	for _, address := range []string{"c@example.com", "d@example.com"} {
		_, err = w.Invite(ctx, bob, other.ID, address, tenants.RoleViewer)
		require.NoError(t, err)
	}
	_, err = w.Invite(ctx, bob, other.ID, "e@example.com", tenants.RoleViewer)
	RequireCode(t, err, "plan_limit")
	_, err = w.Invite(ctx, bob, other.ID, "d@example.com", tenants.RoleViewer)
	require.NoError(t, err, "the same address again takes no new place")
}

func testPlans(t *testing.T, w *World) {
	ctx, cli := t.Context(), tenants.CLI()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	list, err := w.Plans(ctx, cli)
	require.NoError(t, err)
	require.Equal(t, tenants.BuiltInPlans(), list)

	plans, err := tenants.ParsePlans([]byte(`[{"name":"team","max_apps":3,"max_connections":500},{"name":"sandbox","max_apps":1}]`))
	require.NoError(t, err)
	applied, err := w.ApplyPlans(ctx, cli, plans)
	require.NoError(t, err)
	require.Len(t, applied, 2)
	require.Equal(t, []int{1, 2}, []int{applied[0].Version, applied[1].Version})
	applied, err = w.ApplyPlans(ctx, cli, plans)
	require.NoError(t, err)
	require.Empty(t, applied, "nothing has changed")

	_, err = w.SetPlan(ctx, cli, tenant.Slug, "teem")
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	_, err = w.SetPlan(ctx, cli, tenant.Slug, "team")
	require.NoError(t, err)
	served, err := w.Source.AppByID(ctx, app.ID)
	require.NoError(t, err)
	require.Equal(t, "team", served.Plan.Name)
	require.Equal(t, 500, served.Plan.MaxConnections)

	before, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	plans[0].MaxConnections = 900
	applied, err = w.ApplyPlans(ctx, cli, plans)
	require.NoError(t, err)
	require.Len(t, applied, 1)
	require.Equal(t, 2, applied[0].Version)
	set, err := w.Source.Changes(ctx, before.Version)
	require.NoError(t, err)
	require.Len(t, set.Changes, 1)
	require.Equal(t, tenant.ID, set.Changes[0].TenantID)
	plan, err := w.TenantPlan(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Equal(t, 900, plan.MaxConnections)

	_, err = w.ApplyPlans(ctx, owner, plans)
	require.ErrorIs(t, err, tenants.ErrForbidden)
	_, err = w.SetPlan(ctx, owner, tenant.ID, "team")
	require.ErrorIs(t, err, tenants.ErrForbidden)
	_, err = w.Plans(ctx, owner)
	require.ErrorIs(t, err, tenants.ErrForbidden)
}

func testAnotherTenant(t *testing.T, w *World) {
	ctx := t.Context()
	ada, first := w.Join("ada@example.com", "One")
	_, err := w.AddTenant(ctx, ada, tenants.NewTenant{Name: "Two"})
	RequireCode(t, err, "email_unverified")
	_, err = w.Verify(ctx, w.Meta(), w.Link("ada@example.com"))
	require.NoError(t, err)
	ada = w.Enter("ada@example.com")

	second, err := w.AddTenant(ctx, ada, tenants.NewTenant{Name: "Ada's Side Project", Plan: "enterprise", Owner: "eve@example.com"})
	require.NoError(t, err)
	require.Equal(t, "ada-s-side-project", second.Slug)
	require.Equal(t, tenants.TenantActive, second.Status, "the address is confirmed already")
	require.Equal(t, tenants.DefaultPlan, second.Plan, "nobody chooses their own plan")
	w.NewApp(ada, second.ID)
	log, _, err := w.AuditLog(ctx, ada, second.ID, tenants.AuditFilter{Action: "tenant.created"})
	require.NoError(t, err)
	require.Len(t, log, 1)
	require.Equal(t, ada.User().ID, log[0].ActorID)
	list, err := w.Memberships(ctx, ada)
	require.NoError(t, err)
	require.Equal(t, []string{second.ID, first.ID}, []string{list[0].Tenant.ID, list[1].Tenant.ID})
	require.Equal(t, tenants.RoleOwner, list[0].Role)

	_, err = w.AddTenant(ctx, ada, tenants.NewTenant{Slug: first.Slug})
	RequireCode(t, err, "slug_taken")
	for _, bad := range []tenants.NewTenant{{}, {Slug: "No Slug", Name: "x"}, {Name: "two\nlines"}} {
		_, err = w.AddTenant(ctx, ada, bad)
		require.ErrorAs(t, err, new(*tenants.InvalidError), bad)
	}
	token := w.API(ada, second.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	for _, c := range []tenants.Caller{token, tenants.CLI()} {
		_, err = w.AddTenant(ctx, c, tenants.NewTenant{Name: "x"})
		require.ErrorIs(t, err, tenants.ErrForbidden)
	}
	_, err = w.AddTenant(ctx, tenants.Caller{}, tenants.NewTenant{Name: "x"})
	require.ErrorIs(t, err, tenants.ErrUnauthenticated)

	_, err = w.SuspendTenant(ctx, tenants.CLI(), first.ID, "spam")
	require.NoError(t, err)
	_, err = w.AddTenant(ctx, ada, tenants.NewTenant{Name: "Fresh start"})
	RequireCode(t, err, "tenant_suspended")
	_, err = w.ResumeTenant(ctx, tenants.CLI(), first.ID)
	require.NoError(t, err)

	for n := 2; n < 10; n++ {
		ada.IP = w.Meta().IP
		made, err := w.AddTenant(ctx, ada, tenants.NewTenant{Name: "More"})
		require.NoError(t, err)
		_, err = w.DeleteTenant(ctx, ada, made.ID)
		require.NoError(t, err, "what is being deleted counts until it is gone")
	}
	_, err = w.AddTenant(ctx, ada, tenants.NewTenant{Name: "Eleventh"})
	RequireCode(t, err, "too_many_tenants")
	require.ErrorContains(t, err, "10 is the most")

	bob := w.Colleague(ada, second.ID, "bob@example.com", tenants.RoleAdmin)
	_, err = w.AddTenant(ctx, bob, tenants.NewTenant{Name: "Bob's"})
	require.NoError(t, err, "being a member somewhere is not owning it")
	for range 4 {
		_, err = w.AddTenant(ctx, bob, tenants.NewTenant{Name: "Bob's"})
		require.NoError(t, err)
	}
	_, err = w.AddTenant(ctx, bob, tenants.NewTenant{Name: "Bob's"})
	require.ErrorIs(t, err, tenants.ErrThrottled, "five a day from one address")
}

func testAnotherTenantRace(t *testing.T, w *World) {
	ctx := t.Context()
	w.Owner("ada@example.com", "One")
	ada := w.Enter("ada@example.com")
	var wg sync.WaitGroup
	for range 16 {
		caller := ada
		caller.IP = w.Meta().IP
		wg.Go(func() { _, _ = w.AddTenant(ctx, caller, tenants.NewTenant{Name: "More"}) })
	}
	wg.Wait()
	list, err := w.Memberships(ctx, ada)
	require.NoError(t, err)
	require.Len(t, list, 10)
}

// Where not everybody may sign up, tenants are the operator's to give.
func testAnotherTenantClosed(t *testing.T, w *World) {
	ctx := t.Context()
	w.Owner("ada@example.com", "One")
	_, err := w.CreateUser(ctx, tenants.CLI(), tenants.NewUser{Email: "op@example.com", Password: tenants.NewSecret(Password), Operator: true})
	require.NoError(t, err)
	ada, op := w.Enter("ada@example.com"), w.Enter("op@example.com")
	for _, mode := range []tenants.SignUpMode{tenants.SignUpInvite, tenants.SignUpClosed} {
		closed := NewWorld(t, w.Store, w.Source, func(o *tenants.AccountOptions) { o.SignUp = mode })
		_, err = closed.AddTenant(ctx, ada, tenants.NewTenant{Name: "x"})
		RequireCode(t, err, "signup_closed")
		made, err := closed.AddTenant(ctx, op, tenants.NewTenant{Name: "For " + string(mode)})
		require.NoError(t, err)
		_, err = closed.Tenant(ctx, op, made.ID)
		require.NoError(t, err)
	}
}

func testSuspended(t *testing.T, w *World) {
	ctx, cli := t.Context(), tenants.CLI()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	token := w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	_, err := w.SuspendTenant(ctx, owner, tenant.ID, "self")
	require.ErrorIs(t, err, tenants.ErrForbidden)
	_, err = w.SuspendTenant(ctx, cli, tenant.ID, "two\nlines")
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	_, err = w.SuspendTenant(ctx, cli, tenant.Slug, "spam reports")
	require.NoError(t, err)
	served, err := w.Source.AppByID(ctx, app.ID)
	require.NoError(t, err)
	require.False(t, served.Serving())

	read, err := w.Tenant(ctx, w.Enter("ada@example.com"), tenant.ID)
	require.NoError(t, err, "the owner signs in and reads why")
	require.Equal(t, "spam reports", read.StatusReason)
	require.NoError(t, w.Export(ctx, owner, tenant.ID, discard{}))
	for _, c := range []tenants.Caller{owner, token} {
		_, err = w.CreateApp(ctx, c, tenant.ID, tenants.NewApp{Name: "x"})
		RequireCode(t, err, "tenant_suspended")
		require.ErrorContains(t, err, "spam reports")
	}
	_, err = w.DeleteTenant(ctx, owner, tenant.ID)
	RequireCode(t, err, "tenant_suspended") // else evidence could be removed
	_, err = w.ResumeTenant(ctx, owner, tenant.ID)
	require.ErrorIs(t, err, tenants.ErrForbidden)

	_, err = w.ResumeTenant(ctx, cli, tenant.ID)
	require.NoError(t, err)
	w.NewApp(owner, tenant.ID)
	_, err = w.ResumeTenant(ctx, cli, tenant.ID)
	RequireCode(t, err, "tenant_not_suspended")
}

func testDeletedTenant(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	bob := w.Colleague(owner, tenant.ID, "bob@example.com", tenants.RoleAdmin)
	w.Owner("carol@example.com", "Two")
	_, err := w.Invite(ctx, owner, tenant.ID, "carol@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	_, err = w.AcceptInvitation(ctx, w.Enter("carol@example.com"), w.Link("carol@example.com"))
	require.NoError(t, err)

	_, err = w.DeleteTenant(ctx, bob, tenant.ID)
	require.ErrorIs(t, err, tenants.ErrForbidden)
	closing, err := w.DeleteTenant(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Equal(t, w.Clock.Now().Add(14*24*time.Hour), closing.PurgeAt)
	served, err := w.Source.AppByID(ctx, app.ID)
	require.NoError(t, err)
	require.False(t, served.Serving())
	n, err := w.PurgeClosed(ctx, w.Clock.Now())
	require.NoError(t, err)
	require.Zero(t, n, "the grace is not over")

	w.Clock.Advance(14 * 24 * time.Hour)
	n, err = w.PurgeClosed(ctx, w.Clock.Now())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, c := range []tenants.Caller{tenants.CLI(), owner} {
		_, err = w.Tenant(ctx, c, tenant.ID)
		require.ErrorIs(t, err, tenants.ErrNotFound)
	}
	_, err = w.Source.AppByKey(ctx, app.Keys[0].Key)
	require.ErrorIs(t, err, tenants.ErrNotFound)
	_, _, _, err = w.LogIn(ctx, w.Meta(), "bob@example.com", tenants.NewSecret(Password))
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "who belonged only there is gone")
	list, err := w.Memberships(ctx, w.Enter("carol@example.com"))
	require.NoError(t, err)
	require.Len(t, list, 1, "who belongs elsewhere stays")

	_, err = w.CreateTenant(ctx, tenants.CLI(), tenants.NewTenant{Slug: tenant.Slug})
	RequireCode(t, err, "slug_taken")
	_, _, err = w.ProvisionApp(ctx, tenants.CLI(), tenants.NewApp{TenantSlug: "new", Name: "x", ID: app.ID})
	RequireCode(t, err, "app_id_taken")
}

func testKeptTenant(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Join("ada@example.com", "One")
	_, err := w.KeepTenant(ctx, owner, tenant.ID)
	RequireCode(t, err, "tenant_not_closing")
	_, err = w.DeleteTenant(ctx, owner, tenant.ID)
	require.NoError(t, err)
	_, err = w.DeleteTenant(ctx, owner, tenant.ID)
	RequireCode(t, err, "tenant_closing")
	kept, err := w.KeepTenant(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Equal(t, tenants.TenantUnverified, kept.Status, "no way out of the sandbox")
	require.True(t, kept.PurgeAt.IsZero())
	w.Clock.Advance(15 * 24 * time.Hour)
	n, err := w.PurgeClosed(ctx, w.Clock.Now())
	require.NoError(t, err)
	require.Zero(t, n)
}

func testOperators(t *testing.T, w *World) {
	ctx, cli := t.Context(), tenants.CLI()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	_, err := w.CreateUser(ctx, cli, tenants.NewUser{Email: "op@example.com", Password: tenants.NewSecret(Password), Operator: true})
	require.NoError(t, err)
	op := w.Enter("op@example.com")
	for _, act := range tenants.Actions() {
		_, err := w.AuthorizeApp(ctx, op, app.ID, act)
		if tenants.OperatorMay(act) {
			require.NoError(t, err, act)
			continue
		}
		RequireCode(t, err, "operator_not_allowed")
	}
	require.False(t, tenants.OperatorMay(tenants.ActChannelsRead), "no payloads")
	require.False(t, tenants.OperatorMay(tenants.ActKeysWrite), "no secrets")
	_, err = w.SuspendTenant(ctx, op, tenant.ID, "why not")
	require.NoError(t, err)
	entries, _, err := w.AuditLog(ctx, owner, tenant.ID, tenants.AuditFilter{Action: "tenant.suspended"})
	require.NoError(t, err)
	require.Len(t, entries, 1, "the tenant sees what the operator did")
	require.Equal(t, tenants.ActorOperator, entries[0].ActorKind)
	require.Equal(t, "op@example.com", entries[0].ActorName)

	w.Join("eve@example.com", "Two")
	list, next, err := w.Tenants(ctx, op, tenants.TenantFilter{Limit: 1})
	require.NoError(t, err)
	require.Len(t, list, 1)
	rest, next, err := w.Tenants(ctx, op, tenants.TenantFilter{Cursor: next})
	require.NoError(t, err)
	require.Len(t, rest, 1)
	require.Empty(t, next)
	for query, want := range map[string]int{"one": 1, "o": 2, "%": 0, "_": 0, `\`: 0} {
		list, _, err = w.Tenants(ctx, op, tenants.TenantFilter{Query: query})
		require.NoError(t, err)
		require.Len(t, list, want, query)
	}
	list, _, err = w.Tenants(ctx, op, tenants.TenantFilter{Status: tenants.TenantSuspended})
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, _, err = w.Tenants(ctx, owner, tenants.TenantFilter{})
	require.ErrorIs(t, err, tenants.ErrForbidden)
	_, err = w.CreateUser(ctx, owner, tenants.NewUser{Email: "x@example.com"})
	require.ErrorIs(t, err, tenants.ErrForbidden)
	_, err = w.CreateUser(ctx, op, tenants.NewUser{Email: "x@example.com", Tenant: tenant.ID})
	RequireCode(t, err, "operator_not_allowed")
	_, err = w.ResetLink(ctx, op, "ada@example.com")
	require.ErrorIs(t, err, tenants.ErrForbidden, "it would make the operator anybody")
	link, err := w.ResetLink(ctx, cli, "ada@example.com")
	require.NoError(t, err)
	require.NoError(t, w.Reset(ctx, w.Meta(), linkPattern.FindStringSubmatch(link)[1], tenants.NewSecret(Password)))
}

func testExport(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAppsRead}})
	_, err := w.Invite(ctx, owner, tenant.ID, "x@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	var out bytes.Buffer
	extra := tenants.ExportPart{Name: "webhooks", Values: func(_ context.Context, id string, emit func(any) error) error {
		return errors.Join(emit(map[string]string{"tenant": id}), emit(2))
	}}
	require.NoError(t, w.Export(ctx, owner, tenant.ID, &out, extra))
	var export map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &export))
	for _, name := range []string{"tenant", "plan", "members", "invitations", "tokens", "apps", "audit_log", "webhooks"} {
		require.NotEmpty(t, export[name], name)
	}
	require.Len(t, export["webhooks"], 2)
	require.Contains(t, out.String(), app.Keys[0].Key)
	require.NotContains(t, out.String(), app.Keys[0].Secret.Reveal())
	require.NotContains(t, out.String(), "token_hash")
	err = w.Export(ctx, owner, tenant.ID, failing{})
	require.ErrorContains(t, err, "disk full")
	require.False(t, strings.Contains(err.Error(), "\n"))
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

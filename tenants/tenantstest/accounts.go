package tenantstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// TestAccounts holds a store of accounts, with the rules of [tenants.Accounts] on
// top, to their contract. open returns an empty store for each test, and the
// source of apps over the same database.
func TestAccounts(t *testing.T, open func(t *testing.T) (tenants.AccountStore, tenants.Source)) {
	tests := map[string]func(t *testing.T, w *World){
		"a new customer":              testNewCustomer,
		"known address":               testKnownAddress,
		"sign-up throttle":            testSignUpThrottle,
		"first operator":              testFirstOperator,
		"log in":                      testLogIn,
		"log in throttle":             testLogInThrottle,
		"sessions":                    testSessions,
		"log in by link":              testLoginLink,
		"passwords":                   testPasswords,
		"links are single-use":        testLinksAreSingleUse,
		"invitations":                 testInvitations,
		"last owner":                  testLastOwner,
		"roles":                       testRoles,
		"removed member":              testRemovedMember,
		"strangers":                   testStrangers,
		"tokens":                      testTokens,
		"token scopes":                testTokenScopes,
		"apps":                        testApps,
		"app patches":                 testAppPatches,
		"deleted app":                 testDeletedApp,
		"keys":                        testKeys,
		"revoked keys do not pile up": testManyRotations,
		"plan limits":                 testPlanLimits,
		"plans":                       testPlans,
		"racing for the last place":   testRace,
		"another tenant":              testAnotherTenant,
		"another tenant, racing":      testAnotherTenantRace,
		"another tenant, closed":      testAnotherTenantClosed,
		"suspended tenant":            testSuspended,
		"deleted tenant":              testDeletedTenant,
		"kept tenant":                 testKeptTenant,
		"operators":                   testOperators,
		"export":                      testExport,
		"audit log":                   testAuditLog,
		"idempotency":                 testIdempotency,
		"mail":                        testMail,
		"notices":                     testNotices,
		"tidy":                        testTidy,
		"provision":                   testProvision,
		"nothing half-done":           testNothingHalfDone,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, source := open(t)
			test(t, NewWorld(t, store, source, nil))
		})
	}
}

func testNewCustomer(t *testing.T, w *World) {
	ctx := t.Context()
	c, tenant := w.Join("Ada@Example.com ", "Ada's Café")
	require.Equal(t, "ada-s-caf", tenant.Slug)
	require.Equal(t, tenants.TenantUnverified, tenant.Status)
	require.Equal(t, "ada@example.com", c.User().Email)

	app := w.NewApp(c, tenant.ID) // works before the address is confirmed
	require.True(t, app.Serving())
	require.Equal(t, tenants.SandboxPlan, app.Plan.Name)
	found, err := w.Source.AppByKey(ctx, app.Keys[0].Key)
	require.NoError(t, err)
	require.Equal(t, 100, found.Plan.Lower(found.Limits).MaxConnections)
	_, err = w.Invite(ctx, c, tenant.ID, "bob@example.com", tenants.RoleDeveloper)
	RequireCode(t, err, "email_unverified")

	before, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	user, err := w.Verify(ctx, w.Meta(), w.Link("ada@example.com"))
	require.NoError(t, err)
	require.True(t, user.Verified())
	tenant, err = w.Tenant(ctx, c, tenant.Slug)
	require.NoError(t, err)
	require.Equal(t, tenants.TenantActive, tenant.Status)
	set, err := w.Source.Changes(ctx, before.Version)
	require.NoError(t, err)
	require.Equal(t, []tenants.Change{{Version: before.Version + 1, TenantID: tenant.ID}}, set.Changes, "every app is read again")
	found, err = w.Source.AppByID(ctx, app.ID)
	require.NoError(t, err)
	require.Equal(t, tenants.DefaultPlan, found.Plan.Name)

	second, other := w.Join("eve@example.com", "Ada's Café")
	require.NotEqual(t, tenant.Slug, other.Slug, "a slug belongs to one")
	require.True(t, strings.HasPrefix(other.Slug, "ada-s-caf-"))
	require.NotEqual(t, c.User().ID, second.User().ID)
}

func testKnownAddress(t *testing.T, w *World) {
	ctx := t.Context()
	w.Join("ada@example.com", "One")
	w.Link("ada@example.com")
	hashed := w.Hasher.Hashes.Load()
	require.NoError(t, w.SignUp(ctx, w.Meta(), tenants.SignUp{
		Email: "ADA@example.com", Password: tenants.NewSecret("another-password-1"), TenantName: "Two",
	}), "the answer does not tell that the address is known")
	require.Equal(t, hashed+1, w.Hasher.Hashes.Load(), "nor does the work")
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	mails := w.Outbox.Mails("ada@example.com")
	require.Len(t, mails, 2)
	require.Contains(t, mails[1].Subject, "You have an account")
	list, err := w.Memberships(ctx, w.Enter("ada@example.com"))
	require.NoError(t, err)
	require.Len(t, list, 1, "no second tenant, and the old password still works")

	require.NoError(t, w.RequestReset(ctx, w.Meta(), "nobody@example.com"))
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Empty(t, w.Outbox.Mails("nobody@example.com"))
}

func testSignUpThrottle(t *testing.T, w *World) {
	ctx := t.Context()
	made := func(ip func(int) string, from, tries int) (ok int) {
		for i := range tries {
			err := w.SignUp(ctx, tenants.Meta{IP: ip(i)}, tenants.SignUp{
				Email: fmt.Sprintf("u%d-%d@example.com", from, i), Password: tenants.NewSecret(Password),
			})
			if err == nil {
				ok++
				continue
			}
			var throttled *tenants.ThrottledError
			if !errors.As(err, &throttled) || !errors.Is(err, tenants.ErrThrottled) || throttled.RetryAfter > 24*time.Hour {
				t.Errorf("refused otherwise: %v", err)
				return ok
			}
		}
		return ok
	}
	// A script from one address, several requests at a time.
	var some [8]int
	var script sync.WaitGroup
	for i := range some {
		script.Go(func() { some[i] = made(func(int) string { return "192.0.2.1" }, 10+i, 1000/len(some)) })
	}
	script.Wait()
	all := 0
	for _, n := range some {
		all += n
	}
	require.Equal(t, 5, all, "of 1,000")
	require.Equal(t, 5, made(func(int) string { return "::ffff:192.0.2.2" }, 1, 10), "another address")
	require.Equal(t, 5, made(func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i+1) }, 2, 20), "one /64 is one address")
	w.Clock.Advance(24 * time.Hour)
	require.Equal(t, 5, made(func(int) string { return "192.0.2.1" }, 3, 10), "the next day")
	require.Equal(t, 50, made(func(i int) string { return fmt.Sprintf("198.51.100.%d", i+1) }, 4, 70), "one network")
	list, _, err := w.Tenants(ctx, tenants.CLI(), tenants.TenantFilter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list, 70, "what was refused left nothing behind")
}

func testFirstOperator(t *testing.T, w *World) {
	ctx := t.Context()
	closed := NewWorld(t, w.Store, w.Source, func(o *tenants.AccountOptions) { o.SignUp = tenants.SignUpClosed })
	in := tenants.SignUp{Email: "root@example.com", Password: tenants.NewSecret(Password), TenantName: "Home"}
	RequireCode(t, closed.SignUp(ctx, w.Meta(), in), "signup_closed")

	old, err := closed.SetupLink(ctx)
	require.NoError(t, err)
	link, err := closed.SetupLink(ctx)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(link, "https://rt.example.com/dashboard/setup?token="))
	for _, bad := range []string{"nonsense", linkPattern.FindStringSubmatch(old)[1]} {
		in.Setup = bad
		RequireCode(t, closed.SignUp(ctx, w.Meta(), in), "link_invalid")
	}
	in.Setup = linkPattern.FindStringSubmatch(link)[1]
	require.NoError(t, closed.SignUp(ctx, w.Meta(), in))
	c := closed.Enter("root@example.com")
	require.True(t, c.Operator())
	require.True(t, c.User().Verified())
	in.Email = "second@example.com"
	RequireCode(t, closed.SignUp(ctx, w.Meta(), in), "link_invalid")
	link, err = closed.SetupLink(ctx)
	require.NoError(t, err)
	require.Empty(t, link, "there is a user now")
}

// testRace has many callers want the last places of a plan.
func testRace(t *testing.T, w *World) {
	ctx := t.Context()
	c, tenant := w.Join("ada@example.com", "One") // the sandbox has room for two apps
	errs := make([]error, 6)
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			_, errs[i] = w.CreateApp(ctx, c, tenant.ID, tenants.NewApp{Name: "Chat"})
		})
	}
	running.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		require.ErrorIs(t, err, tenants.ErrPlanLimit)
	}
	require.Equal(t, 2, made)

	link := w.Link("ada@example.com")
	used := make([]error, 4)
	for i := range used {
		running.Go(func() { _, used[i] = w.Verify(ctx, tenants.Meta{}, link) })
	}
	running.Wait()
	verified := 0
	for _, err := range used {
		if err == nil {
			verified++
		}
	}
	require.Equal(t, 1, verified, "a link is good once")
}

func testNothingHalfDone(t *testing.T, w *World) {
	ctx := t.Context()
	c, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(c, tenant.ID)
	before, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	entries, _, err := w.AuditLog(ctx, c, tenant.ID, tenants.AuditFilter{})
	require.NoError(t, err)

	boom := fmt.Errorf("boom")
	err = w.Store.Write(ctx, func(tx tenants.AccountWriter) error {
		if _, err := tx.Changed(ctx, tenant.ID, app.ID); err != nil {
			return err
		}
		if err := tx.DeleteApp(ctx, tenant.ID, app.ID); err != nil {
			return err
		}
		return boom
	})
	require.Equal(t, boom, err)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = w.CreateApp(cancelled, c, tenant.ID, tenants.NewApp{Name: "Late"})
	require.ErrorIs(t, err, tenants.ErrUnavailable)
	_, err = w.Tenant(cancelled, c, tenant.ID)
	require.ErrorIs(t, err, tenants.ErrUnavailable, "not known is not the same as not there")

	after, err := w.Source.Changes(ctx, -1)
	require.NoError(t, err)
	require.Equal(t, before, after)
	same, _, err := w.AuditLog(ctx, c, tenant.ID, tenants.AuditFilter{})
	require.NoError(t, err)
	require.Equal(t, entries, same)
	_, err = w.App(ctx, c, app.ID)
	require.NoError(t, err)
}

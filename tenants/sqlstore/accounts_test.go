package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/tenants/tenantstest"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	for _, dialect := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			tenantstest.TestAccounts(t, func(t *testing.T) (tenants.AccountStore, tenants.Source) {
				store := database(t, dialect).open(t)
				return store.Accounts(), store
			})
		})
	}
}

func world(t *testing.T, store *sqlstore.Store) *tenantstest.World {
	t.Helper()
	return tenantstest.NewWorld(t, store.Accounts(), store, nil)
}

// everything reads every value of every table as text.
func everything(t *testing.T, store *sqlstore.Store) map[string][]string {
	t.Helper()
	list := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if store.Dialect() == string(migrations.Postgres) {
		list = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	found := make(map[string][]string)
	for _, table := range column(t, store, list) {
		rows, err := store.DB().QueryContext(t.Context(), "SELECT * FROM "+table)
		require.NoError(t, err)
		names, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, targets := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				targets[i] = &values[i]
			}
			require.NoError(t, rows.Scan(targets...))
			found[table] = append(found[table], fmt.Sprintf("%s", values))
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return found
}

func column(t *testing.T, store *sqlstore.Store, query string) []string {
	t.Helper()
	rows, err := store.DB().QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var values []string
	for rows.Next() {
		var value string
		require.NoError(t, rows.Scan(&value))
		values = append(values, value)
	}
	require.NoError(t, rows.Err())
	return values
}

func holding(tables map[string][]string, marker string) (names []string) {
	for table, rows := range tables {
		for _, row := range rows {
			if strings.Contains(strings.ToLower(row), marker) {
				names = append(names, table+": "+row)
			}
		}
	}
	return names
}

// A tenant that has its mark in everything leaves no mark when it is removed.
func TestNothingIsLeftOfARemovedTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		const mark = "zqxmark"
		store := db.open(t)
		w, ctx := world(t, store), t.Context()
		owner, tenant := w.Owner(mark+"@example.com", mark+" company")
		name := "New " + mark
		_, err := w.UpdateTenant(ctx, owner, tenant.ID, tenants.TenantPatch{Name: &name})
		require.NoError(t, err)
		settings, err := tenants.ParseSettings([]byte(`{"allowed_origins":["` + mark + `.example.com"]}`))
		require.NoError(t, err)
		app, err := w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{
			Name: mark, Key: mark, Secret: tenants.NewSecret(mark + "-secret"), Cluster: mark, Settings: &settings,
		})
		require.NoError(t, err)
		_, _, err = w.RotateKey(ctx, owner, app.ID, app.Keys[0].ID, time.Hour)
		require.NoError(t, err)
		_, err = w.CreateKey(ctx, owner, app.ID, tenants.NewKey{Key: mark + "2"})
		require.NoError(t, err)
		w.Colleague(owner, tenant.ID, "second-"+mark+"@example.com", tenants.RoleAdmin)
		_, err = w.Invite(ctx, owner, tenant.ID, "third-"+mark+"@example.com", tenants.RoleViewer)
		require.NoError(t, err)
		w.API(owner, tenant.ID, tenants.NewToken{Name: mark, Scopes: []tenants.Scope{tenants.ScopeAdmin}})
		_, err = w.BeginIdempotent(ctx, owner, tenant.ID, mark, mark)
		require.NoError(t, err)
		require.NoError(t, w.EndIdempotent(ctx, owner, mark, 200, nil, []byte(mark)))
		revocation, err := tenants.NewRevocation(tenants.RevokeJTI, mark, time.Now())
		require.NoError(t, err)
		require.NoError(t, store.Revoke(ctx, app.ID, revocation))
		require.NoError(t, w.RequestReset(ctx, w.Meta(), mark+"@example.com"))
		_, err = w.SuspendTenant(ctx, tenants.CLI(), tenant.ID, "because of "+mark)
		require.NoError(t, err)
		stranger, other := w.Owner("stranger@example.com", "Other")
		w.NewApp(stranger, other.ID)
		theirs, _, err := w.AuditLog(ctx, stranger, other.ID, tenants.AuditFilter{})
		require.NoError(t, err)

		before := everything(t, store)
		for _, table := range []string{"tenants", "apps", "app_keys", "users", "invitations", "api_tokens", "audit_log", "idempotency_keys", "token_revocations"} {
			require.NotEmpty(t, holding(map[string][]string{table: before[table]}, mark), "%s must hold the mark, else this test sees nothing", table)
		}
		_, err = w.DeleteTenant(ctx, tenants.CLI(), tenant.ID)
		require.NoError(t, err)
		w.Clock.Advance(15 * 24 * time.Hour)
		n, err := w.PurgeClosed(ctx, w.Clock.Now())
		require.NoError(t, err)
		require.Equal(t, 1, n)

		after := everything(t, store)
		require.Empty(t, holding(after, mark))
		for _, gone := range []string{tenant.ID, owner.User().ID, app.Keys[0].ID} {
			for table := range after {
				if table != "config_changes" { // forgotten after a day; it says that there was a change
					require.Empty(t, holding(map[string][]string{table: after[table]}, gone), gone)
				}
			}
		}
		var pseudonymous int
		require.NoError(t, store.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM audit_log WHERE tenant_id LIKE 'gone_%' AND action = 'app.created'").Scan(&pseudonymous))
		require.Equal(t, 1, pseudonymous, "that it was done stays known, not by whom")
		kept, _, err := w.AuditLog(ctx, stranger, other.ID, tenants.AuditFilter{})
		require.NoError(t, err)
		require.Equal(t, theirs, kept, "another tenant's log is as it was")
		_, err = w.CreateApp(ctx, stranger, other.ID, tenants.NewApp{Name: "x", Key: mark})
		tenantstest.RequireCode(t, err, "key_taken")
	})
}

// What opens an account, a session or an app never stands in the database.
func TestDatabaseHoldsNoCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		w, ctx := world(t, store), t.Context()
		owner, tenant := w.Join("ada@example.com", "One")
		queued := everything(t, store)["mail_outbox"]
		require.Len(t, queued, 1)
		require.NotContains(t, queued[0], "token=", "mails are sealed")
		require.NotContains(t, queued[0], "ada@example.com")
		session, _, _, err := w.LogIn(ctx, w.Meta(), "ada@example.com", tenants.NewSecret(tenantstest.Password))
		require.NoError(t, err)
		token, _, err := w.CreateToken(ctx, owner, tenant.ID, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAdmin}})
		require.NoError(t, err)
		link := w.Link("ada@example.com")
		app := w.NewApp(owner, tenant.ID)
		_, err = w.BeginIdempotent(ctx, owner, tenant.ID, "k", "h")
		require.NoError(t, err)
		require.NoError(t, w.EndIdempotent(ctx, owner, "k", 200, nil, []byte("body-with-a-secret")))
		tables := everything(t, store)
		for _, secret := range []string{session, token, link, app.Keys[0].Secret.Reveal(), "body-with-a-secret"} {
			require.Empty(t, holding(tables, strings.ToLower(secret)))
		}
	})
}

// What falls due is done while Run runs, by any number of processes, once.
func TestDueWorkIsDone(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		w := world(t, db.open(t))
		other := tenantstest.NewWorld(t, db.open(t).Accounts(), nil, func(o *tenants.AccountOptions) { o.Now = w.Clock.Now })
		owner, tenant := w.Owner("ada@example.com", "One")
		app := w.NewApp(owner, tenant.ID)
		_, old, err := w.RotateKey(t.Context(), owner, app.ID, app.Keys[0].ID, time.Minute)
		require.NoError(t, err)
		_, err = w.Invite(t.Context(), owner, tenant.ID, "bob@example.com", tenants.RoleViewer)
		require.NoError(t, err)
		w.Clock.Advance(time.Minute)

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		for _, accounts := range []*tenants.Accounts{w.Accounts, other.Accounts} {
			go func() { ended <- accounts.Run(ctx, w.Outbox) }()
		}
		require.Eventually(t, func() bool {
			_, err := w.Source.AppByKey(ctx, old.Key)
			return errors.Is(err, tenants.ErrNotFound) && len(w.Outbox.Mails("bob@example.com")) > 0
		}, 20*time.Second, 20*time.Millisecond)
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
		require.Len(t, w.Outbox.Mails("bob@example.com"), 1)
		entries, _, err := w.AuditLog(t.Context(), owner, tenant.ID, tenants.AuditFilter{Action: "key.revoked"})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, tenants.ActorSystem, entries[0].ActorKind)
	})
}

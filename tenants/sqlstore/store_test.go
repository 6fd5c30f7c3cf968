package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/migrations"
	"tidewire/migrations/dbtest"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/tenants/tenantstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sealer(t *testing.T, fill byte) *tenants.Sealer {
	t.Helper()
	s, err := tenants.NewSealer(bytes.Repeat([]byte{fill}, tenants.MasterKeyBytes))
	require.NoError(t, err)
	return s
}

func options(t *testing.T) sqlstore.Options {
	t.Helper()
	return sqlstore.Options{Sealer: sealer(t, 1), AutoMigrate: true}
}

// opener opens one and the same database, again and again.
type opener func(ctx context.Context, opts sqlstore.Options) (*sqlstore.Store, error)

func database(t *testing.T, dialect migrations.Dialect) opener {
	t.Helper()
	if dialect == migrations.Postgres {
		dsn := dbtest.Postgres(t)
		return func(ctx context.Context, opts sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenPostgres(ctx, dsn, opts)
		}
	}
	path := filepath.Join(t.TempDir(), "folder with ? # % and ü", "tidewire.db")
	return func(ctx context.Context, opts sqlstore.Options) (*sqlstore.Store, error) {
		return sqlstore.OpenSQLite(ctx, path, opts)
	}
}

func (o opener) open(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := o(t.Context(), options(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func onBoth(t *testing.T, test func(t *testing.T, db opener)) {
	t.Helper()
	t.Parallel()
	for _, dialect := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			test(t, database(t, dialect))
		})
	}
}

func create(t *testing.T, s *sqlstore.Store, tenant string) *tenants.App {
	t.Helper()
	app, _, err := s.CreateApp(t.Context(), tenants.NewApp{TenantSlug: tenant, Name: "shop"})
	require.NoError(t, err)
	return app
}

func TestStore(t *testing.T) {
	t.Parallel()
	for _, dialect := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			tenantstest.TestStore(t, func(t *testing.T) tenantstest.Store {
				store := database(t, dialect).open(t)
				require.Equal(t, string(dialect), store.Dialect())
				return store
			})
		})
	}
}

func TestSecretsAreSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		app := create(t, store, "acme")
		var sealed, keyID string
		row := store.DB().QueryRowContext(t.Context(), "SELECT id, sealed_secret FROM app_keys")
		require.NoError(t, row.Scan(&keyID, &sealed))
		require.Regexp(t, `^v1:[0-9a-f]{8}:`, sealed)
		require.NotContains(t, sealed, app.Keys[0].Secret.Reveal())
		require.Regexp(t, `^key_[0-9a-z]{26}$`, keyID)

		// A sealed secret copied to another key's row must not open there.
		other := create(t, store, "acme")
		_, err := store.DB().ExecContext(t.Context(),
			fmt.Sprintf("UPDATE app_keys SET sealed_secret = '%s' WHERE app_id = '%s'", sealed, other.ID))
		require.NoError(t, err)
		_, err = store.AppByID(t.Context(), other.ID)
		require.ErrorContains(t, err, "open the secret of key")
		require.NotErrorIs(t, err, tenants.ErrNotFound)
		_, err = store.AppByID(t.Context(), app.ID)
		require.NoError(t, err)
	})
}

func TestRevokedKeyFindsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		app := create(t, store, "acme")
		_, err := store.DB().ExecContext(t.Context(), "UPDATE app_keys SET status = 'revoked', sealed_secret = 'gone'")
		require.NoError(t, err)
		_, err = store.AppByKey(t.Context(), app.Keys[0].Key)
		require.ErrorIs(t, err, tenants.ErrNotFound)
		same, err := store.AppByID(t.Context(), app.ID)
		require.NoError(t, err)
		require.Len(t, same.Keys, 1)
		require.True(t, same.Keys[0].Secret.IsZero())
	})
}

func TestOldChangesArePruned(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		first, second := create(t, store, "acme"), create(t, store, "acme")
		_, err := store.DB().ExecContext(t.Context(), fmt.Sprintf("UPDATE config_changes SET at = %d WHERE version <= %d",
			time.Now().Add(-25*time.Hour).UnixMilli(), second.Version))
		require.NoError(t, err)
		third := create(t, store, "acme")

		set, err := store.Changes(t.Context(), first.Version)
		require.NoError(t, err)
		require.Equal(t, tenants.ChangeSet{Version: third.Version, Reset: true}, set)
		set, err = store.Changes(t.Context(), second.Version)
		require.NoError(t, err)
		require.False(t, set.Reset, "a reader that misses nothing goes on")
		require.Len(t, set.Changes, 1)
	})
}

func TestWrongMasterKey(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		store := db.open(t)
		var before, after string
		read := func(into *string) {
			row := store.DB().QueryRowContext(t.Context(), "SELECT value FROM meta WHERE name = 'master_key_canary'")
			require.NoError(t, row.Scan(into))
		}
		read(&before)
		require.NotContains(t, before, "tidewire")
		for _, migrate := range []bool{true, false} {
			_, err := db(t.Context(), sqlstore.Options{Sealer: sealer(t, 2), AutoMigrate: migrate})
			require.ErrorIs(t, err, tenants.ErrWrongMasterKey)
			require.ErrorContains(t, err, "set TIDEWIRE_MASTER_KEY to the key the database was created with")
		}
		read(&after)
		require.Equal(t, before, after)
		db.open(t)
	})
}

func TestSchemaMustMatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		manual := sqlstore.Options{Sealer: sealer(t, 1)}
		_, err := db(t.Context(), manual)
		require.ErrorAs(t, err, new(*migrations.PendingError))
		require.ErrorContains(t, err, "run `platform migrate up`")

		store := db.open(t)
		again, err := db(t.Context(), manual)
		require.NoError(t, err)
		require.NoError(t, again.Close())

		steps, err := store.Status(t.Context())
		require.NoError(t, err)
		require.NotZero(t, steps[0].AppliedAt)

		_, err = store.DB().ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
		require.NoError(t, err)
		for _, opts := range []sqlstore.Options{manual, options(t)} {
			_, err = db(t.Context(), opts)
			require.ErrorAs(t, err, new(*migrations.NewerError))
		}
	})
}

func TestManyOpenAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		const openers = 8
		errs := make([]error, openers)
		opts := options(t)
		var running sync.WaitGroup
		for i := range openers {
			running.Go(func() {
				store, err := db(t.Context(), opts)
				if err == nil {
					_, _, err = store.CreateApp(t.Context(), tenants.NewApp{TenantSlug: "acme", Name: "shop"})
					_ = store.Close()
				}
				errs[i] = err
			})
		}
		running.Wait()
		require.Equal(t, make([]error, openers), errs)
		apps, err := db.open(t).ListApps(t.Context(), "acme")
		require.NoError(t, err)
		require.Len(t, apps, openers)
	})
}

// What the command line writes must reach a running server in under a second.
func TestAnotherProcessIsSeenInTime(t *testing.T) {
	onBoth(t, func(t *testing.T, db opener) {
		server, commandLine := db.open(t), db.open(t)
		directory := tenants.NewDirectory(server, nil, tenants.DirectoryOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- directory.Run(ctx) }()
		defer func() { cancel(); require.NoError(t, <-done) }()
		require.Eventually(t, func() bool { return directory.Ready() == nil }, 5*time.Second, 5*time.Millisecond)

		_, err := directory.ByKey(ctx, "new-key")
		require.ErrorIs(t, err, tenants.ErrNotFound)
		n := tenants.NewApp{TenantSlug: "acme", Name: "shop", Key: "new-key"}
		created, _, err := commandLine.CreateApp(ctx, n)
		require.NoError(t, err)
		start := time.Now()
		require.Eventually(t, func() bool {
			app, err := directory.ByKey(ctx, "new-key")
			return err == nil && app.ID == created.ID
		}, 5*time.Second, 5*time.Millisecond)
		require.Less(t, time.Since(start), time.Second)
	})
}

func TestLogHoldsNoValues(t *testing.T) {
	t.Parallel()
	db := database(t, migrations.Postgres)
	var out strings.Builder
	var mu sync.Mutex
	opts := options(t)
	opts.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := db(t.Context(), opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()

	// Make a write wait: another one holds the version's row for a while.
	other, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = other.ExecContext(t.Context(), "UPDATE config_version SET version = version")
	require.NoError(t, err)
	held := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(t.Context(), "SELECT pg_sleep(0.8)")
		held <- errors.Join(err, other.Rollback())
	}()
	n := tenants.NewApp{TenantSlug: "acme", Name: "shop", Key: "private-key", Secret: tenants.NewSecret("private-secret")}
	_, _, err = store.CreateApp(t.Context(), n)
	require.NoError(t, err)
	require.NoError(t, <-held)
	_, err = store.DB().ExecContext(t.Context(), "DROP TABLE app_keys")
	require.NoError(t, err)
	_, err = store.AppByKey(t.Context(), "private-key")
	require.ErrorContains(t, err, "app_keys")
	require.NotContains(t, err.Error(), "private")

	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, out.String(), "slow database query")
	require.Contains(t, out.String(), "store.go:")
	require.NotContains(t, out.String(), "private")
}

type lockedWriter struct {
	mu  *sync.Mutex
	out *strings.Builder
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func TestSQLiteFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "tidewire.db")
	store, err := sqlstore.OpenSQLite(t.Context(), path, options(t))
	require.NoError(t, err)
	create(t, store, "acme")
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Contains(t, files, path+"-wal")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, file)
	}
	require.NoError(t, store.Close())

	blocked := filepath.Join(dir, "blocked")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	_, err = sqlstore.OpenSQLite(t.Context(), filepath.Join(blocked, "tidewire.db"), options(t))
	require.ErrorContains(t, err, "cannot write to the data folder "+blocked)
	require.ErrorContains(t, err, "TIDEWIRE_DATA_DIR")
	oneLine(t, err)

	garbage := filepath.Join(dir, "garbage.db")
	require.NoError(t, os.WriteFile(garbage, bytes.Repeat([]byte("no database "), 1000), 0o600))
	_, err = sqlstore.OpenSQLite(t.Context(), garbage, options(t))
	require.ErrorContains(t, err, garbage+" is not a SQLite database")
	oneLine(t, err)

	_, err = sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "x.db"), sqlstore.Options{})
	require.ErrorContains(t, err, "no sealer")
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 400)
}

package migrations_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"tidewire/migrations"
	"tidewire/migrations/dbtest"
)

// childDatabase, when set, turns the test binary into one more process that
// migrates the SQLite database at that path.
const childDatabase = "TIDEWIRE_TEST_MIGRATE_SQLITE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childDatabase); path != "" {
		os.Exit(migrateAsChild(path))
	}
	os.Exit(m.Run())
}

func migrateAsChild(path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := openSQLite(path)
	if err == nil {
		var applied int
		applied, err = migrations.Up(ctx, migrations.SQLite, db, path+".lock")
		fmt.Printf("applied=%d\n", applied)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func openSQLite(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate")
}

type database struct {
	dialect migrations.Dialect
	db      *sql.DB
	lock    string
}

func (d database) up(t *testing.T) (int, error) {
	t.Helper()
	return migrations.Up(t.Context(), d.dialect, d.db, d.lock)
}

// empty opens an empty database of its own for the test.
func empty(t *testing.T, dialect migrations.Dialect) database {
	t.Helper()
	d := database{dialect: dialect}
	var err error
	switch dialect {
	case migrations.SQLite:
		path := filepath.Join(t.TempDir(), "test.db")
		d.lock = path + ".lock"
		d.db, err = openSQLite(path)
	case migrations.Postgres:
		d.db, err = sql.Open("pgx", dbtest.Postgres(t))
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.db.Close()) })
	return d
}

func onBoth(t *testing.T, test func(t *testing.T, dialect migrations.Dialect)) {
	t.Helper()
	t.Parallel()
	for _, dialect := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			test(t, dialect)
		})
	}
}

func TestUpThenNothingLeft(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect migrations.Dialect) {
		d := empty(t, dialect)
		before, err := migrations.Status(t.Context(), dialect, d.db)
		require.NoError(t, err)
		require.NotEmpty(t, before)
		for _, step := range before {
			require.Zero(t, step.AppliedAt)
			require.NotEmpty(t, step.Name)
		}
		require.ErrorAs(t, migrations.Check(t.Context(), dialect, d.db), new(*migrations.PendingError))
		require.NotContains(t, columns(t, d), "goose_db_version.version_id", "status and check must not write")

		applied, err := d.up(t)
		require.NoError(t, err)
		require.Len(t, before, applied)
		require.NoError(t, migrations.Check(t.Context(), dialect, d.db))

		applied, err = d.up(t)
		require.NoError(t, err)
		require.Zero(t, applied)

		after, err := migrations.Status(t.Context(), dialect, d.db)
		require.NoError(t, err)
		require.Len(t, after, len(before))
		require.Equal(t, "init", after[0].Name)
		require.WithinDuration(t, time.Now(), after[0].AppliedAt, 10*time.Minute)
	})
}

func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect migrations.Dialect) {
		d := empty(t, dialect)
		applied, err := d.up(t)
		require.NoError(t, err)
		_, err = d.db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
		require.NoError(t, err)
		// Undo the first step too, so that a binary that looked only for what is
		// pending would start to write.
		_, err = d.db.Exec("DELETE FROM goose_db_version WHERE version_id = 1")
		require.NoError(t, err)

		_, err = d.up(t)
		newer := new(migrations.NewerError)
		require.ErrorAs(t, err, &newer)
		require.EqualValues(t, 99999, newer.Database)
		require.Contains(t, err.Error(), "run a newer tidewire or restore a backup")

		var rows int
		require.NoError(t, d.db.QueryRow("SELECT COUNT(*) FROM goose_db_version WHERE version_id > 0").Scan(&rows))
		require.Equal(t, applied, rows, "one was added, one taken out: nothing else may be written")
		steps, err := migrations.Status(t.Context(), dialect, d.db)
		require.NoError(t, err)
		require.EqualValues(t, 99999, steps[len(steps)-1].Version)
	})
}

func TestConcurrentProcessesSQLite(t *testing.T) {
	t.Parallel()
	const processes = 8
	path := filepath.Join(t.TempDir(), "test.db")
	output := make([]string, processes)
	errs := make([]error, processes)
	var running sync.WaitGroup
	for i := range processes {
		running.Go(func() {
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), childDatabase+"="+path)
			raw, err := child.CombinedOutput()
			output[i], errs[i] = string(raw), err
		})
	}
	running.Wait()
	migrated := 0
	for i := range processes {
		require.NoError(t, errs[i], output[i])
		if !strings.Contains(output[i], "applied=0") {
			migrated++
		}
	}
	require.Equal(t, 1, migrated, "exactly one process migrates: %v", output)
}

func TestConcurrentCallersPostgres(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Postgres(t)
	const callers = 8
	errs := make([]error, callers)
	var running sync.WaitGroup
	for i := range callers {
		db, err := sql.Open("pgx", dsn)
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		running.Go(func() { _, errs[i] = migrations.Up(t.Context(), migrations.Postgres, db, "") })
	}
	running.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestLockFileWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := migrations.LockFile(t.Context(), path)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = migrations.LockFile(ctx, path)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	unlock()
	unlock, err = migrations.LockFile(t.Context(), path)
	require.NoError(t, err)
	unlock()
}

// Package migrations holds the SQL that makes and changes the database schema,
// once per dialect, and applies it under a lock.
//
// Both folders carry the same numbers and names and must lead to the same
// tables and columns. It is not a place for queries: those live in the sqlstore
// doors. It opens no database itself and drags in no driver.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Dialect is a kind of SQL database. It has no useful zero value.
type Dialect string

// The dialects Tidewire speaks. Each value is also the name of its folder.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// lockWait bounds how long one process waits for another that is migrating.
const lockWait = 5 * time.Minute

// NewerError says that the database was written by a newer Tidewire than this
// one. Nothing has been changed when it is returned.
type NewerError struct {
	Database int64 // the version the database is at
	Known    int64 // the newest version this binary knows
}

// Error implements error, with the remedy.
func (e *NewerError) Error() string {
	return fmt.Sprintf("database is at version %d, this binary knows up to %d; run a newer tidewire or restore a backup",
		e.Database, e.Known)
}

// PendingError says that the schema is older than this binary needs.
type PendingError struct {
	Database int64 // the version the database is at, 0 when it is empty
	Known    int64 // the version this binary needs
}

// Error implements error, with the remedy.
func (e *PendingError) Error() string {
	return fmt.Sprintf("database is at version %d, this binary needs %d; run `platform migrate up` or set TIDEWIRE_AUTO_MIGRATE=true",
		e.Database, e.Known)
}

// Step is one migration and whether a database has it.
type Step struct {
	Version   int64
	Name      string    // empty when a newer binary applied it
	AppliedAt time.Time // zero when it is still to be applied
}

// Up applies every migration the database lacks and returns how many that were.
// Any number of processes may call it at once: one migrates, the others wait
// for up to five minutes and then find nothing left to do.
//
// lockPath names the lock file, beside the database, that SQLite needs (see
// [LockFile]); Postgres has a lock of its own and ignores it. A database newer
// than this binary gives a [*NewerError].
func Up(ctx context.Context, d Dialect, db *sql.DB, lockPath string) (applied int, err error) {
	if err := Check(ctx, d, db); !errors.As(err, new(*PendingError)) {
		return 0, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	switch d {
	case SQLite:
		unlock, err := LockFile(ctx, lockPath)
		if err != nil {
			return 0, err
		}
		defer unlock()
	case Postgres:
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(lockWait/time.Second)))
		if err != nil {
			return 0, fmt.Errorf("make the migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := newProvider(d, db, options)
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return appliedBefore(err), fmt.Errorf("migrate the database: %w", err)
	}
	// A newer binary may have held the lock before us.
	return len(results), Check(ctx, d, db)
}

// Check compares the schema with what this binary needs: nil when they agree, a
// [*NewerError] or a [*PendingError] when they do not. It writes nothing.
func Check(ctx context.Context, d Dialect, db *sql.DB) error {
	have, err := appliedVersions(ctx, d, db)
	if err != nil {
		return err
	}
	known, err := known(d)
	if err != nil {
		return err
	}
	var current int64
	for version := range have {
		current = max(current, version)
	}
	newest := known[len(known)-1].Version
	if current > newest {
		return &NewerError{Database: current, Known: newest}
	}
	for _, step := range known {
		if _, ok := have[step.Version]; !ok {
			return &PendingError{Database: current, Known: newest}
		}
	}
	return nil
}

// Status lists the migrations this binary knows and those the database has, by
// version. It writes nothing.
func Status(ctx context.Context, d Dialect, db *sql.DB) ([]Step, error) {
	have, err := appliedVersions(ctx, d, db)
	if err != nil {
		return nil, err
	}
	steps, err := known(d)
	if err != nil {
		return nil, err
	}
	for i := range steps {
		steps[i].AppliedAt = have[steps[i].Version]
		delete(have, steps[i].Version)
	}
	for version, at := range have {
		steps = append(steps, Step{Version: version, AppliedAt: at})
	}
	slices.SortFunc(steps, func(a, b Step) int { return int(a.Version - b.Version) })
	return steps, nil
}

func newProvider(d Dialect, db *sql.DB, options []goose.ProviderOption) (*goose.Provider, error) {
	dialects := map[Dialect]goose.Dialect{Postgres: goose.DialectPostgres, SQLite: goose.DialectSQLite3}
	folder, err := fs.Sub(files, string(d))
	if err != nil {
		return nil, fmt.Errorf("open the %s migrations: %w", d, err)
	}
	provider, err := goose.NewProvider(dialects[d], db, folder, options...)
	if err != nil {
		return nil, fmt.Errorf("read the %s migrations: %w", d, err)
	}
	return provider, nil
}

func appliedBefore(err error) int {
	if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
		return len(partial.Applied)
	}
	return 0
}

// known lists the embedded migrations of d, oldest first.
func known(d Dialect) ([]Step, error) {
	names, err := fs.Glob(files, string(d)+"/*.sql")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no migrations for dialect %q", d)
	}
	steps := make([]Step, 0, len(names))
	for _, file := range names {
		number, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration file %s: its name must start with a number", file)
		}
		steps = append(steps, Step{Version: version, Name: name})
	}
	return steps, nil
}

// tableExists asks for goose's own table without making it, as goose would.
var tableExists = map[Dialect]string{
	Postgres: "SELECT to_regclass('" + goose.DefaultTablename + "') IS NOT NULL",
	SQLite:   "SELECT COUNT(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '" + goose.DefaultTablename + "'",
}

func appliedVersions(ctx context.Context, d Dialect, db *sql.DB) (map[int64]time.Time, error) {
	have := make(map[int64]time.Time)
	var exists bool
	if err := db.QueryRowContext(ctx, tableExists[d]).Scan(&exists); err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	if !exists {
		return have, nil
	}
	rows, err := db.QueryContext(ctx, "SELECT version_id, tstamp FROM "+goose.DefaultTablename+" WHERE version_id > 0")
	if err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, fmt.Errorf("read the schema version: %w", err)
		}
		have[version] = at.UTC()
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	return have, nil
}

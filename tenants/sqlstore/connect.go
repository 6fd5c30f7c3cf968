package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"gorm.io/gorm"

	"tidewire/migrations"
	"tidewire/tenants"
)

// Options are what every way to open a database takes.
type Options struct {
	// Sealer opens and seals secrets. It is required by [OpenSQLite] and
	// [OpenPostgres]; without it a [Database] does not check the master key.
	Sealer *tenants.Sealer
	// Log receives slow queries, never their values. nil discards.
	Log *slog.Logger
	// AutoMigrate brings the schema up to date first. Without it, an older
	// schema is an error that says what to run.
	AutoMigrate bool
}

// Database is a connected database whose schema may still be missing: what
// `migrate` works on. Get a [Store] with [OpenSQLite] or [OpenPostgres].
type Database struct {
	gorm    *gorm.DB
	sql     *sql.DB
	dialect migrations.Dialect
	lock    string // path of the lock file; SQLite only
	sealer  *tenants.Sealer
}

// Migrate applies what the schema lacks and returns how many migrations that
// were. It writes nothing when the database is newer than this binary, or
// sealed with another master key.
func (d *Database) Migrate(ctx context.Context) (applied int, err error) {
	if err := d.checkCanary(ctx); err != nil {
		return 0, err
	}
	return migrations.Up(ctx, d.dialect, d.sql, d.lock)
}

// Status lists the migrations and when each was applied. It writes nothing.
func (d *Database) Status(ctx context.Context) ([]migrations.Step, error) {
	return migrations.Status(ctx, d.dialect, d.sql)
}

// Close closes every connection.
func (d *Database) Close() error { return d.sql.Close() }

// DB returns the connection pool, for doors of other domains and for metrics.
func (d *Database) DB() *sql.DB { return d.sql }

// Sealer returns what seals secrets in this database, likewise.
func (d *Database) Sealer() *tenants.Sealer { return d.sealer }

// Dialect returns "sqlite" or "postgres".
func (d *Database) Dialect() string { return string(d.dialect) }

// openStore makes the schema and the master key sure, in that order of writing:
// nothing is written before both were found in order.
func openStore(ctx context.Context, d *Database, opts Options) (_ *Store, err error) {
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	if opts.Sealer == nil {
		return nil, fmt.Errorf("open the database: no sealer given")
	}
	if opts.AutoMigrate {
		_, err = d.Migrate(ctx)
	} else if err = migrations.Check(ctx, d.dialect, d.sql); err == nil {
		err = d.checkCanary(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := d.plantCanary(ctx); err != nil {
		return nil, err
	}
	return &Store{Database: d}, nil
}

func gormConfig(log *slog.Logger) *gorm.Config {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &gorm.Config{
		TranslateError:         true,
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 queryLog{log},
	}
}

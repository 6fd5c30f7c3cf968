package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"tidewire/migrations"
)

const (
	postgresConnectTimeout = 5 * time.Second
	postgresConnections    = 16 // of this process
	postgresIdle           = 4
	// postgresLifetime lets connections follow a fail-over behind one name.
	postgresLifetime = 30 * time.Minute
)

// OpenPostgres opens the database at a postgres:// URL and brings it into order
// as opts say. The database must exist. No error it returns holds the password.
func OpenPostgres(ctx context.Context, dsn string, opts Options) (*Store, error) {
	d, err := ConnectPostgres(ctx, dsn, opts)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, d, opts)
}

// ConnectPostgres opens the database at a postgres:// URL without a look at its schema.
func ConnectPostgres(ctx context.Context, dsn string, opts Options) (*Database, error) {
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresIdle)
	pool.SetConnMaxLifetime(postgresLifetime)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, postgresError(config, err)
	}
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), gormConfig(opts.Log))
	if err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open the Postgres database: %w", err)
	}
	return &Database{gorm: db, sql: pool, dialect: migrations.Postgres, sealer: opts.Sealer}, nil
}

func parsePostgres(dsn string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
		// The parser's own words are left out: with an unescaped password they
		// may hold a piece of it.
		return nil, errors.New("TIDEWIRE_DATABASE_URL must look like postgres://user:password@host:5432/database; " +
			"special characters in the password are percent-encoded (@ is %40)")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("TIDEWIRE_DATABASE_URL has a part that Postgres does not know; " +
			"check the host, the port and what follows the question mark (such as sslmode=require)")
	}
	if config.ConnectTimeout <= 0 {
		config.ConnectTimeout = postgresConnectTimeout
	}
	config.RuntimeParams["timezone"] = "UTC"
	return config, nil
}

// postgresError puts the usual reasons a connection fails into one line each.
func postgresError(config *pgx.ConnConfig, err error) error {
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if answer := (*pgconn.PgError)(nil); errors.As(err, &answer) {
		switch answer.Code {
		case "28P01", "28000":
			return fmt.Errorf("postgres at %s refused user %q (%s); check user and password in TIDEWIRE_DATABASE_URL",
				address, config.User, answer.Code)
		case "3D000":
			return fmt.Errorf("postgres at %s has no database %q; create it (createdb %s) or correct TIDEWIRE_DATABASE_URL",
				address, config.Database, config.Database)
		case "53300":
			return fmt.Errorf("postgres at %s has no connection left; raise max_connections or close other clients", address)
		}
		return fmt.Errorf("postgres at %s answered: %s (%s)", address, answer.Message, answer.Code)
	}
	if network := net.Error(nil); errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot reach Postgres at %s: %w; check that it runs and that TIDEWIRE_DATABASE_URL names it",
			address, rootCause(err))
	}
	return fmt.Errorf("connect to Postgres at %s: %w", address, rootCause(err))
}

// rootCause leaves out the layers that repeat addresses and connection strings.
func rootCause(err error) error {
	for {
		switch wrapped := err.(type) { //nolint:errorlint // it walks the chain itself
		case interface{ Unwrap() error }:
			inner := wrapped.Unwrap()
			if inner == nil {
				return err
			}
			err = inner
		case interface{ Unwrap() []error }:
			inner := wrapped.Unwrap()
			if len(inner) == 0 {
				return err
			}
			err = inner[0]
		default:
			return err
		}
	}
}

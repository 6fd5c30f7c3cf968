// Package sqlstore keeps webhooks in SQL: SQLite or Postgres. It is the one
// engine of [webhooks.Store] and speaks gorm; the schema is that of package
// migrations, which whoever opens the database has applied.
package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/oklog/ulid/v2"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// queryTimeout bounds every call, the wait for a lock included.
const queryTimeout = 10 * time.Second

// Store keeps webhooks. It is safe for concurrent use, in one process and
// between processes.
type Store struct {
	db     *gorm.DB
	sealer *tenants.Sealer
	random *ulid.LockedMonotonicReader
	// turn lets this process's writers of a SQLite file pass one by one, in their
	// order: SQLite itself makes them ask again and again, and some ask too late.
	// nil for Postgres.
	turn chan struct{}
	// orRollback is for statements that change many rows: if one is refused the whole
	// transaction goes back, and SQLite need not remember the statement's part of it,
	// which it does in a file. Empty for Postgres.
	orRollback string
}

var _ webhooks.Store = (*Store)(nil)

// New makes a store over an open pool of the dialect "sqlite" or "postgres".
func New(pool *sql.DB, dialect string, sealer *tenants.Sealer, log *slog.Logger) (*Store, error) {
	var dialector gorm.Dialector = &sqlite.Dialector{Conn: pool}
	if dialect == "postgres" {
		dialector = postgres.New(postgres.Config{Conn: pool})
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		TranslateError: true, SkipDefaultTransaction: true, DisableAutomaticPing: true, Logger: logger.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("open the webhook store: %w", err)
	}
	s := &Store{db: db, sealer: sealer, random: &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}}
	if dialect != "postgres" {
		s.turn, s.orRollback = make(chan struct{}, 1), "OR ROLLBACK"
	}
	return s, nil
}

// newID makes an id that sorts by age.
func (s *Store) newID(prefix string, at time.Time) string {
	id, err := ulid.New(ulid.Timestamp(at), s.random)
	if err != nil { // too many in one millisecond: order among them is not promised
		id = ulid.Make()
	}
	return prefix + "_" + strings.ToLower(id.String())
}

// with bounds one call.
func (s *Store) with(ctx context.Context) (*gorm.DB, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	return s.db.WithContext(ctx), cancel
}

// write is with for what writes. The wait for a turn is not part of the bound.
func (s *Store) write(ctx context.Context) (*gorm.DB, func(), error) {
	if s.turn != nil {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	db, cancel := s.with(ctx)
	return db, func() {
		cancel()
		if s.turn != nil {
			<-s.turn
		}
	}, nil
}

// transaction runs fn in one transaction.
func (s *Store) transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	db, end, err := s.write(ctx)
	if err != nil {
		return err
	}
	defer end()
	return db.Transaction(fn)
}

// failure words an error of the database; what callers branch on stays as it is.
func failure(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fmt.Errorf("%s: %w", doing, tenants.ErrNotFound)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// millis writes a time; NULL is the zero one.
func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

func timeOf(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

func timeAt(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

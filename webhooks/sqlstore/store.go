// Package sqlstore keeps webhooks in SQL: endpoints, lanes, deliveries, attempts
// and what has been told. It decides nothing.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/oklog/ulid/v2"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"tidewire/tenants"
	"tidewire/webhooks"
)

const queryTimeout = 10 * time.Second

// Store implements [webhooks.Queue] and [webhooks.Store].
type Store struct {
	db     *gorm.DB
	sealer *tenants.Sealer
}

// New returns a store in a database whose schema is there. dialect is "sqlite"
// or "postgres".
func New(pool *sql.DB, dialect string, sealer *tenants.Sealer) (*Store, error) {
	var dialector gorm.Dialector = postgres.New(postgres.Config{Conn: pool})
	if dialect == "sqlite" {
		dialector = &sqlite.Dialector{Conn: pool}
	}
	db, err := gorm.Open(dialector, &gorm.Config{TranslateError: true, SkipDefaultTransaction: true, DisableAutomaticPing: true})
	if err != nil {
		return nil, fmt.Errorf("open the webhook store: %w", err)
	}
	db.Logger = db.Logger.LogMode(1) // silent: errors go to the caller
	return &Store{db: db, sealer: sealer}, nil
}

func (s *Store) ask(ctx context.Context, doing string, f func(db *gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if err := f(s.db.WithContext(ctx)); err != nil {
		if errors.Is(err, gorm.ErrRecordNotFound) {
			err = tenants.ErrNotFound
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (s *Store) write(ctx context.Context, doing string, f func(tx *gorm.DB) error) error {
	return s.ask(ctx, doing, func(db *gorm.DB) error { return db.Transaction(f) })
}

func newID(prefix string, now time.Time) string {
	return prefix + "_" + strings.ToLower(ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String())
}

func milli(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	m := t.UnixMilli()
	return &m
}

func timeOf(m *int64) time.Time {
	if m == nil {
		return time.Time{}
	}
	return time.UnixMilli(*m).UTC()
}

func encode(v any) string {
	b, _ := json.Marshal(v) // strings and lists of them
	return string(b)
}

var (
	_ webhooks.Queue = (*Store)(nil)
	_ webhooks.Store = (*Store)(nil)
)

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/migrations"
	"tidewire/tenants"
)

// AccountStore keeps people, tenants, their apps and the audit log in SQL. It
// shares the database and its transactions with the [Store] it comes from, and
// is safe for concurrent use.
type AccountStore struct {
	queries
	dialect migrations.Dialect
}

var (
	_ tenants.AccountStore  = (*AccountStore)(nil)
	_ tenants.AccountWriter = (*accountTx)(nil)
)

// Accounts returns the store of accounts in the same database.
func (s *Store) Accounts() *AccountStore {
	return &AccountStore{queries: queries{db: s.gorm, sealer: s.sealer}, dialect: s.dialect}
}

// queries are the questions; they are asked in a transaction or outside of one.
type queries struct {
	db     *gorm.DB
	sealer *tenants.Sealer
}

// accountTx is one transaction of [AccountStore.Write].
type accountTx struct{ queries }

// Write implements [tenants.AccountStore].
func (s *AccountStore) Write(ctx context.Context, fn func(tx tenants.AccountWriter) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return s.WriteBulk(ctx, fn)
}

// WriteBulk implements [tenants.AccountStore].
func (s *AccountStore) WriteBulk(ctx context.Context, fn func(tx tenants.AccountWriter) error) error {
	var refused error // what fn said, apart from what the database says
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.lock(tx); err != nil {
			return err
		}
		refused = fn(&accountTx{queries{db: tx, sealer: s.sealer}})
		return refused
	})
	if refused != nil {
		return refused
	}
	return failure("write", err)
}

// lock makes writers pass one by one, those of configuration included. SQLite
// does so by itself: its transactions here are immediate ones.
func (s *AccountStore) lock(tx *gorm.DB) error {
	if s.dialect == migrations.SQLite {
		return nil
	}
	var version int64
	if err := tx.Raw("SELECT version FROM config_version FOR UPDATE").Scan(&version).Error; err != nil {
		return fmt.Errorf("wait for other writers: %w", err)
	}
	return nil
}

// failure turns what gorm says into the words of the tenants floor.
func failure(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, tenants.ErrNotFound):
		return fmt.Errorf("%s: %w", doing, tenants.ErrNotFound)
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fmt.Errorf("%s: %w", doing, tenants.ErrExists)
	}
	return fmt.Errorf("%w: %s: %w", tenants.ErrUnavailable, doing, err)
}

// ask runs one question with a bound on its time.
func (q queries) ask(ctx context.Context, doing string, fn func(db *gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return failure(doing, fn(q.db.WithContext(ctx)))
}

// one finds a single row.
func one[T any](ctx context.Context, q queries, doing, where string, args ...any) (*T, error) {
	var row T
	err := q.ask(ctx, doing, func(db *gorm.DB) error { return db.Where(where, args...).Take(&row).Error })
	return &row, err
}

// many finds rows, in order, and turns each into what it stands for.
func many[T, V any](ctx context.Context, q queries, doing, order string, limit int, turn func(*T) (V, error), where string, args ...any) ([]V, error) {
	var rows []T
	err := q.ask(ctx, doing, func(db *gorm.DB) error {
		db = db.Where(where, args...).Order(order)
		if limit > 0 {
			db = db.Limit(limit)
		}
		return db.Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	values := make([]V, 0, len(rows))
	for i := range rows {
		value, err := turn(&rows[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		values = append(values, value)
	}
	return values, nil
}

// insert stores a row.
func (q queries) insert(ctx context.Context, doing string, row any) error {
	return q.ask(ctx, doing, func(db *gorm.DB) error { return db.Create(row).Error })
}

// update changes the columns of the one row that where names.
func (q queries) update(ctx context.Context, doing string, model any, columns map[string]any, where string, args ...any) error {
	return q.ask(ctx, doing, func(db *gorm.DB) error {
		return oneRow(db.Model(model).Where(where, args...).Updates(columns))
	})
}

// remove deletes the one row that where names.
func (q queries) remove(ctx context.Context, doing string, model any, where string, args ...any) error {
	return q.ask(ctx, doing, func(db *gorm.DB) error {
		return oneRow(db.Where(where, args...).Delete(model))
	})
}

// oneRow makes "nothing was touched" an error.
func oneRow(done *gorm.DB) error {
	if done.Error == nil && done.RowsAffected == 0 {
		return gorm.ErrRecordNotFound
	}
	return done.Error
}

// Changed implements [tenants.AccountWriter].
func (t *accountTx) Changed(ctx context.Context, tenantID string, app tenants.AppID) (int64, error) {
	var version int64
	err := t.ask(ctx, "note a change of the configuration", func(db *gorm.DB) (err error) {
		version, err = noteChange(db, tenantID, app)
		return err
	})
	return version, err
}

// noteChange takes the next configuration version, which stays locked until the
// transaction ends, and notes what it changes.
func noteChange(tx *gorm.DB, tenantID string, app tenants.AppID) (int64, error) {
	version, err := nextVersion(tx)
	if err != nil {
		return 0, err
	}
	return version, recordChange(tx, version, tenantID, app, time.Now())
}

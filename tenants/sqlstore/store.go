package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

const (
	// queryTimeout bounds every call, whatever the caller allows: the wait for a
	// connection of the pool and for a lock included.
	queryTimeout = 10 * time.Second
	// keepChanges is how long a reader may be away and still learn what changed.
	keepChanges = 24 * time.Hour
	// changesPerRead bounds one answer of Changes.
	changesPerRead = 1000
)

// Store keeps tenants, apps and keys in SQL. It is safe for concurrent use, in
// one process and between processes.
type Store struct {
	*Database
}

var _ tenants.Source = (*Store)(nil)

// Ping asks the database for something only a working schema can answer.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var version int64
	if err := s.gorm.WithContext(ctx).Raw("SELECT version FROM config_version").Scan(&version).Error; err != nil {
		return fmt.Errorf("ping the database: %w", err)
	}
	return nil
}

// Changes implements [tenants.Source].
func (s *Store) Changes(ctx context.Context, since int64) (tenants.ChangeSet, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var rows []struct {
		Current  int64
		Version  *int64
		AppID    *string
		TenantID *string
	}
	after, limit := since, changesPerRead
	if since < 0 {
		limit = 1
	}
	// One statement, so one snapshot: the current version and the changes agree.
	err := s.gorm.WithContext(ctx).Raw(`
		SELECT v.version AS current, c.version, c.app_id, c.tenant_id
		FROM config_version v LEFT JOIN config_changes c ON c.version > ?
		ORDER BY c.version LIMIT ?`, after, limit).Scan(&rows).Error
	if err != nil {
		return tenants.ChangeSet{}, fmt.Errorf("read configuration changes: %w", err)
	}
	if len(rows) == 0 {
		return tenants.ChangeSet{}, errors.New("read configuration changes: the table config_version is empty; restore a backup")
	}
	set := tenants.ChangeSet{Version: rows[0].Current}
	if since < 0 || since == set.Version {
		return set, nil
	}
	// Versions have no holes. A gap means that the rows in between were pruned, a
	// current version below since that an older backup was put in place.
	if rows[0].Version == nil || *rows[0].Version != since+1 {
		set.Reset = true
		return set, nil
	}
	for _, row := range rows {
		set.Version = *row.Version
		set.Changes = append(set.Changes, tenants.Change{
			Version: *row.Version, App: tenants.AppID(*row.AppID), TenantID: *row.TenantID,
		})
	}
	return set, nil
}

type changeRow struct {
	Version  int64 `gorm:"primaryKey;autoIncrement:false"`
	AppID    string
	TenantID string
	At       int64
}

// TableName implements gorm's Tabler.
func (changeRow) TableName() string { return "config_changes" }

// change runs one configuration write. It takes the next version first: the row
// stays locked until the transaction ends, so configuration writes pass one by
// one and their versions appear in order. write says which app it touched; an
// empty one means every app of the tenant.
func (s *Store) change(ctx context.Context, write func(tx *gorm.DB, version int64) (tenants.AppID, string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return s.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		version, err := nextVersion(tx)
		if err != nil {
			return err
		}
		app, tenant, err := write(tx, version)
		if err != nil {
			return err
		}
		return recordChange(tx, version, tenant, app, time.Now())
	})
}

func nextVersion(tx *gorm.DB) (version int64, err error) {
	err = tx.Raw("UPDATE config_version SET version = version + 1 RETURNING version").Scan(&version).Error
	if err != nil {
		return 0, fmt.Errorf("take the next configuration version: %w", err)
	}
	return version, nil
}

func recordChange(tx *gorm.DB, version int64, tenant string, app tenants.AppID, now time.Time) error {
	row := changeRow{Version: version, AppID: string(app), TenantID: tenant, At: now.UnixMilli()}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("note the change: %w", err)
	}
	err := tx.Where("at < ?", now.Add(-keepChanges).UnixMilli()).Delete(&changeRow{}).Error
	if err != nil {
		return fmt.Errorf("prune old changes: %w", err)
	}
	return nil
}

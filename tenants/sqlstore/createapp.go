package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"gorm.io/gorm"

	"tidewire/tenants"
)

type tenantRow struct {
	ID        string `gorm:"primaryKey"`
	Slug      string
	Name      string
	Status    string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (tenantRow) TableName() string { return "tenants" }

type appRow struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	Name      string
	Cluster   string
	Disabled  bool
	Settings  string
	Limits    string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	UpdatedAt int64 `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (appRow) TableName() string { return "apps" }

type keyRow struct {
	ID           string `gorm:"primaryKey"`
	AppID        string
	Key          string
	SealedSecret string
	Status       string
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (keyRow) TableName() string { return "app_keys" }

// CreateApp creates an app with its first key, and its tenant, active, if there
// is none of that slug; then tenantCreated is true. All of it happens or
// nothing. It returns a [*tenants.InvalidError] for a value that is refused and
// [tenants.ErrExists], naming the id or the key, for one that is taken.
func (s *Store) CreateApp(ctx context.Context, n tenants.NewApp) (created *tenants.App, tenantCreated bool, err error) {
	if err := n.Validate(); err != nil {
		return nil, false, fmt.Errorf("create app: %w", err)
	}
	n.Fill()
	err = s.change(ctx, func(tx *gorm.DB, version int64) (tenants.AppID, string, error) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		tenant, isNew, err := tenantFor(tx, n, now)
		if err != nil {
			return "", "", err
		}
		id, err := freeAppID(tx, n.ID)
		if err != nil {
			return "", "", err
		}
		if err := checkKeyFree(tx, n.Key); err != nil {
			return "", "", err
		}
		app := &tenants.App{
			ID: id, TenantID: tenant.ID, TenantSlug: tenant.Slug, TenantStatus: tenants.TenantStatus(tenant.Status),
			Name: n.Name, Cluster: n.Cluster, Settings: *n.Settings, Limits: *n.Limits, Version: version, CreatedAt: now,
			Keys: []tenants.Key{{
				ID: newID("key", now), Key: n.Key, Secret: n.Secret, Status: tenants.KeyActive, CreatedAt: now,
			}},
		}
		created, tenantCreated = app, isNew
		return id, tenant.ID, s.insertApp(tx, app)
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		err = fmt.Errorf("an id or key %w", tenants.ErrExists)
	}
	if err != nil {
		return nil, false, fmt.Errorf("create app: %w", err)
	}
	return created, tenantCreated, nil
}

func (s *Store) insertApp(tx *gorm.DB, app *tenants.App) error {
	settings, err := json.Marshal(app.Settings)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	limits, err := json.Marshal(app.Limits)
	if err != nil {
		return fmt.Errorf("encode limits: %w", err)
	}
	at := app.CreatedAt.UnixMilli()
	row := appRow{
		ID: string(app.ID), TenantID: app.TenantID, Name: app.Name, Cluster: app.Cluster, Disabled: app.Disabled,
		Settings: string(settings), Limits: string(limits), CreatedAt: at, UpdatedAt: at,
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("store the app: %w", err)
	}
	for _, key := range app.Keys {
		sealed, err := s.sealer.Seal(key.Secret.Reveal(), secretPlace(key.ID))
		if err != nil {
			return fmt.Errorf("seal the secret: %w", err)
		}
		row := keyRow{
			ID: key.ID, AppID: string(app.ID), Key: key.Key, SealedSecret: sealed,
			Status: string(key.Status), CreatedAt: key.CreatedAt.UnixMilli(),
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("store the key: %w", err)
		}
	}
	return nil
}

// tenantFor finds the tenant or creates it.
func tenantFor(tx *gorm.DB, n tenants.NewApp, now time.Time) (_ *tenantRow, created bool, err error) {
	tenant, err := findTenant(tx, n.TenantSlug)
	if err != nil || tenant != nil {
		return tenant, false, err
	}
	tenant = &tenantRow{
		ID: newID("tn", now), Slug: n.TenantSlug, Name: n.TenantName,
		Status: string(tenants.TenantActive), CreatedAt: now.UnixMilli(),
	}
	if err := tx.Create(tenant).Error; err != nil {
		return nil, false, fmt.Errorf("store the tenant: %w", err)
	}
	return tenant, true, nil
}

// findTenant returns nil if there is none of that slug.
func findTenant(tx *gorm.DB, slug string) (*tenantRow, error) {
	var found []tenantRow
	if err := tx.Where("slug = ?", slug).Limit(1).Find(&found).Error; err != nil {
		return nil, fmt.Errorf("find the tenant: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// freeAppID checks that wanted is free, or finds an id that is. Configuration
// writes pass one by one, so what is free now stays free until the insert.
func freeAppID(tx *gorm.DB, wanted tenants.AppID) (tenants.AppID, error) {
	const attempts = 20
	for range attempts {
		id := wanted
		if wanted == "" {
			id = tenants.RandomAppID()
		}
		var taken int64
		if err := tx.Model(&appRow{}).Where("id = ?", string(id)).Count(&taken).Error; err != nil {
			return "", fmt.Errorf("look for app id %s: %w", id, err)
		}
		if taken == 0 {
			return id, nil
		}
		if wanted != "" {
			return "", fmt.Errorf("app id %s %w; choose another, or leave it out to have one made", wanted, tenants.ErrExists)
		}
	}
	return "", errors.New("found no free app id; try again or choose one")
}

func checkKeyFree(tx *gorm.DB, key string) error {
	var taken int64
	if err := tx.Model(&keyRow{}).Where("key = ?", key).Count(&taken).Error; err != nil {
		return fmt.Errorf("look for key %s: %w", key, err)
	}
	if taken > 0 {
		return fmt.Errorf("key %s %w; choose another, or leave it out to have one made", key, tenants.ErrExists)
	}
	return nil
}

// newID makes a sortable id such as tn_01jx….
func newID(prefix string, now time.Time) string {
	return prefix + "_" + strings.ToLower(ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String())
}

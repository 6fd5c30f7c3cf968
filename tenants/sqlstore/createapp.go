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
	ID           string `gorm:"primaryKey"`
	Slug         string
	Name         string
	Status       string
	StatusReason string
	PurgeAt      *int64
	Plan         string
	Revision     int64
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
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
	Revision  int64
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
	RetiresAt    *int64
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
		plan, err := planInForce(tx, tenant)
		if err != nil {
			return "", "", err
		}
		app := &tenants.App{
			ID: id, TenantID: tenant.ID, TenantSlug: tenant.Slug, TenantStatus: tenants.TenantStatus(tenant.Status),
			Name: n.Name, Cluster: n.Cluster, Settings: *n.Settings, Limits: *n.Limits, Plan: *plan, Version: version, Revision: 1, CreatedAt: now,
			Keys: []tenants.Key{{
				ID: newID("key", now), Key: n.Key, Secret: n.Secret, Status: tenants.KeyActive, CreatedAt: now,
			}},
		}
		created, tenantCreated = app, isNew
		return id, tenant.ID, insertApp(tx, s.sealer, app)
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		err = fmt.Errorf("an id or key %w", tenants.ErrExists)
	}
	if err != nil {
		return nil, false, fmt.Errorf("create app: %w", err)
	}
	return created, tenantCreated, nil
}

func insertApp(tx *gorm.DB, sealer *tenants.Sealer, app *tenants.App) error {
	settings, err := app.Settings.MarshalSealed(sealer, app.ID)
	if err != nil {
		return err
	}
	limits, err := json.Marshal(app.Limits)
	if err != nil {
		return fmt.Errorf("encode limits: %w", err)
	}
	at := app.CreatedAt.UnixMilli()
	row := appRow{
		ID: string(app.ID), TenantID: app.TenantID, Name: app.Name, Cluster: app.Cluster, Disabled: app.Disabled,
		Settings: string(settings), Limits: string(limits), Revision: app.Revision, CreatedAt: at, UpdatedAt: at,
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("store the app: %w", err)
	}
	for i := range app.Keys {
		if err := insertKey(tx, sealer, app.ID, &app.Keys[i]); err != nil {
			return err
		}
	}
	return nil
}

func insertKey(tx *gorm.DB, sealer *tenants.Sealer, app tenants.AppID, key *tenants.Key) error {
	sealed, err := sealer.Seal(key.Secret.Reveal(), secretPlace(key.ID))
	if err != nil {
		return fmt.Errorf("seal the secret: %w", err)
	}
	row := keyRow{
		ID: key.ID, AppID: string(app), Key: key.Key, SealedSecret: sealed,
		Status: string(key.Status), RetiresAt: milliOrNil(key.RetiresAt), CreatedAt: key.CreatedAt.UnixMilli(),
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("store the key: %w", err)
	}
	return nil
}

// tenantFor finds the tenant or creates it.
func tenantFor(tx *gorm.DB, n tenants.NewApp, now time.Time) (_ *tenantRow, created bool, err error) {
	tenant, err := findTenant(tx, n.TenantSlug)
	if err != nil || tenant != nil {
		return tenant, false, err
	}
	if gone, err := tombstoned(tx, goneTenant, n.TenantSlug); err != nil {
		return nil, false, err
	} else if gone {
		return nil, false, &tenants.Refusal{
			Kind: tenants.ErrExists, Code: "slug_taken",
			Detail: fmt.Sprintf("tenant %s was removed and its slug stays reserved; choose another", n.TenantSlug),
		}
	}
	tenant = &tenantRow{
		ID: newID("tn", now), Slug: n.TenantSlug, Name: n.TenantName, Plan: tenants.DefaultPlan, Revision: 1,
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
		taken, err := isTaken(tx, &appRow{}, "id", goneApp, string(id))
		if err != nil {
			return "", fmt.Errorf("look for app id %s: %w", id, err)
		}
		if !taken {
			return id, nil
		}
		if wanted != "" {
			return "", &tenants.Refusal{
				Kind: tenants.ErrExists, Code: "app_id_taken",
				Detail: fmt.Sprintf("app id %s already exists; choose another, or leave it out to have one made", wanted),
			}
		}
	}
	return "", errors.New("found no free app id; try again or choose one")
}

func checkKeyFree(tx *gorm.DB, key string) error {
	taken, err := isTaken(tx, &keyRow{}, "key", goneKey, key)
	if err != nil {
		return fmt.Errorf("look for key %s: %w", key, err)
	}
	if taken {
		return &tenants.Refusal{
			Kind: tenants.ErrExists, Code: "key_taken",
			Detail: fmt.Sprintf("key %s already exists; choose another, or leave it out to have one made", key),
		}
	}
	return nil
}

// isTaken reports whether a row has, or once had, that value in a column.
func isTaken(tx *gorm.DB, model any, column, kind, value string) (bool, error) {
	var rows int64
	if err := tx.Model(model).Where(column+" = ?", value).Count(&rows).Error; err != nil || rows > 0 {
		return rows > 0, err
	}
	return tombstoned(tx, kind, value)
}

// newID makes a sortable id such as tn_01jx….
func newID(prefix string, now time.Time) string {
	return prefix + "_" + strings.ToLower(ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String())
}

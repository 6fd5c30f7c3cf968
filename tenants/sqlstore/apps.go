package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"tidewire/tenants"
)

// appSelect reads apps with their keys, one row per key, and the version they
// are read at, all in one statement and therefore one snapshot.
const appSelect = `
	SELECT v.version AS config_version,
		a.id, a.tenant_id, a.name, a.cluster, a.disabled, a.settings, a.limits, a.revision, a.created_at,
		t.slug AS tenant_slug, t.status AS tenant_status, t.plan AS tenant_plan,
		p.version AS plan_version, p.ceilings AS plan_ceilings, p.created_at AS plan_created_at,
		k.id AS key_id, k.key AS key_name, k.sealed_secret, k.status AS key_status, k.retires_at AS key_retires_at,
		k.created_at AS key_created_at
	FROM config_version v
	CROSS JOIN apps a
	JOIN tenants t ON t.id = a.tenant_id
	LEFT JOIN plans p ON p.is_current AND p.name = CASE WHEN t.status = 'unverified' THEN 'sandbox' ELSE t.plan END
	LEFT JOIN app_keys k ON k.app_id = a.id`

const (
	keyOrder   = ` ORDER BY k.created_at, k.id`
	whereByKey = ` WHERE a.id = (SELECT app_id FROM app_keys WHERE key = ? AND status <> 'revoked')`
	whereByID  = ` WHERE a.id = ?`
	whereOwned = ` WHERE a.tenant_id = ? AND a.id = ?`
	pageWhere  = ` WHERE a.id IN (SELECT id FROM apps WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?)
		ORDER BY a.id, k.created_at, k.id`
	listWhere = ` WHERE (t.slug = ? OR ? = '') ORDER BY t.slug, a.created_at, a.id, k.created_at, k.id`
)

// joinedRow is one row of appSelect.
type joinedRow struct {
	ConfigVersion int64
	ID            string
	TenantID      string
	Name          string
	Cluster       string
	Disabled      bool
	Settings      string
	Limits        string
	Revision      int64
	CreatedAt     int64
	TenantSlug    string
	TenantStatus  string
	TenantPlan    string
	PlanVersion   *int64 // nil: the plan is a built-in one
	PlanCeilings  *string
	PlanCreatedAt *int64
	KeyID         *string // nil: the app has no key
	KeyName       *string
	SealedSecret  *string
	KeyStatus     *string
	KeyRetiresAt  *int64
	KeyCreatedAt  *int64
}

// AppByKey implements [tenants.Source].
func (s *Store) AppByKey(ctx context.Context, key string) (*tenants.App, error) {
	return s.app(ctx, "read app by key", whereByKey+keyOrder, key)
}

// AppByID implements [tenants.Source].
func (s *Store) AppByID(ctx context.Context, id tenants.AppID) (*tenants.App, error) {
	return s.app(ctx, "read app", whereByID+keyOrder, string(id))
}

func (s *Store) app(ctx context.Context, doing, where string, arg string) (*tenants.App, error) {
	apps, err := s.apps(ctx, where, arg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if len(apps) == 0 {
		return nil, fmt.Errorf("%s: %w", doing, tenants.ErrNotFound)
	}
	return apps[0], nil
}

// ListApps returns the apps of the tenant with that slug, oldest first, or those
// of every tenant when the slug is empty. An unknown slug gives [tenants.ErrNotFound].
func (s *Store) ListApps(ctx context.Context, tenantSlug string) ([]*tenants.App, error) {
	apps, err := s.apps(ctx, listWhere, tenantSlug, tenantSlug)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	if len(apps) > 0 || tenantSlug == "" {
		return apps, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if tenant, err := findTenant(s.gorm.WithContext(ctx), tenantSlug); err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	} else if tenant == nil {
		return nil, fmt.Errorf("list apps: tenant %s: %w", tenantSlug, tenants.ErrNotFound)
	}
	return apps, nil
}

func (s *Store) apps(ctx context.Context, where string, args ...any) ([]*tenants.App, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return readApps(s.gorm.WithContext(ctx), s.sealer, where, args...)
}

func readApps(db *gorm.DB, sealer *tenants.Sealer, where string, args ...any) ([]*tenants.App, error) {
	var rows []joinedRow
	if err := db.Raw(appSelect+where, args...).Scan(&rows).Error; err != nil {
		return nil, err
	}
	apps := []*tenants.App{}
	for i := range rows {
		row := &rows[i]
		if len(apps) == 0 || string(apps[len(apps)-1].ID) != row.ID {
			app, err := row.app(sealer)
			if err != nil {
				return nil, err
			}
			apps = append(apps, app)
		}
		if row.KeyID == nil {
			continue
		}
		key, err := row.key(sealer)
		if err != nil {
			return nil, err
		}
		app := apps[len(apps)-1]
		app.Keys = append(app.Keys, key)
	}
	return apps, nil
}

// app reads the stored settings leniently: during a rolling upgrade a newer
// process may have stored names this one does not know.
func (r *joinedRow) app(sealer *tenants.Sealer) (*tenants.App, error) {
	app := &tenants.App{
		ID:           tenants.AppID(r.ID),
		TenantID:     r.TenantID,
		TenantSlug:   r.TenantSlug,
		TenantStatus: tenants.TenantStatus(r.TenantStatus),
		Name:         r.Name,
		Cluster:      r.Cluster,
		Disabled:     r.Disabled,
		Limits:       tenants.DefaultLimits(),
		Version:      r.ConfigVersion,
		Revision:     r.Revision,
		CreatedAt:    timeOf(r.CreatedAt),
	}
	var err error
	if app.Settings, err = tenants.UnmarshalSealed([]byte(r.Settings), sealer, app.ID); err != nil {
		return nil, fmt.Errorf("app %s: stored settings: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Limits), &app.Limits); err != nil {
		return nil, fmt.Errorf("app %s: stored limits: %w", r.ID, err)
	}
	app.Plan, err = r.plan()
	return app, err
}

// plan is the plan in force for the app's tenant.
func (r *joinedRow) plan() (tenants.Plan, error) {
	tenant := tenants.Tenant{Status: tenants.TenantStatus(r.TenantStatus), Plan: r.TenantPlan}
	name := tenant.PlanInForce()
	if r.PlanVersion == nil {
		return builtInPlan(name), nil
	}
	row := planRow{Name: name, Version: *r.PlanVersion, Ceilings: *r.PlanCeilings, CreatedAt: *r.PlanCreatedAt}
	return row.plan()
}

// key opens the secret, but for a revoked key, whose secret nobody may use.
func (r *joinedRow) key(sealer *tenants.Sealer) (tenants.Key, error) {
	key := tenants.Key{
		ID:        *r.KeyID,
		Key:       *r.KeyName,
		Status:    tenants.KeyStatus(*r.KeyStatus),
		RetiresAt: timeOrZero(r.KeyRetiresAt),
		CreatedAt: timeOf(*r.KeyCreatedAt),
	}
	if key.Status == tenants.KeyRevoked {
		return key, nil
	}
	secret, err := sealer.Open(*r.SealedSecret, secretPlace(key.ID))
	if err != nil {
		return tenants.Key{}, fmt.Errorf("app %s: open the secret of key %s: %w", r.ID, key.ID, err)
	}
	key.Secret = tenants.NewSecret(secret)
	return key, nil
}

func secretPlace(keyID string) string {
	return tenants.SealedPlace("app_keys", keyID, "sealed_secret")
}

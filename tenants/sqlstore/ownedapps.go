package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

// ownedKey finds a key only under its app, and that only under its tenant.
const ownedKey = "id = ? AND app_id = (SELECT id FROM apps WHERE id = ? AND tenant_id = ?)"

// AppOwner implements [tenants.AccountReader].
func (q queries) AppOwner(ctx context.Context, id tenants.AppID) (string, error) {
	row, err := one[appRow](ctx, q, "find the owner of an app", "id = ?", string(id))
	if err != nil {
		return "", err
	}
	return row.TenantID, nil
}

// App implements [tenants.AccountReader].
func (q queries) App(ctx context.Context, tenantID string, id tenants.AppID) (*tenants.App, error) {
	list, err := q.appList(ctx, "read an app", whereOwned+keyOrder, tenantID, string(id))
	if err == nil && len(list) == 0 {
		err = failure("read an app", gorm.ErrRecordNotFound)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Apps implements [tenants.AccountReader].
func (q queries) Apps(ctx context.Context, tenantID string, after tenants.AppID, limit int) ([]*tenants.App, error) {
	return q.appList(ctx, "list apps", pageWhere, tenantID, string(after), limit)
}

func (q queries) appList(ctx context.Context, doing, where string, args ...any) ([]*tenants.App, error) {
	var list []*tenants.App
	err := q.ask(ctx, doing, func(db *gorm.DB) (err error) {
		list, err = readApps(db, q.sealer, where, args...)
		return err
	})
	return list, err
}

// CountApps implements [tenants.AccountReader].
func (q queries) CountApps(ctx context.Context, tenantID string) (int, error) {
	var n int64
	err := q.ask(ctx, "count apps", func(db *gorm.DB) error {
		return db.Model(&appRow{}).Where("tenant_id = ?", tenantID).Count(&n).Error
	})
	return int(n), err
}

// RetiredKeys implements [tenants.AccountReader].
func (q queries) RetiredKeys(ctx context.Context, now time.Time) ([]tenants.AppKey, error) {
	var rows []struct{ ID, AppID, TenantID string }
	err := q.ask(ctx, "find retired keys", func(db *gorm.DB) error {
		return db.Raw(`SELECT k.id, k.app_id, a.tenant_id FROM app_keys k JOIN apps a ON a.id = k.app_id
			WHERE k.status = 'retiring' AND k.retires_at <= ? ORDER BY k.retires_at LIMIT 1000`, now.UnixMilli()).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	keys := make([]tenants.AppKey, len(rows))
	for i, row := range rows {
		keys[i] = tenants.AppKey{TenantID: row.TenantID, App: tenants.AppID(row.AppID), KeyID: row.ID}
	}
	return keys, nil
}

// InsertApp implements [tenants.AccountWriter].
func (t *accountTx) InsertApp(ctx context.Context, a *tenants.App) error {
	return t.askRefused(ctx, "store an app", func(db *gorm.DB) (err error) {
		if a.ID, err = freeAppID(db, a.ID); err != nil {
			return err
		}
		a.Revision = 1
		for i := range a.Keys {
			if err := checkKeyFree(db, a.Keys[i].Key); err != nil {
				return err
			}
			a.Keys[i].ID = newID("key", a.Keys[i].CreatedAt)
		}
		return insertApp(db, t.sealer, a)
	})
}

// askRefused is ask for what may give a [tenants.Refusal] of its own.
func (q queries) askRefused(ctx context.Context, doing string, fn func(db *gorm.DB) error) error {
	var refused error
	err := q.ask(ctx, doing, func(db *gorm.DB) error {
		refused = fn(db)
		return refused
	})
	if isRefusal(refused) {
		return refused
	}
	return err
}

// UpdateApp implements [tenants.AccountWriter].
func (t *accountTx) UpdateApp(ctx context.Context, tenantID string, a *tenants.App) error {
	settings, err := a.Settings.MarshalSealed(t.sealer, a.ID)
	if err != nil {
		return err
	}
	limits, err := json.Marshal(a.Limits)
	if err != nil {
		return fmt.Errorf("encode limits: %w", err)
	}
	a.Revision++
	return t.update(ctx, "store an app", &appRow{}, map[string]any{
		"name": a.Name, "disabled": a.Disabled, "settings": string(settings), "limits": string(limits),
		"revision": a.Revision, "updated_at": time.Now().UnixMilli(),
	}, "tenant_id = ? AND id = ?", tenantID, string(a.ID))
}

// DeleteApp implements [tenants.AccountWriter].
func (t *accountTx) DeleteApp(ctx context.Context, tenantID string, id tenants.AppID) error {
	return t.ask(ctx, "remove an app", func(db *gorm.DB) error {
		var found int64
		if err := db.Model(&appRow{}).Where("tenant_id = ? AND id = ?", tenantID, string(id)).Count(&found).Error; err != nil {
			return err
		}
		if found == 0 {
			return gorm.ErrRecordNotFound
		}
		return eraseApps(db, "tenant_id = ? AND id = ?", tenantID, string(id))
	})
}

// InsertKey implements [tenants.AccountWriter].
func (t *accountTx) InsertKey(ctx context.Context, tenantID string, app tenants.AppID, k *tenants.Key) error {
	return t.askRefused(ctx, "store a key", func(db *gorm.DB) error {
		var found int64
		if err := db.Model(&appRow{}).Where("tenant_id = ? AND id = ?", tenantID, string(app)).Count(&found).Error; err != nil {
			return err
		}
		if found == 0 {
			return gorm.ErrRecordNotFound
		}
		if err := checkKeyFree(db, k.Key); err != nil {
			return err
		}
		k.ID = newID("key", k.CreatedAt)
		return insertKey(db, t.sealer, app, k)
	})
}

// UpdateKey implements [tenants.AccountWriter].
func (t *accountTx) UpdateKey(ctx context.Context, tenantID string, app tenants.AppID, k *tenants.Key) error {
	columns := map[string]any{"status": string(k.Status), "retires_at": milliOrNil(k.RetiresAt)}
	if k.Status == tenants.KeyRevoked {
		columns["sealed_secret"] = ""
	}
	return t.update(ctx, "store a key", &keyRow{}, columns, ownedKey, k.ID, string(app), tenantID)
}

// DeleteKey implements [tenants.AccountWriter].
func (t *accountTx) DeleteKey(ctx context.Context, tenantID string, app tenants.AppID, keyID string) error {
	return t.ask(ctx, "remove a key", func(db *gorm.DB) error {
		var row keyRow
		if err := db.Where(ownedKey, keyID, string(app), tenantID).Take(&row).Error; err != nil {
			return err
		}
		if err := bury(db, goneKey, row.Key); err != nil {
			return err
		}
		return oneRow(db.Where("id = ?", row.ID).Delete(&keyRow{}))
	})
}

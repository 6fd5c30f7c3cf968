package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
)

type revocationRow struct {
	AppID     string `gorm:"primaryKey"`
	Kind      string `gorm:"primaryKey"`
	Value     string `gorm:"primaryKey"`
	RevokedAt int64
	ExpiresAt int64
}

// TableName implements gorm's Tabler.
func (revocationRow) TableName() string { return "token_revocations" }

var _ tenants.RevocationSource = (*Store)(nil)

// Revocations implements [tenants.RevocationSource], oldest first.
func (s *Store) Revocations(ctx context.Context, app tenants.AppID) ([]tenants.Revocation, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var rows []revocationRow
	err := s.gorm.WithContext(ctx).
		Where("app_id = ? AND expires_at > ?", string(app), time.Now().UnixMilli()).
		Order("revoked_at, kind, value").Limit(tenants.MaxRevocations).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	list := make([]tenants.Revocation, 0, len(rows))
	for _, row := range rows {
		list = append(list, tenants.Revocation{
			Kind: tenants.RevocationKind(row.Kind), Value: row.Value,
			RevokedAt: time.UnixMilli(row.RevokedAt).UTC(), ExpiresAt: time.UnixMilli(row.ExpiresAt).UTC(),
		})
	}
	return list, nil
}

// Revoke takes back tokens of an app: every node refuses them within a second
// and closes the connections that rest on them. One that is revoked already is
// revoked anew, as of now. It returns [tenants.ErrNotFound] if there is no such
// app, a [*tenants.InvalidError] if r is none that [tenants.NewRevocation] makes
// or the app has [tenants.MaxRevocations] in force.
func (s *Store) Revoke(ctx context.Context, app tenants.AppID, r tenants.Revocation) error {
	if _, err := tenants.NewRevocation(r.Kind, r.Value, r.RevokedAt); err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	err := s.change(ctx, func(tx *gorm.DB, _ int64) (tenants.AppID, string, error) {
		tenant, err := revocationTenant(tx, app)
		if err != nil {
			return "", "", err
		}
		if err := makeRoomForRevocation(tx, app); err != nil {
			return "", "", err
		}
		row := revocationRow{
			AppID: string(app), Kind: string(r.Kind), Value: r.Value,
			RevokedAt: r.RevokedAt.UnixMilli(), ExpiresAt: r.ExpiresAt.UnixMilli(),
		}
		if err := tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
			return "", "", fmt.Errorf("store the revocation: %w", err)
		}
		return app, tenant, nil
	})
	if err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	return nil
}

func revocationTenant(tx *gorm.DB, app tenants.AppID) (string, error) {
	var ids []string
	if err := tx.Raw("SELECT tenant_id FROM apps WHERE id = ?", string(app)).Scan(&ids).Error; err != nil {
		return "", fmt.Errorf("find the app: %w", err)
	}
	if len(ids) == 0 {
		return "", fmt.Errorf("app %w", tenants.ErrNotFound)
	}
	return ids[0], nil
}

// makeRoomForRevocation removes what has expired, of any app, and refuses more
// than every node may have to keep in memory.
func makeRoomForRevocation(tx *gorm.DB, app tenants.AppID) error {
	if err := tx.Where("expires_at <= ?", time.Now().UnixMilli()).Delete(&revocationRow{}).Error; err != nil {
		return fmt.Errorf("remove expired revocations: %w", err)
	}
	var count int64
	if err := tx.Model(&revocationRow{}).Where("app_id = ?", string(app)).Count(&count).Error; err != nil {
		return fmt.Errorf("count revocations: %w", err)
	}
	if count >= tenants.MaxRevocations {
		return &tenants.InvalidError{
			Field:  "revocations",
			Reason: fmt.Sprintf("are %d already, the most an app can have in force; replace the issuer's key to refuse all of its tokens", count),
		}
	}
	return nil
}

package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
)

type usageRefusalsRow struct {
	App      string `gorm:"primaryKey"`
	Hour     int64  `gorm:"primaryKey;autoIncrement:false"`
	Reason   string `gorm:"primaryKey"`
	TenantID string
	Refused  int64
}

// TableName implements gorm's Tabler.
func (usageRefusalsRow) TableName() string { return "usage_refusals" }

// addRefusals adds in the order of the hours, and of reasons in each: every
// process takes rows in that order.
func addRefusals(tx *gorm.DB, hours []tenants.UsageHour, there map[string]bool) error {
	var rows []usageRefusalsRow
	for _, h := range hours {
		if !there[h.TenantID] {
			continue
		}
		for _, reason := range slices.Sorted(maps.Keys(h.Refused)) {
			rows = append(rows, usageRefusalsRow{
				App: string(h.App), Hour: h.Hour.UnixMilli(), Reason: reason, TenantID: h.TenantID, Refused: h.Refused[reason],
			})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	add := clause.OnConflict{
		Columns:   []clause.Column{{Name: "app"}, {Name: "hour"}, {Name: "reason"}},
		DoUpdates: clause.Assignments(map[string]any{"refused": gorm.Expr("usage_refusals.refused + excluded.refused")}),
	}
	if err := tx.Clauses(add).CreateInBatches(rows, usageRows).Error; err != nil {
		return fmt.Errorf("add refusals: %w", err)
	}
	return nil
}

// Refusals returns how often something of a tenant, or one of its apps, was
// refused in the range, by reason, the most frequent first. Hours that the range
// only touches are told whole, and days if those are asked for. The error may be a
// [*tenants.InvalidError].
func (s *Store) Refusals(ctx context.Context, q tenants.UsageQuery) ([]tenants.Refusals, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, from, to := hoursOf(q)
	list := []tenants.Refusals{}
	err := s.gorm.WithContext(ctx).Raw(`
		SELECT reason, `+sumsOf([]string{"refused"})+`
		FROM usage_refusals WHERE tenant_id = ? AND (app = ? OR ? = '') AND hour >= ? AND hour < ?
		GROUP BY reason ORDER BY refused DESC, reason`,
		q.TenantID, string(q.App), string(q.App), from, to,
	).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("read refusals: %w", err)
	}
	return list, nil
}

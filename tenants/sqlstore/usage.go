package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
)

const (
	// usageRows is how many rows or names go into one statement.
	usageRows = 500
	// keepSources is how long the number of a process' last batch is kept: a
	// batch that is given again later than that could count twice.
	keepSources = 30 * 24 * time.Hour
)

type usageHourRow struct {
	App             string `gorm:"primaryKey"`
	Hour            int64  `gorm:"primaryKey;autoIncrement:false"`
	TenantID        string
	Publishes       int64
	Queries         int64
	ClientEvents    int64
	Deliveries      int64
	PresenceChanges int64
	Webhooks        int64
	BytesOut        int64
	PeakConnections int64
}

// TableName implements gorm's Tabler.
func (usageHourRow) TableName() string { return "usage_hours" }

// usageSums are the columns that are added up.
var usageSums = []string{
	"publishes", "queries", "client_events", "deliveries", "presence_changes", "webhooks", "bytes_out",
}

type usageConnectionsRow struct {
	App      string `gorm:"primaryKey"`
	Source   string `gorm:"primaryKey"`
	TenantID string
	Open     int64
}

// TableName implements gorm's Tabler.
func (usageConnectionsRow) TableName() string { return "usage_connections" }

var _ tenants.UsageStore = (*Store)(nil)

// AddUsage implements [tenants.UsageStore]. What a tenant used that is removed
// meanwhile is dropped.
func (s *Store) AddUsage(ctx context.Context, b tenants.UsageBatch) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err := s.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		isNew, err := takeUsageSeq(tx, b)
		if err != nil || !isNew {
			return err
		}
		there, err := tenantsThere(tx, b)
		if err != nil {
			return err
		}
		if err := addUsageHours(tx, b.Hours, there); err != nil {
			return err
		}
		if err := addRefusals(tx, b.Hours, there); err != nil {
			return err
		}
		if err := setConnections(tx, b.Source, b.Connections, there); err != nil {
			return err
		}
		if b.Seq == 1 { // once for each process is enough
			return pruneUsageSources(tx, b.At)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add usage: %w", err)
	}
	return nil
}

// takeUsageSeq reports false if that batch was added before. The row stays
// locked until the transaction ends, so that a batch given again waits for the
// one whose outcome was not known.
func takeUsageSeq(tx *gorm.DB, b tenants.UsageBatch) (bool, error) {
	done := tx.Exec(`INSERT INTO usage_sources (source, seq, at, alive_until) VALUES (?, ?, ?, ?)
		ON CONFLICT (source) DO UPDATE SET seq = excluded.seq, at = excluded.at, alive_until = excluded.alive_until
		WHERE usage_sources.seq < excluded.seq`,
		b.Source, b.Seq, b.At.UnixMilli(), b.AliveUntil.UnixMilli())
	if done.Error != nil {
		return false, fmt.Errorf("number the batch: %w", done.Error)
	}
	return done.RowsAffected > 0, nil
}

// tenantsThere is the set of those tenants of the batch that exist.
func tenantsThere(tx *gorm.DB, b tenants.UsageBatch) (map[string]bool, error) {
	named := make(map[string]bool)
	for _, h := range b.Hours {
		named[h.TenantID] = true
	}
	for _, c := range b.Connections {
		named[c.TenantID] = true
	}
	ids := make([]string, 0, len(named))
	for id := range named {
		ids = append(ids, id)
	}
	there := make(map[string]bool, len(ids))
	for part := range slices.Chunk(ids, usageRows) {
		var found []string
		if err := tx.Model(&tenantRow{}).Where("id IN ?", part).Pluck("id", &found).Error; err != nil {
			return nil, fmt.Errorf("look for the tenants: %w", err)
		}
		for _, id := range found {
			there[id] = true
		}
	}
	return there, nil
}

func addUsageHours(tx *gorm.DB, hours []tenants.UsageHour, there map[string]bool) error {
	rows := make([]usageHourRow, 0, len(hours))
	for _, h := range hours {
		if there[h.TenantID] {
			rows = append(rows, usageHourRow{
				App: string(h.App), Hour: h.Hour.UnixMilli(), TenantID: h.TenantID,
				Publishes: h.Publishes, Queries: h.Queries, ClientEvents: h.ClientEvents, Deliveries: h.Deliveries,
				PresenceChanges: h.PresenceChanges, Webhooks: h.Webhooks, BytesOut: h.BytesOut,
				PeakConnections: h.PeakConnections,
			})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	sums := map[string]any{"peak_connections": gorm.Expr(`CASE WHEN excluded.peak_connections > usage_hours.peak_connections
		THEN excluded.peak_connections ELSE usage_hours.peak_connections END`)}
	for _, column := range usageSums {
		sums[column] = gorm.Expr("usage_hours." + column + " + excluded." + column)
	}
	add := clause.OnConflict{
		Columns:   []clause.Column{{Name: "app"}, {Name: "hour"}},
		DoUpdates: clause.Assignments(sums),
	}
	if err := tx.Clauses(add).CreateInBatches(rows, usageRows).Error; err != nil {
		return fmt.Errorf("add to the hours: %w", err)
	}
	return nil
}

func setConnections(tx *gorm.DB, source string, list []tenants.AppConnections, there map[string]bool) error {
	var rows []usageConnectionsRow
	var none []string
	for _, c := range list {
		switch {
		case c.Open == 0:
			none = append(none, string(c.App))
		case there[c.TenantID]:
			rows = append(rows, usageConnectionsRow{App: string(c.App), Source: source, TenantID: c.TenantID, Open: c.Open})
		}
	}
	for part := range slices.Chunk(none, usageRows) {
		if err := tx.Where("source = ? AND app IN ?", source, part).Delete(&usageConnectionsRow{}).Error; err != nil {
			return fmt.Errorf("remove connections: %w", err)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	set := clause.OnConflict{
		Columns:   []clause.Column{{Name: "app"}, {Name: "source"}},
		DoUpdates: clause.AssignmentColumns([]string{"open"}),
	}
	if err := tx.Clauses(set).CreateInBatches(rows, usageRows).Error; err != nil {
		return fmt.Errorf("note connections: %w", err)
	}
	return nil
}

func pruneUsageSources(tx *gorm.DB, now time.Time) error {
	err := tx.Exec("DELETE FROM usage_sources WHERE at < ?", now.Add(-keepSources).UnixMilli()).Error
	if err == nil {
		err = tx.Exec(`DELETE FROM usage_connections WHERE source IN
			(SELECT source FROM usage_sources WHERE alive_until < ?)
			OR source NOT IN (SELECT source FROM usage_sources)`, now.Add(-24*time.Hour).UnixMilli()).Error
	}
	if err != nil {
		return fmt.Errorf("forget old processes: %w", err)
	}
	return nil
}

// Standings implements [tenants.UsageStore].
func (s *Store) Standings(ctx context.Context, source string, day time.Time, tenantIDs []string) ([]tenants.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	db := s.gorm.WithContext(ctx)
	var list []tenants.Standing
	for part := range slices.Chunk(tenantIDs, usageRows) {
		var rows []tenants.Standing
		// Both in one statement, and each app in one or two rows of it.
		err := db.Raw(`
			SELECT tenant_id, app,
				CAST(SUM(publishes + queries + client_events + deliveries + presence_changes + webhooks) AS BIGINT) AS messages,
				CAST(0 AS BIGINT) AS elsewhere
			FROM usage_hours WHERE tenant_id IN ? AND hour >= ? AND hour < ? GROUP BY tenant_id, app
			UNION ALL
			SELECT c.tenant_id, c.app, CAST(0 AS BIGINT), CAST(SUM(c.open) AS BIGINT)
			FROM usage_connections c JOIN usage_sources n ON n.source = c.source
			WHERE c.tenant_id IN ? AND c.source <> ? AND n.alive_until > ? GROUP BY c.tenant_id, c.app`,
			part, day.UnixMilli(), day.Add(24*time.Hour).UnixMilli(), part, source, time.Now().UnixMilli(),
		).Scan(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("read standings: %w", err)
		}
		list = append(list, rows...)
	}
	return list, nil
}

// Usage returns what a tenant, or one of its apps, used: the steps of the range
// in which there was anything, oldest first. Steps that the range only touches
// are told whole. The error may be a [*tenants.InvalidError]; an app or a tenant
// there is not has used nothing.
func (s *Store) Usage(ctx context.Context, q tenants.UsageQuery) ([]tenants.UsageStep, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	span, from, to := hoursOf(q)
	var rows []usageHourRow
	err := s.gorm.WithContext(ctx).Raw(`
		SELECT hour, `+sumsOf(usageSums)+`, `+sumsOf([]string{"peak_connections"})+`
		FROM usage_hours WHERE tenant_id = ? AND (app = ? OR ? = '') AND hour >= ? AND hour < ?
		GROUP BY hour ORDER BY hour`,
		q.TenantID, string(q.App), string(q.App), from, to,
	).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	steps := []tenants.UsageStep{}
	for i := range rows {
		start := time.UnixMilli(rows[i].Hour).UTC().Truncate(span)
		if len(steps) == 0 || !steps[len(steps)-1].Start.Equal(start) {
			steps = append(steps, tenants.UsageStep{Start: start})
		}
		step := &steps[len(steps)-1]
		step.Counts = step.Add(rows[i].counts())
		step.Messages = step.Counts.Messages()
		step.PeakConnections = max(step.PeakConnections, rows[i].PeakConnections)
	}
	return steps, nil
}

// hoursOf is the size of the steps asked for, and the range in whole ones.
func hoursOf(q tenants.UsageQuery) (span time.Duration, from, to int64) {
	span = time.Hour
	if q.Span == tenants.ByDay {
		span = 24 * time.Hour
	}
	return span, q.From.Truncate(span).UnixMilli(), q.To.Add(span - 1).Truncate(span).UnixMilli()
}

func (r *usageHourRow) counts() tenants.Counts {
	return tenants.Counts{
		Publishes: r.Publishes, Queries: r.Queries, ClientEvents: r.ClientEvents, Deliveries: r.Deliveries,
		PresenceChanges: r.PresenceChanges, Webhooks: r.Webhooks, BytesOut: r.BytesOut,
	}
}

// sumsOf selects the sums of columns under their own names.
func sumsOf(columns []string) string {
	text := ""
	for i, column := range columns {
		if i > 0 {
			text += ", "
		}
		text += "CAST(SUM(" + column + ") AS BIGINT) AS " + column
	}
	return text
}

package sqlstore

import (
	"context"
	"fmt"
	"time"

	"tidewire/tenants"
)

// TenantsUsage tells what each tenant used that used anything in the hours of
// the range, or has connections now: the most messages first.
func (s *Store) TenantsUsage(ctx context.Context, from, to time.Time, limit int) ([]tenants.TenantUsage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows := []tenants.TenantUsage{}
	err := s.gorm.WithContext(ctx).Raw(`
		SELECT t.id AS tenant_id, t.slug AS tenant, u.publishes, u.queries, u.client_events, u.deliveries, u.presence_changes, u.webhooks,
			u.bytes_out, u.peak_connections,
			u.publishes + u.queries + u.client_events + u.deliveries + u.presence_changes + u.webhooks AS messages,
			COALESCE((SELECT CAST(SUM(c.open) AS BIGINT) FROM usage_connections c JOIN usage_sources n ON n.source = c.source
				WHERE c.tenant_id = t.id AND n.alive_until > ?), 0) AS connections
		FROM (SELECT tenant_id, `+sumsOf(usageSums)+`, `+sumsOf([]string{"peak_connections"})+`
			FROM (SELECT tenant_id, app, `+sumsOf(usageSums)+`, MAX(peak_connections) AS peak_connections
				FROM usage_hours WHERE hour >= ? AND hour < ? GROUP BY tenant_id, app) a
			GROUP BY tenant_id) u JOIN tenants t ON t.id = u.tenant_id
		ORDER BY messages DESC, t.id LIMIT ?`,
		time.Now().UnixMilli(), from.Truncate(time.Hour).UnixMilli(), to.UnixMilli(), limit,
	).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the usage of tenants: %w", err)
	}
	return rows, nil
}

// Nodes lists the processes that are alive, by name.
func (s *Store) Nodes(ctx context.Context) ([]tenants.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var rows []struct {
		Source      string
		At          int64
		Connections int64
	}
	err := s.gorm.WithContext(ctx).Raw(`
		SELECT n.source, n.at, COALESCE((SELECT CAST(SUM(c.open) AS BIGINT) FROM usage_connections c WHERE c.source = n.source), 0) AS connections
		FROM usage_sources n WHERE n.alive_until > ? ORDER BY n.source`, time.Now().UnixMilli(),
	).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	nodes := make([]tenants.Node, len(rows))
	for i, row := range rows {
		nodes[i] = tenants.Node{Name: row.Source, SeenAt: time.UnixMilli(row.At).UTC(), Connections: row.Connections}
	}
	return nodes, nil
}

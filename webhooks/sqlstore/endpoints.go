package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
	"tidewire/webhooks"
)

type endpointRow struct {
	ID             string `gorm:"primaryKey"`
	AppID          string
	TenantID       string
	URL            string `gorm:"column:url"`
	Kinds          string
	Channels       string
	Batching       bool
	KeepBodies     bool
	SealedHeaders  string
	SealedSecret   string
	SealedPrevious string
	PreviousUntil  *int64
	Status         string
	StatusReason   string
	Deleted        bool
	Revision       int64
	Version        int64
	CreatedAt      int64 `gorm:"autoCreateTime:false"`
	UpdatedAt      int64 `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (endpointRow) TableName() string { return "webhook_endpoints" }

func place(id, column string) string { return tenants.SealedPlace("webhook_endpoints", id, column) }

func (s *Store) rowOf(e *webhooks.Endpoint) (*endpointRow, error) {
	row := &endpointRow{
		ID: e.ID, AppID: string(e.App), TenantID: e.TenantID, URL: e.URL, Kinds: encode(e.Kinds), Channels: encode(e.Channels),
		Batching: e.Batching, KeepBodies: e.KeepBodies, PreviousUntil: milli(e.PreviousUntil), Status: string(e.Status),
		StatusReason: e.StatusReason, Deleted: e.Deleted, Revision: e.Revision, Version: e.Version,
		CreatedAt: e.CreatedAt.UnixMilli(), UpdatedAt: e.UpdatedAt.UnixMilli(),
	}
	for _, part := range []struct {
		to           *string
		column, text string
	}{
		{&row.SealedHeaders, "sealed_headers", encode(e.Headers)},
		{&row.SealedSecret, "sealed_secret", e.Secret.Reveal()},
		{&row.SealedPrevious, "sealed_previous", e.Previous.Reveal()},
	} {
		sealed, err := s.sealer.Seal(part.text, place(e.ID, part.column))
		if err != nil {
			return nil, fmt.Errorf("seal the %s: %w", part.column, err)
		}
		*part.to = sealed
	}
	return row, nil
}

func (s *Store) endpointOf(row *endpointRow) (webhooks.Endpoint, error) {
	e := webhooks.Endpoint{
		ID: row.ID, App: tenants.AppID(row.AppID), TenantID: row.TenantID, URL: row.URL, Batching: row.Batching, KeepBodies: row.KeepBodies,
		PreviousUntil: timeOf(row.PreviousUntil), Status: webhooks.Status(row.Status), StatusReason: row.StatusReason,
		Deleted: row.Deleted, Revision: row.Revision, Version: row.Version, CreatedAt: timeOf(&row.CreatedAt), UpdatedAt: timeOf(&row.UpdatedAt),
	}
	if row.Deleted {
		return e, nil
	}
	for _, part := range []struct {
		sealed, column string
		use            func(string) error
	}{
		{row.SealedHeaders, "sealed_headers", func(t string) error { return json.Unmarshal([]byte(t), &e.Headers) }},
		{row.SealedSecret, "sealed_secret", func(t string) error { e.Secret = tenants.NewSecret(t); return nil }},
		{row.SealedPrevious, "sealed_previous", func(t string) error { e.Previous = tenants.NewSecret(t); return nil }},
	} {
		text, err := s.sealer.Open(part.sealed, place(row.ID, part.column))
		if err == nil {
			err = part.use(text)
		}
		if err != nil {
			return e, fmt.Errorf("open webhook endpoint %s: %w", row.ID, err)
		}
	}
	if err := json.Unmarshal([]byte(row.Kinds), &e.Kinds); err != nil {
		return e, fmt.Errorf("read webhook endpoint %s: %w", row.ID, err)
	}
	if err := json.Unmarshal([]byte(row.Channels), &e.Channels); err != nil {
		return e, fmt.Errorf("read webhook endpoint %s: %w", row.ID, err)
	}
	return e, nil
}

func (s *Store) endpointsOf(rows []endpointRow) ([]webhooks.Endpoint, error) {
	list := make([]webhooks.Endpoint, 0, len(rows))
	for i := range rows {
		e, err := s.endpointOf(&rows[i])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// nextVersion locks the row of versions until the transaction ends, so versions
// become visible in their order.
func nextVersion(tx *gorm.DB) (v int64, err error) {
	err = tx.Raw("UPDATE webhook_version SET version = version + 1 RETURNING version").Scan(&v).Error
	return v, err
}

// InsertEndpoint implements [webhooks.Store].
func (s *Store) InsertEndpoint(ctx context.Context, e *webhooks.Endpoint, most int) error {
	return s.write(ctx, "create a webhook endpoint", func(tx *gorm.DB) error {
		version, err := nextVersion(tx)
		if err != nil {
			return err
		}
		var n int64
		if err := tx.Model(&endpointRow{}).Where("tenant_id = ? AND NOT deleted", e.TenantID).Count(&n).Error; err != nil {
			return err
		}
		if n >= int64(most) {
			return &tenants.Refusal{Kind: tenants.ErrPlanLimit, Code: "plan_limit", Detail: fmt.Sprintf("the plan allows %d webhook endpoints; remove one, or ask for a larger plan", most)}
		}
		now := time.Now().UTC().Truncate(time.Millisecond)
		e.ID, e.Version, e.Revision, e.CreatedAt, e.UpdatedAt = newID("whe", now), version, 1, now, now
		row, err := s.rowOf(e)
		if err != nil {
			return err
		}
		if err := tx.Create(row).Error; err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO webhook_lanes (endpoint_id, app_id, tenant_id, holder, lease_until, served_at, failures)
			VALUES (?, ?, ?, '', 0, 0, 0)`, e.ID, string(e.App), e.TenantID).Error
	})
}

// UpdateEndpoint implements [webhooks.Store].
func (s *Store) UpdateEndpoint(ctx context.Context, e *webhooks.Endpoint) error {
	return s.write(ctx, "change a webhook endpoint", func(tx *gorm.DB) error {
		version, err := nextVersion(tx)
		if err != nil {
			return err
		}
		was := e.Revision
		e.Version, e.Revision, e.UpdatedAt = version, was+1, time.Now().UTC().Truncate(time.Millisecond)
		row, err := s.rowOf(e)
		if err != nil {
			return err
		}
		done := tx.Model(&endpointRow{}).Where("id = ? AND revision = ? AND NOT deleted", e.ID, was).Select("*").Updates(row)
		if done.Error != nil {
			return done.Error
		}
		if done.RowsAffected == 0 {
			return tenants.ErrChanged
		}
		// Who repaired an endpoint does not wait for its next probe.
		return tx.Exec(`UPDATE webhook_lanes SET failures = 0, failing_since = NULL,
			next_at = (SELECT MIN(next_at) FROM webhook_deliveries WHERE endpoint_id = ? AND status = 'pending') WHERE endpoint_id = ?`, e.ID, e.ID).Error
	})
}

// DeleteEndpoint implements [webhooks.Store]. Its log goes with it.
func (s *Store) DeleteEndpoint(ctx context.Context, app tenants.AppID, id string) error {
	return s.write(ctx, "delete a webhook endpoint", func(tx *gorm.DB) error {
		version, err := nextVersion(tx)
		if err != nil {
			return err
		}
		done := tx.Model(&endpointRow{}).Where("id = ? AND app_id = ? AND NOT deleted", id, string(app)).Updates(map[string]any{
			"deleted": true, "version": version, "sealed_headers": "", "sealed_secret": "", "sealed_previous": "", "url": "",
		})
		if done.Error != nil || done.RowsAffected == 0 {
			if done.Error == nil {
				return tenants.ErrNotFound
			}
			return done.Error
		}
		for _, statement := range []string{
			"DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = ?)",
			"DELETE FROM webhook_deliveries WHERE endpoint_id = ?", "DELETE FROM webhook_lanes WHERE endpoint_id = ?",
		} {
			if err := tx.Exec(statement, id).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// EndpointByID implements [webhooks.Store].
func (s *Store) EndpointByID(ctx context.Context, id string) (*webhooks.Endpoint, error) {
	var row endpointRow
	err := s.ask(ctx, "read a webhook endpoint", func(db *gorm.DB) error {
		return db.Where("id = ? AND NOT deleted", id).Take(&row).Error
	})
	if err != nil {
		return nil, err
	}
	e, err := s.endpointOf(&row)
	return &e, err
}

// Endpoints implements [webhooks.Store].
func (s *Store) Endpoints(ctx context.Context, app tenants.AppID) ([]webhooks.Endpoint, error) {
	var rows []endpointRow
	err := s.ask(ctx, "list webhook endpoints", func(db *gorm.DB) error {
		return db.Where("app_id = ? AND NOT deleted", string(app)).Order("id").Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	return s.endpointsOf(rows)
}

// EndpointsSince implements [webhooks.EndpointSource].
func (s *Store) EndpointsSince(ctx context.Context, version int64) ([]webhooks.Endpoint, error) {
	var rows []endpointRow
	err := s.ask(ctx, "read webhook endpoints", func(db *gorm.DB) error {
		return db.Where("version > ?", version).Order("version").Limit(500).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	return s.endpointsOf(rows)
}

package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"tidewire/tenants"
	"tidewire/webhooks"
)

const endpointTable = "webhook_endpoints"

type endpointRow struct {
	ID             string `gorm:"primaryKey"`
	AppID          string
	TenantID       string
	URL            string
	Kinds          string // joined by commas
	Channels       string // joined by spaces, which no pattern has
	Batching       bool
	KeepBodies     bool
	SealedHeaders  string
	SealedSecret   string
	SealedPrevious string
	PreviousUntil  *int64
	Status         string
	StatusReason   string
	Revision       int64
	CreatedAt      int64 `gorm:"autoCreateTime:false"`
	UpdatedAt      int64 `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (endpointRow) TableName() string { return endpointTable }

// seal keeps a value readable by this installation only; an empty one stays so.
func (s *Store) seal(plain, id, column string) (string, error) {
	if plain == "" {
		return "", nil
	}
	return s.sealer.Seal(plain, tenants.SealedPlace(endpointTable, id, column))
}

func (s *Store) unseal(sealed, id, column string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	return s.sealer.Open(sealed, tenants.SealedPlace(endpointTable, id, column))
}

func (s *Store) rowOf(e *webhooks.Endpoint) (*endpointRow, error) {
	kinds := make([]string, len(e.Kinds))
	for i, k := range e.Kinds {
		kinds[i] = string(k)
	}
	headers := ""
	if len(e.Headers) > 0 {
		b, err := json.Marshal(e.Headers)
		if err != nil {
			return nil, fmt.Errorf("encode headers: %w", err)
		}
		headers = string(b)
	}
	row := &endpointRow{
		ID: e.ID, AppID: string(e.App), TenantID: e.TenantID, URL: e.URL, Kinds: strings.Join(kinds, ","),
		Channels: strings.Join(e.Channels, " "), Batching: e.Batching, KeepBodies: e.KeepBodies,
		PreviousUntil: millis(e.PreviousUntil), Status: string(e.Status), StatusReason: e.StatusReason,
		Revision: e.Revision, CreatedAt: e.CreatedAt.UnixMilli(), UpdatedAt: e.UpdatedAt.UnixMilli(),
	}
	var err error
	if row.SealedHeaders, err = s.seal(headers, e.ID, "sealed_headers"); err != nil {
		return nil, fmt.Errorf("seal headers: %w", err)
	}
	if row.SealedSecret, err = s.seal(e.Secret.Reveal(), e.ID, "sealed_secret"); err != nil {
		return nil, fmt.Errorf("seal the secret: %w", err)
	}
	if row.SealedPrevious, err = s.seal(e.Previous.Reveal(), e.ID, "sealed_previous"); err != nil {
		return nil, fmt.Errorf("seal the secret: %w", err)
	}
	return row, nil
}

func (s *Store) endpointOf(row *endpointRow) (*webhooks.Endpoint, error) {
	e := &webhooks.Endpoint{
		ID: row.ID, App: tenants.AppID(row.AppID), TenantID: row.TenantID, URL: row.URL,
		Batching: row.Batching, KeepBodies: row.KeepBodies, PreviousUntil: timeOf(row.PreviousUntil),
		Status: webhooks.Status(row.Status), StatusReason: row.StatusReason, Revision: row.Revision,
		CreatedAt: timeAt(row.CreatedAt), UpdatedAt: timeAt(row.UpdatedAt), Channels: strings.Fields(row.Channels),
	}
	e.Kinds = kindsOf(row.Kinds)
	headers, err := s.unseal(row.SealedHeaders, row.ID, "sealed_headers")
	if err != nil {
		return nil, fmt.Errorf("open the headers of endpoint %s: %w", row.ID, err)
	}
	if headers != "" {
		if err := json.Unmarshal([]byte(headers), &e.Headers); err != nil {
			return nil, fmt.Errorf("decode the headers of endpoint %s: %w", row.ID, err)
		}
	}
	secret, err := s.unseal(row.SealedSecret, row.ID, "sealed_secret")
	if err != nil {
		return nil, fmt.Errorf("open the secret of endpoint %s: %w", row.ID, err)
	}
	previous, err := s.unseal(row.SealedPrevious, row.ID, "sealed_previous")
	if err != nil {
		return nil, fmt.Errorf("open the secret of endpoint %s: %w", row.ID, err)
	}
	e.Secret, e.Previous = tenants.NewSecret(secret), tenants.NewSecret(previous)
	return e, nil
}

func kindsOf(joined string) []webhooks.Kind {
	var kinds []webhooks.Kind
	for name := range strings.SplitSeq(joined, ",") {
		if name != "" {
			kinds = append(kinds, webhooks.Kind(name))
		}
	}
	return kinds
}

func (s *Store) endpointsOf(rows []endpointRow) ([]webhooks.Endpoint, error) {
	list := make([]webhooks.Endpoint, 0, len(rows))
	for i := range rows {
		e, err := s.endpointOf(&rows[i])
		if err != nil {
			return nil, err
		}
		list = append(list, *e)
	}
	return list, nil
}

// EndpointVersion implements [webhooks.Store].
func (s *Store) EndpointVersion(ctx context.Context) (version int64, err error) {
	db, cancel := s.with(ctx)
	defer cancel()
	err = db.Raw("SELECT version FROM webhook_version").Scan(&version).Error
	return version, failure("read the version of webhook endpoints", err)
}

// bump makes every node read the endpoints anew.
func bump(tx *gorm.DB) error {
	return tx.Exec("UPDATE webhook_version SET version = version + 1").Error
}

// AllEndpoints implements [webhooks.Store].
func (s *Store) AllEndpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	return s.findEndpoints(ctx, "1 = 1")
}

// Endpoints implements [webhooks.Store].
func (s *Store) Endpoints(ctx context.Context, app tenants.AppID) ([]webhooks.Endpoint, error) {
	return s.findEndpoints(ctx, "app_id = ?", string(app))
}

// TenantEndpoints implements [webhooks.Store].
func (s *Store) TenantEndpoints(ctx context.Context, tenantID string) ([]webhooks.Endpoint, error) {
	return s.findEndpoints(ctx, "tenant_id = ?", tenantID)
}

func (s *Store) findEndpoints(ctx context.Context, where string, args ...any) ([]webhooks.Endpoint, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var rows []endpointRow
	if err := db.Where(where, args...).Order("id").Find(&rows).Error; err != nil {
		return nil, failure("read webhook endpoints", err)
	}
	return s.endpointsOf(rows)
}

// Endpoint implements [webhooks.Store].
func (s *Store) Endpoint(ctx context.Context, id string) (*webhooks.Endpoint, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var row endpointRow
	if err := db.Where("id = ?", id).Take(&row).Error; err != nil {
		return nil, failure("read a webhook endpoint", err)
	}
	return s.endpointOf(&row)
}

// CreateEndpoint implements [webhooks.Store].
func (s *Store) CreateEndpoint(ctx context.Context, e *webhooks.Endpoint, most int) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := bump(tx); err != nil { // first: from here on such writes pass one by one
			return err
		}
		var count int64
		if err := tx.Model(&endpointRow{}).Where("tenant_id = ?", e.TenantID).Count(&count).Error; err != nil {
			return err
		}
		if count >= int64(most) {
			return &tenants.Refusal{
				Kind: tenants.ErrPlanLimit, Code: "too_many_webhook_endpoints",
				Detail: fmt.Sprintf("the tenant has %d webhook endpoints, the most its plan allows (max_webhook_endpoints); delete one, or ask for a larger plan", count),
			}
		}
		e.ID, e.Revision = s.newID("whe", e.CreatedAt), 1
		row, err := s.rowOf(e)
		if err != nil {
			return err
		}
		before, err := siblings(tx, e)
		if err != nil {
			return err
		}
		if err := tx.Create(row).Error; err != nil {
			return err
		}
		if err := forgetUntold(tx, before, e); err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO webhook_lanes (endpoint_id, app_id, tenant_id, holder, lease_until, served_at, failures)
			VALUES (?, ?, ?, '', 0, 0, 0)`, e.ID, string(e.App), e.TenantID).Error
	})
	if refusal := (*tenants.Refusal)(nil); err != nil && asRefusal(err, &refusal) {
		return refusal
	}
	return failure("store a webhook endpoint", err)
}

// UpdateEndpoint implements [webhooks.Store].
func (s *Store) UpdateEndpoint(ctx context.Context, e *webhooks.Endpoint) error {
	row, err := s.rowOf(e)
	if err != nil {
		return failure("store a webhook endpoint", err)
	}
	row.Revision++
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if err := bump(tx); err != nil {
			return err
		}
		before, err := siblings(tx, e)
		if err != nil {
			return err
		}
		done := tx.Model(&endpointRow{}).Where("id = ? AND revision = ?", e.ID, e.Revision).Select("*").Omit("id", "created_at").Updates(row)
		if done.Error == nil && done.RowsAffected == 0 {
			return tenants.ErrChanged
		}
		if done.Error != nil {
			return done.Error
		}
		if err := settleLane(tx, before, e); err != nil {
			return err
		}
		return forgetUntold(tx, before, e)
	})
	if err == nil {
		e.Revision++
	}
	return failure("store a webhook endpoint", err)
}

// siblings are the endpoints of e's app as far as it matters what they want: as
// they are before e is written.
func siblings(tx *gorm.DB, e *webhooks.Endpoint) ([]webhooks.Endpoint, error) {
	var rows []endpointRow
	if err := tx.Select("id", "kinds", "status").Where("app_id = ?", string(e.App)).Find(&rows).Error; err != nil {
		return nil, err
	}
	list := make([]webhooks.Endpoint, len(rows))
	for i, row := range rows {
		list[i] = webhooks.Endpoint{ID: row.ID, Kinds: kindsOf(row.Kinds), Status: webhooks.Status(row.Status)}
	}
	return list, nil
}

// settleLane makes an endpoint's queue fit its new status. What waits for a
// disabled one is dead: there is nobody any more to send it to. One that was
// stopped and is enabled again begins with a clean record, or the three days of
// failures before it was repaired would pause it at its next one.
func settleLane(tx *gorm.DB, before []webhooks.Endpoint, e *webhooks.Endpoint) error {
	was := webhooks.Enabled
	for i := range before {
		if before[i].ID == e.ID {
			was = before[i].Status
		}
	}
	if e.Status == was {
		return nil
	}
	switch e.Status {
	case webhooks.Disabled:
		return tx.Exec(`UPDATE webhook_deliveries SET status = 'dead', finished_at = ?, next_at = NULL,
			reason = CASE WHEN reason = '' THEN 'the endpoint was disabled before it could be sent' ELSE reason END
			WHERE endpoint_id = ? AND status = 'pending'`, e.UpdatedAt.UnixMilli(), e.ID).Error
	case webhooks.Enabled:
		return tx.Exec("UPDATE webhook_lanes SET failures = 0, failing_since = NULL WHERE endpoint_id = ?", e.ID).Error
	}
	return nil
}

// forgetUntold removes what was told of comings and goings that nobody has wanted
// to hear of until e: meanwhile they may have gone unheard, and whoever comes
// would be taken for somebody who never left.
func forgetUntold(tx *gorm.DB, before []webhooks.Endpoint, e *webhooks.Endpoint) error {
	for _, subject := range webhooks.NewSubjects(before, e) {
		err := tx.Exec("DELETE FROM webhook_states WHERE app_id = ? AND subject LIKE ?", string(e.App), subject+"%").Error
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteEndpoint implements [webhooks.Store].
func (s *Store) DeleteEndpoint(ctx context.Context, id string) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := bump(tx); err != nil {
			return err
		}
		done := tx.Where("id = ?", id).Delete(&endpointRow{})
		if done.Error != nil || done.RowsAffected == 0 {
			return firstOf(done.Error, tenants.ErrNotFound)
		}
		for _, statement := range []string{
			"DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = ?)",
			"DELETE FROM webhook_deliveries WHERE endpoint_id = ?",
			"DELETE FROM webhook_lanes WHERE endpoint_id = ?",
		} {
			if err := tx.Exec(statement, id).Error; err != nil {
				return err
			}
		}
		return nil
	})
	return failure("remove a webhook endpoint", err)
}

package sqlstore

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/webhooks"
)

// maxListed bounds a list, and one step of what works through many rows.
const maxListed = 1000

type deliveryRow struct {
	ID               string `gorm:"primaryKey"`
	EndpointID       string
	EndpointRevision int64 `gorm:"->"` // of the endpoint; not a column
	AppID            string
	TenantID         string
	Status           string
	Events           string
	EventCount       int
	Kinds            string
	Test             bool
	Attempts         int
	Tries            int
	Replays          int
	HTTPStatus       int `gorm:"column:http_status"`
	Reason           string
	NextAt           *int64
	ExpiresAt        int64
	CreatedAt        int64 `gorm:"autoCreateTime:false"`
	FinishedAt       *int64
	Trace            string
}

// TableName implements gorm's Tabler.
func (deliveryRow) TableName() string { return "webhook_deliveries" }

func deliveryRowOf(d *webhooks.Delivery) *deliveryRow {
	kinds := make([]string, len(d.Kinds))
	for i, k := range d.Kinds {
		kinds[i] = string(k)
	}
	return &deliveryRow{
		ID: d.ID, EndpointID: d.EndpointID, AppID: string(d.App), TenantID: d.TenantID, Status: string(d.Status),
		Events: string(d.Events), EventCount: d.EventCount, Kinds: strings.Join(kinds, ","), Test: d.Test,
		Attempts: d.Attempts, Tries: d.Tries, Replays: d.Replays, HTTPStatus: d.HTTPStatus, Reason: d.Reason,
		NextAt: millis(d.NextAt), ExpiresAt: d.ExpiresAt.UnixMilli(), CreatedAt: d.CreatedAt.UnixMilli(), FinishedAt: millis(d.FinishedAt),
		Trace: d.Trace.String(),
	}
}

func (row *deliveryRow) delivery() webhooks.Delivery {
	return webhooks.Delivery{
		ID: row.ID, EndpointID: row.EndpointID, EndpointRevision: row.EndpointRevision, App: tenants.AppID(row.AppID), TenantID: row.TenantID,
		Status: webhooks.DeliveryStatus(row.Status), Events: json.RawMessage(row.Events), EventCount: row.EventCount,
		Kinds: kindsOf(row.Kinds), Test: row.Test, Attempts: row.Attempts, Tries: row.Tries, Replays: row.Replays,
		HTTPStatus: row.HTTPStatus, Reason: row.Reason, NextAt: timeOf(row.NextAt), ExpiresAt: timeAt(row.ExpiresAt),
		CreatedAt: timeAt(row.CreatedAt), FinishedAt: timeOf(row.FinishedAt),
		Trace: channels.ParseTrace(row.Trace),
	}
}

func deliveriesOf(rows []deliveryRow) []webhooks.Delivery {
	list := make([]webhooks.Delivery, len(rows))
	for i := range rows {
		list[i] = rows[i].delivery()
	}
	return list
}

// matching is the condition of a filter.
func matching(db *gorm.DB, f webhooks.DeliveryFilter) *gorm.DB {
	where := func(set bool, condition string, value any) {
		if set {
			db = db.Where(condition, value)
		}
	}
	where(f.App != "", "app_id = ?", string(f.App))
	where(f.EndpointID != "", "endpoint_id = ?", f.EndpointID)
	where(f.App == "" && f.EndpointID == "", "1 = ?", 0) // never those of everybody
	where(f.ID != "", "id = ?", f.ID)
	where(f.Status != "", "status = ?", string(f.Status))
	where(!f.From.IsZero(), "created_at >= ?", f.From.UnixMilli())
	where(!f.To.IsZero(), "created_at < ?", f.To.UnixMilli())
	where(f.Before != "", "id < ?", f.Before)
	return db
}

// Delivery implements [webhooks.Store].
func (s *Store) Delivery(ctx context.Context, id string) (*webhooks.Delivery, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var row deliveryRow
	if err := db.Where("id = ?", id).Take(&row).Error; err != nil {
		return nil, failure("read a webhook delivery", err)
	}
	d := row.delivery()
	return &d, nil
}

// Deliveries implements [webhooks.Store].
func (s *Store) Deliveries(ctx context.Context, f webhooks.DeliveryFilter) ([]webhooks.Delivery, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	limit := f.Limit
	if limit <= 0 || limit > maxListed {
		limit = maxListed
	}
	var rows []deliveryRow
	err := matching(db, f).Order("id DESC").Limit(limit).Find(&rows).Error
	return deliveriesOf(rows), failure("read webhook deliveries", err)
}

// Replay implements [webhooks.Store].
func (s *Store) Replay(ctx context.Context, f webhooks.DeliveryFilter, now, expires time.Time) (int, error) {
	count := 0
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var rows []deliveryRow
		err := matching(tx, f).Where("status <> 'pending' AND events <> ''").Order("id").Limit(maxListed * 10).Find(&rows).Error
		if err != nil {
			return err
		}
		lanes := make(map[string]bool)
		for _, row := range rows {
			done := tx.Exec(`UPDATE webhook_deliveries SET status = 'pending', tries = 0, replays = replays + 1, reason = '',
				next_at = ?, expires_at = ?, finished_at = NULL WHERE id = ? AND status <> 'pending'`, now.UnixMilli(), expires.UnixMilli(), row.ID)
			if done.Error != nil {
				return done.Error
			}
			count += int(done.RowsAffected)
			lanes[row.EndpointID] = true
		}
		for id := range lanes {
			if _, err := dueInLane(tx, id, now); err != nil {
				return err
			}
		}
		return nil
	})
	return count, failure("replay webhook deliveries", err)
}

// Expire implements [webhooks.Store].
func (s *Store) Expire(ctx context.Context, now time.Time) (int, error) {
	db, end, err := s.write(ctx)
	if err != nil {
		return 0, failure("end expired webhook deliveries", err)
	}
	defer end()
	done := db.Exec(`UPDATE webhook_deliveries SET status = 'dead', finished_at = ?, next_at = NULL,
		reason = CASE WHEN reason = '' THEN 'its time was over before it could be sent' ELSE reason END
		WHERE status = 'pending' AND expires_at <= ?`, now.UnixMilli(), now.UnixMilli())
	return int(done.RowsAffected), failure("end expired webhook deliveries", done.Error)
}

// Prune implements [webhooks.Store].
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	if err := s.pruneStates(ctx); err != nil {
		return failure("forget old webhook deliveries", err)
	}
	const old = "SELECT id FROM webhook_deliveries WHERE finished_at < ? ORDER BY finished_at LIMIT 1000"
	for {
		db, end, err := s.write(ctx)
		if err != nil {
			return failure("forget old webhook deliveries", err)
		}
		err = db.Exec("DELETE FROM webhook_attempts WHERE delivery_id IN ("+old+")", before.UnixMilli()).Error
		var gone int64
		if err == nil {
			done := db.Exec("DELETE FROM webhook_deliveries WHERE id IN ("+old+")", before.UnixMilli())
			err, gone = done.Error, done.RowsAffected
		}
		end()
		if err != nil || gone == 0 {
			return failure("forget old webhook deliveries", err)
		}
	}
}

// pruneStates forgets what was told of apps to which nothing is told any more,
// those that are gone among them.
func (s *Store) pruneStates(ctx context.Context) error {
	db, end, err := s.write(ctx)
	if err != nil {
		return err
	}
	defer end()
	return db.Exec("DELETE FROM webhook_states WHERE app_id NOT IN (SELECT app_id FROM webhook_endpoints)").Error
}

// Backlog implements [webhooks.Store].
func (s *Store) Backlog(ctx context.Context) (int, time.Time, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var row struct {
		Pending int
		Oldest  *int64
	}
	err := db.Raw(`SELECT COUNT(*) AS pending, MIN(d.next_at) AS oldest FROM webhook_deliveries d
		JOIN webhook_endpoints e ON e.id = d.endpoint_id WHERE d.status = 'pending' AND e.status = 'enabled'`).Scan(&row).Error
	return row.Pending, timeOf(row.Oldest), failure("count webhook deliveries", err)
}

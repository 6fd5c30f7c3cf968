package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
	"tidewire/webhooks"
)

type deliveryRow struct {
	ID         string `gorm:"primaryKey"`
	EndpointID string
	AppID      string
	TenantID   string
	Status     string
	Events     string
	EventCount int64
	Kinds      string
	Test       bool
	Attempts   int64
	Tries      int64
	Replays    int64
	HTTPStatus int64 `gorm:"column:http_status"`
	Reason     string
	NextAt     *int64
	ExpiresAt  int64
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	FinishedAt *int64
}

// TableName implements gorm's Tabler.
func (deliveryRow) TableName() string { return "webhook_deliveries" }

type attemptRow struct {
	DeliveryID   string `gorm:"primaryKey"`
	Number       int64  `gorm:"primaryKey;autoIncrement:false"`
	AppID        string
	At           int64
	TookMs       int64
	HTTPStatus   int64 `gorm:"column:http_status"`
	Reason       string
	Address      string
	RequestHead  string
	ResponseHead string
	ResponseBody string
}

// TableName implements gorm's Tabler.
func (attemptRow) TableName() string { return "webhook_attempts" }

func rowOfDelivery(d *webhooks.Delivery) deliveryRow {
	return deliveryRow{
		ID: d.ID, EndpointID: d.EndpointID, AppID: string(d.App), TenantID: d.TenantID, Status: string(d.Status), Events: string(d.Events),
		EventCount: int64(d.EventCount), Kinds: encode(d.Kinds), Test: d.Test, Attempts: int64(d.Attempts), Tries: int64(d.Tries), Replays: int64(d.Replays),
		HTTPStatus: int64(d.HTTPStatus), Reason: d.Reason, NextAt: milli(d.NextAt), ExpiresAt: d.ExpiresAt.UnixMilli(),
		CreatedAt: d.CreatedAt.UnixMilli(), FinishedAt: milli(d.FinishedAt),
	}
}

func (r *deliveryRow) delivery() webhooks.Delivery {
	d := webhooks.Delivery{
		ID: r.ID, EndpointID: r.EndpointID, App: tenants.AppID(r.AppID), TenantID: r.TenantID, Status: webhooks.DeliveryStatus(r.Status),
		Events: json.RawMessage(r.Events), EventCount: int(r.EventCount), Test: r.Test, Attempts: int(r.Attempts), Tries: int(r.Tries), Replays: int(r.Replays),
		HTTPStatus: int(r.HTTPStatus), Reason: r.Reason, NextAt: timeOf(r.NextAt), ExpiresAt: timeOf(&r.ExpiresAt),
		CreatedAt: timeOf(&r.CreatedAt), FinishedAt: timeOf(r.FinishedAt),
	}
	_ = json.Unmarshal([]byte(r.Kinds), &d.Kinds) // written by us
	return d
}

func deliveriesOf(rows []deliveryRow) []webhooks.Delivery {
	list := make([]webhooks.Delivery, 0, len(rows))
	for i := range rows {
		list = append(list, rows[i].delivery())
	}
	return list
}

// insertDeliveries stores new deliveries and makes their lanes due. Ids grow, so
// that their order is that of the events.
func insertDeliveries(tx *gorm.DB, list []webhooks.Delivery, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([]deliveryRow, 0, len(list))
	lanes := make(map[string]bool)
	var ids []string
	for i := range list {
		list[i].ID = newID("whd", now)
		rows = append(rows, rowOfDelivery(&list[i]))
		if id := list[i].EndpointID; !lanes[id] {
			lanes[id] = true
			ids = append(ids, id)
		}
	}
	if err := tx.CreateInBatches(rows, 100).Error; err != nil {
		return err
	}
	at := now.UnixMilli()
	return tx.Exec(`UPDATE webhook_lanes SET next_at = ? WHERE endpoint_id IN ? AND (next_at IS NULL OR next_at > ?) AND failures = 0`, at, ids, at).Error
}

// Next implements [webhooks.Queue].
func (s *Store) Next(ctx context.Context, endpointID string, now time.Time, limit int) ([]webhooks.Delivery, error) {
	var rows []deliveryRow
	err := s.ask(ctx, "read due deliveries", func(db *gorm.DB) error {
		return db.Where("endpoint_id = ? AND status = 'pending' AND next_at <= ?", endpointID, now.UnixMilli()).Order("id").Limit(limit).Find(&rows).Error
	})
	return deliveriesOf(rows), err
}

// Settle implements [webhooks.Queue]. A delivery that was settled by somebody
// else meanwhile stays as it is.
func (s *Store) Settle(ctx context.Context, outcomes []webhooks.Outcome) error {
	return s.write(ctx, "settle deliveries", func(tx *gorm.DB) error {
		for i := range outcomes {
			o := &outcomes[i]
			d := &o.Delivery
			set := map[string]any{
				"status": string(d.Status), "attempts": d.Attempts, "tries": d.Tries, "http_status": d.HTTPStatus, "reason": d.Reason,
				"next_at": milli(d.NextAt), "finished_at": milli(d.FinishedAt),
			}
			if d.Status != webhooks.Pending {
				set["next_at"] = nil
			}
			if o.DropBody {
				set["events"] = ""
			}
			done := tx.Model(&deliveryRow{}).Where("id = ? AND status = 'pending' AND attempts = ?", d.ID, d.Attempts-1).Updates(set)
			if done.Error != nil {
				return done.Error
			}
			if done.RowsAffected == 0 || o.Attempt == nil {
				continue
			}
			if err := insertAttempt(tx, o.Attempt); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertAttempt(tx *gorm.DB, a *webhooks.Attempt) error {
	return tx.Create(&attemptRow{
		DeliveryID: a.DeliveryID, Number: int64(a.Number), AppID: string(a.App), At: a.At.UnixMilli(), TookMs: a.Took.Milliseconds(),
		HTTPStatus: int64(a.HTTPStatus), Reason: a.Reason, Address: a.Address, RequestHead: a.RequestHead, ResponseHead: a.ResponseHead, ResponseBody: a.ResponseBody,
	}).Error
}

// InsertFinished implements [webhooks.Store].
func (s *Store) InsertFinished(ctx context.Context, o *webhooks.Outcome) error {
	return s.write(ctx, "store a test", func(tx *gorm.DB) error {
		row := rowOfDelivery(&o.Delivery)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return insertAttempt(tx, o.Attempt)
	})
}

func filtered(db *gorm.DB, app tenants.AppID, f webhooks.DeliveryFilter) *gorm.DB {
	db = db.Model(&deliveryRow{}).Where("app_id = ?", string(app))
	if f.ID != "" {
		db = db.Where("id = ?", f.ID)
	}
	if f.EndpointID != "" {
		db = db.Where("endpoint_id = ?", f.EndpointID)
	}
	if f.Status != "" {
		db = db.Where("status = ?", string(f.Status))
	}
	if !f.From.IsZero() {
		db = db.Where("created_at >= ?", f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		db = db.Where("created_at < ?", f.To.UnixMilli())
	}
	if f.Before != "" {
		db = db.Where("id < ?", f.Before)
	}
	return db
}

// Deliveries implements [webhooks.Store].
func (s *Store) Deliveries(ctx context.Context, app tenants.AppID, f webhooks.DeliveryFilter) ([]webhooks.Delivery, error) {
	var rows []deliveryRow
	err := s.ask(ctx, "list deliveries", func(db *gorm.DB) error {
		return filtered(db, app, f).Order("id DESC").Limit(max(1, min(f.Limit, 1000))).Find(&rows).Error
	})
	return deliveriesOf(rows), err
}

// DeliveryByID implements [webhooks.Store].
func (s *Store) DeliveryByID(ctx context.Context, id string) (*webhooks.Delivery, error) {
	var row deliveryRow
	err := s.ask(ctx, "read a delivery", func(db *gorm.DB) error { return db.Where("id = ?", id).Take(&row).Error })
	if err != nil {
		return nil, err
	}
	d := row.delivery()
	return &d, nil
}

// Attempts implements [webhooks.Store].
func (s *Store) Attempts(ctx context.Context, app tenants.AppID, deliveryID string) ([]webhooks.Attempt, error) {
	var rows []attemptRow
	err := s.ask(ctx, "list attempts", func(db *gorm.DB) error {
		return db.Where("app_id = ? AND delivery_id = ?", string(app), deliveryID).Order("number").Find(&rows).Error
	})
	list := make([]webhooks.Attempt, 0, len(rows))
	for _, r := range rows {
		list = append(list, webhooks.Attempt{
			DeliveryID: r.DeliveryID, Number: int(r.Number), App: tenants.AppID(r.AppID), At: timeOf(&r.At), Took: time.Duration(r.TookMs) * time.Millisecond,
			HTTPStatus: int(r.HTTPStatus), Reason: r.Reason, Address: r.Address, RequestHead: r.RequestHead, ResponseHead: r.ResponseHead, ResponseBody: r.ResponseBody,
		})
	}
	return list, err
}

// Replay implements [webhooks.Store].
func (s *Store) Replay(ctx context.Context, app tenants.AppID, f webhooks.DeliveryFilter, now, expires time.Time) (n int, err error) {
	err = s.write(ctx, "replay deliveries", func(tx *gorm.DB) error {
		chosen := filtered(tx, app, f).Where("status <> 'pending' AND events <> '' AND NOT test")
		var lanes []string
		if err := filtered(tx, app, f).Where("status <> 'pending' AND events <> '' AND NOT test").Distinct().Pluck("endpoint_id", &lanes).Error; err != nil || len(lanes) == 0 {
			return err
		}
		done := chosen.Updates(map[string]any{
			"status": "pending", "tries": 0, "replays": gorm.Expr("replays + 1"), "next_at": now.UnixMilli(), "expires_at": expires.UnixMilli(), "finished_at": nil,
		})
		if done.Error != nil {
			return done.Error
		}
		n = int(done.RowsAffected)
		return tx.Exec("UPDATE webhook_lanes SET next_at = ?, failures = 0, failing_since = NULL WHERE endpoint_id IN ?", now.UnixMilli(), lanes).Error
	})
	return n, err
}

package sqlstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
	"tidewire/webhooks"
)

func asRefusal(err error, to **tenants.Refusal) bool { return errors.As(err, to) }

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

type stateRow struct {
	AppID   string `gorm:"primaryKey"`
	Channel string `gorm:"primaryKey"`
	Subject string `gorm:"primaryKey"`
	Seq     int64
	DueAt   *int64
}

// TableName implements gorm's Tabler.
func (stateRow) TableName() string { return "webhook_states" }

type cursorRow struct {
	Log  string `gorm:"primaryKey"`
	Last int64
}

// TableName implements gorm's Tabler.
func (cursorRow) TableName() string { return "webhook_cursors" }

// recordTx is [webhooks.RecordTx].
type recordTx struct {
	s  *Store
	db *gorm.DB
}

// Record implements [webhooks.Store].
func (s *Store) Record(ctx context.Context, fn func(tx webhooks.RecordTx) error) error {
	return failure("record webhook events", s.transaction(ctx, func(tx *gorm.DB) error { return fn(&recordTx{s, tx}) }))
}

// Cursor implements [webhooks.RecordTx]. It holds the row until the end, so that
// two nodes never read the same part of a log at once.
func (t *recordTx) Cursor(log string) (uint64, error) {
	err := t.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&cursorRow{Log: log}).Error
	if err != nil {
		return 0, err
	}
	var last int64
	err = t.db.Raw("UPDATE webhook_cursors SET last = last WHERE log = ? RETURNING last", log).Scan(&last).Error
	return uint64(last), err // #nosec G115 -- written by SetCursor
}

// SetCursor implements [webhooks.RecordTx].
func (t *recordTx) SetCursor(log string, last uint64) error {
	return t.db.Exec("UPDATE webhook_cursors SET last = ? WHERE log = ?", int64(last), log).Error // #nosec G115 -- below 2^53
}

func (t *recordTx) where(k webhooks.StateKey) *gorm.DB {
	return t.db.Where("app_id = ? AND channel = ? AND subject = ?", string(k.App), k.Channel, k.Subject)
}

// State implements [webhooks.RecordTx].
func (t *recordTx) State(k webhooks.StateKey) (webhooks.State, bool, error) {
	var rows []stateRow
	if err := t.where(k).Find(&rows).Error; err != nil || len(rows) == 0 {
		return webhooks.State{}, false, err
	}
	return webhooks.State{Seq: uint64(rows[0].Seq), Due: timeOf(rows[0].DueAt)}, true, nil // #nosec G115 -- below 2^53
}

// PutState implements [webhooks.RecordTx].
func (t *recordTx) PutState(k webhooks.StateKey, s webhooks.State) error {
	row := stateRow{AppID: string(k.App), Channel: k.Channel, Subject: k.Subject, Seq: int64(s.Seq), DueAt: millis(s.Due)} // #nosec G115 -- below 2^53
	return t.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
}

// TakeDue implements [webhooks.RecordTx].
func (t *recordTx) TakeDue(now time.Time, limit int) ([]webhooks.Leave, error) {
	var rows []stateRow
	err := t.db.Where("due_at <= ?", now.UnixMilli()).Order("due_at").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	var taken []webhooks.Leave
	for _, row := range rows {
		k := webhooks.StateKey{App: tenants.AppID(row.AppID), Channel: row.Channel, Subject: row.Subject}
		// Another node may have been faster, or they are back.
		done := t.where(k).Where("due_at = ?", *row.DueAt).Delete(&stateRow{})
		if done.Error != nil {
			return nil, done.Error
		}
		if done.RowsAffected == 1 {
			taken = append(taken, webhooks.Leave{StateKey: k, Seq: uint64(row.Seq)}) // #nosec G115 -- below 2^53
		}
	}
	return taken, nil
}

// InsertDelivery implements [webhooks.RecordTx].
func (t *recordTx) InsertDelivery(d *webhooks.Delivery) error {
	d.ID = t.s.newID("whd", d.CreatedAt)
	if err := t.db.Create(deliveryRowOf(d)).Error; err != nil {
		return err
	}
	return dueInLane(t.db, d.EndpointID, d.NextAt)
}

// dueInLane makes a lane be looked at no later than at. It writes the row in any
// case: the lock makes whoever finishes the lane see what is due.
func dueInLane(tx *gorm.DB, endpointID string, at time.Time) error {
	ms := at.UnixMilli()
	return tx.Exec("UPDATE webhook_lanes SET next_at = CASE WHEN next_at <= ? THEN next_at ELSE ? END WHERE endpoint_id = ?",
		ms, ms, endpointID).Error
}

// NextDue implements [webhooks.Store].
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var next *int64
	err := db.Raw("SELECT MIN(due_at) FROM webhook_states WHERE due_at IS NOT NULL").Scan(&next).Error
	return timeOf(next), failure("read planned webhook events", err)
}

// Abandon implements [webhooks.Store].
func (s *Store) Abandon(ctx context.Context, due time.Time) error {
	db, end, err := s.write(ctx)
	if err != nil {
		return failure("plan leaves", err)
	}
	defer end()
	return failure("plan leaves", db.Exec("UPDATE webhook_states SET due_at = ? WHERE due_at IS NULL", due.UnixMilli()).Error)
}

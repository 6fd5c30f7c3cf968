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

func (row *stateRow) state() webhooks.State {
	return webhooks.State{Seq: uint64(row.Seq), Due: timeOf(row.DueAt)} // #nosec G115 -- below 2^53
}

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
	return failure("record webhook events", s.transaction(ctx, func(tx *gorm.DB) error { return fn(&recordTx{s: s, db: tx}) }))
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
	return t.db.Exec("UPDATE webhook_cursors SET last = ? WHERE log = ?", int64(last), log).Error // #nosec G115 -- below 2^63
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
	return rows[0].state(), true, nil
}

// PutState implements [webhooks.RecordTx].
func (t *recordTx) PutState(k webhooks.StateKey, s webhooks.State) error {
	// An app without endpoints, as one that is gone, has nothing to be told of and
	// leaves nothing behind.
	return t.db.Exec(`INSERT INTO webhook_states (app_id, channel, subject, seq, due_at)
		SELECT ?, ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT) WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE app_id = ?)
		ON CONFLICT (app_id, channel, subject) DO UPDATE SET seq = excluded.seq, due_at = excluded.due_at`,
		string(k.App), k.Channel, k.Subject, int64(s.Seq), millis(s.Due), string(k.App)).Error // #nosec G115 -- below 2^53
}

// duesRead is how many of the leaves that are due are looked at, for each that is
// taken: some may be another node's to take.
const duesRead = 4

// TakeDue implements [webhooks.RecordTx].
func (t *recordTx) TakeDue(now time.Time, limit int, over func(*webhooks.Leave) bool) ([]webhooks.Leave, error) {
	var rows []stateRow
	err := t.db.Where("due_at <= ?", now.UnixMilli()).Order("due_at").Limit(limit * duesRead).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	var taken []webhooks.Leave
	for _, row := range rows {
		l := webhooks.Leave{
			StateKey: webhooks.StateKey{App: tenants.AppID(row.AppID), Channel: row.Channel, Subject: row.Subject},
			State:    row.state(),
		}
		if len(taken) == limit {
			break
		}
		if !over(&l) {
			continue
		}
		// Another node may have been faster, or they are back.
		done := t.where(l.StateKey).Where("due_at = ?", *row.DueAt).Delete(&stateRow{})
		if done.Error != nil {
			return nil, done.Error
		}
		if done.RowsAffected == 1 {
			taken = append(taken, l)
		}
	}
	return taken, nil
}

// rowsAtOnce bounds one statement: databases know a highest number of values.
const rowsAtOnce = 100

// InsertDeliveries implements [webhooks.RecordTx].
func (t *recordTx) InsertDeliveries(list []webhooks.Delivery, c webhooks.Claim) (taken []webhooks.Lane, err error) {
	rows := make([]*deliveryRow, 0, len(list))
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].EndpointID == list[0].EndpointID {
			n++
		}
		here := list[:n]
		list = list[n:]
		there, lane, err := t.intoLane(here, c)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		if lane != nil {
			taken = append(taken, *lane)
			c.Most--
		}
		for i := range here {
			here[i].ID = t.s.newID("whd", here[i].CreatedAt)
			rows = append(rows, deliveryRowOf(&here[i]))
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return taken, t.db.Clauses(clause.Insert{Modifier: t.s.orRollback}).CreateInBatches(rows, rowsAtOnce).Error
}

// intoLane makes the lane of deliveries be looked at, and takes it over if it may.
func (t *recordTx) intoLane(list []webhooks.Delivery, c webhooks.Claim) (there bool, taken *webhooks.Lane, err error) {
	d := &list[0]
	next := d.NextAt
	for i := range list {
		if list[i].NextAt.Before(next) {
			next = list[i].NextAt
		}
	}
	if c.Most > 0 {
		var revision *int64
		now := c.Now.UnixMilli()
		done := t.db.Raw(`UPDATE webhook_lanes SET holder = ?, lease_until = ?, served_at = ?, next_at = ?
			WHERE endpoint_id = ? AND lease_until <= ? AND failures = 0 AND (next_at IS NULL OR next_at > ?)
			AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = endpoint_id AND e.status = 'enabled')
			RETURNING (SELECT e.revision FROM webhook_endpoints e WHERE e.id = endpoint_id)`,
			c.Holder, now+c.Lease.Milliseconds(), now, next.UnixMilli(), d.EndpointID, now, now).Scan(&revision)
		if done.Error != nil {
			return false, nil, done.Error
		}
		if revision != nil {
			for i := range list {
				list[i].EndpointRevision = *revision
			}
			return true, &webhooks.Lane{EndpointID: d.EndpointID, App: d.App, TenantID: d.TenantID, Holder: c.Holder}, nil
		}
	}
	there, err = dueInLane(t.db, d.EndpointID, next)
	return there, nil, err
}

// dueInLane makes a lane be looked at no later than at, and reports whether there
// is one. It writes the row in any case: the lock makes whoever finishes the lane
// see what is due.
func dueInLane(tx *gorm.DB, endpointID string, at time.Time) (there bool, err error) {
	ms := at.UnixMilli()
	done := tx.Exec("UPDATE webhook_lanes SET next_at = CASE WHEN next_at <= ? THEN next_at ELSE ? END WHERE endpoint_id = ?",
		ms, ms, endpointID)
	return done.RowsAffected == 1, done.Error
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

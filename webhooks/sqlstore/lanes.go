package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
	"tidewire/webhooks"
)

type attemptRow struct {
	DeliveryID   string `gorm:"primaryKey"`
	Number       int    `gorm:"primaryKey"`
	AppID        string
	At           int64
	TookMs       int64
	HTTPStatus   int `gorm:"column:http_status"`
	Reason       string
	Address      string
	RequestHead  string
	ResponseHead string
	ResponseBody string
}

// TableName implements gorm's Tabler.
func (attemptRow) TableName() string { return "webhook_attempts" }

type laneRow struct {
	EndpointID   string
	AppID        string
	TenantID     string
	Failures     int
	FailingSince *int64
}

// dueLanes lists lanes with something due, in the order in which they get their
// turn: those of a tenant alternate with those of the others.
const dueLanes = `SELECT l.endpoint_id, l.app_id, l.tenant_id, l.failures, l.failing_since FROM webhook_lanes l
	JOIN webhook_endpoints e ON e.id = l.endpoint_id
	WHERE l.next_at <= ? AND l.lease_until <= ? AND e.status = 'enabled' AND `

// ClaimLanes implements [webhooks.Store].
func (s *Store) ClaimLanes(ctx context.Context, holder string, now time.Time, lease time.Duration, failing bool, limit int) ([]webhooks.Lane, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	kind := "l.failures = 0"
	if failing {
		kind = "l.failures > 0"
	}
	var rows []laneRow
	ms := now.UnixMilli()
	err := db.Raw(dueLanes+kind+` ORDER BY ROW_NUMBER() OVER (PARTITION BY l.tenant_id ORDER BY l.served_at), l.served_at LIMIT ?`, ms, ms, limit).Scan(&rows).Error
	if err != nil {
		return nil, failure("look for due webhook deliveries", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	taken, err := s.takeLanes(ctx, rows, holder, now, lease)
	if err != nil {
		return nil, failure("claim webhook deliveries", err)
	}
	var lanes []webhooks.Lane
	for _, row := range rows {
		if taken[row.EndpointID] {
			lanes = append(lanes, webhooks.Lane{
				EndpointID: row.EndpointID, App: tenants.AppID(row.AppID), TenantID: row.TenantID, Holder: holder,
				Failures: row.Failures, FailingSince: timeOf(row.FailingSince),
			})
		}
	}
	return lanes, nil
}

// takeLanes takes over those of which no other node was faster, in one
// transaction, and in one order everywhere, so that nodes do not block each other.
func (s *Store) takeLanes(ctx context.Context, rows []laneRow, holder string, now time.Time, lease time.Duration) (map[string]bool, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].EndpointID
	}
	slices.Sort(ids)
	taken := make(map[string]bool, len(ids))
	ms := now.UnixMilli()
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		for _, id := range ids {
			done := tx.Exec("UPDATE webhook_lanes SET holder = ?, lease_until = ?, served_at = ? WHERE endpoint_id = ? AND lease_until <= ?",
				holder, now.Add(lease).UnixMilli(), ms, id, ms)
			if done.Error != nil {
				return done.Error
			}
			taken[id] = done.RowsAffected == 1
		}
		return nil
	})
	return taken, err
}

// DueDeliveries implements [webhooks.Store].
func (s *Store) DueDeliveries(ctx context.Context, endpointID string, now time.Time, limit int) ([]webhooks.Delivery, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var rows []deliveryRow
	err := db.Select("*, (SELECT e.revision FROM webhook_endpoints e WHERE e.id = endpoint_id) AS endpoint_revision").
		Where("endpoint_id = ? AND status = 'pending' AND next_at <= ?", endpointID, now.UnixMilli()).
		Order("id").Limit(limit).Find(&rows).Error
	return deliveriesOf(rows), failure("read webhook deliveries", err)
}

// FinishAttempts implements [webhooks.Store].
func (s *Store) FinishAttempts(ctx context.Context, lane *webhooks.Lane, done []webhooks.Outcome, keep time.Time) error {
	until := int64(0) // free
	switch {
	case !keep.IsZero():
		until = keep.UnixMilli()
	case !lane.RestUntil.IsZero(): // nobody may have it before
		until = lane.RestUntil.UnixMilli()
	}
	var next *int64
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := s.finish(tx, done); err != nil {
			return err
		}
		// The lock first, in a statement of its own: what is inserted from now on puts
		// itself into the lane. SQLite has locked everything.
		if s.turn == nil {
			if err := tx.Exec("UPDATE webhook_lanes SET holder = holder WHERE endpoint_id = ?", lane.EndpointID).Error; err != nil {
				return err
			}
		}
		return tx.Raw(`UPDATE webhook_lanes SET lease_until = ?, failures = ?, failing_since = ?,
			next_at = (SELECT MIN(d.next_at) FROM webhook_deliveries d WHERE d.endpoint_id = ? AND d.status = 'pending')
			WHERE endpoint_id = ? AND holder = ? RETURNING next_at`,
			until, lane.Failures, millis(lane.FailingSince), lane.EndpointID, lane.EndpointID, lane.Holder).Scan(&next).Error
	})
	lane.NextAt = timeOf(next)
	return failure("store webhook attempts", err)
}

// end is where deliveries stand that went alike.
type end struct {
	status                      webhooks.DeliveryStatus
	attempts, tries, httpStatus int
	reason                      string
	nextAt                      int64 // 0 = never
	forget                      bool  // their events
}

func endOf(d *webhooks.Delivery) end {
	e := end{status: d.Status, attempts: d.Attempts, tries: d.Tries, httpStatus: d.HTTPStatus, reason: d.Reason, forget: len(d.Events) == 0}
	if !d.NextAt.IsZero() {
		e.nextAt = d.NextAt.UnixMilli()
	}
	return e
}

// finish stores attempts. A delivery that was removed meanwhile stays so. Those
// that went alike are stored as finished when the last of them was.
func (s *Store) finish(tx *gorm.DB, done []webhooks.Outcome) error {
	alike := make(map[end][]string)
	finished := make(map[end]time.Time)
	for i := range done {
		d := &done[i].Delivery
		e := endOf(d)
		alike[e] = append(alike[e], d.ID)
		if d.FinishedAt.After(finished[e]) {
			finished[e] = d.FinishedAt
		}
	}
	there := make(map[string]bool, len(done))
	for e, ids := range alike {
		var next *int64
		if e.nextAt != 0 {
			next = &e.nextAt
		}
		events := ""
		if e.forget { // else they are as they were, and large
			events = ", events = ''"
		}
		var stored []string
		err := tx.Raw("UPDATE "+s.orRollback+` webhook_deliveries SET status = ?, attempts = ?, tries = ?, http_status = ?, reason = ?, next_at = ?, finished_at = ?`+
			events+` WHERE id IN ? AND status = 'pending' RETURNING id`,
			string(e.status), e.attempts, e.tries, e.httpStatus, e.reason, next, millis(finished[e]), ids).Scan(&stored).Error
		if err != nil {
			return err
		}
		for _, id := range stored {
			there[id] = true
		}
	}
	var made []attemptRow
	for i := range done {
		if there[done[i].Delivery.ID] {
			made = append(made, attemptRowOf(&done[i].Attempt))
		}
	}
	if len(made) == 0 {
		return nil
	}
	return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&made).Error
}

func attemptRowOf(a *webhooks.Attempt) attemptRow {
	return attemptRow{
		DeliveryID: a.DeliveryID, Number: a.Number, AppID: string(a.App), At: a.At.UnixMilli(), TookMs: a.Took.Milliseconds(),
		HTTPStatus: a.HTTPStatus, Reason: a.Reason, Address: a.Address,
		RequestHead: a.RequestHead, ResponseHead: a.ResponseHead, ResponseBody: a.ResponseBody,
	}
}

// Attempts implements [webhooks.Store].
func (s *Store) Attempts(ctx context.Context, deliveryID string) ([]webhooks.Attempt, error) {
	db, cancel := s.with(ctx)
	defer cancel()
	var rows []attemptRow
	if err := db.Where("delivery_id = ?", deliveryID).Order("number").Limit(maxListed).Find(&rows).Error; err != nil {
		return nil, failure("read webhook attempts", err)
	}
	list := make([]webhooks.Attempt, len(rows))
	for i, row := range rows {
		list[i] = webhooks.Attempt{
			DeliveryID: row.DeliveryID, Number: row.Number, App: tenants.AppID(row.AppID), At: timeAt(row.At),
			Took: time.Duration(row.TookMs) * time.Millisecond, HTTPStatus: row.HTTPStatus, Reason: row.Reason, Address: row.Address,
			RequestHead: row.RequestHead, ResponseHead: row.ResponseHead, ResponseBody: row.ResponseBody,
		}
	}
	return list, nil
}

package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"tidewire/tenants"
	"tidewire/webhooks"
)

type leaseRow struct {
	Name       string `gorm:"primaryKey"`
	Holder     string
	Generation int64
	LeaseUntil int64
	Batch      string
}

// TableName implements gorm's Tabler.
func (leaseRow) TableName() string { return "webhook_leases" }

type stateRow struct {
	AppID   string `gorm:"primaryKey"`
	Channel string `gorm:"primaryKey"`
	Subject string `gorm:"primaryKey"`
	Present bool
	Value   int64
	Seq     int64
	At      int64
	DueAt   *int64
}

// TableName implements gorm's Tabler.
func (stateRow) TableName() string { return "webhook_states" }

func (r *stateRow) state() webhooks.State {
	return webhooks.State{
		StateKey: webhooks.StateKey{App: tenants.AppID(r.AppID), Channel: r.Channel, Subject: r.Subject},
		Present:  r.Present, Value: int(r.Value), Seq: uint64(r.Seq), At: timeOf(&r.At), DueAt: timeOf(r.DueAt),
	}
}

// Lead implements [webhooks.Queue].
func (s *Store) Lead(ctx context.Context, name, holder string, now time.Time, length time.Duration) (webhooks.Lease, error) {
	var rows []leaseRow
	err := s.write(ctx, "take a lease", func(tx *gorm.DB) error {
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&leaseRow{Name: name}).Error; err != nil {
			return err
		}
		return tx.Raw(`UPDATE webhook_leases SET generation = generation + CASE WHEN holder = ? THEN 0 ELSE 1 END, holder = ?, lease_until = ?
			WHERE name = ? AND (holder = ? OR lease_until <= ?) RETURNING *`,
			holder, holder, now.Add(length).UnixMilli(), name, holder, now.UnixMilli()).Scan(&rows).Error
	})
	if err != nil {
		return webhooks.Lease{}, err
	}
	if len(rows) == 0 {
		return webhooks.Lease{}, webhooks.ErrFenced
	}
	return webhooks.Lease{Name: name, Holder: holder, Generation: rows[0].Generation, Batch: rows[0].Batch}, nil
}

// Record implements [webhooks.Queue].
func (s *Store) Record(ctx context.Context, in webhooks.Intake) error {
	if in.Changes == 0 { // and perhaps nothing to do: spare the one writer of SQLite
		if idle, err := s.nothingDue(ctx, in); err != nil || idle {
			return err
		}
	}
	return s.write(ctx, "record changes", func(tx *gorm.DB) error {
		if l := in.Lease; l != nil {
			done := tx.Model(&leaseRow{}).Where("name = ? AND holder = ? AND generation = ?", l.Name, l.Holder, l.Generation).Update("batch", l.Batch)
			if done.Error != nil {
				return done.Error
			}
			if done.RowsAffected == 0 {
				return webhooks.ErrFenced
			}
		}
		known, due, err := statesFor(tx, in)
		if err != nil {
			return err
		}
		out := in.Fold(known, due)
		if err := storeStates(tx, out); err != nil {
			return err
		}
		return insertDeliveries(tx, out.Deliveries, in.Now)
	})
}

func (s *Store) nothingDue(ctx context.Context, in webhooks.Intake) (bool, error) {
	if in.Due.IsZero() {
		return true, nil
	}
	var n int64
	err := s.ask(ctx, "look what is due", func(db *gorm.DB) error {
		return db.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM webhook_states WHERE due_at <= ? LIMIT 1) t", in.Due.UnixMilli()).Scan(&n).Error
	})
	return n == 0, err
}

// statesFor reads the states named and those due, in parts.
func statesFor(tx *gorm.DB, in webhooks.Intake) (map[webhooks.StateKey]webhooks.State, []webhooks.State, error) {
	known := make(map[webhooks.StateKey]webhooks.State)
	const part = 100
	for keys := in.Keys; len(keys) > 0; keys = keys[min(part, len(keys)):] {
		var tuples [][]any
		for _, k := range keys[:min(part, len(keys))] {
			tuples = append(tuples, []any{string(k.App), k.Channel, k.Subject})
		}
		var rows []stateRow
		if err := tx.Where("(app_id, channel, subject) IN ?", tuples).Find(&rows).Error; err != nil {
			return nil, nil, err
		}
		for i := range rows {
			st := rows[i].state()
			known[st.StateKey] = st
		}
	}
	if in.Due.IsZero() {
		return known, nil, nil
	}
	var rows []stateRow
	if err := tx.Where("due_at <= ?", in.Due.UnixMilli()).Order("due_at").Limit(in.DueLimit).Find(&rows).Error; err != nil {
		return nil, nil, err
	}
	due := make([]webhooks.State, 0, len(rows))
	for i := range rows {
		st := rows[i].state()
		known[st.StateKey] = st
		due = append(due, st)
	}
	return known, due, nil
}

func storeStates(tx *gorm.DB, out webhooks.Folded) error {
	for _, k := range out.Gone {
		if err := tx.Where("app_id = ? AND channel = ? AND subject = ?", string(k.App), k.Channel, k.Subject).Delete(&stateRow{}).Error; err != nil {
			return err
		}
	}
	rows := make([]stateRow, 0, len(out.Keep))
	for _, st := range out.Keep {
		rows = append(rows, stateRow{
			AppID: string(st.App), Channel: st.Channel, Subject: st.Subject, Present: st.Present, Value: int64(st.Value),
			Seq: int64(st.Seq), At: st.At.UnixMilli(), DueAt: milli(st.DueAt),
		})
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(rows, 100).Error
}

type laneRow struct {
	EndpointID   string
	TenantID     string
	Failures     int64
	FailingSince *int64
}

// Claim implements [webhooks.Queue]. The condition stands in the statement twice:
// one who waited for another claim's rows looks at them again, and finds them taken.
func (s *Store) Claim(ctx context.Context, c webhooks.Claim) ([]webhooks.Lane, error) {
	var lanes []webhooks.Lane
	for _, kind := range []struct {
		failures string
		limit    int
	}{{"failures = 0", c.Healthy}, {"failures > 0", c.Failing}} {
		if kind.limit <= 0 {
			continue
		}
		rows, err := s.claim(ctx, c, kind.failures, kind.limit)
		if err != nil {
			return lanes, err
		}
		for _, r := range rows {
			lanes = append(lanes, webhooks.Lane{EndpointID: r.EndpointID, TenantID: r.TenantID, Failures: int(r.Failures), FailingSince: timeOf(r.FailingSince)})
		}
	}
	return lanes, nil
}

func (s *Store) claim(ctx context.Context, c webhooks.Claim, failures string, limit int) (rows []laneRow, err error) {
	now := c.Now.UnixMilli()
	skip := append([]string{""}, c.Skip...)
	free := "next_at <= ? AND lease_until <= ? AND " + failures + " AND tenant_id NOT IN ?"
	var found int64 // reading first spares the one writer of SQLite
	err = s.ask(ctx, "look for due lanes", func(db *gorm.DB) error {
		return db.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM webhook_lanes WHERE "+free+" LIMIT 1) t", now, now, skip).Scan(&found).Error
	})
	if err != nil || found == 0 {
		return nil, err
	}
	err = s.ask(ctx, "claim lanes", func(db *gorm.DB) error {
		return db.Raw(`UPDATE webhook_lanes SET holder = ?, lease_until = ?, served_at = ? WHERE lease_until <= ? AND endpoint_id IN (
			SELECT endpoint_id FROM (SELECT endpoint_id, served_at, ROW_NUMBER() OVER (PARTITION BY tenant_id ORDER BY served_at, endpoint_id) AS turn
				FROM webhook_lanes WHERE `+free+`) due
			WHERE turn <= ? ORDER BY turn, served_at LIMIT ?) RETURNING *`,
			c.Holder, c.Until.UnixMilli(), now, now, now, now, skip, c.PerTenant, limit).Scan(&rows).Error
	})
	return rows, err
}

// Release implements [webhooks.Queue]. The lane is locked first: whoever adds a
// delivery does so too, so that none is added between the look and the write.
func (s *Store) Release(ctx context.Context, holder string, l webhooks.Lane) error {
	return s.write(ctx, "give a lane back", func(tx *gorm.DB) error {
		done := tx.Exec(`UPDATE webhook_lanes SET holder = '', lease_until = 0, failures = ?, failing_since = ?
			WHERE endpoint_id = ? AND holder = ?`, l.Failures, milli(l.FailingSince), l.EndpointID, holder)
		if done.Error != nil || done.RowsAffected == 0 {
			return done.Error
		}
		var next *int64
		err := tx.Raw("SELECT MIN(next_at) FROM webhook_deliveries WHERE endpoint_id = ? AND status = 'pending'", l.EndpointID).Scan(&next).Error
		if err != nil {
			return err
		}
		if next != nil && !l.NotBefore.IsZero() {
			*next = max(*next, l.NotBefore.UnixMilli())
		}
		return tx.Exec("UPDATE webhook_lanes SET next_at = ? WHERE endpoint_id = ?", next, l.EndpointID).Error
	})
}

// Tend implements [webhooks.Queue].
func (s *Store) Tend(ctx context.Context, now, forget time.Time) (dead int, err error) {
	const some = 1000
	err = s.write(ctx, "tend the deliveries", func(tx *gorm.DB) error {
		done := tx.Exec(`UPDATE webhook_deliveries SET status = 'dead', finished_at = ?, next_at = NULL,
			reason = CASE WHEN reason = '' THEN 'its time was over before it could be sent' ELSE reason END
			WHERE id IN (SELECT id FROM webhook_deliveries WHERE status = 'pending' AND expires_at <= ? LIMIT ?)`, now.UnixMilli(), now.UnixMilli(), some)
		if done.Error != nil {
			return done.Error
		}
		dead = int(done.RowsAffected)
		const old = "SELECT id FROM webhook_deliveries WHERE finished_at <= ? ORDER BY finished_at LIMIT ?"
		if err := tx.Exec("DELETE FROM webhook_attempts WHERE delivery_id IN ("+old+")", forget.UnixMilli(), some).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM webhook_deliveries WHERE id IN ("+old+")", forget.UnixMilli(), some).Error; err != nil {
			return err
		}
		return tx.Exec(`UPDATE webhook_lanes SET next_at = ? WHERE next_at IS NULL AND lease_until <= ? AND EXISTS (
			SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_lanes.endpoint_id AND d.status = 'pending')`, now.UnixMilli(), now.UnixMilli()).Error
	})
	return dead, err
}

// Backlog implements [webhooks.Queue].
func (s *Store) Backlog(ctx context.Context, now time.Time) (webhooks.Backlog, error) {
	var row struct {
		Due    int64
		Oldest *int64
	}
	err := s.ask(ctx, "read the backlog", func(db *gorm.DB) error {
		return db.Raw("SELECT COUNT(*) AS due, MIN(next_at) AS oldest FROM webhook_lanes WHERE next_at <= ?", now.UnixMilli()).Scan(&row).Error
	})
	return webhooks.Backlog{Due: int(row.Due), Oldest: timeOf(row.Oldest)}, err
}

// States implements [webhooks.Queue].
func (s *Store) States(ctx context.Context, after webhooks.StateKey, limit int) ([]webhooks.State, error) {
	var rows []stateRow
	err := s.ask(ctx, "list what was told", func(db *gorm.DB) error {
		return db.Where("present AND (app_id, channel, subject) > (?, ?, ?)", string(after.App), after.Channel, after.Subject).
			Order("app_id, channel, subject").Limit(limit).Find(&rows).Error
	})
	list := make([]webhooks.State, 0, len(rows))
	for i := range rows {
		list = append(list, rows[i].state())
	}
	return list, err
}

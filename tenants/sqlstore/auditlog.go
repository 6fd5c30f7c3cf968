package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"gorm.io/gorm"

	"tidewire/tenants"
)

const auditPrefix = "aud"

type auditRow struct {
	ID         string `gorm:"primaryKey"`
	TenantID   string
	At         int64
	ActorKind  string
	ActorID    string
	ActorName  string
	IP         string `gorm:"column:ip"`
	Action     string
	TargetKind string
	TargetID   string
	Was        string // JSON, or empty
	Became     string // JSON, or empty
	RequestID  string
}

// TableName implements gorm's Tabler.
func (auditRow) TableName() string { return "audit_log" }

func (r *auditRow) entry() (tenants.AuditEntry, error) {
	return tenants.AuditEntry{
		ID: r.ID, TenantID: r.TenantID, At: timeOf(r.At), ActorKind: tenants.ActorKind(r.ActorKind), ActorID: r.ActorID,
		ActorName: r.ActorName, IP: r.IP, Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID,
		Before: rawOrNil(r.Was), After: rawOrNil(r.Became), RequestID: r.RequestID,
	}, nil
}

func rawOrNil(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// AuditLog implements [tenants.AccountReader]: the newest first.
func (q queries) AuditLog(ctx context.Context, tenantID string, f tenants.AuditFilter) ([]tenants.AuditEntry, error) {
	where, args := []string{"tenant_id = ?"}, []any{tenantID}
	add := func(wanted bool, condition string, value ...any) {
		if wanted {
			where, args = append(where, condition), append(args, value...)
		}
	}
	add(f.ActorID != "", "actor_id = ?", f.ActorID)
	add(f.TargetID != "", "target_id = ?", f.TargetID)
	add(f.Action != "" && !strings.HasSuffix(f.Action, "."), "action = ?", f.Action)
	// Names of actions are ASCII, so "key." to "key/" is all that begins with "key.".
	add(strings.HasSuffix(f.Action, "."), "action >= ? AND action < ?", f.Action, strings.TrimSuffix(f.Action, ".")+"/")
	add(!f.From.IsZero(), "at >= ?", f.From.UnixMilli())
	add(!f.To.IsZero(), "at < ?", f.To.UnixMilli())
	add(f.Cursor != "", "id < ?", f.Cursor)
	limit := f.Limit
	if limit <= 0 {
		limit = math.MaxInt32
	}
	return many(ctx, q, "read the audit log", "id DESC", limit, (*auditRow).entry, strings.Join(where, " AND "), args...)
}

// InsertAudit implements [tenants.AccountWriter].
func (t *accountTx) InsertAudit(ctx context.Context, e *tenants.AuditEntry) error {
	id, err := t.nextAuditID(ctx, e.At)
	if err != nil {
		return err
	}
	e.ID = id
	return t.insert(ctx, "store an audit entry", &auditRow{
		ID: e.ID, TenantID: e.TenantID, At: e.At.UnixMilli(), ActorKind: string(e.ActorKind), ActorID: e.ActorID,
		ActorName: e.ActorName, IP: e.IP, Action: e.Action, TargetKind: e.TargetKind, TargetID: e.TargetID,
		Was: string(e.Before), Became: string(e.After), RequestID: e.RequestID,
	})
}

// nextAuditID makes an id above every other, so that the log is in the order in
// which things were done, also within one millisecond and whatever the clocks of
// several machines say. Writers pass one by one, so nobody is in between.
func (t *accountTx) nextAuditID(ctx context.Context, at time.Time) (string, error) {
	var last *string
	err := t.ask(ctx, "find the last audit entry", func(db *gorm.DB) error {
		return db.Raw("SELECT MAX(id) FROM audit_log").Scan(&last).Error
	})
	if err != nil {
		return "", err
	}
	id := newID(auditPrefix, at)
	if last == nil || id > *last {
		return id, nil
	}
	previous, err := ulid.ParseStrict(strings.ToUpper(strings.TrimPrefix(*last, auditPrefix+"_")))
	if err != nil {
		return "", fmt.Errorf("audit entry %s: its id is malformed: %w", *last, err)
	}
	for i := len(previous) - 1; i >= 0; i-- {
		if previous[i]++; previous[i] != 0 {
			break
		}
	}
	return auditPrefix + "_" + strings.ToLower(previous.String()), nil
}

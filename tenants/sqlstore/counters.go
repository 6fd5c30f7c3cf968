package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

// keepExpiredTokens is how long an expired API token stays listed, so that its
// owner can see why a program was refused.
const keepExpiredTokens = 30 * 24 * time.Hour

// Count implements [tenants.AccountWriter].
func (t *accountTx) Count(ctx context.Context, bucket string, window, expires time.Time, n int) (int, error) {
	var tries int
	err := t.ask(ctx, "count", func(db *gorm.DB) error {
		return db.Raw(`INSERT INTO throttles (bucket, window_start, tries, expires_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (bucket, window_start) DO UPDATE SET tries = throttles.tries + excluded.tries
			RETURNING tries`, bucket, window.UnixMilli(), n, expires.UnixMilli()).Scan(&tries).Error
	})
	return tries, err
}

type idempotencyRow struct {
	Principal   string `gorm:"primaryKey"`
	IdemKey     string `gorm:"primaryKey"`
	TenantID    string
	RequestHash string
	Status      int64
	Header      string
	SealedBody  string // it may hold a secret that is shown once
	CreatedAt   int64  `gorm:"autoCreateTime:false"`
	ExpiresAt   int64
}

// TableName implements gorm's Tabler.
func (idempotencyRow) TableName() string { return "idempotency_keys" }

const whereIdempotent = "principal = ? AND idem_key = ?"

func bodyPlace(principal, key string) string {
	return tenants.SealedPlace("idempotency_keys", principal+"/"+key, "sealed_body")
}

func (q queries) idempotencyRow(r *tenants.IdempotencyRecord) (*idempotencyRow, error) {
	sealed, err := q.sealer.Seal(string(r.Body), bodyPlace(r.Principal, r.Key))
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	return &idempotencyRow{
		Principal: r.Principal, IdemKey: r.Key, TenantID: r.TenantID, RequestHash: r.RequestHash, Status: int64(r.Status),
		Header: string(r.Header), SealedBody: sealed, CreatedAt: r.CreatedAt.UnixMilli(), ExpiresAt: r.ExpiresAt.UnixMilli(),
	}, nil
}

// InsertIdempotency implements [tenants.AccountWriter].
func (t *accountTx) InsertIdempotency(ctx context.Context, r *tenants.IdempotencyRecord) error {
	row, err := t.idempotencyRow(r)
	if err != nil {
		return err
	}
	return t.insert(ctx, "store an idempotency key", row)
}

// Idempotency implements [tenants.AccountWriter].
func (t *accountTx) Idempotency(ctx context.Context, principal, key string) (*tenants.IdempotencyRecord, error) {
	row, err := one[idempotencyRow](ctx, t.queries, "read an idempotency key", whereIdempotent, principal, key)
	if err != nil {
		return nil, err
	}
	body, err := t.sealer.Open(row.SealedBody, bodyPlace(principal, key))
	if err != nil {
		return nil, fmt.Errorf("open an answer: %w", err)
	}
	record := &tenants.IdempotencyRecord{
		Principal: row.Principal, TenantID: row.TenantID, Key: row.IdemKey, RequestHash: row.RequestHash, Status: int(row.Status),
		Body: []byte(body), CreatedAt: timeOf(row.CreatedAt), ExpiresAt: timeOf(row.ExpiresAt),
	}
	if row.Header != "" {
		record.Header = json.RawMessage(row.Header)
	}
	return record, nil
}

// UpdateIdempotency implements [tenants.AccountWriter].
func (t *accountTx) UpdateIdempotency(ctx context.Context, r *tenants.IdempotencyRecord) error {
	row, err := t.idempotencyRow(r)
	if err != nil {
		return err
	}
	return t.update(ctx, "store an answer", &idempotencyRow{}, map[string]any{
		"status": row.Status, "header": row.Header, "sealed_body": row.SealedBody,
	}, whereIdempotent, r.Principal, r.Key)
}

// DeleteIdempotency implements [tenants.AccountWriter].
func (t *accountTx) DeleteIdempotency(ctx context.Context, principal, key string) error {
	return t.remove(ctx, "remove an idempotency key", &idempotencyRow{}, whereIdempotent, principal, key)
}

// Prune implements [tenants.AccountWriter].
func (t *accountTx) Prune(ctx context.Context, now time.Time, sessionIdle time.Duration) error {
	at := now.UnixMilli()
	return t.ask(ctx, "forget what has expired", func(db *gorm.DB) error {
		for _, step := range []struct {
			statement string
			before    int64
		}{
			{"DELETE FROM sessions WHERE expires_at <= ?", at},
			{"DELETE FROM sessions WHERE last_seen_at <= ?", now.Add(-sessionIdle).UnixMilli()},
			{"DELETE FROM user_tokens WHERE expires_at <= ?", at},
			{"DELETE FROM invitations WHERE expires_at <= ?", at},
			{"DELETE FROM api_tokens WHERE expires_at <= ?", now.Add(-keepExpiredTokens).UnixMilli()},
			{"DELETE FROM throttles WHERE expires_at <= ?", at},
			{"DELETE FROM idempotency_keys WHERE expires_at <= ?", at},
		} {
			if err := db.Exec(step.statement, step.before).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

type tokenRow struct {
	ID         string `gorm:"primaryKey"`
	TenantID   string
	Name       string
	TokenHash  string
	Prefix     string
	Last4      string `gorm:"column:last4"`
	Scopes     string // a JSON list
	AppIDs     string `gorm:"column:app_ids"` // a JSON list
	CreatedBy  string
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	ExpiresAt  *int64
	LastUsedAt *int64
}

// TableName implements gorm's Tabler.
func (tokenRow) TableName() string { return "api_tokens" }

func (r *tokenRow) token() (tenants.Token, error) {
	t := tenants.Token{
		ID: r.ID, TenantID: r.TenantID, Name: r.Name, TokenHash: r.TokenHash, Prefix: r.Prefix, Last4: r.Last4,
		CreatedBy: r.CreatedBy, CreatedAt: timeOf(r.CreatedAt), ExpiresAt: timeOrZero(r.ExpiresAt), LastUsedAt: timeOrZero(r.LastUsedAt),
	}
	if err := json.Unmarshal([]byte(r.Scopes), &t.Scopes); err != nil {
		return t, fmt.Errorf("token %s: stored scopes: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.AppIDs), &t.Apps); err != nil {
		return t, fmt.Errorf("token %s: stored apps: %w", r.ID, err)
	}
	return t, nil
}

func (q queries) token(ctx context.Context, where string, args ...any) (*tenants.Token, error) {
	row, err := one[tokenRow](ctx, q, "read a token", where, args...)
	if err != nil {
		return nil, err
	}
	token, err := row.token()
	return &token, err
}

// Token implements [tenants.AccountReader].
func (q queries) Token(ctx context.Context, tenantID, id string) (*tenants.Token, error) {
	return q.token(ctx, "tenant_id = ? AND id = ?", tenantID, id)
}

// TokenByHash implements [tenants.AccountReader].
func (q queries) TokenByHash(ctx context.Context, hash string) (*tenants.Token, error) {
	return q.token(ctx, "token_hash = ?", hash)
}

// Tokens implements [tenants.AccountReader].
func (q queries) Tokens(ctx context.Context, tenantID string) ([]tenants.Token, error) {
	return many(ctx, q, "list tokens", "created_at, id", 0, (*tokenRow).token, "tenant_id = ?", tenantID)
}

// TouchToken implements [tenants.AccountStore].
func (s *AccountStore) TouchToken(ctx context.Context, id string, at time.Time) error {
	return s.ask(ctx, "note the use of a token", func(db *gorm.DB) error {
		return db.Model(&tokenRow{}).Where("id = ?", id).Update("last_used_at", at.UnixMilli()).Error
	})
}

// InsertToken implements [tenants.AccountWriter].
func (t *accountTx) InsertToken(ctx context.Context, n *tenants.Token) error {
	n.ID = newID("tok", n.CreatedAt)
	scopes, err := json.Marshal(n.Scopes)
	if err != nil {
		return fmt.Errorf("encode scopes: %w", err)
	}
	apps, err := json.Marshal(n.Apps)
	if err != nil {
		return fmt.Errorf("encode apps: %w", err)
	}
	return t.insert(ctx, "store a token", &tokenRow{
		ID: n.ID, TenantID: n.TenantID, Name: n.Name, TokenHash: n.TokenHash, Prefix: n.Prefix, Last4: n.Last4,
		Scopes: string(scopes), AppIDs: string(apps), CreatedBy: n.CreatedBy, CreatedAt: n.CreatedAt.UnixMilli(),
		ExpiresAt: milliOrNil(n.ExpiresAt), LastUsedAt: milliOrNil(n.LastUsedAt),
	})
}

// DeleteToken implements [tenants.AccountWriter].
func (t *accountTx) DeleteToken(ctx context.Context, tenantID, id string) error {
	return t.remove(ctx, "remove a token", &tokenRow{}, "tenant_id = ? AND id = ?", tenantID, id)
}

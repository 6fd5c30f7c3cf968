package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

type userRow struct {
	ID           string `gorm:"primaryKey"`
	Email        string
	Name         string
	PasswordHash string
	Operator     bool
	VerifiedAt   *int64
	TermsVersion string
	TermsAt      *int64
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (userRow) TableName() string { return "users" }

func (r *userRow) user() *tenants.User {
	return &tenants.User{
		ID: r.ID, Email: r.Email, Name: r.Name, PasswordHash: tenants.NewSecret(r.PasswordHash), Operator: r.Operator,
		VerifiedAt: timeOrZero(r.VerifiedAt), TermsVersion: r.TermsVersion, TermsAt: timeOrZero(r.TermsAt),
		CreatedAt: timeOf(r.CreatedAt),
	}
}

// User implements [tenants.AccountReader].
func (q queries) User(ctx context.Context, id string) (*tenants.User, error) {
	row, err := one[userRow](ctx, q, "read a user", "id = ?", id)
	if err != nil {
		return nil, err
	}
	return row.user(), nil
}

// UserByEmail implements [tenants.AccountReader].
func (q queries) UserByEmail(ctx context.Context, email string) (*tenants.User, error) {
	row, err := one[userRow](ctx, q, "read a user", "email = ?", email)
	if err != nil {
		return nil, err
	}
	return row.user(), nil
}

// CountUsers implements [tenants.AccountReader].
func (q queries) CountUsers(ctx context.Context) (int, error) {
	var n int64
	err := q.ask(ctx, "count users", func(db *gorm.DB) error { return db.Model(&userRow{}).Count(&n).Error })
	return int(n), err
}

// InsertUser implements [tenants.AccountWriter].
func (t *accountTx) InsertUser(ctx context.Context, u *tenants.User) error {
	u.ID = newID("usr", u.CreatedAt)
	return t.insert(ctx, "store a user", &userRow{
		ID: u.ID, Email: u.Email, Name: u.Name, PasswordHash: u.PasswordHash.Reveal(), Operator: u.Operator,
		VerifiedAt: milliOrNil(u.VerifiedAt), TermsVersion: u.TermsVersion, TermsAt: milliOrNil(u.TermsAt),
		CreatedAt: u.CreatedAt.UnixMilli(),
	})
}

// UpdateUser implements [tenants.AccountWriter].
func (t *accountTx) UpdateUser(ctx context.Context, u *tenants.User) error {
	return t.update(ctx, "store a user", &userRow{}, map[string]any{
		"email": u.Email, "name": u.Name, "password_hash": u.PasswordHash.Reveal(), "operator": u.Operator,
		"verified_at": milliOrNil(u.VerifiedAt), "terms_version": u.TermsVersion, "terms_at": milliOrNil(u.TermsAt),
	}, "id = ?", u.ID)
}

type sessionRow struct {
	ID         string `gorm:"primaryKey"`
	UserID     string
	TokenHash  string
	UserAgent  string
	IP         string `gorm:"column:ip"`
	CreatedAt  int64  `gorm:"autoCreateTime:false"`
	LastSeenAt int64
	ExpiresAt  int64
}

// TableName implements gorm's Tabler.
func (sessionRow) TableName() string { return "sessions" }

func (r *sessionRow) session() (tenants.Session, error) {
	return tenants.Session{
		ID: r.ID, UserID: r.UserID, TokenHash: r.TokenHash, UserAgent: r.UserAgent, IP: r.IP,
		CreatedAt: timeOf(r.CreatedAt), LastSeenAt: timeOf(r.LastSeenAt), ExpiresAt: timeOf(r.ExpiresAt),
	}, nil
}

// SessionByHash implements [tenants.AccountReader].
func (q queries) SessionByHash(ctx context.Context, hash string) (*tenants.Session, error) {
	row, err := one[sessionRow](ctx, q, "read a session", "token_hash = ?", hash)
	if err != nil {
		return nil, err
	}
	session, err := row.session()
	return &session, err
}

// Sessions implements [tenants.AccountReader]: the newest first.
func (q queries) Sessions(ctx context.Context, userID string) ([]tenants.Session, error) {
	return many(ctx, q, "list sessions", "created_at DESC, id DESC", 0, (*sessionRow).session, "user_id = ?", userID)
}

// TouchSession implements [tenants.AccountStore]. A session that is gone is none
// of its business.
func (s *AccountStore) TouchSession(ctx context.Context, id string, at time.Time) error {
	return s.ask(ctx, "note the use of a session", func(db *gorm.DB) error {
		return db.Model(&sessionRow{}).Where("id = ?", id).Update("last_seen_at", at.UnixMilli()).Error
	})
}

// InsertSession implements [tenants.AccountWriter].
func (t *accountTx) InsertSession(ctx context.Context, s *tenants.Session) error {
	s.ID = newID("ses", s.CreatedAt)
	return t.insert(ctx, "store a session", &sessionRow{
		ID: s.ID, UserID: s.UserID, TokenHash: s.TokenHash, UserAgent: s.UserAgent, IP: s.IP,
		CreatedAt: s.CreatedAt.UnixMilli(), LastSeenAt: s.LastSeenAt.UnixMilli(), ExpiresAt: s.ExpiresAt.UnixMilli(),
	})
}

// DeleteSession implements [tenants.AccountWriter].
func (t *accountTx) DeleteSession(ctx context.Context, userID, id string) error {
	return t.remove(ctx, "end a session", &sessionRow{}, "user_id = ? AND id = ?", userID, id)
}

// DeleteSessions implements [tenants.AccountWriter].
func (t *accountTx) DeleteSessions(ctx context.Context, userID, exceptID string) error {
	return t.ask(ctx, "end sessions", func(db *gorm.DB) error {
		return db.Where("user_id = ? AND id <> ?", userID, exceptID).Delete(&sessionRow{}).Error
	})
}

type userTokenRow struct {
	ID        string `gorm:"primaryKey"`
	Kind      string
	UserID    string
	TokenHash string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ExpiresAt int64
}

// TableName implements gorm's Tabler.
func (userTokenRow) TableName() string { return "user_tokens" }

// UserTokenByHash implements [tenants.AccountReader].
func (q queries) UserTokenByHash(ctx context.Context, hash string) (*tenants.UserToken, error) {
	row, err := one[userTokenRow](ctx, q, "read a link", "token_hash = ?", hash)
	if err != nil {
		return nil, err
	}
	return &tenants.UserToken{
		ID: row.ID, Kind: tenants.UserTokenKind(row.Kind), UserID: row.UserID, TokenHash: row.TokenHash,
		CreatedAt: timeOf(row.CreatedAt), ExpiresAt: timeOf(row.ExpiresAt),
	}, nil
}

// InsertUserToken implements [tenants.AccountWriter].
func (t *accountTx) InsertUserToken(ctx context.Context, u *tenants.UserToken) error {
	u.ID = newID("lnk", u.CreatedAt)
	return t.insert(ctx, "store a link", &userTokenRow{
		ID: u.ID, Kind: string(u.Kind), UserID: u.UserID, TokenHash: u.TokenHash,
		CreatedAt: u.CreatedAt.UnixMilli(), ExpiresAt: u.ExpiresAt.UnixMilli(),
	})
}

// DeleteUserTokens implements [tenants.AccountWriter].
func (t *accountTx) DeleteUserTokens(ctx context.Context, userID string, kind tenants.UserTokenKind) error {
	return t.ask(ctx, "remove links", func(db *gorm.DB) error {
		return db.Where("user_id = ? AND kind = ?", userID, string(kind)).Delete(&userTokenRow{}).Error
	})
}

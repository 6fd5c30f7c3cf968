package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"tidewire/tenants"
)

type memberRow struct {
	TenantID  string `gorm:"primaryKey"`
	UserID    string `gorm:"primaryKey"`
	Role      string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (memberRow) TableName() string { return "members" }

// namedMember is a member with what stands in the user's row.
type namedMember struct {
	Member memberRow `gorm:"embedded"`
	Email  string
	Name   string
}

func (r *namedMember) member() tenants.Member {
	return tenants.Member{
		TenantID: r.Member.TenantID, UserID: r.Member.UserID, Email: r.Email, Name: r.Name,
		Role: tenants.Role(r.Member.Role), CreatedAt: timeOf(r.Member.CreatedAt),
	}
}

const memberSelect = `
	SELECT m.tenant_id, m.user_id, m.role, m.created_at, u.email, u.name
	FROM members m JOIN users u ON u.id = m.user_id`

func (q queries) members(ctx context.Context, doing, where string, args ...any) ([]tenants.Member, error) {
	var rows []namedMember
	err := q.ask(ctx, doing, func(db *gorm.DB) error {
		return db.Raw(memberSelect+where+" ORDER BY m.created_at, m.user_id", args...).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	list := make([]tenants.Member, len(rows))
	for i := range rows {
		list[i] = rows[i].member()
	}
	return list, nil
}

// Member implements [tenants.AccountReader].
func (q queries) Member(ctx context.Context, tenantID, userID string) (*tenants.Member, error) {
	const doing = "read a member"
	list, err := q.members(ctx, doing, " WHERE m.tenant_id = ? AND m.user_id = ?", tenantID, userID)
	if err == nil && len(list) == 0 {
		err = failure(doing, gorm.ErrRecordNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

// Members implements [tenants.AccountReader].
func (q queries) Members(ctx context.Context, tenantID string) ([]tenants.Member, error) {
	return q.members(ctx, "list members", " WHERE m.tenant_id = ?", tenantID)
}

// Memberships implements [tenants.AccountReader]: by the tenant's name.
func (q queries) Memberships(ctx context.Context, userID string) ([]tenants.Membership, error) {
	var rows []struct {
		Tenant tenantRow `gorm:"embedded"`
		Role   string
	}
	err := q.ask(ctx, "list memberships", func(db *gorm.DB) error {
		return db.Raw(`SELECT t.*, m.role FROM members m JOIN tenants t ON t.id = m.tenant_id
			WHERE m.user_id = ? ORDER BY t.name, t.id`, userID).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	list := make([]tenants.Membership, len(rows))
	for i := range rows {
		tenant, err := rows[i].Tenant.tenant()
		if err != nil {
			return nil, err
		}
		list[i] = tenants.Membership{Tenant: tenant, Role: tenants.Role(rows[i].Role)}
	}
	return list, nil
}

// InsertMember implements [tenants.AccountWriter].
func (t *accountTx) InsertMember(ctx context.Context, m *tenants.Member) error {
	return t.insert(ctx, "store a member", &memberRow{
		TenantID: m.TenantID, UserID: m.UserID, Role: string(m.Role), CreatedAt: m.CreatedAt.UnixMilli(),
	})
}

// UpdateMember implements [tenants.AccountWriter].
func (t *accountTx) UpdateMember(ctx context.Context, m *tenants.Member) error {
	return t.update(ctx, "store a member", &memberRow{}, map[string]any{"role": string(m.Role)},
		"tenant_id = ? AND user_id = ?", m.TenantID, m.UserID)
}

// DeleteMember implements [tenants.AccountWriter].
func (t *accountTx) DeleteMember(ctx context.Context, tenantID, userID string) error {
	return t.remove(ctx, "remove a member", &memberRow{}, "tenant_id = ? AND user_id = ?", tenantID, userID)
}

type invitationRow struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	Email     string
	Role      string
	TokenHash string
	InvitedBy string
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ExpiresAt int64
}

// TableName implements gorm's Tabler.
func (invitationRow) TableName() string { return "invitations" }

func (r *invitationRow) invitation() (tenants.Invitation, error) {
	return tenants.Invitation{
		ID: r.ID, TenantID: r.TenantID, Email: r.Email, Role: tenants.Role(r.Role), TokenHash: r.TokenHash,
		InvitedBy: r.InvitedBy, CreatedAt: timeOf(r.CreatedAt), ExpiresAt: timeOf(r.ExpiresAt),
	}, nil
}

func (q queries) invitation(ctx context.Context, where string, args ...any) (*tenants.Invitation, error) {
	row, err := one[invitationRow](ctx, q, "read an invitation", where, args...)
	if err != nil {
		return nil, err
	}
	invitation, err := row.invitation()
	return &invitation, err
}

// Invitation implements [tenants.AccountReader].
func (q queries) Invitation(ctx context.Context, tenantID, id string) (*tenants.Invitation, error) {
	return q.invitation(ctx, "tenant_id = ? AND id = ?", tenantID, id)
}

// InvitationByHash implements [tenants.AccountReader].
func (q queries) InvitationByHash(ctx context.Context, hash string) (*tenants.Invitation, error) {
	return q.invitation(ctx, "token_hash = ?", hash)
}

// Invitations implements [tenants.AccountReader].
func (q queries) Invitations(ctx context.Context, tenantID string) ([]tenants.Invitation, error) {
	return many(ctx, q, "list invitations", "created_at, id", 0, (*invitationRow).invitation, "tenant_id = ?", tenantID)
}

// InsertInvitation implements [tenants.AccountWriter].
func (t *accountTx) InsertInvitation(ctx context.Context, i *tenants.Invitation) error {
	i.ID = newID("inv", i.CreatedAt)
	return t.insert(ctx, "store an invitation", &invitationRow{
		ID: i.ID, TenantID: i.TenantID, Email: i.Email, Role: string(i.Role), TokenHash: i.TokenHash,
		InvitedBy: i.InvitedBy, CreatedAt: i.CreatedAt.UnixMilli(), ExpiresAt: i.ExpiresAt.UnixMilli(),
	})
}

// DeleteInvitation implements [tenants.AccountWriter].
func (t *accountTx) DeleteInvitation(ctx context.Context, tenantID, id string) error {
	return t.remove(ctx, "remove an invitation", &invitationRow{}, "tenant_id = ? AND id = ?", tenantID, id)
}

package sqlstore

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

func (r *tenantRow) tenant() (tenants.Tenant, error) {
	return tenants.Tenant{
		ID: r.ID, Slug: r.Slug, Name: r.Name, Status: tenants.TenantStatus(r.Status), StatusReason: r.StatusReason,
		PurgeAt: timeOrZero(r.PurgeAt), Plan: r.Plan, Revision: r.Revision, CreatedAt: timeOf(r.CreatedAt),
	}, nil
}

// Tenant implements [tenants.AccountReader]. An id holds an underscore, which no
// slug does.
func (q queries) Tenant(ctx context.Context, ref string) (*tenants.Tenant, error) {
	where := "slug = ?"
	if strings.HasPrefix(ref, "tn_") {
		where = "id = ?"
	}
	row, err := one[tenantRow](ctx, q, "read a tenant", where, ref)
	if err != nil {
		return nil, err
	}
	tenant, err := row.tenant()
	return &tenant, err
}

// Tenants implements [tenants.AccountReader].
func (q queries) Tenants(ctx context.Context, f tenants.TenantFilter) ([]tenants.Tenant, error) {
	part := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Query)
	return many(ctx, q, "list tenants", "id", f.Limit, (*tenantRow).tenant,
		`(status = ? OR ? = '') AND slug LIKE ? ESCAPE '\' AND id > ?`, string(f.Status), string(f.Status), "%"+part+"%", f.Cursor)
}

// ClosedTenants implements [tenants.AccountReader].
func (q queries) ClosedTenants(ctx context.Context, purgeBefore time.Time) ([]tenants.Tenant, error) {
	return many(ctx, q, "find closed tenants", "purge_at, id", 0, (*tenantRow).tenant,
		"status = ? AND purge_at <= ?", string(tenants.TenantClosing), purgeBefore.UnixMilli())
}

// InsertTenant implements [tenants.AccountWriter].
func (t *accountTx) InsertTenant(ctx context.Context, n *tenants.Tenant) error {
	n.ID, n.Revision = newID("tn", n.CreatedAt), 1
	return t.insert(ctx, "store a tenant", &tenantRow{
		ID: n.ID, Slug: n.Slug, Name: n.Name, Status: string(n.Status), StatusReason: n.StatusReason,
		PurgeAt: milliOrNil(n.PurgeAt), Plan: n.Plan, Revision: n.Revision, CreatedAt: n.CreatedAt.UnixMilli(),
	})
}

// UpdateTenant implements [tenants.AccountWriter].
func (t *accountTx) UpdateTenant(ctx context.Context, n *tenants.Tenant) error {
	n.Revision++
	return t.update(ctx, "store a tenant", &tenantRow{}, map[string]any{
		"name": n.Name, "status": string(n.Status), "status_reason": n.StatusReason, "purge_at": milliOrNil(n.PurgeAt),
		"plan": n.Plan, "revision": n.Revision,
	}, "id = ?", n.ID)
}

// TenantSlugFree implements [tenants.AccountWriter].
func (t *accountTx) TenantSlugFree(ctx context.Context, slug string) (bool, error) {
	var taken bool
	err := t.ask(ctx, "look for a slug", func(db *gorm.DB) (err error) {
		taken, err = isTaken(db, &tenantRow{}, "slug", goneTenant, slug)
		return err
	})
	return !taken, err
}

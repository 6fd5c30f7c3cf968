package tenants

import (
	"context"
	"fmt"
	"time"
)

const (
	maxReasonBytes = 500
	defaultPage    = 50
	maxPage        = 100
)

// pageSize bounds what one answer holds; 0 or less = the default.
func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// NewTenant is what it takes to create a tenant from outside of a sign-up.
type NewTenant struct {
	Slug  string // empty = made from the name
	Name  string
	Owner string // address of an existing user; empty = the caller, or nobody for the command line
	Plan  string // empty = [DefaultPlan]
}

// CreateTenant makes a tenant. It is for operators and the command line; others
// get theirs by [Accounts.SignUp]. The tenant is active at once.
func (a *Accounts) CreateTenant(ctx context.Context, c Caller, n NewTenant) (*Tenant, error) {
	c, err := requireOperator(c)
	if err != nil {
		return nil, err
	}
	tenant, err := a.filledTenant(n)
	if err != nil {
		return nil, err
	}
	err = a.write(ctx, "create a tenant", func(tx AccountWriter) error {
		if _, err := tx.Plan(ctx, tenant.Plan); err != nil {
			return noPlan(err, tenant.Plan)
		}
		owner := c.user
		if n.Owner != "" {
			if owner, err = userByAddress(ctx, tx, n.Owner); err != nil {
				return err
			}
		}
		return a.insertTenant(ctx, tx, c, tenant, owner, RoleOwner)
	})
	if err != nil {
		return nil, err
	}
	return tenant, nil
}

// filledTenant is an active tenant with what n leaves out filled in.
func (a *Accounts) filledTenant(n NewTenant) (*Tenant, error) {
	if n.Name == "" {
		n.Name = n.Slug
	}
	if n.Plan == "" {
		n.Plan = DefaultPlan
	}
	if n.Slug != "" {
		if err := ValidateSlug(n.Slug); err != nil {
			return nil, err
		}
	}
	if err := validateName("name", n.Name); err != nil {
		return nil, err
	}
	return &Tenant{Slug: n.Slug, Name: n.Name, Status: TenantActive, Plan: n.Plan, CreatedAt: a.now()}, nil
}

// AddTenant makes another tenant for somebody who is signed in, who owns it, on
// [DefaultPlan]; only slug and name of n count. It takes what a sign-up takes: an
// installation that is open to everybody, a confirmed address, and room in the
// budget of the network address. Operators need none of that.
func (a *Accounts) AddTenant(ctx context.Context, c Caller, n NewTenant) (*Tenant, error) {
	n.Owner, n.Plan = "", DefaultPlan
	switch {
	case c.kind == "":
		return nil, ErrUnauthenticated
	case c.kind != ActorUser:
		return nil, refusal(ErrForbidden, "person_needed", "only somebody who is signed in can own a tenant; a token belongs to one")
	case c.user.Operator:
		return a.CreateTenant(ctx, c, n)
	case a.opts.SignUp != SignUpOpen:
		return nil, refusal(ErrForbidden, "signup_closed", "tenants are made by the operator here; ask them for another one%s", a.askSupport())
	case !c.user.Verified():
		return nil, refusal(ErrForbidden, "email_unverified", "confirm your own address first: follow the link in the mail you got at sign-up")
	}
	tenant, err := a.filledTenant(n)
	if err != nil {
		return nil, err
	}
	// First without a budget: who may own no more does not spend that of their neighbours.
	if err := a.mayOwnMore(ctx, a.store, c.user); err != nil {
		return nil, err
	}
	if err := a.throttleSignUp(ctx, c.Meta); err != nil {
		return nil, err
	}
	err = a.write(ctx, "add a tenant", func(tx AccountWriter) error {
		if err := a.mayOwnMore(ctx, tx, c.user); err != nil {
			return err
		}
		return a.insertTenant(ctx, tx, c, tenant, c.user, RoleOwner)
	})
	if err != nil {
		return nil, err
	}
	return tenant, nil
}

// mayOwnMore bounds how many tenants a person owns, those that are being deleted
// included. Who was suspended does not go on under another name.
func (a *Accounts) mayOwnMore(ctx context.Context, r AccountReader, u *User) error {
	list, err := r.Memberships(ctx, u.ID)
	if err != nil {
		return err
	}
	owned := 0
	for _, m := range list {
		if m.Role != RoleOwner {
			continue
		}
		if m.Tenant.Status == TenantSuspended {
			return refusal(ErrForbidden, "tenant_suspended", "your tenant %s is suspended; until it is resumed you can add no other%s", m.Tenant.Slug, a.askSupport())
		}
		owned++
	}
	if owned >= a.opts.OwnedTenants {
		return refusal(ErrForbidden, "too_many_tenants", "you own %d tenants, and %d is the most; delete one, or hand one over to another owner", owned, a.opts.OwnedTenants)
	}
	return nil
}

func userByAddress(ctx context.Context, r AccountReader, address string) (*User, error) {
	email, err := NormalizeEmail(address)
	if err != nil {
		return nil, err
	}
	user, err := r.UserByEmail(ctx, email)
	return user, notFoundAs(err, "user")
}

// Tenant returns a tenant by id or slug.
func (a *Accounts) Tenant(ctx context.Context, c Caller, ref string) (*Tenant, error) {
	return a.Authorize(ctx, c, ref, ActTenantRead)
}

// Tenants lists tenants for an operator, by id; next is the cursor of the next
// page, empty at the end.
func (a *Accounts) Tenants(ctx context.Context, c Caller, f TenantFilter) (list []Tenant, next string, err error) {
	if _, err := requireOperator(c); err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	f.Limit = limit + 1
	list, err = a.store.Tenants(ctx, f)
	if err != nil {
		return nil, "", fmt.Errorf("list tenants: %w", err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// TenantPatch says what to change; nil leaves it.
type TenantPatch struct {
	Name       *string
	IfRevision int64 // only if it still has this revision, else [ErrChanged]; 0 = any
}

// UpdateTenant changes a tenant.
func (a *Accounts) UpdateTenant(ctx context.Context, c Caller, ref string, p TenantPatch) (*Tenant, error) {
	if p.Name != nil {
		if err := validateName("name", *p.Name); err != nil {
			return nil, err
		}
	}
	return a.changeTenant(ctx, c, ref, ActTenantWrite, "tenant.updated", func(_ AccountWriter, t *Tenant) error {
		if p.IfRevision != 0 && p.IfRevision != t.Revision {
			return changedMeanwhile("tenant")
		}
		if p.Name != nil {
			t.Name = *p.Name
		}
		return nil
	})
}

func changedMeanwhile(what string) error {
	return refusal(ErrChanged, "changed_meanwhile", "the %s was changed since you read it; read it again and repeat your change", what)
}

// SuspendTenant stops all traffic of a tenant within seconds. Its members can
// still sign in, read the reason and export. It is for operators.
func (a *Accounts) SuspendTenant(ctx context.Context, c Caller, ref, reason string) (*Tenant, error) {
	return a.operate(ctx, c, ref, "tenant.suspended", reason, func(t *Tenant) error {
		if t.Status == TenantClosing {
			return refusal(ErrConflict, "tenant_closing", "the tenant is being deleted; resume it first to suspend it")
		}
		t.Status, t.StatusReason = TenantSuspended, reason
		return nil
	})
}

// ResumeTenant undoes a suspension, or a deletion within its grace period. It is
// for operators; owners undo their own deletion with [Accounts.KeepTenant].
func (a *Accounts) ResumeTenant(ctx context.Context, c Caller, ref string) (*Tenant, error) {
	return a.operate(ctx, c, ref, "tenant.resumed", "", func(t *Tenant) error {
		if t.Status != TenantSuspended && t.Status != TenantClosing {
			return refusal(ErrConflict, "tenant_not_suspended", "the tenant is %s; there is nothing to resume", t.Status)
		}
		t.Status, t.StatusReason, t.PurgeAt = TenantActive, "", time.Time{}
		return nil
	})
}

func (a *Accounts) operate(ctx context.Context, c Caller, ref, action, reason string, change func(*Tenant) error) (*Tenant, error) {
	c, err := requireOperator(c)
	if err != nil {
		return nil, err
	}
	if printableText(reason, maxReasonBytes) != reason {
		return nil, &InvalidError{"reason", fmt.Sprintf("must be one line of at most %d characters", maxReasonBytes)}
	}
	return a.changeTenant(ctx, c, ref, ActTenantRead, action, func(_ AccountWriter, t *Tenant) error { return change(t) })
}

// DeleteTenant closes a tenant: its traffic stops within seconds, and after the
// grace period [Accounts.PurgeClosed] removes it. A suspended tenant can be
// closed by an operator only.
func (a *Accounts) DeleteTenant(ctx context.Context, c Caller, ref string) (*Tenant, error) {
	return a.changeTenant(ctx, c, ref, ActTenantDelete, "tenant.closing", func(_ AccountWriter, t *Tenant) error {
		if t.Status == TenantClosing {
			return refusal(ErrConflict, "tenant_closing", "the tenant is being deleted already; it is gone at %s", t.PurgeAt.Format(time.RFC3339))
		}
		if t.Status == TenantSuspended && !c.Operator() {
			return refusal(ErrForbidden, "tenant_suspended", "a suspended tenant is deleted by the operator of this installation%s", a.askSupport())
		}
		t.Status, t.StatusReason = TenantClosing, "deleted by "+string(c.kind)
		t.PurgeAt = a.now().Add(a.opts.DeleteGrace)
		return nil
	})
}

// KeepTenant calls a deletion off.
func (a *Accounts) KeepTenant(ctx context.Context, c Caller, ref string) (*Tenant, error) {
	return a.changeTenant(ctx, c, ref, ActTenantDelete, "tenant.kept", func(tx AccountWriter, t *Tenant) error {
		if t.Status != TenantClosing {
			return refusal(ErrConflict, "tenant_not_closing", "the tenant is %s, not being deleted; there is nothing to call off", t.Status)
		}
		verified, err := ownerVerified(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		t.Status, t.StatusReason, t.PurgeAt = TenantActive, "", time.Time{}
		if !verified { // closing and keeping must not be a way out of the sandbox
			t.Status = TenantUnverified
		}
		return nil
	})
}

// ownerVerified reports whether an owner's address is confirmed, or there is no
// owner: then the command line made the tenant.
func ownerVerified(ctx context.Context, r AccountReader, tenantID string) (bool, error) {
	members, err := r.Members(ctx, tenantID)
	if err != nil {
		return false, err
	}
	owners := 0
	for _, m := range members {
		if m.Role != RoleOwner {
			continue
		}
		owners++
		user, err := r.User(ctx, m.UserID)
		if err != nil {
			return false, err
		}
		if user.Verified() {
			return true, nil
		}
	}
	return owners == 0, nil
}

// SetPlan puts a tenant on another plan. What it uses beyond the new ceilings
// stays; only new use is refused. It is for operators.
func (a *Accounts) SetPlan(ctx context.Context, c Caller, ref, plan string) (*Tenant, error) {
	c, err := requireOperator(c)
	if err != nil {
		return nil, err
	}
	return a.changeTenant(ctx, c, ref, ActTenantRead, "tenant.plan_changed", func(tx AccountWriter, t *Tenant) error {
		if _, err := tx.Plan(ctx, plan); err != nil {
			return noPlan(err, plan)
		}
		t.Plan = plan
		return nil
	})
}

func (a *Accounts) changeTenant(ctx context.Context, c Caller, ref string, act Action, action string,
	change func(AccountWriter, *Tenant) error,
) (*Tenant, error) {
	var tenant *Tenant
	err := a.write(ctx, "change a tenant", func(tx AccountWriter) error {
		found, c, err := a.authorize(ctx, tx, c, ref, "", act)
		if err != nil {
			return err
		}
		before := *found
		if err := change(tx, found); err != nil {
			return err
		}
		tenant = found
		return a.updateTenant(ctx, tx, c, action, &before, found)
	})
	if err != nil {
		return nil, err
	}
	return tenant, nil
}

// updateTenant stores a changed tenant, has every node read its apps again, and
// notes the change.
func (a *Accounts) updateTenant(ctx context.Context, tx AccountWriter, c Caller, action string, before, after *Tenant) error {
	if err := tx.UpdateTenant(ctx, after); err != nil {
		return err
	}
	if _, err := tx.Changed(ctx, after.ID, ""); err != nil {
		return err
	}
	entry := c.entry(after.ID, action, "tenant", after.ID, a.now()).changed(before, after)
	return tx.InsertAudit(ctx, &entry)
}

// PurgeClosed removes every tenant whose grace period was over at now, and
// returns how many those were. Only hashes of its ids stay, so that nobody else
// ever gets them, and audit entries without a name in them.
func (a *Accounts) PurgeClosed(ctx context.Context, now time.Time) (int, error) {
	due, err := a.store.ClosedTenants(ctx, now)
	if err != nil {
		return 0, fmt.Errorf("find closed tenants: %w", err)
	}
	purged := 0
	for _, tenant := range due {
		removed := false
		err := a.write(ctx, "remove a tenant", func(tx AccountWriter) error {
			removed = false
			current, err := tx.Tenant(ctx, tenant.ID)
			if err != nil || current.Status != TenantClosing || current.PurgeAt.After(now) {
				return err // kept, or removed, by somebody else meanwhile
			}
			if _, err := tx.Changed(ctx, tenant.ID, ""); err != nil {
				return err
			}
			if err := tx.PurgeTenant(ctx, tenant.ID); err != nil {
				return err
			}
			removed = true
			entry := systemCaller().entry("", "tenant.purged", "tenant", Pseudonym(tenant.ID), now)
			return tx.InsertAudit(ctx, &entry)
		})
		if err != nil {
			return purged, err
		}
		if removed {
			purged++
		}
	}
	return purged, nil
}

// Pseudonym stands for an id in what outlives it: the same for the same id, and
// of no use to find it.
func Pseudonym(id string) string { return "gone_" + hashToken("tidewire pseudonym " + id)[:20] }

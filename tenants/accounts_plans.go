package tenants

import (
	"context"
	"errors"
	"fmt"
)

// Plans lists the newest version of every plan, by name.
func (a *Accounts) Plans(ctx context.Context, c Caller) ([]Plan, error) {
	if _, err := requireOperator(c); err != nil {
		return nil, err
	}
	list, err := a.store.Plans(ctx)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	return list, nil
}

// TenantPlan returns the plan in force for a tenant.
func (a *Accounts) TenantPlan(ctx context.Context, c Caller, tenantRef string) (*Plan, error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActTenantRead)
	if err != nil {
		return nil, err
	}
	plan, err := a.store.Plan(ctx, tenant.PlanInForce())
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return plan, nil
}

// ApplyPlans makes each plan the newest version of its name, unless it allows
// just what the present one does, and returns those that are new. All of them are
// applied or none. Their tenants feel it within a second; live connections stay.
func (a *Accounts) ApplyPlans(ctx context.Context, c Caller, plans []Plan) ([]Plan, error) {
	c, err := requireOperator(c)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		if err := p.Validate(); err != nil {
			return nil, err
		}
	}
	var applied []Plan
	err = a.write(ctx, "apply plans", func(tx AccountWriter) error {
		applied = []Plan{}
		for _, p := range plans {
			isNew, err := a.applyPlan(ctx, tx, c, &p)
			if err != nil {
				return err
			}
			if isNew {
				applied = append(applied, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

func (a *Accounts) applyPlan(ctx context.Context, tx AccountWriter, c Caller, p *Plan) (isNew bool, err error) {
	p.Version, p.CreatedAt = 1, a.now()
	before, err := tx.Plan(ctx, p.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		before = nil
	case err != nil:
		return false, err
	case before.SameCeilings(*p):
		return false, nil
	default:
		p.Version = before.Version + 1
	}
	if err := tx.InsertPlan(ctx, p); err != nil {
		return false, err
	}
	affected, err := tx.TenantsOnPlan(ctx, p.Name)
	if err != nil {
		return false, err
	}
	for _, tenant := range affected {
		if _, err := tx.Changed(ctx, tenant, ""); err != nil {
			return false, err
		}
	}
	entry := c.entry("", "plan.applied", "plan", p.Name, p.CreatedAt)
	if before == nil {
		entry = entry.changed(nil, p)
	} else {
		entry = entry.changed(before, p)
	}
	return true, tx.InsertAudit(ctx, &entry)
}

// noPlan says that a plan was named which does not exist.
func noPlan(err error, name string) error {
	if errors.Is(err, ErrNotFound) {
		return &InvalidError{"plan", quote(name) + " is no plan here; `platform plans list` shows those that are"}
	}
	return err
}

package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"tidewire/tenants"
)

type planRow struct {
	Name      string `gorm:"primaryKey"`
	Version   int64  `gorm:"primaryKey;autoIncrement:false"`
	IsCurrent bool
	Ceilings  string // a JSON object
	CreatedAt int64  `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (planRow) TableName() string { return "plans" }

func (r *planRow) plan() (tenants.Plan, error) {
	var p tenants.Plan
	if err := json.Unmarshal([]byte(r.Ceilings), &p); err != nil {
		return p, fmt.Errorf("plan %s: stored ceilings: %w", r.Name, err)
	}
	p.Name, p.Version, p.CreatedAt = r.Name, int(r.Version), timeOf(r.CreatedAt)
	return p, nil
}

// builtInPlan is the plan of that name that needs no row. A name that has
// neither gets the default plan's ceilings: nothing is without a bound.
func builtInPlan(name string) tenants.Plan {
	var standard tenants.Plan
	for _, p := range tenants.BuiltInPlans() {
		if p.Name == name {
			return p
		}
		if p.Name == tenants.DefaultPlan {
			standard = p
		}
	}
	return standard
}

func isBuiltIn(name string) bool {
	return slices.ContainsFunc(tenants.BuiltInPlans(), func(p tenants.Plan) bool { return p.Name == name })
}

// Plan implements [tenants.AccountReader].
func (q queries) Plan(ctx context.Context, name string) (*tenants.Plan, error) {
	var plan *tenants.Plan
	err := q.ask(ctx, "read a plan", func(db *gorm.DB) (err error) {
		plan, err = currentPlan(db, name)
		return err
	})
	return plan, err
}

func currentPlan(db *gorm.DB, name string) (*tenants.Plan, error) {
	var rows []planRow
	if err := db.Where("name = ? AND is_current", name).Limit(1).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read plan %s: %w", name, err)
	}
	if len(rows) > 0 {
		plan, err := rows[0].plan()
		return &plan, err
	}
	if !isBuiltIn(name) {
		return nil, gorm.ErrRecordNotFound
	}
	plan := builtInPlan(name)
	return &plan, nil
}

// planInForce is the plan a tenant's app gets.
func planInForce(tx *gorm.DB, row *tenantRow) (*tenants.Plan, error) {
	tenant, err := row.tenant()
	if err != nil {
		return nil, err
	}
	return currentPlan(tx, tenant.PlanInForce())
}

// Plans implements [tenants.AccountReader].
func (q queries) Plans(ctx context.Context) ([]tenants.Plan, error) {
	list, err := many(ctx, q, "list plans", "name", 0, (*planRow).plan, "is_current")
	if err != nil {
		return nil, err
	}
	for _, builtIn := range tenants.BuiltInPlans() {
		if !slices.ContainsFunc(list, func(p tenants.Plan) bool { return p.Name == builtIn.Name }) {
			list = append(list, builtIn)
		}
	}
	slices.SortFunc(list, func(a, b tenants.Plan) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// InsertPlan implements [tenants.AccountWriter].
func (t *accountTx) InsertPlan(ctx context.Context, p *tenants.Plan) error {
	ceilings, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode a plan: %w", err)
	}
	return t.ask(ctx, "store a plan", func(db *gorm.DB) error {
		if err := db.Model(&planRow{}).Where("name = ? AND is_current", p.Name).Update("is_current", false).Error; err != nil {
			return err
		}
		return db.Create(&planRow{
			Name: p.Name, Version: int64(p.Version), IsCurrent: true, Ceilings: string(ceilings), CreatedAt: p.CreatedAt.UnixMilli(),
		}).Error
	})
}

// TenantsOnPlan implements [tenants.AccountWriter]. Those that are unverified are
// on the sandbox plan, whatever they will be on later.
func (t *accountTx) TenantsOnPlan(ctx context.Context, name string) ([]string, error) {
	var ids []string
	err := t.ask(ctx, "find the tenants of a plan", func(db *gorm.DB) error {
		return db.Model(&tenantRow{}).Where("plan = ? AND status <> 'unverified' OR ? = ? AND status = 'unverified'",
			name, name, tenants.SandboxPlan).Order("id").Pluck("id", &ids).Error
	})
	return ids, err
}

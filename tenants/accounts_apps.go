package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// auditedApp is an app as the audit log shows it: no keys, no secrets.
type auditedApp struct {
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster"`
	Disabled bool     `json:"disabled"`
	Settings Settings `json:"settings"`
	Limits   Limits   `json:"limits"`
}

func audited(app *App) auditedApp {
	return auditedApp{app.Name, app.Cluster, app.Disabled, app.Settings, app.Limits}
}

// CreateApp makes an app with its first key, whose secret is in the answer. The
// tenant must exist; n.TenantSlug is not used.
func (a *Accounts) CreateApp(ctx context.Context, c Caller, tenantRef string, n NewApp) (*App, error) {
	n.TenantSlug = "x" // the rules ask for one; the tenant comes from tenantRef
	if err := n.Validate(); err != nil {
		return nil, err
	}
	n.Fill()
	var app *App
	err := a.write(ctx, "create an app", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActAppsWrite)
		if err != nil {
			return err
		}
		plan, err := a.checkNewApp(ctx, tx, tenant, *n.Limits)
		if err != nil {
			return err
		}
		app = newApp(tenant, plan, n, a.now())
		if err := tx.InsertApp(ctx, app); err != nil {
			return err
		}
		return a.appChanged(ctx, tx, c, "app.created", nil, app)
	})
	if err != nil {
		return nil, err
	}
	return app, nil
}

func (a *Accounts) checkNewApp(ctx context.Context, tx AccountReader, tenant *Tenant, limits Limits) (*Plan, error) {
	plan, err := tx.Plan(ctx, tenant.PlanInForce())
	if err != nil {
		return nil, err
	}
	if err := plan.check(DefaultLimits(), limits); err != nil {
		return nil, err
	}
	n, err := tx.CountApps(ctx, tenant.ID)
	if err != nil {
		return nil, err
	}
	return plan, room(plan, "max_apps", n, plan.Effective().MaxApps)
}

// appChanged has every node read the app again, and notes the change.
func (a *Accounts) appChanged(ctx context.Context, tx AccountWriter, c Caller, action string, before, after *App) error {
	version, err := tx.Changed(ctx, after.TenantID, after.ID)
	if err != nil {
		return err
	}
	after.Version = version
	entry := c.entry(after.TenantID, action, "app", string(after.ID), a.now())
	if before == nil {
		entry = entry.changed(nil, audited(after))
	} else {
		entry = entry.changed(audited(before), audited(after))
	}
	return tx.InsertAudit(ctx, &entry)
}

// App returns an app as it was set up, with its keys. Secrets are in it, for the
// caller's own use; no door shows them.
func (a *Accounts) App(ctx context.Context, c Caller, id AppID) (*App, error) {
	tenant, err := a.AuthorizeApp(ctx, c, id, ActAppsRead)
	if err != nil {
		return nil, err
	}
	app, err := a.store.App(ctx, tenant.ID, id)
	if err != nil {
		return nil, notFoundAs(err, "app")
	}
	return app, nil
}

// Apps lists the apps of a tenant by id, only those the caller's token may see. after is the id of the last app already seen, and next the same for
// the next page, empty at the end.
func (a *Accounts) Apps(ctx context.Context, c Caller, tenantRef string, after AppID, limit int) (list []*App, next AppID, err error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActAppsRead)
	if err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	list = []*App{}
	for len(list) <= limit {
		page, err := a.store.Apps(ctx, tenant.ID, after, maxPage+1)
		if err != nil {
			return nil, "", fmt.Errorf("list apps: %w", err)
		}
		for _, app := range page {
			if c.token == nil || c.token.sees(app.ID) {
				list = append(list, app)
			}
		}
		if len(page) <= maxPage {
			break
		}
		after = page[len(page)-1].ID
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// AppPatch says what to change; what is nil stays.
type AppPatch struct {
	Name       *string
	Disabled   *bool           // a disabled app's connections are closed within seconds
	Settings   json.RawMessage // merge patch (RFC 7396): null takes a value back to its default
	Limits     json.RawMessage // likewise
	IfRevision int64           // only if the app still has this revision, else [ErrChanged]; 0 = any
}

// UpdateApp changes an app. All of the patch is applied or none of it.
func (a *Accounts) UpdateApp(ctx context.Context, c Caller, id AppID, p AppPatch) (*App, error) {
	action := "app.updated"
	if p.Disabled != nil && p.Name == nil && p.Settings == nil && p.Limits == nil {
		action = "app.enabled"
		if *p.Disabled {
			action = "app.disabled"
		}
	}
	return a.changeApp(ctx, c, id, ActAppsWrite, func(tx AccountWriter, c Caller, app *App) error {
		if p.IfRevision != 0 && p.IfRevision != app.Revision {
			return changedMeanwhile("app")
		}
		before := *app
		if err := p.apply(app); err != nil {
			return err
		}
		if err := app.Plan.check(before.Limits, app.Limits); err != nil {
			return err
		}
		if err := tx.UpdateApp(ctx, app.TenantID, app); err != nil {
			return err
		}
		return a.appChanged(ctx, tx, c, action, &before, app)
	})
}

func (p *AppPatch) apply(app *App) (err error) {
	if p.Name != nil {
		if err := validateName("name", *p.Name); err != nil {
			return err
		}
		app.Name = *p.Name
	}
	if p.Disabled != nil {
		app.Disabled = *p.Disabled
	}
	if p.Settings != nil {
		app.Settings, err = PatchSettings(app.Settings, withDefaults(p.Settings, DefaultSettings()))
		if err != nil {
			return err
		}
	}
	if p.Limits != nil {
		app.Limits, err = PatchLimits(app.Limits, withDefaults(p.Limits, DefaultLimits()))
	}
	return err
}

// changeApp reads an app in a transaction, lets change do its work, and returns
// the app.
func (a *Accounts) changeApp(ctx context.Context, c Caller, id AppID, act Action, change func(AccountWriter, Caller, *App) error) (*App, error) {
	var app *App
	err := a.write(ctx, "change an app", func(tx AccountWriter) error {
		tenant, c, err := a.authorizeApp(ctx, tx, c, id, act)
		if err != nil {
			return err
		}
		if app, err = tx.App(ctx, tenant.ID, id); err != nil {
			return notFoundAs(err, "app")
		}
		return change(tx, c, app)
	})
	if err != nil {
		return nil, err
	}
	return app, nil
}

// DeleteApp removes an app, its keys and all that hangs on it. Its connections
// are closed within seconds; its id and keys are never given out again.
func (a *Accounts) DeleteApp(ctx context.Context, c Caller, id AppID) error {
	_, err := a.changeApp(ctx, c, id, ActAppsDelete, func(tx AccountWriter, c Caller, app *App) error {
		if err := tx.DeleteApp(ctx, app.TenantID, id); err != nil {
			return err
		}
		if _, err := tx.Changed(ctx, app.TenantID, id); err != nil {
			return err
		}
		entry := c.entry(app.TenantID, "app.deleted", "app", string(id), a.now()).changed(audited(app), nil)
		return tx.InsertAudit(ctx, &entry)
	})
	return err
}

// ProvisionApp makes an app for the tenant with the slug n.TenantSlug, and that
// tenant, active, if there is none; then tenantCreated is true. All of it happens
// or nothing. It is for the command line, which is not held to plans.
func (a *Accounts) ProvisionApp(ctx context.Context, c Caller, n NewApp) (app *App, tenantCreated bool, err error) {
	if c.kind != ActorCLI {
		return nil, false, refusal(ErrForbidden, "cli_only", "only the command line may do this")
	}
	if err := n.Validate(); err != nil {
		return nil, false, err
	}
	n.Fill()
	err = a.write(ctx, "create an app", func(tx AccountWriter) error {
		tenantCreated = false
		now := a.now()
		tenant, err := tx.Tenant(ctx, n.TenantSlug)
		if errors.Is(err, ErrNotFound) {
			tenantCreated = true
			tenant = &Tenant{Slug: n.TenantSlug, Name: n.TenantName, Status: TenantActive, Plan: DefaultPlan, CreatedAt: now}
			err = a.insertTenant(ctx, tx, c, tenant, nil, "")
		}
		if err != nil {
			return err
		}
		plan, err := tx.Plan(ctx, tenant.PlanInForce())
		if err != nil {
			return err
		}
		app = newApp(tenant, plan, n, now)
		if err := tx.InsertApp(ctx, app); err != nil {
			return err
		}
		return a.appChanged(ctx, tx, c, "app.created", nil, app)
	})
	if err != nil {
		return nil, false, err
	}
	return app, tenantCreated, nil
}

func newApp(tenant *Tenant, plan *Plan, n NewApp, now time.Time) *App {
	return &App{
		ID: n.ID, TenantID: tenant.ID, TenantSlug: tenant.Slug, TenantStatus: tenant.Status, Name: n.Name, Cluster: n.Cluster,
		Settings: *n.Settings, Limits: *n.Limits, Plan: *plan, CreatedAt: now,
		Keys: []Key{{Key: n.Key, Secret: n.Secret, Status: KeyActive, CreatedAt: now}},
	}
}

// AppLimits returns the limits in force of an app, for who may read its figures
// but perhaps not its settings.
func (a *Accounts) AppLimits(ctx context.Context, c Caller, id AppID) (Limits, error) {
	tenant, err := a.AuthorizeApp(ctx, c, id, ActStatsRead)
	if err != nil {
		return Limits{}, err
	}
	app, err := a.store.App(ctx, tenant.ID, id)
	if err != nil {
		return Limits{}, notFoundAs(err, "app")
	}
	return app.Plan.Lower(app.Limits).Effective(), nil
}

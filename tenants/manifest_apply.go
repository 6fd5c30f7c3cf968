package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// ManifestChange is one difference between a manifest and what there is. It
// never holds a secret.
type ManifestChange struct {
	Action string `json:"action"` // create, update or revoke
	Kind   string `json:"kind"`   // plan, tenant, app, key or webhook
	Ref    string `json:"ref"`    // name, slug, id, key or address
	Name   string `json:"name,omitempty"`
	Field  string `json:"field,omitempty"` // of an update
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
}

// MadeKey is a key that had to be made, because the manifest named none.
type MadeKey struct {
	App    AppID
	Key    string
	Secret Secret
}

// ManifestResult is what applying a manifest did, or would do.
type ManifestResult struct {
	Changes []ManifestChange
	Made    []MadeKey // empty after a dry run
}

// ManifestPart is what another floor keeps of an app that a manifest names. It is
// called once the app is as the manifest says, in the transaction, and tells what
// it would change; an error takes everything back. It must not write: nobody can
// before the transaction has ended.
type ManifestPart func(ctx context.Context, app *App, a ManifestApp) ([]ManifestChange, error)

// errDryRun takes a transaction back that was run to see what it would do.
var errDryRun = errors.New("dry run")

// ApplyManifest makes an installation hold what m says. All of it happens, or
// nothing: an id or key that belongs to somebody else, or a secret that differs
// from the stored one, refuses the whole. Applied twice, the second time changes
// nothing. A dry run does all of it and takes it back. It is for the command
// line, which is not held to plans. part may be nil.
func (a *Accounts) ApplyManifest(ctx context.Context, c Caller, m Manifest, part ManifestPart, dryRun bool) (*ManifestResult, error) {
	if c.kind != ActorCLI {
		return nil, refusal(ErrForbidden, "cli_only", "only the command line may do this")
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	var run *manifestRun
	err := a.store.WriteBulk(ctx, func(tx AccountWriter) error {
		run = &manifestRun{Accounts: a, tx: tx, caller: c, part: part, result: &ManifestResult{Changes: []ManifestChange{}}}
		if err := run.all(ctx, m); err != nil {
			return err
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		run.result.Made, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return run.result, nil
}

// manifestRun is one transaction that applies a manifest.
type manifestRun struct {
	*Accounts
	tx     AccountWriter
	caller Caller
	part   ManifestPart
	result *ManifestResult
}

func (r *manifestRun) note(c ManifestChange) { r.result.Changes = append(r.result.Changes, c) }

func (r *manifestRun) all(ctx context.Context, m Manifest) error {
	for _, p := range m.Plans {
		before, err := r.tx.Plan(ctx, p.Name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		isNew, err := r.applyPlan(ctx, r.tx, r.caller, &p)
		if err != nil {
			return err
		}
		switch {
		case isNew && before == nil:
			r.note(ManifestChange{Action: "create", Kind: "plan", Ref: p.Name})
		case isNew:
			r.planChanges(before, &p)
		}
	}
	for _, t := range m.Tenants {
		if err := r.tenant(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (r *manifestRun) planChanges(before, after *Plan) {
	was := before.fields()
	for i, f := range after.fields() {
		if *f.value != *was[i].value {
			r.note(ManifestChange{
				Action: "update", Kind: "plan", Ref: after.Name, Field: f.name,
				From: strconv.Itoa(*was[i].value), To: strconv.Itoa(*f.value),
			})
		}
	}
}

func (r *manifestRun) tenant(ctx context.Context, t ManifestTenant) error {
	tenant, err := r.tx.Tenant(ctx, t.Slug)
	switch {
	case errors.Is(err, ErrNotFound):
		tenant, err = r.newTenant(ctx, t)
	case err == nil:
		err = r.changeTenant(ctx, tenant, t)
	}
	if err != nil {
		return err
	}
	known, err := r.knownApps(ctx, tenant)
	if err != nil {
		return err
	}
	before := len(r.result.Changes)
	for _, app := range t.Apps {
		if err := r.app(ctx, tenant, known, app); err != nil {
			return fmt.Errorf("app %q of tenant %s: %w", app.Name, t.Slug, err)
		}
	}
	if len(r.result.Changes) == before {
		return nil
	}
	// Once for all of them: every node reads the tenant's apps again.
	_, err = r.tx.Changed(ctx, tenant.ID, "")
	return err
}

func (r *manifestRun) newTenant(ctx context.Context, t ManifestTenant) (*Tenant, error) {
	tenant := &Tenant{
		Slug: t.Slug, Name: t.Name, Status: TenantActive, StatusReason: t.StatusReason, Plan: t.Plan, CreatedAt: r.now(),
	}
	if tenant.Name == "" {
		tenant.Name = t.Slug
	}
	if tenant.Plan == "" {
		tenant.Plan = DefaultPlan
	}
	if t.Status != "" {
		tenant.Status = t.Status
	}
	if _, err := r.tx.Plan(ctx, tenant.Plan); err != nil {
		return nil, noPlan(err, tenant.Plan)
	}
	r.note(ManifestChange{Action: "create", Kind: "tenant", Ref: t.Slug, Name: tenant.Name})
	return tenant, r.insertTenant(ctx, r.tx, r.caller, tenant, nil, "")
}

func (r *manifestRun) changeTenant(ctx context.Context, tenant *Tenant, t ManifestTenant) error {
	before := *tenant
	if t.Name != "" {
		tenant.Name = t.Name
	}
	if t.Plan != "" && t.Plan != tenant.Plan {
		if _, err := r.tx.Plan(ctx, t.Plan); err != nil {
			return noPlan(err, t.Plan)
		}
		tenant.Plan = t.Plan
	}
	if t.Status != "" && tenant.Status != TenantUnverified {
		if tenant.Status == TenantClosing {
			return refusal(ErrConflict, "tenant_closing", "tenant %s is being deleted; resume it first, or take it out of the file", t.Slug)
		}
		tenant.Status, tenant.StatusReason = t.Status, t.StatusReason
	}
	changed := false
	for _, f := range []struct{ field, from, to string }{
		{"name", before.Name, tenant.Name},
		{"plan", before.Plan, tenant.Plan},
		{"status", string(before.Status), string(tenant.Status)},
		{"status_reason", before.StatusReason, tenant.StatusReason},
	} {
		if f.from != f.to {
			changed = true
			r.note(ManifestChange{Action: "update", Kind: "tenant", Ref: t.Slug, Field: f.field, From: f.from, To: f.to})
		}
	}
	if !changed {
		return nil
	}
	return r.updateTenant(ctx, r.tx, r.caller, "tenant.updated", &before, tenant)
}

// tenantApps are the apps a tenant has, by what a manifest may call them.
type tenantApps struct {
	byID   map[AppID]*App
	byKey  map[string]*App
	byName map[string][]*App
}

func (r *manifestRun) knownApps(ctx context.Context, tenant *Tenant) (tenantApps, error) {
	known := tenantApps{map[AppID]*App{}, map[string]*App{}, map[string][]*App{}}
	var after AppID
	for {
		page, err := r.tx.Apps(ctx, tenant.ID, after, maxPage)
		if err != nil {
			return known, err
		}
		for _, app := range page {
			known.byID[app.ID] = app
			known.byName[app.Name] = append(known.byName[app.Name], app)
			for _, k := range app.Keys {
				known.byKey[k.Key] = app
			}
		}
		if len(page) < maxPage {
			return known, nil
		}
		after = page[len(page)-1].ID
	}
}

func (k tenantApps) find(a ManifestApp) (*App, error) {
	if a.ID != "" {
		return k.byID[a.ID], nil
	}
	if len(a.Keys) > 0 {
		return k.byKey[a.Keys[0].Key], nil
	}
	found := k.byName[a.Name]
	if len(found) > 1 {
		return nil, &InvalidError{"id", fmt.Sprintf("must be given: the tenant has %d apps of that name", len(found))}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

func (r *manifestRun) app(ctx context.Context, tenant *Tenant, known tenantApps, a ManifestApp) error {
	app, err := known.find(a)
	if err != nil {
		return err
	}
	if app == nil {
		app, err = r.newApp(ctx, tenant, a)
	} else {
		err = r.changeApp(ctx, tenant, app, a)
	}
	if err != nil || r.part == nil {
		return err
	}
	changes, err := r.part(ctx, app, a)
	r.result.Changes = append(r.result.Changes, changes...)
	return err
}

func (r *manifestRun) changeApp(ctx context.Context, tenant *Tenant, app *App, a ManifestApp) error {
	before := *app
	after := *app
	patch := AppPatch{Name: &a.Name, Disabled: a.Disabled, Settings: a.Settings, Limits: a.Limits}
	if err := patch.apply(&after); err != nil {
		return err
	}
	if changes := appChanges(&before, &after); len(changes) > 0 {
		r.result.Changes = append(r.result.Changes, changes...)
		if err := r.tx.UpdateApp(ctx, tenant.ID, &after); err != nil {
			return err
		}
		entry := r.caller.entry(tenant.ID, "app.updated", "app", string(app.ID), r.now()).changed(audited(&before), audited(&after))
		if err := r.tx.InsertAudit(ctx, &entry); err != nil {
			return err
		}
	}
	for _, k := range a.Keys {
		if err := r.key(ctx, &after, k); err != nil {
			return err
		}
	}
	return nil
}

// appChanges lists what differs, setting by setting.
func appChanges(before, after *App) []ManifestChange {
	var list []ManifestChange
	add := func(field, from, to string) {
		if from != to {
			list = append(list, ManifestChange{
				Action: "update", Kind: "app", Ref: string(after.ID), Name: after.Name, Field: field, From: from, To: to,
			})
		}
	}
	add("name", before.Name, after.Name)
	add("disabled", strconv.FormatBool(before.Disabled), strconv.FormatBool(after.Disabled))
	for _, part := range []struct {
		name      string
		was, will any
	}{{"settings", before.Settings, after.Settings}, {"limits", before.Limits, after.Limits}} {
		was, will := jsonFields(part.was), jsonFields(part.will)
		names := make([]string, 0, len(will))
		for name := range will {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			add(part.name+"."+name, string(was[name]), string(will[name]))
		}
	}
	if !sameIssuerSecrets(before.Settings.JWT, after.Settings.JWT) {
		add("settings.jwt.issuers", "secrets", "other secrets")
	}
	return list
}

func sameIssuerSecrets(a, b JWTSettings) bool {
	return slices.EqualFunc(a.Issuers, b.Issuers, func(x, y JWTIssuer) bool { return x.Secret.Reveal() == y.Secret.Reveal() })
}

func jsonFields(v any) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	if raw, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(raw, &fields)
	}
	return fields
}

func (r *manifestRun) newApp(ctx context.Context, tenant *Tenant, a ManifestApp) (*App, error) {
	n := NewApp{TenantSlug: tenant.Slug, Name: a.Name, Cluster: a.Cluster, ID: a.ID}
	n.Fill()
	now := r.now()
	app := newApp(tenant, &Plan{}, n, now)
	patch := AppPatch{Disabled: a.Disabled, Settings: a.Settings, Limits: a.Limits}
	if err := patch.apply(app); err != nil {
		return nil, err
	}
	if len(a.Keys) > 0 {
		app.Keys = nil
	}
	for _, k := range a.Keys {
		if k.Status == KeyRevoked {
			continue
		}
		key, err := k.fresh(now)
		if err != nil {
			return nil, err
		}
		app.Keys = append(app.Keys, *key)
	}
	if err := r.tx.InsertApp(ctx, app); err != nil {
		return nil, err
	}
	if len(a.Keys) == 0 {
		r.result.Made = append(r.result.Made, MadeKey{app.ID, app.Keys[0].Key, app.Keys[0].Secret})
	}
	r.note(ManifestChange{Action: "create", Kind: "app", Ref: string(app.ID), Name: app.Name})
	entry := r.caller.entry(tenant.ID, "app.created", "app", string(app.ID), now).changed(nil, audited(app))
	return app, r.tx.InsertAudit(ctx, &entry)
}

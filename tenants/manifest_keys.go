package tenants

import (
	"context"
	"time"
)

// fresh is the key as it is stored for the first time.
func (k ManifestKey) fresh(now time.Time) (*Key, error) {
	if k.Secret.IsZero() {
		return nil, &InvalidError{"keys." + k.Key + ".secret", "must be given: the key does not exist here yet"}
	}
	key := &Key{Key: k.Key, Secret: k.Secret, Status: KeyActive, CreatedAt: now}
	if k.Status == KeyRetiring {
		key.Status, key.RetiresAt = KeyRetiring, k.RetiresAt
	}
	return key, nil
}

// key makes one key of an app what the manifest says. The secret of a key never
// changes: a new secret is a new key, so that both can work for a while.
func (r *manifestRun) key(ctx context.Context, app *App, k ManifestKey) error {
	stored, err := findKey(app, k.Key)
	if err != nil {
		return r.newKey(ctx, app, k)
	}
	switch {
	case k.Status == KeyRevoked && stored.Status == KeyRevoked:
		return nil
	case k.Status == KeyRevoked:
		r.note(ManifestChange{Action: "revoke", Kind: "key", Ref: k.Key})
		return r.revokeKey(ctx, r.tx, r.caller, app, stored)
	case stored.Status == KeyRevoked:
		return refusal(ErrConflict, "key_revoked", "key %s is revoked, and a revoked key stays so: mark it revoked in the file, or take it out", k.Key)
	case !k.Secret.IsZero() && k.Secret.Reveal() != stored.Secret.Reveal():
		return refusal(ErrConflict, "secret_differs",
			"key %s has another secret here: a key's secret never changes; give the file the stored one, or a key of another name", k.Key)
	}
	return nil
}

func (r *manifestRun) newKey(ctx context.Context, app *App, k ManifestKey) error {
	if k.Status == KeyRevoked {
		return nil // it is not there, which is what was wanted
	}
	key, err := k.fresh(r.now())
	if err != nil {
		return err
	}
	usable := 0
	for i := range app.Keys {
		if app.Keys[i].usable() {
			usable++
		}
	}
	if usable >= maxUsableKeys {
		return refusal(ErrConflict, "too_many_keys", "an app has at most %d keys in use; revoke one first", maxUsableKeys)
	}
	if err := r.tx.InsertKey(ctx, app.TenantID, app.ID, key); err != nil {
		return err
	}
	app.Keys = append(app.Keys, *key)
	r.note(ManifestChange{Action: "create", Kind: "key", Ref: k.Key})
	return r.keyChanged(ctx, r.tx, r.caller, app, "key.created", nil, key)
}

// ExportManifest is the manifest of what there is: of one tenant, or of all when
// slug is empty, with the plans they are on that are not built in. Secrets are in
// it, for the caller to show or to leave out. It is for the command line.
func (a *Accounts) ExportManifest(ctx context.Context, c Caller, slug string) (*Manifest, error) {
	if c.kind != ActorCLI {
		return nil, refusal(ErrForbidden, "cli_only", "only the command line may do this")
	}
	m := &Manifest{}
	list, err := a.manifestTenants(ctx, c, slug)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{SandboxPlan: slug == ""}
	for _, tenant := range list {
		used[tenant.Plan] = true
		one := ManifestTenant{Slug: tenant.Slug, Name: tenant.Name, Plan: tenant.Plan}
		if tenant.Status == TenantSuspended {
			one.Status, one.StatusReason = tenant.Status, tenant.StatusReason
		}
		if one.Apps, err = a.manifestApps(ctx, tenant.ID); err != nil {
			return nil, err
		}
		m.Tenants = append(m.Tenants, one)
	}
	plans, err := a.store.Plans(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		if !p.CreatedAt.IsZero() && (slug == "" || used[p.Name]) { // zero = built in
			m.Plans = append(m.Plans, p)
		}
	}
	return m, nil
}

func (a *Accounts) manifestTenants(ctx context.Context, c Caller, slug string) ([]Tenant, error) {
	if slug != "" {
		tenant, err := a.store.Tenant(ctx, slug)
		if err != nil {
			return nil, err
		}
		return []Tenant{*tenant}, nil
	}
	var all []Tenant
	for cursor := ""; ; {
		page, next, err := a.Tenants(ctx, c, TenantFilter{Limit: maxPage, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			if t.Status != TenantClosing {
				all = append(all, t)
			}
		}
		if next == "" {
			return all, nil
		}
		cursor = next
	}
}

func (a *Accounts) manifestApps(ctx context.Context, tenantID string) ([]ManifestApp, error) {
	var list []ManifestApp
	var after AppID
	for {
		page, err := a.store.Apps(ctx, tenantID, after, maxPage)
		if err != nil {
			return nil, err
		}
		for _, app := range page {
			settings, err := app.Settings.manifestJSON()
			if err != nil {
				return nil, err
			}
			limits, err := differences(app.Limits, DefaultLimits())
			if err != nil {
				return nil, err
			}
			one := ManifestApp{ID: app.ID, Name: app.Name, Cluster: app.Cluster, Disabled: &app.Disabled, Settings: settings, Limits: limits}
			for _, k := range app.Keys {
				if k.usable() {
					one.Keys = append(one.Keys, ManifestKey{Key: k.Key, Secret: k.Secret, Status: k.Status, RetiresAt: k.RetiresAt})
				}
			}
			list = append(list, one)
		}
		if len(page) < maxPage {
			return list, nil
		}
		after = page[len(page)-1].ID
	}
}

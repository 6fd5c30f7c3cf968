package adminapi

import (
	"encoding/json"
	"time"

	"tidewire/tenants"
)

func (a *API) appRoutes() []Route {
	return []Route{
		ofTenant("apps.list", get, "/apps", tenants.ActAppsRead, 200, "The apps of a tenant").with(nil, appView{}, a.apps).list(),
		ofTenant("apps.create", post, "/apps", tenants.ActAppsWrite, 201, "Make an app with a first key; the secret is shown this once").with(newAppBody{}, newAppView{}, a.createApp).revised(),
		ofApp("apps.get", get, "", tenants.ActAppsRead, 200, "An app").with(nil, appView{}, a.app).revised(),
		ofApp("apps.update", patch, "", tenants.ActAppsWrite, 200, "Change an app; settings and limits are merge patches").with(appPatchBody{}, appView{}, a.updateApp).revised(),
		ofApp("apps.disable", post, "/disable", tenants.ActAppsWrite, 200, "Stop an app; its connections are closed within seconds").with(nil, appView{}, a.disableApp).revised(),
		ofApp("apps.enable", post, "/enable", tenants.ActAppsWrite, 200, "Start a stopped app").with(nil, appView{}, a.enableApp).revised(),
		ofApp("apps.delete", del, "", tenants.ActAppsDelete, 204, "Delete an app and all that hangs on it; its id and keys are never given out again").with(nil, nil, a.deleteApp),
	}
}

// appView is an app as the API shows it.
type appView struct {
	ID            tenants.AppID    `json:"id"`
	TenantID      string           `json:"tenant_id"`
	Tenant        string           `json:"tenant"` // its slug
	Name          string           `json:"name"`
	Cluster       string           `json:"cluster"` // a label, fixed at creation
	Disabled      bool             `json:"disabled"`
	Serving       bool             `json:"serving"` // false while it is disabled, or its tenant suspended or closing
	Keys          []tenants.Key    `json:"keys"`    // oldest first
	Settings      tenants.Settings `json:"settings"`
	Limits        tenants.Limits   `json:"limits"`          // as set; 0 = the ceiling
	LimitsInForce tenants.Limits   `json:"limits_in_force"` // lowered to what the plan allows
	Plan          string           `json:"plan"`            // in force; what it bounds is shared by the apps of the tenant
	ConfigVersion int64            `json:"config_version"`  // grows with every change of this installation; nodes have it within a second
	Revision      int64            `json:"revision"`        // of name, state, settings and limits; the ETag
	CreatedAt     time.Time        `json:"created_at"`
}

func viewApp(app *tenants.App) appView {
	v := appView{
		ID: app.ID, TenantID: app.TenantID, Tenant: app.TenantSlug, Name: app.Name, Cluster: app.Cluster,
		Disabled: app.Disabled, Serving: app.Serving(), Keys: app.Keys, Settings: app.Settings, Limits: app.Limits,
		LimitsInForce: app.Plan.Lower(app.Limits).Effective(), Plan: app.Plan.Name,
		ConfigVersion: app.Version, Revision: app.Revision, CreatedAt: app.CreatedAt,
	}
	if v.Keys == nil {
		v.Keys = []tenants.Key{}
	}
	return v
}

func appReply(app *tenants.App, err error) (*Reply, error) {
	if err != nil {
		return nil, err
	}
	return &Reply{Body: viewApp(app), Revision: app.Revision}, nil
}

func (a *API) apps(r *Request) (*Reply, error) {
	list, next, err := a.cfg.Accounts.Apps(r.Context(), r.Caller, r.Tenant.ID, tenants.AppID(r.After), r.Limit)
	if err != nil {
		return nil, err
	}
	views := make([]appView, len(list))
	for i, app := range list {
		views[i] = viewApp(app)
	}
	return NewPage(r, views, string(next)), nil
}

type newAppBody struct {
	Name     string          `json:"name" api:"required"`
	Cluster  string          `json:"cluster"`                // a label such as "eu"; left out: "main"
	Key      string          `json:"key"`                    // to bring one along from elsewhere; left out: made
	Secret   string          `json:"secret"`                 // of that key
	Settings json.RawMessage `json:"settings" as:"settings"` // what is left out has its default
	Limits   json.RawMessage `json:"limits" as:"limits"`     // likewise
}

// newAppView is appView with what is needed to use the app at once.
type newAppView struct {
	appView
	Key    string `json:"key"`
	Secret string `json:"secret"` // shown this once
}

func (a *API) createApp(r *Request) (*Reply, error) {
	var in newAppBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	n := tenants.NewApp{Name: in.Name, Cluster: in.Cluster, Key: in.Key, Secret: tenants.NewSecret(in.Secret)}
	if in.Settings != nil {
		settings, err := tenants.ParseSettings(in.Settings)
		if err != nil {
			return nil, err
		}
		n.Settings = &settings
	}
	if in.Limits != nil {
		limits, err := tenants.ParseLimits(in.Limits)
		if err != nil {
			return nil, err
		}
		n.Limits = &limits
	}
	app, err := a.cfg.Accounts.CreateApp(r.Context(), r.Caller, r.Tenant.ID, n)
	if err != nil {
		return nil, err
	}
	key := app.Keys[0]
	return &Reply{
		Body: newAppView{viewApp(app), key.Key, key.Secret.Reveal()}, Revision: app.Revision, Location: v1 + "/apps/" + string(app.ID),
	}, nil
}

func (a *API) app(r *Request) (*Reply, error) {
	return appReply(a.cfg.Accounts.App(r.Context(), r.Caller, r.App()))
}

type appPatchBody struct {
	Name     *string         `json:"name"`
	Disabled *bool           `json:"disabled"`
	Settings json.RawMessage `json:"settings" as:"settings"` // merge patch: null takes a value back to its default
	Limits   json.RawMessage `json:"limits" as:"limits"`     // likewise
}

func (a *API) updateApp(r *Request) (*Reply, error) {
	var in appPatchBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return appReply(a.cfg.Accounts.UpdateApp(r.Context(), r.Caller, r.App(), tenants.AppPatch{
		Name: in.Name, Disabled: in.Disabled, Settings: in.Settings, Limits: in.Limits, IfRevision: r.IfRevision,
	}))
}

func (a *API) disableApp(r *Request) (*Reply, error) { return a.setDisabled(r, true) }
func (a *API) enableApp(r *Request) (*Reply, error)  { return a.setDisabled(r, false) }

func (a *API) setDisabled(r *Request, disabled bool) (*Reply, error) {
	return appReply(a.cfg.Accounts.UpdateApp(r.Context(), r.Caller, r.App(), tenants.AppPatch{Disabled: &disabled, IfRevision: r.IfRevision}))
}

func (a *API) deleteApp(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.DeleteApp(r.Context(), r.Caller, r.App())
}

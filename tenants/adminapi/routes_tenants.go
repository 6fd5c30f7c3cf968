package adminapi

import (
	"io"
	"time"

	"tidewire/tenants"
)

func (a *API) tenantRoutes() []Route {
	return []Route{
		row("tenants.list", get, "/tenants", SignedIn, 200, "The tenants the caller belongs to").with(nil, tenants.Membership{}, a.tenantList).list(),
		row("tenants.create", post, "/tenants", Person, 201, "Add a tenant and own it, where everybody may sign up").with(addTenantBody{}, tenants.Tenant{}, a.addTenant).revised(),
		ofTenant("tenants.get", get, "", tenants.ActTenantRead, 200, "A tenant, by id or slug").with(nil, tenants.Tenant{}, a.tenant).revised(),
		ofTenant("tenants.update", patch, "", tenants.ActTenantWrite, 200, "Rename a tenant").with(tenantPatchBody{}, tenants.Tenant{}, a.updateTenant).revised(),
		ofTenant("tenants.delete", del, "", tenants.ActTenantDelete, 202, "Close a tenant; after the grace period nothing of it remains").with(nil, tenants.Tenant{}, a.deleteTenant),
		ofTenant("tenants.undelete", post, "/undelete", tenants.ActTenantDelete, 200, "Call a deletion off").with(nil, tenants.Tenant{}, a.keepTenant),
		ofTenant("tenants.export", get, "/export", tenants.ActTenantExport, 200, "Everything a tenant has, as one JSON object; no secrets").with(nil, nil, a.exportTenant),
		ofTenant("tenants.plan", get, "/plan", tenants.ActTenantRead, 200, "The plan in force").with(nil, tenants.Plan{}, a.tenantPlan),
		ofTenant("audit.list", get, "/audit-log", tenants.ActAuditRead, 200, "Who changed what, the newest first").with(nil, tenants.AuditEntry{}, a.auditLog).list(auditParams...),
		ofTenant("audit.export", get, "/audit-log/export", tenants.ActAuditRead, 200, "The same as one JSON object a line").with(nil, nil, a.exportAudit).asks(auditParams...),
	}
}

func (a *API) tenantList(r *Request) (*Reply, error) {
	list, err := a.memberships(r)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(m *tenants.Membership) string { return m.Tenant.ID }), nil
}

// tenantReply answers a tenant.
func tenantReply(t *tenants.Tenant, err error) (*Reply, error) {
	if err != nil {
		return nil, err
	}
	return &Reply{Body: t, Revision: t.Revision}, nil
}

func (a *API) tenant(r *Request) (*Reply, error) { return tenantReply(r.Tenant, nil) }

type addTenantBody struct {
	Name string `json:"name"` // left out: the slug
	Slug string `json:"slug"` // left out: made from the name
}

func (a *API) addTenant(r *Request) (*Reply, error) {
	var in addTenantBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	made, err := a.cfg.Accounts.AddTenant(r.Context(), r.Caller, tenants.NewTenant{Name: in.Name, Slug: in.Slug})
	if err != nil {
		return nil, err
	}
	return &Reply{Body: made, Revision: made.Revision, Location: v1 + "/tenants/" + made.ID}, nil
}

type tenantPatchBody struct {
	Name string `json:"name" api:"required"`
}

func (a *API) updateTenant(r *Request) (*Reply, error) {
	var in tenantPatchBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return tenantReply(a.cfg.Accounts.UpdateTenant(r.Context(), r.Caller, r.Tenant.ID, tenants.TenantPatch{Name: &in.Name, IfRevision: r.IfRevision}))
}

func (a *API) deleteTenant(r *Request) (*Reply, error) {
	return tenantReply(a.cfg.Accounts.DeleteTenant(r.Context(), r.Caller, r.Tenant.ID))
}

func (a *API) keepTenant(r *Request) (*Reply, error) {
	return tenantReply(a.cfg.Accounts.KeepTenant(r.Context(), r.Caller, r.Tenant.ID))
}

func (a *API) exportTenant(r *Request) (*Reply, error) {
	return &Reply{Stream: &Stream{
		Type: "application/json", File: r.Tenant.Slug + ".json",
		Write: func(w io.Writer) error {
			return a.cfg.Accounts.Export(r.Context(), r.Caller, r.Tenant.ID, w, a.cfg.Export...)
		},
	}}, nil
}

func (a *API) tenantPlan(r *Request) (*Reply, error) {
	plan, err := a.cfg.Accounts.TenantPlan(r.Context(), r.Caller, r.Tenant.ID)
	return &Reply{Body: plan}, err
}

var auditParams = []Param{
	{"actor_id", "the id of the user or token that did it"},
	{"action", `what was done, such as "key.rotated"; a prefix that ends in a dot, such as "key.", matches all below it`},
	{"target_id", "the id of the thing it was done to"},
	{"from", "not before this time"},
	{"to", "before this time"},
}

func auditFilter(r *Request) (f tenants.AuditFilter, err error) {
	f = tenants.AuditFilter{
		ActorID: r.Query("actor_id"), Action: r.Query("action"), TargetID: r.Query("target_id"), Cursor: r.After, Limit: r.Limit,
	}
	if f.From, err = r.time("from", time.Time{}); err != nil {
		return f, err
	}
	f.To, err = r.time("to", time.Time{})
	return f, err
}

// time is a query parameter that is a time.
func (r *Request) time(name string, otherwise time.Time) (time.Time, error) {
	text := r.Query(name)
	if text == "" {
		return otherwise, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, badParam(name, `must be a time such as "2030-01-31T12:00:00Z"`)
	}
	return at.UTC(), nil
}

func (a *API) auditLog(r *Request) (*Reply, error) {
	f, err := auditFilter(r)
	if err != nil {
		return nil, err
	}
	list, next, err := a.cfg.Accounts.AuditLog(r.Context(), r.Caller, r.Tenant.ID, f)
	if err != nil {
		return nil, err
	}
	return NewPage(r, list, next), nil
}

func (a *API) exportAudit(r *Request) (*Reply, error) {
	f, err := auditFilter(r)
	if err != nil {
		return nil, err
	}
	return &Reply{Stream: &Stream{
		Type: "application/x-ndjson", File: r.Tenant.Slug + "-audit-log.ndjson",
		Write: func(w io.Writer) error {
			return a.cfg.Accounts.ExportAudit(r.Context(), r.Caller, r.Tenant.ID, f, w)
		},
	}}, nil
}

package adminapi

import (
	"encoding/json"
	"time"

	"tidewire/tenants"
)

func (a *API) operatorRoutes() []Route {
	of := func(name, method, path string, status int, summary string) Route {
		return row("operator."+name, method, "/operator"+path, ByOperator, status, summary)
	}
	return []Route{
		of("tenants.list", get, "/tenants", 200, "Every tenant").with(nil, tenants.Tenant{}, a.allTenants).
			list(Param{"status", "unverified, active, suspended or closing"}, Param{"query", "a part of the slug"}),
		of("tenants.create", post, "/tenants", 201, "Make a tenant").with(newTenantBody{}, tenants.Tenant{}, a.createTenant),
		of("tenants.get", get, "/tenants/{tenant}", 200, "A tenant, by id or slug").with(nil, tenants.Tenant{}, a.anyTenant),
		of("tenants.suspend", post, "/tenants/{tenant}/suspend", 200, "Stop all traffic of a tenant within seconds").with(reasonBody{}, tenants.Tenant{}, a.suspendTenant),
		of("tenants.resume", post, "/tenants/{tenant}/resume", 200, "Undo a suspension, or a deletion within its grace period").with(nil, tenants.Tenant{}, a.resumeTenant),
		of("tenants.set_plan", put, "/tenants/{tenant}/plan", 200, "Put a tenant on another plan").with(planNameBody{}, tenants.Tenant{}, a.setPlan),
		of("tenants.delete", del, "/tenants/{tenant}", 202, "Close a tenant").with(nil, tenants.Tenant{}, a.operatorDelete),
		of("users.create", post, "/users", 201, "Make an account; its owner sets a password by POST /password-reset").with(newUserBody{}, tenants.User{}, a.createUser),
		of("plans.list", get, "/plans", 200, "The newest version of every plan").with(nil, tenants.Plan{}, a.plans).list(),
		of("plans.apply", put, "/plans", 200, "Make new versions of plans; what changes nothing makes none").with(plansBody{}, appliedView{}, a.applyPlans),
		of("usage", get, "/usage", 200, "What each tenant used, the most first").with(nil, operatorUsageView{}, a.operatorUsage).
			asks(Param{"from", "the first moment; 24 hours before to if left out"}, Param{"to", "the moment after the last; now if left out"}, Param{"limit", "tenants at most, 1 to 1000; 100 if left out"}),
		of("nodes", get, "/nodes", 200, "The processes that serve").with(nil, nodesView{}, a.nodes),
		of("audit.list", get, "/audit-log", 200, "What was done to no tenant in particular: accounts, sessions, plans, removals").
			with(nil, tenants.AuditEntry{}, a.installationAudit).list(auditParams...),
	}
}

func (a *API) allTenants(r *Request) (*Reply, error) {
	list, next, err := a.cfg.Accounts.Tenants(r.Context(), r.Caller, tenants.TenantFilter{
		Status: tenants.TenantStatus(r.Query("status")), Query: r.Query("query"), Cursor: r.After, Limit: r.Limit,
	})
	if err != nil {
		return nil, err
	}
	return NewPage(r, list, next), nil
}

type newTenantBody struct {
	Slug  string `json:"slug"`  // left out: made from the name
	Name  string `json:"name"`  // left out: the slug
	Owner string `json:"owner"` // the address of an account; left out: oneself
	Plan  string `json:"plan"`  // left out: "default"
}

func (a *API) createTenant(r *Request) (*Reply, error) {
	var in newTenantBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return tenantReply(a.cfg.Accounts.CreateTenant(r.Context(), r.Caller, tenants.NewTenant{Slug: in.Slug, Name: in.Name, Owner: in.Owner, Plan: in.Plan}))
}

func (a *API) anyTenant(r *Request) (*Reply, error) {
	return tenantReply(a.cfg.Accounts.Tenant(r.Context(), r.Caller, r.Param("tenant")))
}

type reasonBody struct {
	Reason string `json:"reason" api:"required"` // shown to the members
}

func (a *API) suspendTenant(r *Request) (*Reply, error) {
	var in reasonBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return tenantReply(a.cfg.Accounts.SuspendTenant(r.Context(), r.Caller, r.Param("tenant"), in.Reason))
}

func (a *API) resumeTenant(r *Request) (*Reply, error) {
	return tenantReply(a.cfg.Accounts.ResumeTenant(r.Context(), r.Caller, r.Param("tenant")))
}

type planNameBody struct {
	Plan string `json:"plan" api:"required"`
}

func (a *API) setPlan(r *Request) (*Reply, error) {
	var in planNameBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return tenantReply(a.cfg.Accounts.SetPlan(r.Context(), r.Caller, r.Param("tenant"), in.Plan))
}

func (a *API) operatorDelete(r *Request) (*Reply, error) {
	return tenantReply(a.cfg.Accounts.DeleteTenant(r.Context(), r.Caller, r.Param("tenant")))
}

type newUserBody struct {
	Email    string `json:"email" api:"required"`
	Name     string `json:"name"`
	Operator bool   `json:"operator"` // lets them look after the whole installation
}

func (a *API) createUser(r *Request) (*Reply, error) {
	var in newUserBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	user, err := a.cfg.Accounts.CreateUser(r.Context(), r.Caller, tenants.NewUser{Email: in.Email, Name: in.Name, Operator: in.Operator})
	return &Reply{Body: user}, err
}

func (a *API) plans(r *Request) (*Reply, error) {
	list, err := a.cfg.Accounts.Plans(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(p *tenants.Plan) string { return p.Name }), nil
}

type plansBody struct {
	Plans json.RawMessage `json:"plans" api:"required" as:"plans"`
}

type appliedView struct {
	Applied []tenants.Plan `json:"applied"` // those that are new
}

func (a *API) applyPlans(r *Request) (*Reply, error) {
	var in plansBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	plans, err := tenants.ParsePlans(in.Plans)
	if err != nil {
		return nil, err
	}
	applied, err := a.cfg.Accounts.ApplyPlans(r.Context(), r.Caller, plans)
	return &Reply{Body: appliedView{applied}}, err
}

type operatorUsageView struct {
	From    time.Time             `json:"from"`
	To      time.Time             `json:"to"`
	Tenants []tenants.TenantUsage `json:"tenants"`
}

func (a *API) operatorUsage(r *Request) (*Reply, error) {
	v := operatorUsageView{}
	var err error
	if v.To, err = r.time("to", time.Now().UTC()); err != nil {
		return nil, err
	}
	if v.From, err = r.time("from", v.To.Add(-24*time.Hour)); err != nil {
		return nil, err
	}
	if err := validUsage(tenants.UsageQuery{From: v.From, To: v.To, Span: tenants.ByHour}); err != nil {
		return nil, err
	}
	limit, err := r.count("limit", 100, 1000)
	if err != nil {
		return nil, err
	}
	v.Tenants, err = a.cfg.Usage.TenantsUsage(r.Context(), v.From, v.To, limit)
	return &Reply{Body: v}, err
}

type nodesView struct {
	Nodes []tenants.Node `json:"nodes"`
}

func (a *API) nodes(r *Request) (*Reply, error) {
	nodes, err := a.cfg.Usage.Nodes(r.Context())
	return &Reply{Body: nodesView{nodes}}, err
}

func (a *API) installationAudit(r *Request) (*Reply, error) {
	f, err := auditFilter(r)
	if err != nil {
		return nil, err
	}
	list, next, err := a.cfg.Accounts.InstallationAudit(r.Context(), r.Caller, f)
	if err != nil {
		return nil, err
	}
	return NewPage(r, list, next), nil
}

package adminapi

import (
	"net/http"

	"tidewire/tenants"
)

const v1 = "/api/v1"

// table is everything this door serves, grouped as the documents show it.
func (a *API) table() []Route {
	var all []Route
	for _, group := range [][]Route{
		a.accountRoutes(), a.sessionRoutes(), a.tenantRoutes(), a.memberRoutes(), a.tokenRoutes(),
		a.appRoutes(), a.keyRoutes(), a.usageRoutes(), a.operatorRoutes(),
	} {
		all = append(all, group...)
	}
	return all
}

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	patch = http.MethodPatch
	del   = http.MethodDelete
)

// ofTenant is the beginning of a row for what belongs to a tenant.
func ofTenant(name, method, path string, act tenants.Action, status int, summary string) Route {
	return Route{Name: name, Method: method, Path: v1 + "/tenants/{tenant}" + path, Access: OfTenant, Action: act, Status: status, Summary: summary}
}

// ofApp is the same for what belongs to an app.
func ofApp(name, method, path string, act tenants.Action, status int, summary string) Route {
	return Route{Name: name, Method: method, Path: v1 + "/apps/{app}" + path, Access: OfApp, Action: act, Status: status, Summary: summary}
}

// row is the beginning of any other row.
func row(name, method, path string, access Access, status int, summary string) Route {
	return Route{Name: name, Method: method, Path: v1 + path, Access: access, Status: status, Summary: summary}
}

// with adds what goes in and out, and who does it.
func (r Route) with(body, answer any, serve func(*Request) (*Reply, error)) Route {
	r.Body, r.Answer, r.Serve = body, answer, serve
	return r
}

// list makes the row answer a page.
func (r Route) list(query ...Param) Route {
	r.List, r.Query = true, query
	return r
}

// asks adds query parameters.
func (r Route) asks(query ...Param) Route {
	r.Query = query
	return r
}

// revised marks the answer as one with a revision.
func (r Route) revised() Route {
	r.ETag = true
	return r
}

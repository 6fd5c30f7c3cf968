package adminapi

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"tidewire/tenants"
)

// Access says who gets as far as a route's handler.
type Access string

// The kinds of access.
const (
	Public     Access = "public"      // anybody; credentials are not looked at
	SignedIn   Access = "signed_in"   // a person or a token
	Person     Access = "person"      // a person with a session: it is about their account
	OfTenant   Access = "of_tenant"   // whoever may do the route's action in {tenant}
	OfApp      Access = "of_app"      // whoever may do the route's action to {app}
	ByOperator Access = "by_operator" // operators of this installation
)

// Route is one row of the table: what is served where, to whom, and what goes in
// and out. The router, the checks and the OpenAPI document are all made from it.
type Route struct {
	Name    string // unique, thing and verb: "apps.create"
	Method  string
	Path    string // the whole path; parameters in braces: "/api/v1/apps/{app}"
	Summary string // one line for the documents
	Access  Access
	Action  tenants.Action // for OfTenant and OfApp

	Query  []Param // the query parameters it knows; others are refused
	Body   any     // a value of the type the body is read into; nil = no body
	Answer any     // a value of the type that is answered; nil = no body. Of a list, one item
	List   bool    // answers a page of Answer, and takes limit and cursor
	Status int     // of success
	ETag   bool    // the answer has a revision: ETag on it, If-Match on PATCH

	// FindApp tells which app an OfApp route without {app} is about. What it does
	// not find is answered like an app that is not the caller's.
	FindApp func(*Request) (tenants.AppID, error)

	Serve func(*Request) (*Reply, error)
}

// Param is a query parameter.
type Param struct {
	Name string
	Doc  string
}

var pageParams = []Param{
	{"limit", "how many at most, 1 to 100; 50 if left out"},
	{"cursor", "next_cursor of the page before; the first page if left out"},
}

// params are the query parameters, those of a page included.
func (r *Route) params() []Param {
	if r.List {
		return append(slices.Clone(r.Query), pageParams...)
	}
	return r.Query
}

var pathParam = regexp.MustCompile(`\{([a-z_]+)\}`)

// pathParams are the names in braces, in order.
func (r *Route) pathParams() (names []string) {
	for _, found := range pathParam.FindAllStringSubmatch(r.Path, -1) {
		names = append(names, found[1])
	}
	return names
}

// tag groups routes in the documents: the thing the name begins with.
func (r *Route) tag() string {
	thing, _, _ := strings.Cut(r.Name, ".")
	return thing
}

// checkRoutes refuses a table that would serve something unguarded.
func checkRoutes(routes []Route) error {
	seen := make(map[string]bool)
	for i := range routes {
		r := &routes[i]
		id := r.Method + " " + r.Path
		if seen[id] || seen[r.Name] {
			return fmt.Errorf("admin api: route %s (%s) is there twice", r.Name, id)
		}
		seen[id], seen[r.Name] = true, true
		if err := r.check(); err != nil {
			return fmt.Errorf("admin api: route %s: %w", id, err)
		}
	}
	return nil
}

func (r *Route) check() error {
	needs := map[Access]string{OfTenant: "tenant", OfApp: "app"}[r.Access]
	switch {
	case !strings.HasPrefix(r.Path, Prefix) || r.Serve == nil || r.Name == "" || r.Summary == "" || r.Status == 0:
		return fmt.Errorf("path below %s, name, summary, status and handler are needed", Prefix)
	case r.Access == OfTenant || r.Access == OfApp:
		if !slices.Contains(tenants.Actions(), r.Action) {
			return fmt.Errorf("action %q is none", r.Action)
		}
		if r.FindApp == nil && !slices.Contains(r.pathParams(), needs) {
			return fmt.Errorf("the path has no {%s}", needs)
		}
	case r.Action != "":
		return fmt.Errorf("an action needs access %s or %s", OfTenant, OfApp)
	case r.Access != Public && r.Access != SignedIn && r.Access != Person && r.Access != ByOperator:
		return fmt.Errorf("access %q is none", r.Access)
	}
	if r.Body != nil && r.Method != http.MethodPost && r.Method != http.MethodPatch && r.Method != http.MethodPut {
		return fmt.Errorf("%s has no body", r.Method)
	}
	return nil
}

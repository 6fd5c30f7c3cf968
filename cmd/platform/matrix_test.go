package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// apiRoute is a route as the OpenAPI document, which is made from the router,
// describes it.
type apiRoute struct {
	name, method, path string
	access             string
	action             tenants.Action
}

func apiRoutes(t *testing.T, n *node) (list []apiRoute) {
	t.Helper()
	_, body := get(t, n.url+"/api/openapi.json")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string         `json:"operationId"`
			Access      string         `json:"x-access"`
			Action      tenants.Action `json:"x-action"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &doc))
	for path, methods := range doc.Paths {
		for method, op := range methods {
			list = append(list, apiRoute{op.OperationID, strings.ToUpper(method), path, op.Access, op.Action})
		}
	}
	slices.SortFunc(list, func(a, b apiRoute) int { return strings.Compare(a.name, b.name) })
	require.Greater(t, len(list), 60)
	return list
}

// principal is somebody who asks, and what they may do in acme.
type principal struct {
	*person
	name    string
	unknown bool // nobody: no credentials, or some that are no longer good
	program bool
	inAcme  func(r apiRoute, restricted bool) int // the status of what is asked of acme; 400 is as good as allowed
}

// allowed is the status of a request that passed every check: the matrix asks
// with a query parameter that no route knows, which is looked at after that and
// before anything is done.
const allowed = http.StatusBadRequest

func judged(ok bool) int {
	if ok {
		return allowed
	}
	return http.StatusForbidden
}

func stranger(apiRoute, bool) int { return http.StatusNotFound }

// TestAuthorizationMatrix asks for every route there is in the name of every
// kind of caller, of the tenant acme and its apps.
func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_TRUSTED_PROXIES=127.0.0.1")
	m := newMatrix(t, n)
	asked := 0
	for _, route := range apiRoutes(t, n) {
		for _, p := range m.principals {
			for _, other := range []bool{false, true} { // the app a token is restricted to, and another one
				want := m.want(p, route, other)
				for _, ref := range m.targets(route, other) {
					if got := m.ask(p.person, route.method, ref); got != want {
						t.Errorf("%s as %s: %s %s answers %d, want %d", route.name, p.name, route.method, ref, got, want)
					}
					asked++
				}
				if route.access != "of_app" {
					break
				}
			}
		}
	}
	asked += m.askSuspended(apiRoutes(t, n))
	t.Logf("%d requests in the name of %d callers", asked, len(m.principals))
}

// askSuspended asks in the name of the owner of a suspended tenant, and of a
// token of it, for everything of their own: it can be read and exported.
func (m *matrix) askSuspended(routes []apiRoute) (asked int) {
	owner := m.person().signUp("gone@example.com", "Gone", "")
	app := call[apiApp](owner, 201, http.MethodPost, "/tenants/gone/apps", fields{"name": "App"})
	m.addWebhook(owner, app.ID)
	program := m.person()
	program.token = call[struct{ Token string }](owner, 201, http.MethodPost, "/tenants/gone/tokens", fields{"name": "t", "scopes": []string{"admin"}}).Token
	printed[tenants.Tenant](m.t, m.n.environ, "tenants", "suspend", "gone", "--reason", "unpaid")
	for _, r := range routes {
		if r.action == "" {
			continue
		}
		path := m.things[app.ID].Replace(strings.NewReplacer("{tenant}", "gone", "{app}", string(app.ID)).Replace(r.path))
		path = inBraces.ReplaceAllString(path, "x")
		for name, p := range map[string]*person{"owner": owner, "token": program} {
			want := judged(tenants.OpenWhileClosed(r.action) && (p == owner || tenants.ScopeAdmin.Grants(r.action)))
			if got := m.ask(p, r.method, path); got != want {
				m.t.Errorf("%s as %s of a suspended tenant: %d, want %d", r.name, name, got, want)
			}
			asked++
		}
	}
	return asked
}

type matrix struct {
	t          *testing.T
	n          *node
	http       *http.Client
	people     int
	principals []principal
	tenant     tenants.Tenant
	apps       [2]apiApp
	things     map[tenants.AppID]*strings.Replacer // an app's endpoint and delivery, by their names in paths
}

func (m *matrix) person() *person {
	m.people++
	return &person{t: m.t, base: m.n.url, ip: fmt.Sprintf("192.0.2.%d", m.people)}
}

func newMatrix(t *testing.T, n *node) *matrix {
	t.Helper()
	m := &matrix{t: t, n: n, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(m.http.CloseIdleConnections)
	owner := m.person().signUp("owner@example.com", "Acme", "")
	call[any](owner, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "owner@example.com", "Confirm")})
	m.tenant = call[tenants.Tenant](owner, 200, http.MethodGet, "/tenants/acme", nil)
	for i := range m.apps {
		m.apps[i] = call[apiApp](owner, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "App"})
		m.addWebhook(owner, m.apps[i].ID)
	}
	m.addPeople(owner)
	m.addTokens(owner)
	return m
}

// addWebhook gives an app what the routes without an app in their path are about.
func (m *matrix) addWebhook(owner *person, app tenants.AppID) {
	type made struct{ ID string }
	endpoint := call[made](owner, 201, http.MethodPost, "/apps/"+string(app)+"/webhooks", fields{"url": "https://hooks.invalid/"}).ID
	delivery := call[made](owner, 202, http.MethodPost, "/webhooks/"+endpoint+"/test", nil).ID
	if m.things == nil {
		m.things = make(map[tenants.AppID]*strings.Replacer)
	}
	m.things[app] = strings.NewReplacer("{webhook}", endpoint, "{delivery}", delivery)
}

func (m *matrix) add(name string, p *person, inAcme func(apiRoute, bool) int) *principal {
	m.principals = append(m.principals, principal{name: name, person: p, program: p.token != "", inAcme: inAcme})
	return &m.principals[len(m.principals)-1]
}

func ofRole(role tenants.Role) func(apiRoute, bool) int {
	return func(r apiRoute, _ bool) int { return judged(role.May(r.action)) }
}

// members invites somebody for each role, and lets them join.
func (m *matrix) members(owner *person, byRole map[string]tenants.Role) map[string]*person {
	for name, role := range byRole {
		call[any](owner, 201, http.MethodPost, "/tenants/acme/invitations", fields{"email": name + "@example.com", "role": role})
	}
	joined := make(map[string]*person)
	for name := range byRole {
		email := name + "@example.com"
		joined[name] = m.person().signUp(email, "", m.n.link(m.t, email, "invited"))
	}
	return joined
}

func (m *matrix) addPeople(owner *person) {
	m.add("nobody", m.person(), nil).unknown = true
	forged := m.person()
	forged.cookie = "tidewire=" + strings.Repeat("a", 64)
	m.add("a forged session", forged, nil).unknown = true
	m.add("owner", owner, ofRole(tenants.RoleOwner))
	joined := m.members(owner, map[string]tenants.Role{
		"admin": tenants.RoleAdmin, "developer": tenants.RoleDeveloper, "viewer": tenants.RoleViewer, "removed": tenants.RoleAdmin,
	})
	for _, name := range []string{"admin", "developer", "viewer"} {
		m.add(name, joined[name], ofRole(tenants.Role(name)))
	}
	removed := joined["removed"]
	id := call[struct{ User tenants.User }](removed, 200, http.MethodGet, "/me", nil).User.ID
	call[any](owner, 204, http.MethodDelete, "/tenants/acme/members/"+id, nil)
	m.add("removed member", removed, stranger)
	m.add("unverified stranger", m.person().signUp("eve@example.com", "Other", ""), stranger)

	user := printed[printedUser](m.t, m.n.environ, "users", "create", "op@example.com", "--operator")
	operator := m.person()
	call[any](operator, 204, http.MethodPost, "/password-reset/confirm",
		fields{"token": mailedLink.FindStringSubmatch(user.PasswordLink)[1], "password": password})
	operator.logIn("op@example.com")
	m.add("operator", operator, func(r apiRoute, _ bool) int { return judged(tenants.OperatorMay(r.action)) })
}

func (m *matrix) token(owner *person, body fields) (*person, string) {
	body["name"] = "t"
	made := call[struct{ ID, Token string }](owner, 201, http.MethodPost, "/tenants/acme/tokens", body)
	p := m.person()
	p.token = made.Token
	return p, made.ID
}

func (m *matrix) addTokens(owner *person) {
	for _, scope := range tenants.Scopes() {
		p, _ := m.token(owner, fields{"scopes": []tenants.Scope{scope}})
		m.add("token for "+string(scope), p, func(r apiRoute, _ bool) int { return judged(scope.Grants(r.action)) })
	}
	restricted, _ := m.token(owner, fields{"scopes": []string{"admin"}, "apps": []tenants.AppID{m.apps[0].ID}})
	m.add("token for one app", restricted, func(r apiRoute, other bool) int {
		switch {
		case r.access == "of_app" && other:
			return http.StatusNotFound
		case r.access == "of_app":
			return judged(tenants.ScopeAdmin.Grants(r.action))
		}
		return judged(r.action == tenants.ActAppsRead || r.action == tenants.ActTenantRead)
	})
	revoked, id := m.token(owner, fields{"scopes": []string{"admin"}})
	call[any](owner, 204, http.MethodDelete, "/tenants/acme/tokens/"+id, nil)
	m.add("revoked token", revoked, nil).unknown = true
	expired, _ := m.token(owner, fields{"scopes": []string{"admin"}, "expires_at": time.Now().Add(2 * time.Second)})
	eventually(m.t, func() bool { status, _, _ := expired.do(http.MethodGet, "/me", nil); return status == 401 }, "the token does not expire")
	m.add("expired token", expired, nil).unknown = true
	mangled := m.person()
	mangled.token = restricted.token[:len(restricted.token)-1] + "!"
	mangled.cookie = owner.cookie // a token that is no good must not fall back to the cookie
	m.add("malformed token beside a cookie", mangled, nil).unknown = true
}

// want is the status the rules ask for.
func (m *matrix) want(p principal, r apiRoute, other bool) int {
	switch {
	case r.access == "public":
		return allowed
	case p.unknown:
		return http.StatusUnauthorized
	case r.access == "signed_in":
		return allowed
	case r.access == "person":
		return judged(!p.program)
	case r.access == "by_operator":
		return judged(p.name == "operator")
	}
	return p.inAcme(r, other)
}

var inBraces = regexp.MustCompile(`\{[a-z_]+\}`)

// targets are the paths of a route: the tenant by id and by slug.
func (m *matrix) targets(r apiRoute, other bool) []string {
	app := m.apps[0]
	if other {
		app = m.apps[1]
	}
	fill := func(tenant string) string {
		path := strings.NewReplacer("{tenant}", tenant, "{app}", string(app.ID)).Replace(r.path)
		return inBraces.ReplaceAllString(m.things[app.ID].Replace(path), "x")
	}
	if strings.Contains(r.path, "{tenant}") {
		return []string{fill("acme"), fill(m.tenant.ID)}
	}
	return []string{fill("")}
}

// ask sends a request that is refused before it does anything.
func (m *matrix) ask(p *person, method, path string) int {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.n.url+path+"?no_such_parameter=1", nil)
	require.NoError(m.t, err)
	req.Header.Set("X-Forwarded-For", p.ip)
	if p.cookie != "" {
		req.Header.Set("Cookie", p.cookie)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := m.http.Do(req)
	require.NoError(m.t, err)
	require.NoError(m.t, resp.Body.Close())
	return resp.StatusCode
}

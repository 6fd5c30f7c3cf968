package adminapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

type madeApp struct {
	ID            tenants.AppID
	Key, Secret   string
	Plan          string
	Keys          []tenants.Key
	ConfigVersion int64          `json:"config_version"`
	LimitsInForce tenants.Limits `json:"limits_in_force"`
}

// TestNewCustomer is the walk of docs/admin-api.md.
func TestNewCustomer(t *testing.T) {
	t.Parallel()
	onBoth(t, testNewCustomer)
}

func testNewCustomer(t *testing.T, w *world) {
	ada, acme := w.signedUp("ada@example.com", "Acme")
	require.Equal(t, "acme", acme.Slug)
	require.Equal(t, tenants.TenantUnverified, acme.Status)

	var app madeApp
	made := ada.post("/api/v1/tenants/acme/apps", map[string]any{"name": "Chat"}).ok(201, &app)
	require.Equal(t, "/api/v1/apps/"+string(app.ID), made.header.Get("Location"))
	require.Equal(t, `"1"`, made.header.Get("ETag"))
	require.Equal(t, tenants.SandboxPlan, app.Plan)
	require.Equal(t, 100, app.LimitsInForce.MaxConnections)
	require.Len(t, app.Secret, 20)
	require.NotContains(t, string(ada.get("/api/v1/apps/"+string(app.ID)).ok(200, nil).body), app.Secret, "shown once")

	bob := map[string]string{"email": "bob@example.com", "role": "developer"}
	ada.post("/api/v1/tenants/acme/invitations", bob).refused(403, "email_unverified")
	ada.post("/api/v1/verify", map[string]string{"token": w.Link("ada@example.com")}).ok(200, nil)
	ada.get("/api/v1/apps/"+string(app.ID)).ok(200, &app)
	require.Equal(t, tenants.DefaultPlan, app.Plan)

	ada.post("/api/v1/tenants/acme/invitations", bob).ok(201, nil)
	colleague := w.client()
	colleague.post("/api/v1/signup", map[string]string{
		"email": "bob@example.com", "password": tenantstest.Password, "invitation": w.Link("bob@example.com"),
	}).ok(202, nil)
	colleague.logIn("bob@example.com")
	colleague.get("/api/v1/tenants/acme/members").ok(200, nil)
	colleague.get("/api/v1/tenants/acme/audit-log").refused(403, "role_too_low")

	var token struct{ Token string }
	ada.post("/api/v1/tenants/acme/tokens", map[string]any{"name": "rotator", "scopes": []string{"keys:write"}, "apps": []string{string(app.ID)}}).ok(201, &token)
	program := w.program(token.Token)
	program.post("/api/v1/tenants/acme/apps", map[string]any{"name": "No"}).refused(403, "scope_missing")
	var rotated struct {
		Key struct {
			Key, Secret   string
			ConfigVersion int64 `json:"config_version"`
		}
		Old tenants.Key
	}
	program.post("/api/v1/apps/"+string(app.ID)+"/keys/"+app.Keys[0].Key+"/rotate", map[string]any{"overlap_seconds": 3600}).ok(201, &rotated)
	require.Equal(t, tenants.KeyRetiring, rotated.Old.Status)
	require.NotEmpty(t, rotated.Key.Secret)
	require.Greater(t, rotated.Key.ConfigVersion, app.ConfigVersion)

	var usage struct{ Today struct{ State string } }
	ada.get("/api/v1/tenants/acme/usage?span=day").ok(200, &usage)
	require.Equal(t, "ok", usage.Today.State)
	ada.get("/api/v1/apps/"+string(app.ID)+"/usage").ok(200, nil)
	var log struct{ Data []tenants.AuditEntry }
	ada.get("/api/v1/tenants/acme/audit-log?action=key.").ok(200, &log)
	require.Len(t, log.Data, 2)
	require.Equal(t, "rotator", log.Data[0].ActorName)
	export := ada.get("/api/v1/tenants/acme/export").ok(200, nil)
	require.Contains(t, export.header.Get("Content-Disposition"), "acme.json")
	require.NotContains(t, string(export.body), rotated.Key.Secret)
	lines := ada.get("/api/v1/tenants/acme/audit-log/export").ok(200, nil)
	require.Greater(t, strings.Count(string(lines.body), "\n"), 5)
}

// TestDocuments holds what is documented to what is served.
func TestDocuments(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.client()
	var doc struct {
		Paths map[string]map[string]any
	}
	c.get("/api/openapi.json").ok(200, &doc)
	n := 0
	for _, route := range w.api.Routes() {
		require.Contains(t, doc.Paths[route.Path], strings.ToLower(route.Method), route.Name)
		n++
	}
	for _, methods := range doc.Paths {
		n -= len(methods)
	}
	require.Zero(t, n, "the document has what the router has, and nothing else")
	page := c.get("/api/docs").ok(200, nil)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "style-src 'sha256-")
	require.NotContains(t, string(page.body), "http://")
	require.NotContains(t, string(page.body), "<script")
	c.get("/api/v1/nothing").refused(404, "no_such_route")
	c.call(http.MethodPut, "/api/v1/me", nil).refused(405, "method_not_allowed")
}

// TestAnotherTenant adds a second tenant by HTTP, safely repeated.
func TestAnotherTenant(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		ada, _ := w.signedUp("ada@example.com", "Acme")
		body := map[string]string{"name": "Side project"}
		ada.post("/api/v1/tenants", body).refused(403, "email_unverified")
		ada.post("/api/v1/verify", map[string]string{"token": w.Link("ada@example.com")}).ok(200, nil)
		var made tenants.Tenant
		answer := ada.post("/api/v1/tenants", body, "Idempotency-Key", "once").ok(201, &made)
		require.Equal(t, "side-project", made.Slug)
		require.Equal(t, "/api/v1/tenants/"+made.ID, answer.header.Get("Location"))
		var again tenants.Tenant
		ada.post("/api/v1/tenants", body, "Idempotency-Key", "once").ok(201, &again)
		require.Equal(t, made.ID, again.ID)
		ada.post("/api/v1/tenants/side-project/apps", map[string]any{"name": "Chat"}).ok(201, nil)
		ada.post("/api/v1/tenants", map[string]string{"name": "x", "plan": "enterprise"}).refused(422, "unknown_field")
		ada.post("/api/v1/tenants", map[string]string{"slug": "acme"}).refused(409, "slug_taken")
		w.client().post("/api/v1/tenants", body).refused(401, "not_signed_in")
	})
}

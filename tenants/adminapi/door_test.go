package adminapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/tenants/tenantstest"
)

func TestSignUpFlood(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		flood := w.client()
		made := 0
		for i := range 1000 {
			if i%2 == 1 { // one customer of a provider has a whole IPv6 network
				flood.ip = fmt.Sprintf("[2001:db8:0:1::%x]", i)
			} else {
				flood.ip = "203.0.113.7"
			}
			a := flood.post("/api/v1/signup", map[string]string{"email": fmt.Sprintf("u%d@example.com", i), "password": tenantstest.Password})
			if a.status == http.StatusAccepted {
				made++
				continue
			}
			a.refused(http.StatusTooManyRequests, "throttled")
			require.NotEmpty(t, a.header.Get("Retry-After"))
		}
		require.Equal(t, 10, made, "5 for each of the two addresses")
		list, _, err := w.Tenants(t.Context(), tenants.CLI(), tenants.TenantFilter{Limit: 100})
		require.NoError(t, err)
		require.Len(t, list, 10)
	})
}

// TestUnknownAddress asks what a stranger could learn of who has an account.
func TestUnknownAddress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signedUp("ada@example.com", "Acme")
	for _, path := range []string{"/api/v1/sessions", "/api/v1/password-reset", "/api/v1/signup"} {
		var answers []string
		for _, email := range []string{"ada@example.com", "nobody@example.com"} {
			body := map[string]string{"email": email, "password": "another-password-17"}
			if path == "/api/v1/password-reset" {
				delete(body, "password")
			}
			a := w.client().post(path, body, "X-Request-Id", "the-same-id")
			answers = append(answers, fmt.Sprint(a.status, string(a.body)))
		}
		require.Equal(t, answers[0], answers[1], path)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, _ := w.signedUp("ada@example.com", "Acme")
	require.Equal(t, "tidewire", ada.cookie.Name)
	require.Equal(t, http.SameSiteStrictMode, ada.cookie.SameSite)
	body := map[string]string{"name": "Chat"}
	const apps = "/api/v1/tenants/acme/apps"
	ada.post(apps, body, "Sec-Fetch-Site", "cross-site").refused(403, "cross_origin")
	ada.post(apps, body, "Origin", "https://evil.example.com").refused(403, "cross_origin")
	ada.post("/api/v1/sessions", body, "Origin", "https://evil.example.com").refused(403, "cross_origin")
	ada.post(apps, body, "Origin", "https://rt.example.com").ok(201, nil)
	ada.get("/api/v1/me").ok(200, nil)

	secure := newWorld(t, openSQLite(t), func(c *adminapi.Config) {
		c.IsTLS = func(*http.Request) bool { return true }
	})
	eve, _ := secure.signedUp("eve@example.com", "Evil")
	require.Equal(t, "__Host-tidewire", eve.cookie.Name)
	require.True(t, eve.cookie.Secure)

	eve.call(http.MethodDelete, "/api/v1/sessions/current", nil).ok(204, nil)
	require.Empty(t, eve.cookie.Value)
	eve.get("/api/v1/me").refused(401, "not_signed_in")
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		ada, _ := w.signedUp("ada@example.com", "Acme")
		const apps = "/api/v1/tenants/acme/apps"
		first := ada.post(apps, map[string]string{"name": "Chat"}, "Idempotency-Key", "k1").ok(201, nil)
		again := ada.post(apps, map[string]string{"name": "Chat"}, "Idempotency-Key", "k1").ok(201, nil)
		require.JSONEq(t, string(first.body), string(again.body), "the secret included")
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		require.Equal(t, first.header.Get("ETag"), again.header.Get("ETag"))
		ada.post(apps, map[string]string{"name": "Other"}, "Idempotency-Key", "k1").refused(422, "idempotency_key_reused")
		ada.post(apps, map[string]string{"name": ""}, "Idempotency-Key", "k2").refused(422, "invalid_value")
		ada.post(apps, map[string]string{"name": "Good"}, "Idempotency-Key", "k2").ok(201, nil)
		ada.post(apps, map[string]string{"name": "x"}, "Idempotency-Key", strings.Repeat("x", 256)).refused(422, "invalid_value")
		var list struct{ Data []struct{ ID string } }
		ada.get(apps).ok(200, &list)
		require.Len(t, list.Data, 2)
	})
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, _ := w.signedUp("ada@example.com", "Acme")
	var app madeApp
	ada.post("/api/v1/tenants/acme/apps", map[string]string{"name": "Chat"}).ok(201, &app)
	path := "/api/v1/apps/" + string(app.ID)
	patch := func(body any, headers ...string) *answer { return ada.call(http.MethodPatch, path, body, headers...) }
	a := patch(map[string]any{"settings": map[string]any{"client_events": true}}, "If-Match", `"1"`).ok(200, nil)
	require.Equal(t, `"2"`, a.header.Get("ETag"))
	patch(map[string]any{"name": "Late"}, "If-Match", `"1"`).refused(412, "changed_meanwhile")
	patch(map[string]any{"name": "Late"}, "If-Match", `1`).refused(400, "invalid_if_match")
	patch(map[string]any{"name": "Now"}, "If-Match", `*`, "Content-Type", "application/merge-patch+json").ok(200, nil)

	p := patch(map[string]any{"settings": map[string]any{"client_event": true}, "name": "Never"}).refused(422, "invalid_value")
	require.Contains(t, p.Errors[0].Pointer, "/settings")
	require.Contains(t, p.Detail, "client_events")
	var now struct{ Name string }
	ada.get(path).ok(200, &now)
	require.Equal(t, "Now", now.Name, "nothing is half applied")
	p = patch(map[string]any{"limits": map[string]any{"max_connections": 101}}).refused(422, "invalid_value")
	require.Equal(t, "/limits/max_connections", p.Errors[0].Pointer)
	ada.post(path+"/disable", nil).ok(200, nil)
	ada.call(http.MethodDelete, path, nil).ok(204, nil)
	ada.get(path).refused(404, "app_not_found")
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, _ := w.owner("ada@example.com", "Acme")
	for range 5 {
		ada.post("/api/v1/tenants/acme/apps", map[string]string{"name": "Chat"}).ok(201, nil)
	}
	for _, path := range []string{"/api/v1/tenants/acme/apps", "/api/v1/tenants/acme/audit-log", "/api/v1/tenants/acme/members"} {
		seen, cursor := make(map[string]bool), ""
		for range 20 {
			var page struct {
				Data []struct {
					ID     string
					UserID string `json:"user_id"`
				}
				HasMore    bool   `json:"has_more"`
				NextCursor string `json:"next_cursor"`
			}
			ada.get(path+"?limit=2&cursor="+cursor).ok(200, &page)
			for _, item := range page.Data {
				require.False(t, seen[item.ID+item.UserID], "twice")
				seen[item.ID+item.UserID] = true
			}
			if cursor = page.NextCursor; !page.HasMore {
				break
			}
		}
		require.Empty(t, cursor)
		require.NotEmpty(t, seen)
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "cursor=x", "cursor=YXBwcy5saXN0Cg", "nothing=1", "limit=1&limit=2", "%zz"} {
		ada.get("/api/v1/tenants/acme/apps?"+query).refused(400, "invalid_parameter")
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada, _ := w.signedUp("ada@example.com", "Acme")
	const apps = "/api/v1/tenants/acme/apps"
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"not JSON":      {`{`, 400, "malformed_json"},
		"a list":        {`[]`, 400, "malformed_json"},
		"two objects":   {`{"name":"a"}{"name":"b"}`, 400, "malformed_json"},
		"not UTF-8":     {"{\"name\":\"\xff\"}", 400, "malformed_json"},
		"doubled":       {`{"name":"a","name":"b"}`, 422, "invalid_value"},
		"other case":    {`{"Name":"a"}`, 422, "invalid_value"},
		"unknown":       {`{"name":"a","admin":true}`, 422, "unknown_field"},
		"null":          {`{"name":null}`, 422, "invalid_value"},
		"other kind":    {`{"name":7}`, 422, "invalid_value"},
		"missing":       {`{}`, 422, "invalid_value"},
		"nothing":       {``, 422, "invalid_value"},
		"invisible":     {`{"name":"a\u200bb"}`, 422, "invalid_value"},
		"too long":      {`{"name":"` + strings.Repeat("a", 101) + `"}`, 422, "invalid_value"},
		"deep settings": {`{"name":"a","settings":{"jwt":{"issuers":[{"issuer":1}]}}}`, 422, "invalid_value"},
		"huge":          {`{"name":"` + strings.Repeat("a", 300<<10) + `"}`, 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			ada.post(apps, test.body).refused(test.status, test.code)
		})
	}
	ada.post(apps, `{"name":"a"}`, "Content-Type", "text/plain").refused(415, "unsupported_media_type")
	ada.call(http.MethodDelete, "/api/v1/apps/1", `{}`).refused(404, "app_not_found")
	ada.call(http.MethodDelete, "/api/v1/sessions/current", `{}`).refused(400, "body_not_taken")
	var list struct{ Data []any }
	ada.get(apps).ok(200, &list)
	require.Empty(t, list.Data)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	limiter := tenants.NewMemoryLimiter(nil)
	w := newWorld(t, openSQLite(t), func(c *adminapi.Config) { c.Limiter = limiter })
	ada, _ := w.signedUp("ada@example.com", "Acme")
	a := ada.get("/api/v1/me").ok(200, nil)
	require.Equal(t, "200", a.header.Get("RateLimit-Limit"))
	require.NotEmpty(t, a.header.Get("RateLimit-Remaining"))
	require.NotEmpty(t, a.header.Get("RateLimit-Reset"))
	var refused *answer
	for range 5000 {
		if a := ada.get("/api/v1/me"); a.status != http.StatusOK {
			refused = a
			break
		}
	}
	require.NotNil(t, refused)
	refused.refused(429, "throttled")
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	eve := w.client()
	eve.get("/api/v1/me").refused(401, "not_signed_in") // another address is not held up
}

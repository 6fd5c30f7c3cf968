package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// foreignBodies are the bodies of routes that look at theirs before they look
// for the thing in the path.
var foreignBodies = map[string]any{
	"members.update": fields{"role": "viewer"},
}

// TestForeignIDs puts the ids of another tenant's things into the paths of one's
// own: nothing answers anything but 404, and nothing happens.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_SIGNUP=open")
	ada, eve := signUp(t, n.url, "ada@example.com", "Acme", ""), signUp(t, n.url, "eve@example.com", "Evil", "")
	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "ada@example.com", "Confirm")})
	app := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "App"})
	own := call[apiApp](eve, 201, http.MethodPost, "/tenants/evil/apps", fields{"name": "App"})
	me := call[struct {
		User    tenants.User
		Session tenants.Session
	}](ada, 200, http.MethodGet, "/me", nil)
	foreign := map[string]string{
		"{user}": me.User.ID, "{session}": me.Session.ID, "{key}": app.Key,
		"{token}":      call[struct{ ID string }](ada, 201, http.MethodPost, "/tenants/acme/tokens", fields{"name": "t", "scopes": []string{"admin"}}).ID,
		"{invitation}": call[struct{ ID string }](ada, 201, http.MethodPost, "/tenants/acme/invitations", fields{"email": "bob@example.com", "role": "viewer"}).ID,
	}
	before := call[struct{ Data []tenants.AuditEntry }](ada, 200, http.MethodGet, "/tenants/acme/audit-log", nil)
	for _, r := range apiRoutes(t, n) {
		path := strings.NewReplacer("{tenant}", "evil", "{app}", string(own.ID)).Replace(r.path)
		thing := inBraces.FindString(path)
		if thing == "" || thing == "{channel}" || r.access == "by_operator" {
			continue // a channel is a name in one's own app, not an id
		}
		id, known := foreign[thing]
		if !known {
			id = "x" // of a higher floor, whose own tests bring real ones
		}
		body := foreignBodies[r.name]
		status, _, answer := eve.do(r.method, strings.TrimPrefix(strings.Replace(path, thing, id, 1), "/api/v1"), body)
		require.Contains(t, []int{http.StatusNotFound, http.StatusUnprocessableEntity}, status, "%s: %s", r.name, answer)
		if known {
			require.Equal(t, http.StatusNotFound, status, "%s: %s", r.name, answer)
			missing, _, _ := eve.do(r.method, strings.TrimPrefix(strings.Replace(path, thing, "x", 1), "/api/v1"), body)
			require.Equal(t, status, missing, "%s tells apart what exists and what does not", r.name)
		}
	}
	call[any](eve, 404, http.MethodPost, "/tenants/evil/tokens", fields{"name": "t", "scopes": []string{"admin"}, "apps": []string{string(app.ID)}})
	after := call[struct{ Data []tenants.AuditEntry }](ada, 200, http.MethodGet, "/tenants/acme/audit-log", nil)
	require.Equal(t, len(before.Data), len(after.Data))
}

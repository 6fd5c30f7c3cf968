package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
)

// TestWalk is the walk of a new customer, by HTTP alone, that docs/admin-api.md
// shows.
func TestWalk(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); testWalk(t) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); testWalk(t, "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t)) })
}

func testWalk(t *testing.T, environ ...string) {
	n := startNode(t, append(environ, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_USAGE_INTERVAL=200ms")...)
	ada := signUp(t, n.url, "ada@example.com", "Acme", "")
	app := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Chat"})
	require.Equal(t, tenants.SandboxPlan, app.Plan)
	path := "/apps/" + string(app.ID)

	// The first event, before the address is confirmed.
	sub := subscribed(t, n.url, app.Key, "news")
	status, _, body := post(t, n.url, app.printed(), "news")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "e", sub.next().Event)

	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "ada@example.com", "Confirm")})
	require.Equal(t, tenants.DefaultPlan, call[apiApp](ada, 200, http.MethodGet, path, nil).Plan)

	call[any](ada, 201, http.MethodPost, "/tenants/acme/invitations", fields{"email": "bob@example.com", "role": "developer"})
	bob := signUp(t, n.url, "bob@example.com", "", n.link(t, "bob@example.com", "invited"))
	require.Equal(t, "role_too_low", bob.code(403, http.MethodGet, "/tenants/acme/audit-log", nil))

	token := call[struct{ Token string }](ada, 201, http.MethodPost, "/tenants/acme/tokens",
		fields{"name": "deploy", "scopes": []string{"keys:write", "stats:read"}, "apps": []string{string(app.ID)}})
	rotateUnderTraffic(t, n, &person{t: t, base: n.url, token: token.Token}, app)
	call[tenants.Tenant](ada, 201, http.MethodPost, "/tenants", fields{"name": "Side project"})
	testConsole(t, n, bob, app, sub)
	testFigures(t, ada, path)
}

// rotateUnderTraffic publishes without a pause while the key is rotated: first
// with the old key, then with the new one as soon as the API has answered.
func rotateUnderTraffic(t *testing.T, n *node, program *person, app apiApp) {
	t.Helper()
	var key atomic.Pointer[printedApp]
	old := app.printed()
	key.Store(&old)
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	published := atomic.Int64{}
	go func() {
		defer close(failed)
		for ctx.Err() == nil {
			if status, _, body := post(t, n.url, *key.Load(), "traffic"); status != http.StatusOK {
				failed <- fmt.Errorf("publish %d: %d %s", published.Load(), status, body)
				return
			}
			published.Add(1)
		}
	}()
	defer func() {
		stop()
		require.NoError(t, <-failed, "not one publish fails")
	}()
	traffic := func(more int64) {
		from := published.Load()
		eventually(t, func() bool { return len(failed) > 0 || published.Load() >= from+more }, "no traffic")
	}
	traffic(20)
	rotated := call[struct{ Key, Old apiApp }](program, 201, http.MethodPost, "/apps/"+string(app.ID)+"/keys/"+app.Key+"/rotate", fields{"overlap_seconds": 3600})
	fresh := printedApp{ID: app.ID, Key: rotated.Key.Key, Secret: rotated.Key.Secret}
	key.Store(&fresh)
	traffic(20)
	key.Store(&old)
	traffic(20)
	key.Store(&fresh)
	call[any](program, 200, http.MethodPost, "/apps/"+string(app.ID)+"/keys/"+app.Key+"/revoke", nil)
	traffic(20)
	eventually(t, func() bool { status, _, _ := post(t, n.url, old, "traffic"); return status == http.StatusUnauthorized }, "the old key works on")
}

// testConsole looks into the channels as the dashboard does. sub was connected
// with the key that is revoked by now.
func testConsole(t *testing.T, n *node, bob *person, app apiApp, sub *client) {
	t.Helper()
	path := "/apps/" + string(app.ID)
	require.Equal(t, 4001, sub.closed(), "the connections of a revoked key are closed")
	key := call[struct{ Key string }](bob, 201, http.MethodPost, path+"/keys", nil).Key
	var viewer *client
	eventually(t, func() bool { status, _ := get(t, n.url+"/readyz"); return status == http.StatusOK }, "not ready")
	viewer = subscribed(t, n.url, key, "news")

	list := call[struct {
		Data []struct {
			Name          string
			Subscriptions int
		}
	}](bob, 200, http.MethodGet, path+"/channels?prefix=ne", nil)
	require.Len(t, list.Data, 1)
	require.Equal(t, 1, list.Data[0].Subscriptions)
	call[any](bob, 200, http.MethodPost, path+"/events", fields{"name": "hello", "channels": []string{"news"}, "data": fields{"a": 1}})
	f := viewer.next()
	require.Equal(t, "hello", f.Event)
	require.JSONEq(t, `"{\"a\":1}"`, string(f.Data))
	require.Equal(t, "invalid_value", bob.code(422, http.MethodPost, path+"/events", fields{"name": "pusher:x", "channels": []string{"news"}, "data": "x"}))
	require.Equal(t, "invalid_value", bob.code(422, http.MethodPost, path+"/events", fields{"name": "x", "channels": []string{"a b"}, "data": "x"}))
	one := call[struct{ Subscriptions int }](bob, 200, http.MethodGet, path+"/channels/news", nil)
	require.Equal(t, 1, one.Subscriptions)
	conns := call[struct {
		Data []struct {
			SocketID string `json:"socket_id"`
			Key      string
		}
	}](bob, 200, http.MethodGet, path+"/connections", nil)
	require.Len(t, conns.Data, 1)
	require.Equal(t, key, conns.Data[0].Key)
	call[any](bob, 204, http.MethodPost, path+"/connections/terminate", fields{"user_id": "nobody"})
	stats := call[struct{ Connections, Channels int }](bob, 200, http.MethodGet, path+"/stats", nil)
	require.Equal(t, 1, stats.Connections)
	require.Equal(t, 1, stats.Channels)
}

// testFigures reads what was used and who did what.
func testFigures(t *testing.T, ada *person, path string) {
	t.Helper()
	type usage struct {
		Total struct{ Publishes, Deliveries int64 }
	}
	eventually(t, func() bool {
		return call[usage](ada, 200, http.MethodGet, path+"/usage", nil).Total.Publishes > 80
	}, "no usage")
	require.Positive(t, call[usage](ada, 200, http.MethodGet, "/tenants/acme/usage?span=day", nil).Total.Deliveries)
	log := call[struct{ Data []tenants.AuditEntry }](ada, 200, http.MethodGet, "/tenants/acme/audit-log?limit=100", nil)
	seen := make(map[string]tenants.AuditEntry)
	for _, e := range log.Data {
		seen[e.Action] = e
	}
	for _, action := range []string{
		"tenant.created", "tenant.verified", "app.created", "invitation.created", "member.joined", "token.created",
		"key.rotated", "key.revoked", "key.created", "connections.terminated",
	} {
		require.Contains(t, seen, action)
	}
	require.Equal(t, tenants.ActorToken, seen["key.rotated"].ActorKind)
	require.Equal(t, "127.0.0.1", seen["app.created"].IP)
	require.WithinDuration(t, time.Now(), seen["app.created"].At, time.Minute)
}

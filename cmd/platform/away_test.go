package main

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
)

// What holds for seconds holds for longer: nothing that is known is forgotten by
// the clock. -args -outage 60s shows it.
var outage = flag.Duration("outage", 4*time.Second, "how long the database is away in TestPostgresAway")

// cut ends every connection through the front and lets no new one in.
func (f *front) cut() {
	f.lead("127.0.0.1:1")
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.open {
		_ = conn.Close()
	}
	f.open = nil
}

// TestPostgresAway takes the database away: what is known goes on, the rest says
// that it cannot be known, and everything comes back by itself.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(dbtest.Postgres(t))
	require.NoError(t, err)
	target := database.Host
	door := startFront(t, target)
	database.Host = door.address
	n := startNode(t, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_USAGE_INTERVAL=200ms", "TIDEWIRE_DATABASE_URL="+database.String())
	ada := signUp(t, n.url, "ada@example.com", "Acme", "")
	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": n.link(t, "ada@example.com", "Confirm")})
	known := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Known"})
	unused := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Unused"})
	sub := subscribed(t, n.url, known.Key, "news")
	status, _, body := post(t, n.url, known.printed(), "news")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "e", sub.next().Event)
	published := int64(1)

	door.cut()
	begun := time.Now()
	eventually(t, func() bool { status, _ := get(t, n.url+"/readyz"); return status == http.StatusServiceUnavailable }, "still ready")
	for time.Since(begun) < *outage {
		status, _, body := post(t, n.url, known.printed(), "news")
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, "e", sub.next().Event)
		published++
	}
	subscribed(t, n.url, known.Key, "sport")
	t.Run("a key that was never used here", func(t *testing.T) {
		status, header, body := post(t, n.url, unused.printed(), "news")
		require.Equal(t, http.StatusServiceUnavailable, status, body)
		require.NotEmpty(t, header.Get("Retry-After"))
		require.Equal(t, 4100, dial(t, n.url, unused.Key).closed(), "come back, not: go away")
	})
	t.Run("the admin API", func(t *testing.T) {
		status, header, body := ada.do(http.MethodGet, "/tenants/acme", nil)
		require.Equal(t, http.StatusServiceUnavailable, status, body)
		require.NotEmpty(t, header.Get("Retry-After"))
		require.Equal(t, "application/problem+json", header.Get("Content-Type"))
		var p problem
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		require.Equal(t, "unavailable", p.Code)
		require.NotContains(t, body, "127.0.0.1")
	})
	t.Run("a node that starts now", func(t *testing.T) {
		r := platform(t, append(n.environ, "TIDEWIRE_LISTEN=127.0.0.1:0"), "serve")
		require.NotZero(t, r.code, "it ends, for whoever runs it to start it again")
		require.NotEmpty(t, r.stderr)
	})

	door.lead(target)
	eventually(t, func() bool { status, _ := get(t, n.url+"/readyz"); return status == http.StatusOK }, "never ready again")
	eventually(t, func() bool { status, _, _ := post(t, n.url, unused.printed(), "news"); return status == http.StatusOK }, "the other app stays unknown")
	eventually(t, func() bool {
		status, _, _ := ada.do(http.MethodGet, "/tenants/acme", nil)
		return status == http.StatusOK
	}, "the admin API stays away")
	require.Equal(t, "e", func() string { post(t, n.url, known.printed(), "news"); return sub.next().Event }())
	published++
	eventually(t, func() bool {
		usage := call[struct{ Total struct{ Publishes int64 } }](ada, 200, http.MethodGet, "/apps/"+string(known.ID)+"/usage", nil)
		return usage.Total.Publishes == published
	}, "what was published meanwhile is not in the usage")
}

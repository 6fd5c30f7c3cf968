package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/webhooks"
)

// secretShapes are what has no place in a log whatever its value is.
var secretShapes = regexp.MustCompile(`twk_[0-9A-Za-z]{8,}|whsec_[0-9A-Za-z+/]{8,}|auth_signature=[0-9a-f]+|eyJ[\w-]{10,}\.eyJ[\w-]{10,}|"(password|secret)":"[^"]+"|argon2id\$`)

// requireClean asserts that a log has neither those nor any of the markers. It
// reads the log of every server that a test starts.
// Mails are an exception where no mail server is set: then the log is where
// their readers look for them.
func requireClean(t *testing.T, log string, markers ...string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"to":"`) {
			continue
		}
		if found := secretShapes.FindString(line); found != "" {
			t.Errorf("the log has %q: %s", found, line)
		}
		for _, marker := range markers {
			if marker != "" && strings.Contains(line, marker) {
				t.Errorf("the log has the marker %q: %s", marker, line)
			}
		}
	}
}

// TestLogHasNoSecrets does everything that carries a secret, well and badly, at
// the most talkative level.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_LOG_LEVEL=debug", "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
	ada := signUp(t, n.url, "ada@example.com", "Acme", "")
	confirm := n.link(t, "ada@example.com", "Confirm")
	call[any](ada, 200, http.MethodPost, "/verify", fields{"token": confirm})
	made := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{"name": "Chat"})
	token := call[struct{ Token string }](ada, 201, http.MethodPost, "/tenants/acme/tokens", fields{"name": "ci", "scopes": []string{"apps:read"}}).Token
	hooks := newReceiver(t)
	app := hookedApp(t, n.environ, hooks)
	hooks.await(n.url, app)
	const payload, wrong = "geheime-nachricht", "falsches-geheimnis"
	for _, a := range []printedApp{app, made.printed(), {ID: app.ID, Key: app.Key, Secret: wrong}} {
		_, _, _ = postWith(t, n.url, a, nil, payload, "news", "private-news")
		_, _, _ = postWith(t, n.url, a, nil, payload, strings.Repeat("x", 300))
	}
	c := member(t, n.url, app, "presence-room", "ada")
	for _, message := range []string{
		`{"event":"client-x","channel":"presence-room","data":"` + payload + `"}`,
		`{"event":"client-x","channel":"private-other","data":"` + payload + `"}`,
		`{"event":"pusher:subscribe","data":{"channel":"private-a","auth":"` + app.Key + `:` + wrong + `"}}`,
		`{"event":"pusher:signin","data":{"auth":"` + app.Key + `:` + wrong + `","user_data":"{\"id\":\"` + payload + `\"}"}}`,
		`{"event":"tidewire:auth","data":{"token":"eyJhbGciOiJIUzI1NiJ9xx.eyJzdWIiOiJ4In0xxxxxx.` + wrong + `"}}`,
		`{"event":"nonsense","data":"` + payload + `"}`, `{` + payload,
	} {
		require.NoError(t, c.conn.WriteMessage(1, []byte(message)))
	}
	hooks.expect("client_event presence-room ada")
	hooks.set(false) // failing calls are told of too
	_ = c.conn.Close()
	for _, bearer := range []string{token, "twk_" + wrong} {
		_, _, _ = request(t, http.MethodGet, n.url+"/api/v1/tenants/acme", http.Header{"Authorization": {"Bearer " + bearer}}, "")
	}
	_, _, _ = request(t, http.MethodPost, n.url+"/api/v1/sessions", http.Header{"Content-Type": {"application/json"}}, `{"email":"ada@example.com","password":"`+wrong+`"}`)
	_, _ = get(t, n.url+"/app/"+app.Key+"?token="+wrong+"&auth_signature=abcdef")
	eventually(t, func() bool {
		_, page := get(t, n.metrics+"/metrics")
		return regexp.MustCompile(`(?m)^tidewire_webhook_attempts_failed_total [1-9]`).MatchString(page)
	}, "no webhook call has failed")
	n.end(t)
	require.Contains(t, n.log.String(), `"level":"DEBUG"`, "a scan of nothing finds nothing")
	requireClean(t, n.log.String(), app.Secret, made.Secret, hooks.secret, token, ada.cookie, password, confirm, payload, wrong)
}

// idle is a transport that takes everything.
type idle struct{}

func (idle) TryWrite(b []byte) (int, bool, error) { return len(b), false, nil }
func (idle) Drain([]byte, time.Time) error        { return nil }
func (idle) CloseWrite() error                    { return nil }
func (idle) Close() error                         { return nil }

// With 10,000 apps on a node the main scrape stays what it is: no line of it is
// of an app.
func TestMetricsOfTenThousandApps(t *testing.T) {
	t.Parallel()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker)})
	for i := range 10_000 {
		id := strconv.Itoa(100_000 + i)
		app := &tenants.App{ID: tenants.AppID(id), Keys: []tenants.Key{{Key: "key-" + id, Secret: tenants.NewSecret("s")}}}
		conn, _ := hub.Connect(&channels.Entry{App: app, Key: "key-" + id}, idle{})
		require.NotNil(t, conn)
	}
	admission := channels.NewAdmission(channels.AdmissionConfig{})
	hooks := webhooks.New(webhooks.Config{})
	server := newMetricsServer(hub, admission, &realtime{}, hooks, newReadiness(newQuietLogger(Config{}, io.Discard), nil), newQuietLogger(Config{}, io.Discard))
	page := func(path string) string {
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Body.String()
	}
	main := page("/metrics")
	require.Contains(t, main, "tidewire_apps 10000")
	require.Less(t, len(main), 1_000_000)
	require.Equal(t, 10_000, strings.Count(page("/metrics/apps"), "\ntidewire_app_connections{"))
	t.Logf("the main scrape has %d bytes, that of the apps %d", len(main), len(page("/metrics/apps")))
}

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
)

// receiver is a customer's server: it keeps what it is told, if it is well, and
// checks both signatures.
type receiver struct {
	*httptest.Server
	t      *testing.T
	key    tenants.Key
	secret string

	mu     sync.Mutex
	well   bool
	ids    []string
	events []map[string]any
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, well: true}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) set(well bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.well = well
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !r.well {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.verify(req.Header, body)
	var told struct {
		TimeMS int64            `json:"time_ms"`
		Events []map[string]any `json:"events"`
	}
	if err := json.Unmarshal(body, &told); err != nil || told.TimeMS == 0 {
		r.t.Errorf("body %s: %v", body, err)
	}
	r.ids = append(r.ids, req.Header.Get("Webhook-Id"))
	for _, e := range told.Events {
		e["delivery"] = req.Header.Get("Webhook-Id")
	}
	r.events = append(r.events, told.Events...)
}

func (r *receiver) verify(h http.Header, body []byte) {
	mac := func(secret, content []byte) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write(content)
		return m.Sum(nil)
	}
	if h.Get("Content-Type") != "application/json" || h.Get("X-Pusher-Key") != r.key.Key {
		r.t.Errorf("headers %v", h)
	}
	if want := hex.EncodeToString(mac([]byte(r.key.Secret.Reveal()), body)); h.Get("X-Pusher-Signature") != want {
		r.t.Errorf("X-Pusher-Signature is %s, want %s", h.Get("X-Pusher-Signature"), want)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.secret, "whsec_"))
	if err != nil {
		r.t.Error(err)
	}
	signed := h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "." + string(body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac(raw, []byte(signed))); h.Get("Webhook-Signature") != want {
		r.t.Errorf("Webhook-Signature is %s, want %s", h.Get("Webhook-Signature"), want)
	}
}

// names lists the events that came, as "name channel user".
func (r *receiver) names() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := func(v any) string { s, _ := v.(string); return s }
	for _, e := range r.events {
		list = append(list, strings.TrimSpace(text(e["name"])+" "+text(e["channel"])+" "+text(e["user_id"])))
	}
	return list
}

func (r *receiver) expect(want ...string) {
	r.t.Helper()
	eventually(r.t, func() bool {
		got := r.names()
		return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(got, w) })
	}, "the receiver is not told "+strings.Join(want, ", "))
}

type printedWebhook struct{ ID, Secret, Status string }

// hookedApp makes an app with an endpoint at r.
func hookedApp(t *testing.T, environ []string, r *receiver, args ...string) printedApp {
	t.Helper()
	app := createApp(t, environ, "--settings", `{"client_events":true}`)
	r.key = tenants.Key{Key: app.Key, Secret: tenants.NewSecret(app.Secret)}
	made := printed[printedWebhook](t, environ, append([]string{"webhooks", "create", "--app", string(app.ID), "--url", r.URL + "/hooks"}, args...)...)
	r.secret = made.Secret
	return app
}

// member connects and enters a presence channel as user.
func member(t *testing.T, base string, app printedApp, channel, user string) *client {
	t.Helper()
	c := dial(t, base, app.Key)
	var greeting string
	var established struct {
		SocketID string `json:"socket_id"`
	}
	require.NoError(t, json.Unmarshal(c.next().Data, &greeting))
	require.NoError(t, json.Unmarshal([]byte(greeting), &established))
	data := `{"user_id":` + strconv.Quote(user) + `}`
	m := hmac.New(sha256.New, []byte(app.Secret))
	m.Write([]byte(established.SocketID + ":" + channel + ":" + data))
	require.NoError(t, c.conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{
		"channel": channel, "auth": app.Key + ":" + hex.EncodeToString(m.Sum(nil)), "channel_data": data,
	}}))
	require.Equal(t, "pusher_internal:subscription_succeeded", c.next().Event)
	return c
}

// webhookWalk is the life of webhooks: comings and goings, client events, a
// receiver that is away, replay.
func webhookWalk(t *testing.T, environ []string, n *serverProcess) {
	r := newReceiver(t)
	app := hookedApp(t, environ, r)
	const room = "presence-room"
	probes := 0
	eventually(t, func() bool { // until the endpoint is known, nothing is told
		probes++ // another channel each time: one that comes and goes within the grace is never told of
		_ = subscribed(t, n.url, app.Key, "probe-"+strconv.Itoa(probes)).conn.Close()
		return len(r.names()) > 0
	}, "the endpoint is never called")

	a, b := member(t, n.url, app, room, "ada"), member(t, n.url, app, room, "bob")
	r.expect("channel_occupied "+room, "member_added "+room+" ada", "member_added "+room+" bob")
	require.NoError(t, a.conn.WriteJSON(map[string]any{"event": "client-typing", "channel": room, "data": map[string]bool{"on": true}}))
	r.expect("client_event " + room + " ada")
	_ = b.conn.Close()
	r.expect("member_removed " + room + " bob")

	r.set(false)
	_ = a.conn.Close()
	var dead []struct{ ID, Status, Reason string }
	eventually(t, func() bool {
		dead = printed[[]struct{ ID, Status, Reason string }](t, environ, "webhooks", "deliveries", "--app", string(app.ID), "--status", "pending")
		return slices.ContainsFunc(dead, func(d struct{ ID, Status, Reason string }) bool { return strings.Contains(d.Reason, "503") })
	}, "a failed delivery is not in the log")
	r.set(true)
	r.expect("channel_vacated "+room, "member_removed "+room+" ada")

	delivered := printed[[]struct{ ID string }](t, environ, "webhooks", "deliveries", "--app", string(app.ID), "--status", "delivered")
	require.NotEmpty(t, delivered)
	printed[map[string]int](t, environ, "webhooks", "replay", delivered[0].ID, "--app", string(app.ID))
	eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		count := 0
		for _, id := range r.ids {
			if id == delivered[0].ID {
				count++
			}
		}
		return count == 2
	}, "the replayed delivery does not come again")
	got := r.names()
	for _, once := range []string{"channel_occupied " + room, "member_added " + room + " ada", "member_added " + room + " bob"} {
		require.Equal(t, 1, count(got, once), "%s in %v", once, got)
	}
}

func count(list []string, s string) (n int) {
	for _, v := range list {
		if v == s {
			n++
		}
	}
	return n
}

func TestWebhooksEmbedded(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
	n := startProcess(t, environ)
	webhookWalk(t, n.environ, n)
}

func TestWebhooksTwoNodes(t *testing.T) {
	t.Parallel()
	environ := append(inOwnRedis(t, twoNodes(t), 9), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
	a, b := startProcess(t, environ), startProcess(t, environ)
	t.Run("one", func(t *testing.T) { t.Parallel(); webhookWalk(t, a.environ, a) })
	t.Run("other", func(t *testing.T) { t.Parallel(); webhookWalk(t, b.environ, b) })
}

// A page that comes back within the grace never left.
func TestWebhookGrace(t *testing.T) {
	t.Parallel()
	n := startProcess(t, append(dataDir(t), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"))
	r := newReceiver(t)
	app := hookedApp(t, n.environ, r, "--events", "channel_occupied,channel_vacated")
	probes := 0
	eventually(t, func() bool {
		probes++
		_ = subscribed(t, n.url, app.Key, "warm-"+strconv.Itoa(probes)).conn.Close()
		return len(r.names()) > 0
	}, "the endpoint is never called")
	first := subscribed(t, n.url, app.Key, "page")
	r.expect("channel_occupied page")
	_ = first.conn.Close()
	subscribed(t, n.url, app.Key, "page")
	short := subscribed(t, n.url, app.Key, "short")
	r.expect("channel_occupied short")
	_ = short.conn.Close()
	r.expect("channel_vacated short") // so the grace of page is over too
	require.Equal(t, 1, count(r.names(), "channel_occupied page"))
	require.Zero(t, count(r.names(), "channel_vacated page"))
}

func TestWebhooksRefuseWhatTheyMayNotCall(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	app := createApp(t, environ)
	for _, url := range []string{"http://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/latest", "https://[::1]/", "https://2130706433/", "ftp://example.com/", "https://u:p@example.com/", "https://10.0.0.1/"} {
		r := platform(t, environ, "webhooks", "create", "--app", string(app.ID), "--url", url)
		require.NotZero(t, r.code, url)
		require.Contains(t, r.stderr, "--url", url)
	}
	require.Empty(t, printed[[]printedWebhook](t, environ, "webhooks", "list", "--app", string(app.ID)))
}

// An endpoint that the server stops calling is in the audit log, and its owner has
// a mail: here the log, where no mail server is set.
func TestWebhookStoppedIsTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(gone.Close)
	app := createApp(t, n.environ)
	printed[printedUser](t, n.environ, "users", "create", "ada@example.com", "--tenant", "acme")
	made := printed[printedWebhook](t, n.environ, "webhooks", "create", "--app", string(app.ID), "--url", gone.URL+"/hooks")
	r := platform(t, n.environ, "webhooks", "test", made.ID, "--app", string(app.ID))
	require.Zero(t, r.code, r.stderr)
	eventually(t, func() bool { return strings.Contains(n.log.String(), "A webhook endpoint was disabled") }, "no mail")
	for _, part := range []string{"ada@example.com", gone.URL + "/hooks", "410 Gone", "/dashboard/apps/" + string(app.ID) + "/webhooks/" + made.ID} {
		require.Contains(t, n.log.String(), part)
	}
	export := printed[map[string]any](t, n.environ, "tenants", "export", "acme")
	raw, err := json.Marshal(export)
	require.NoError(t, err)
	require.Contains(t, string(raw), "webhook.disabled")
}

// Nodes of two databases on one Redis take each other's webhook events: those of
// the second one say so, and what to do.
func TestRedisOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	environ := inOwnRedis(t, twoNodes(t), 14)
	const complaint = "this Redis belongs to another database"
	n := startNodeWith(t, extras{}, environ...)
	require.NotContains(t, n.log.String(), complaint)
	other := append(slices.Clone(environ), "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t))
	o := startNodeWith(t, extras{}, other...)
	require.Contains(t, o.log.String(), complaint)
	require.Contains(t, o.log.String(), "platform redis claim")
	n.end(t)
	o.end(t)
	r := platform(t, other, "redis", "claim")
	require.Zero(t, r.code, r.stderr)
	require.NotContains(t, startNodeWith(t, extras{}, other...).log.String(), complaint)
	require.Contains(t, startNodeWith(t, extras{}, environ...).log.String(), complaint)
}

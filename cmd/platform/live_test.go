package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// socket is a client that hears the channel news and notes how it ended.
type socket struct {
	conn  *websocket.Conn
	ended chan struct{}
	code  int // after ended
	at    time.Time
	late  int // events heard after the error that closes it
}

// crowd opens sockets with a key; token may be empty.
func crowd(t *testing.T, n *node, count int, key, token string, header ...string) []*socket {
	t.Helper()
	list := make([]*socket, count)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	headers := http.Header{}
	if len(header) == 2 {
		headers.Set(header[0], header[1])
	}
	for i := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			address := "ws" + strings.TrimPrefix(n.url, "http") + "/app/" + key + "?protocol=7"
			if token != "" {
				address += "&token=" + url.QueryEscape(token)
			}
			conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), address, headers)
			if err != nil {
				t.Errorf("connect: %v", err)
				return
			}
			_ = resp.Body.Close()
			list[i] = &socket{conn: conn, ended: make(chan struct{})}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	var readers sync.WaitGroup
	for _, s := range list {
		readers.Go(func() { s.read() })
	}
	t.Cleanup(func() {
		for _, s := range list {
			_ = s.conn.Close()
		}
		readers.Wait()
	})
	return list
}

func (s *socket) read() {
	defer close(s.ended)
	erred := false
	for {
		_, message, err := s.conn.ReadMessage()
		if err != nil {
			if closed, ok := err.(*websocket.CloseError); ok { //nolint:errorlint // gorilla's own, unwrapped
				s.code = closed.Code
			}
			s.at = time.Now()
			return
		}
		if erred {
			s.late++
		}
		erred = erred || strings.Contains(string(message), "pusher:error")
	}
}

// requireClosed waits until all sockets were closed with a code, and returns how
// long the last one took.
func requireClosed(t *testing.T, list []*socket, code int, since time.Time) (last time.Duration) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for _, s := range list {
		select {
		case <-s.ended:
		case <-deadline:
			require.FailNow(t, "a socket is still open")
		}
		require.Equal(t, code, s.code)
		require.Zero(t, s.late, "events heard after the error")
		last = max(last, s.at.Sub(since))
	}
	require.Less(t, last, 5*time.Second)
	return last
}

func requireOpen(t *testing.T, list []*socket) {
	t.Helper()
	for _, s := range list {
		select {
		case <-s.ended:
			require.FailNow(t, "a socket was closed that is not concerned", "code %d", s.code)
		default:
		}
	}
}

// until measures how long it takes until a change is felt.
func until(t *testing.T, felt func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !felt() {
		require.Less(t, time.Since(begun), 20*time.Second, "the change is not felt")
	}
	return time.Since(begun)
}

// liveWorld is a node with a customer, an operator and sockets.
type liveWorld struct {
	*node
	t             *testing.T
	ada, operator *person
	took          []time.Duration // from the answer of the API to the effect
}

// felt notes how long a change took until the status of publishing was that.
func (w *liveWorld) felt(app apiApp, status int) {
	w.t.Helper()
	w.took = append(w.took, until(w.t, func() bool {
		got, _, _ := post(w.t, w.url, app.printed(), "news")
		return got == status
	}))
}

func (w *liveWorld) app(tenant string, body fields) apiApp {
	w.t.Helper()
	body["name"] = "App"
	return call[apiApp](w.ada, 201, http.MethodPost, "/tenants/"+tenant+"/apps", body)
}

// TestChangesAreLive makes every kind of change under 2,000 sockets.
func TestChangesAreLive(t *testing.T) {
	t.Parallel()
	w := &liveWorld{node: startNode(t, "TIDEWIRE_SIGNUP=open"), t: t}
	w.ada = signUp(t, w.url, "ada@example.com", "Acme", "")
	call[any](w.ada, 200, http.MethodPost, "/verify", fields{"token": w.link(t, "ada@example.com", "Confirm")})
	user := printed[printedUser](t, w.environ, "users", "create", "op@example.com", "--operator")
	w.operator = &person{t: t, base: w.url}
	call[any](w.operator, 204, http.MethodPost, "/password-reset/confirm", fields{"token": mailedLink.FindStringSubmatch(user.PasswordLink)[1], "password": password})
	w.operator.logIn("op@example.com")

	bystander := w.app("acme", fields{})
	others := crowd(t, w.node, 400, bystander.Key, "")
	w.disable()
	w.revokeKey()
	w.revokeTokens()
	w.changeLimits(bystander)
	w.changeOrigins()
	requireOpen(t, others)
	w.suspend(bystander, others)

	slices.Sort(w.took)
	t.Logf("%d changes, from the answer to the effect: median %s, most %s", len(w.took), w.took[len(w.took)/2], w.took[len(w.took)-1])
	require.Less(t, w.took[len(w.took)/2], time.Second)
	require.Less(t, w.took[len(w.took)-1], 3*time.Second, "with room for a busy machine")
}

func (w *liveWorld) disable() {
	app := w.app("acme", fields{})
	sockets := crowd(w.t, w.node, 400, app.Key, "")
	call[any](w.ada, 200, http.MethodPost, "/apps/"+string(app.ID)+"/disable", nil)
	done := time.Now()
	w.felt(app, http.StatusForbidden)
	w.t.Logf("disabled: 400 sockets closed in %s", requireClosed(w.t, sockets, 4003, done))
	require.Equal(w.t, "app_disabled", w.ada.code(409, http.MethodPost, "/apps/"+string(app.ID)+"/events", fields{"name": "e", "channels": []string{"news"}, "data": "x"}))
	call[any](w.ada, 200, http.MethodPost, "/apps/"+string(app.ID)+"/enable", nil)
	w.felt(app, http.StatusOK)
}

func (w *liveWorld) revokeKey() {
	app := w.app("acme", fields{})
	path := "/apps/" + string(app.ID)
	second := call[apiApp](w.ada, 201, http.MethodPost, path+"/keys", nil)
	second.ID = app.ID
	until(w.t, func() bool { status, _, _ := post(w.t, w.url, second.printed(), "news"); return status == 200 })
	gone, kept := crowd(w.t, w.node, 400, app.Key, ""), crowd(w.t, w.node, 100, second.Key, "")
	call[any](w.ada, 200, http.MethodPost, path+"/keys/"+app.Key+"/revoke", nil)
	done := time.Now()
	w.felt(app, http.StatusUnauthorized)
	w.t.Logf("key revoked: 400 sockets closed in %s", requireClosed(w.t, gone, 4001, done))
	requireOpen(w.t, kept)
}

// revokeTokens takes back users' tokens, by id and by user.
func (w *liveWorld) revokeTokens() {
	secret := strings.Repeat("s", 40)
	app := w.app("acme", fields{"settings": fields{"jwt": fields{"issuers": []fields{
		{"issuer": "us", "audience": "app", "algorithms": []string{"HS256"}, "secret": secret},
	}}}})
	token := func(jti, sub string) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "us", "aud": "app", "sub": sub, "jti": jti, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString([]byte(secret))
		require.NoError(w.t, err)
		return text
	}
	byID, bySub := crowd(w.t, w.node, 100, app.Key, token("t1", "u1")), crowd(w.t, w.node, 100, app.Key, token("t2", "u2"))
	kept := crowd(w.t, w.node, 100, app.Key, token("t3", "u3"))
	for kind, list := range map[string][]*socket{"jti t1": byID, "sub u2": bySub} {
		kind, value, _ := strings.Cut(kind, " ")
		call[any](w.ada, 201, http.MethodPost, "/apps/"+string(app.ID)+"/revocations", fields{"kind": kind, "value": value})
		took := requireClosed(w.t, list, 4009, time.Now())
		w.took = append(w.took, took)
		w.t.Logf("%s revoked: 100 sockets closed in %s", kind, took)
	}
	requireOpen(w.t, kept)
	revoked := call[struct{ Data []tenants.Revocation }](w.ada, 200, http.MethodGet, "/apps/"+string(app.ID)+"/revocations", nil)
	require.Len(w.t, revoked.Data, 2)
}

func (w *liveWorld) changeLimits(app apiApp) {
	for range 5 {
		for limit, status := range map[int]int{1: http.StatusRequestEntityTooLarge, 10_240: http.StatusOK} {
			call[any](w.ada, 200, http.MethodPatch, "/apps/"+string(app.ID), fields{"limits": fields{"max_event_bytes": limit}})
			w.felt(app, status)
		}
	}
	call[any](w.ada, 200, http.MethodPatch, "/apps/"+string(app.ID), fields{"limits": fields{"max_event_bytes": nil}})
	w.felt(app, http.StatusOK)
}

// changeOrigins does so under traffic: pages that are not allowed any more are
// closed and cannot come back, programs and the others stay.
func (w *liveWorld) changeOrigins() {
	app := w.app("acme", fields{})
	set := func(origins ...string) {
		call[any](w.ada, 200, http.MethodPatch, "/apps/"+string(app.ID), fields{"settings": fields{"allowed_origins": origins}})
	}
	gone := crowd(w.t, w.node, 1000, app.Key, "", "Origin", "https://evil.example.com")
	kept := append(crowd(w.t, w.node, 300, app.Key, "", "Origin", "https://good.example.com"), crowd(w.t, w.node, 300, app.Key, "")...)
	stop := w.subscribeAll(app, slices.Concat(gone, kept))
	defer stop()
	refused := func() bool {
		address := "ws" + strings.TrimPrefix(w.url, "http") + "/app/" + app.Key + "?protocol=7"
		conn, resp, err := websocket.DefaultDialer.DialContext(w.t.Context(), address, http.Header{"Origin": {"https://evil.example.com"}})
		require.NoError(w.t, err)
		_ = resp.Body.Close()
		defer conn.Close()
		_, message, err := conn.ReadMessage()
		return err != nil || strings.Contains(string(message), "4009")
	}
	require.False(w.t, refused())
	set("good.example.com")
	done := time.Now()
	w.took = append(w.took, until(w.t, refused))
	w.t.Logf("other origins: 1000 sockets of 2000 closed in %s", requireClosed(w.t, gone, 4009, done))
	requireOpen(w.t, kept)
	set()
	w.took = append(w.took, until(w.t, func() bool { return !refused() }))
}

// subscribeAll has sockets hear news, to which it publishes until it is stopped.
func (w *liveWorld) subscribeAll(app apiApp, sockets []*socket) (stop func()) {
	for _, s := range sockets {
		require.NoError(w.t, s.conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)))
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-quit:
				return
			case <-pace.C:
				_, _, _ = post(w.t, w.url, app.printed(), "news")
			}
		}
	}()
	return func() { close(quit); <-done }
}

func (w *liveWorld) suspend(app apiApp, sockets []*socket) {
	more := w.app("acme", fields{})
	sockets = append(sockets, crowd(w.t, w.node, 400, more.Key, "")...)
	call[any](w.operator, 200, http.MethodPost, "/operator/tenants/acme/suspend", fields{"reason": "unpaid since May"})
	done := time.Now()
	w.felt(app, http.StatusForbidden)
	w.t.Logf("suspended: 800 sockets closed in %s", requireClosed(w.t, sockets, 4003, done))
	require.Equal(w.t, "tenant_suspended", w.ada.code(403, http.MethodPost, "/tenants/acme/apps", fields{"name": "x"}))

	w.ada.logIn("ada@example.com") // the owner can still sign in, read why, and take everything along
	tenant := call[tenants.Tenant](w.ada, 200, http.MethodGet, "/tenants/acme", nil)
	require.Equal(w.t, "unpaid since May", tenant.StatusReason)
	require.Len(w.t, call[struct{ Apps []any }](w.ada, 200, http.MethodGet, "/tenants/acme/export", nil).Apps, 6)
	call[any](w.operator, 200, http.MethodPost, "/operator/tenants/acme/resume", nil)
	w.felt(app, http.StatusOK)
	crowd(w.t, w.node, 1, app.Key, "")
	require.Equal(w.t, fmt.Sprint(tenants.TenantActive), fmt.Sprint(call[tenants.Tenant](w.ada, 200, http.MethodGet, "/tenants/acme", nil).Status))
}

package channels_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/tenants"
)

const (
	tokenKey    = "an HMAC secret of more than 32 bytes"
	authSuccess = "tidewire:auth_success"
)

type obj = map[string]any

// token signs claims, given over good ones of alice; nil takes a claim away.
func token(t testing.TB, change obj) string {
	t.Helper()
	claims := obj{"iss": "us", "aud": "app", "sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	raw, err := json.Marshal(claims)
	require.NoError(t, err)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw)
	mac := hmac.New(sha256.New, []byte(tokenKey))
	_, _ = mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// revoked is a set of revocations that tests add to.
type revoked struct {
	mu   sync.Mutex
	list []tenants.Revocation
}

func (r *revoked) Revocations(context.Context, tenants.AppID) ([]tenants.Revocation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tenants.Revocation(nil), r.list...), nil
}

func (r *revoked) add(t *testing.T, kind tenants.RevocationKind, value string) {
	t.Helper()
	one, err := tenants.NewRevocation(kind, value, time.Now())
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, one)
}

// tokenWorld is a node whose app accepts tokens.
type tokenWorld struct {
	t       *testing.T
	hub     *channels.Hub
	app     *tenants.App
	revoked *revoked
	list    *tenants.RevocationList
}

func newTokenWorld(t *testing.T, o tenants.JWTOptions) *tokenWorld {
	t.Helper()
	w := &tokenWorld{t: t, revoked: &revoked{}}
	w.app = &tenants.App{
		ID: "7", TenantStatus: tenants.TenantActive, Settings: tenants.DefaultSettings(), Limits: tenants.DefaultLimits(),
		Keys: []tenants.Key{{Key: "278d425bdf160c739803", Secret: tenants.NewSecret("7ad3773142a6692b25b8"), Status: tenants.KeyActive}},
	}
	w.app.Settings.ClientEvents = true
	w.app.Settings.JWT.Issuers = []tenants.JWTIssuer{{
		Issuer: "us", Audience: "app", Algorithms: []string{"HS256"}, Secret: tenants.NewSecret(tokenKey),
	}}
	w.list = tenants.NewRevocationList(w.revoked, nil)
	broker := channels.NewMemoryBroker()
	w.hub = channels.NewHub(channels.HubConfig{
		Broker: broker, Presence: channels.NewMemoryPresence(broker), JWT: tenants.NewJWTVerifier(nil, w.list, o),
	})
	w.list.OnChange(w.hub.RecheckTokens)
	for _, run := range []func(context.Context) error{w.hub.Run, w.list.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	probe := channels.Topic{App: "1", Channel: "is-it-running"}
	require.Eventually(t, func() bool { return broker.Subscribe(context.Background(), probe) == nil }, 5*time.Second, time.Millisecond)
	require.NoError(t, broker.Unsubscribe(context.Background(), probe))
	return w
}

// changed is what the directory says after a change of the app.
func (w *tokenWorld) changed(change func(*tenants.App)) {
	w.t.Helper()
	next := *w.app
	next.Settings.JWT.Issuers = append([]tenants.JWTIssuer(nil), w.app.Settings.JWT.Issuers...)
	next.Version++
	if change != nil {
		change(&next)
	}
	before := w.app
	w.app = &next
	w.hub.AppChanged(before, &next)
	w.list.AppChanged(before, &next)
}

func (w *tokenWorld) connect() *channelstest.Client {
	w.t.Helper()
	return channelstest.Connect(w.t, w.hub, w.app)
}

// signedIn connects and sends a token with these claims.
func (w *tokenWorld) signedIn(claims obj) *channelstest.Client {
	w.t.Helper()
	c := w.connect()
	show(c, token(w.t, claims))
	requireSuccess(w.t, c)
	return c
}

func show(c *channelstest.Client, token string) {
	c.Send("tidewire:auth", "", obj{"token": token})
}

type success struct {
	UserID       string `json:"user_id"`
	ExpiresAt    int64  `json:"expires_at"`
	Channel      string
	Unsubscribed []string
}

func requireSuccess(t *testing.T, c *channelstest.Client) success {
	t.Helper()
	f := c.Next()
	require.Equal(t, authSuccess, f.Event, "%s", f.Data)
	var s success
	require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &s))
	return s
}

func subscribe(c *channelstest.Client, data obj) { c.Send("pusher:subscribe", "", data) }

func requireSubscribed(t *testing.T, c *channelstest.Client, channel string) string {
	t.Helper()
	f := c.Next()
	require.Equal(t, "pusher_internal:subscription_succeeded", f.Event, "%s", f.Data)
	require.Equal(t, channel, f.Channel)
	return f.Text(t)
}

func requireComplaint(t *testing.T, c *channelstest.Client, want string) {
	t.Helper()
	_, message := c.Complaint()
	require.Contains(t, message, want)
	require.NotContains(t, message, "\n")
}

func caps(names ...string) []string { return names }

func TestConnectionTokenGivesAccess(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.connect()
	exp := time.Now().Add(time.Hour).Unix()
	show(c, token(t, obj{"exp": exp, "info": obj{"name": "Alice"}, "channels": obj{
		"private-*": caps("subscribe"), "private-talk": caps("publish"), "presence-room": caps("subscribe", "presence"), "presence-half": caps("subscribe"),
	}}))
	require.Equal(t, success{UserID: "alice", ExpiresAt: exp, Unsubscribed: []string{}}, requireSuccess(t, c))

	subscribe(c, obj{"channel": "private-talk"})
	requireSubscribed(t, c, "private-talk")
	subscribe(c, obj{"channel": "private-quiet", "auth": ""})
	requireSubscribed(t, c, "private-quiet")
	subscribe(c, obj{"channel": "presence-room"})
	require.JSONEq(t, `{"presence":{"count":1,"ids":["alice"],"hash":{"alice":{"name":"Alice"}}}}`, requireSubscribed(t, c, "presence-room"))
	subscribe(c, obj{"channel": "#server-to-user-alice"})
	requireSubscribed(t, c, "#server-to-user-alice")
	subscribe(c, obj{"channel": "#server-to-user-bob"})
	requireComplaint(t, c, "Only the user signed in as bob")
	subscribe(c, obj{"channel": "presence-half"})
	requireComplaint(t, c, "does not allow subscribe and presence on presence-half")
	subscribe(c, obj{"channel": "presence-other"})
	requireComplaint(t, c, "does not allow")

	other := w.connect()
	for _, channel := range []string{"private-talk", "private-quiet"} {
		other.Join(channel, "") // by HMAC, beside the token
	}
	c.Send("client-hi", "private-quiet", obj{"a": 1})
	requireComplaint(t, c, "does not allow publish on private-quiet")
	c.Send("client-hi", "private-talk", obj{"a": 1})
	require.Equal(t, "client-hi", other.Next().Event)
	other.Send("client-back", "private-quiet", obj{})
	require.Equal(t, "client-back", c.Next().Event)

	plain := w.connect()
	subscribe(plain, obj{"channel": "private-talk"})
	requireComplaint(t, plain, "Auth info required to subscribe to private-talk")
	require.Equal(t, []string{"alice"}, channelstest.PresenceIDs(t, w.joinAs(plain, "presence-room", "alice")))
}

// joinAs joins by HMAC.
func (w *tokenWorld) joinAs(c *channelstest.Client, channel, user string) string {
	w.t.Helper()
	return c.Join(channel, fmt.Sprintf(`{"user_id":%q}`, user))
}

func TestHMACStaysBesideAToken(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.signedIn(nil)
	c.Join("private-x", "") // the token allows nothing, the signature does
	c.Send("client-hi", "private-x", obj{})
	c.Silent()
	require.Equal(t, []string{"somebody"}, channelstest.PresenceIDs(t, w.joinAs(c, "presence-x", "somebody")))
}

func TestChannelToken(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.connect()
	subscribe(c, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x", "sub": nil, "socket_id": c.ID})})
	requireSubscribed(t, c, "private-x")
	c.Send("client-hi", "private-x", obj{})
	requireComplaint(t, c, "does not allow publish on private-x")
	c.Send("pusher:unsubscribe", "", obj{"channel": "private-x"})
	subscribe(c, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x", "capabilities": caps("subscribe", "publish")})})
	requireSubscribed(t, c, "private-x")
	c.Send("client-hi", "private-x", obj{})
	c.Silent()
	subscribe(c, obj{"channel": "private-y", "auth": token(t, obj{"channels": obj{"private-y*": caps("subscribe")}})})
	requireSubscribed(t, c, "private-y")

	// Who it is comes from the token; what pusher-js needs for itself must agree.
	member := token(t, obj{"sub": "auth0|17", "channel": "presence-x", "info": obj{"name": "A"}})
	subscribe(c, obj{"channel": "presence-x", "auth": member, "channel_data": `{"user_id":"mallory"}`})
	requireComplaint(t, c, "user_id in channel_data is not the sub")
	subscribe(c, obj{"channel": "presence-x", "auth": member, "channel_data": `nonsense`})
	requireComplaint(t, c, "channel_data")
	subscribe(c, obj{"channel": "presence-x", "auth": member, "channel_data": `{"user_id":"auth0|17","user_info":{"name":"Admin"}}`})
	require.JSONEq(t, `{"presence":{"count":1,"ids":["auth0|17"],"hash":{"auth0|17":{"name":"A"}}}}`, requireSubscribed(t, c, "presence-x"))

	stranger := w.connect()
	subscribe(stranger, obj{"channel": "private-x"})
	requireComplaint(t, stranger, "Auth info required")
}

func TestChannelTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.connect()
	long := strings.Repeat("x", 1024)
	for name, try := range map[string]struct {
		channel string
		claims  obj
		want    string
	}{
		"another channel":      {"private-x", obj{"channel": "private-y"}, "its channel is another one"},
		"a longer channel":     {"private-xy", obj{"channel": "private-x"}, "its channel is another one"},
		"another connection":   {"private-x", obj{"channel": "private-x", "socket_id": "1.2"}, "socket_id is not the one"},
		"no capability":        {"private-x", obj{"channel": "private-x", "capabilities": caps("publish")}, "does not allow subscribe"},
		"no pattern":           {"private-x", obj{"channels": obj{"private-y-*": caps("subscribe")}}, "does not allow subscribe"},
		"nothing at all":       {"private-x", nil, "does not allow subscribe"},
		"presence without it":  {"presence-x", obj{"channels": obj{"*": caps("subscribe", "publish")}}, "does not allow subscribe and presence"},
		"presence, no subject": {"presence-x", obj{"channel": "presence-x", "sub": nil}, "must say in sub"},
		"a large info":         {"presence-x", obj{"channel": "presence-x", "info": obj{"a": long}}, "more than the 1024 bytes"},
		"expired":              {"private-x", obj{"channel": "private-x", "exp": time.Now().Unix() - 60}, "it has expired"},
	} {
		subscribe(c, obj{"channel": try.channel, "auth": token(t, try.claims)})
		_, message := c.Complaint()
		require.Contains(t, message, try.want, name)
		require.Contains(t, message, try.channel, name)
	}
	subscribe(c, obj{"channel": "private-x", "auth": "a.b.c"})
	requireComplaint(t, c, "Invalid token")
	subscribe(c, obj{"channel": "private-x", "auth": "no-colon"})
	requireComplaint(t, c, "must have the format key:signature")
	require.Empty(t, w.hub.Stats().Channels)
}

func TestConnectionTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.connect()
	for name, try := range map[string]struct {
		claims obj
		want   string
	}{
		"a channel token":      {obj{"channel": "private-x"}, "it is for one channel"},
		"another connection":   {obj{"socket_id": "1.2"}, "socket_id is not the one"},
		"no user":              {obj{"sub": nil}, "sub must be the user's id"},
		"no user id of ours":   {obj{"sub": "auth0|17"}, "sub must be the user's id"},
		"a large info":         {obj{"info": obj{"a": strings.Repeat("x", 1024)}}, "more than the 1024 bytes"},
		"another audience":     {obj{"aud": "other"}, "its aud is not"},
		"info of a bad string": {obj{"info": json.RawMessage(`{"a":"\ud800"}`)}, "info must be an object that others can be sent"},
	} {
		show(c, token(t, try.claims))
		code, message := c.Complaint()
		require.Equal(t, channels.CodeUnauthorized, code, name)
		require.Contains(t, message, try.want, name)
	}
	for _, data := range []any{nil, "x", obj{}, obj{"token": 1}, obj{"token": "x", "channel": 5}, []any{}} {
		c.Send("tidewire:auth", "", data)
		requireComplaint(t, c, "Invalid tidewire:auth message")
	}
	c.Silent() // the connection has stayed
}

func TestASecondUserIsRefused(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.signedIn(nil)
	show(c, token(t, obj{"sub": "bob"}))
	requireComplaint(t, c, "already signed in as user alice")
	c.SignIn(`{"id":"bob"}`)
	requireComplaint(t, c, "already signed in as user alice")
	c.SignIn(`{"id":"alice"}`)
	require.Equal(t, "pusher:signin_success", c.Next().Event)
	require.NoError(t, w.hub.TerminateUser(t.Context(), w.app, "alice"))
	require.Equal(t, channels.CodeUnauthorized, c.Closed(), "as any user who signed in")
}

// Refreshing keeps the connection, and what the new token does not allow ends.
func TestRefreshInPlace(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	id := ""
	c := w.signedIn(obj{"channels": obj{"private-*": caps("subscribe", "publish")}})
	id = c.ID
	for _, channel := range []string{"private-a", "private-b"} {
		subscribe(c, obj{"channel": channel})
		requireSubscribed(t, c, channel)
	}
	c.Join("private-c", "") // by HMAC
	show(c, token(t, obj{"channels": obj{"private-b": caps("subscribe")}, "socket_id": id}))
	require.Equal(t, []string{"private-a"}, requireSuccess(t, c).Unsubscribed)
	subscribe(c, obj{"channel": "private-a"})
	requireComplaint(t, c, "does not allow subscribe on private-a")
	c.Send("client-x", "private-b", obj{})
	requireComplaint(t, c, "does not allow publish on private-b")
	c.Send("client-x", "private-c", obj{})
	c.Silent()
	require.Equal(t, id, c.ID)
}

func TestExpiryClosesUnlessRefreshed(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{Leeway: -1})
	soon := time.Now().Unix() + 2
	expiring := w.signedIn(obj{"exp": soon})
	refreshed := w.signedIn(obj{"exp": soon})
	show(refreshed, token(t, nil))
	requireSuccess(t, refreshed)

	byChannel, renewed := w.connect(), w.connect()
	for _, c := range []*channelstest.Client{byChannel, renewed} {
		subscribe(c, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x", "exp": soon})})
		requireSubscribed(t, c, "private-x")
	}
	renewed.Send("tidewire:auth", "", obj{"channel": "private-x", "token": token(t, obj{"channel": "private-x"})})
	require.Equal(t, "private-x", requireSuccess(t, renewed).Channel)
	left := w.connect()
	subscribe(left, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x", "exp": soon})})
	requireSubscribed(t, left, "private-x")
	left.Send("pusher:unsubscribe", "", obj{"channel": "private-x"})

	code, message := expiring.Complaint()
	require.Equal(t, channels.CodeUnauthorized, code)
	require.Contains(t, message, "Token expired")
	require.Equal(t, channels.CodeUnauthorized, expiring.Next().CloseCode, "it is said once")
	require.Equal(t, channels.CodeReconnect, byChannel.Closed(), "Pusher clients come back with a new one")
	require.False(t, time.Now().Before(time.Unix(soon, 0)), "not before its time")
	for _, c := range []*channelstest.Client{refreshed, renewed, left} {
		c.Silent()
	}
}

func TestChannelTokenRefreshRefusals(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c := w.connect()
	subscribe(c, obj{"channel": "presence-x", "auth": token(t, obj{"channel": "presence-x"})})
	requireSubscribed(t, c, "presence-x")
	c.Join("private-h", "")
	refresh := func(channel string, claims obj, want string) {
		t.Helper()
		c.Send("tidewire:auth", "", obj{"channel": channel, "token": token(t, claims)})
		requireComplaint(t, c, want)
	}
	refresh("private-none", obj{"channel": "private-none"}, "no subscription by token")
	refresh("private-h", obj{"channel": "private-h"}, "no subscription by token")
	refresh("presence-x", obj{"channel": "private-h"}, "its channel is another one")
	refresh("presence-x", obj{"channel": "presence-x", "sub": "bob"}, "its sub is not the user who is subscribed")
	refresh("presence-x", obj{"channel": "presence-x", "exp": 1000}, "it has expired")
	c.Silent()
}

func TestRevokedTokensCloseConnections(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	byID, byUser := w.signedIn(obj{"jti": "one"}), w.signedIn(obj{"sub": "mallory"})
	onChannel := w.connect()
	subscribe(onChannel, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x", "jti": "one"})})
	requireSubscribed(t, onChannel, "private-x")
	untouched, plain := w.signedIn(obj{"jti": "two"}), w.connect()

	w.revoked.add(t, tenants.RevokeJTI, "one")
	w.revoked.add(t, tenants.RevokeSub, "mallory")
	start := time.Now()
	w.changed(nil)
	for _, c := range []*channelstest.Client{byID, byUser, onChannel} {
		require.Equal(t, channels.CodeUnauthorized, c.Closed())
	}
	require.Less(t, time.Since(start), 5*time.Second)
	for _, c := range []*channelstest.Client{untouched, plain} {
		c.Silent()
	}
	show(plain, token(t, obj{"jti": "one"}))
	requireComplaint(t, plain, "it was revoked")
}

func TestAnIssuerThatIsRemovedTakesItsConnections(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	c, plain := w.signedIn(nil), w.connect()
	w.changed(func(a *tenants.App) { a.Settings.ClientEvents = false })
	c.Silent()
	w.changed(func(a *tenants.App) {
		a.Settings.JWT.Issuers[0].Secret = tenants.NewSecret(strings.Repeat("n", 32))
	})
	require.Equal(t, channels.CodeUnauthorized, c.Closed())
	plain.Silent()
}

func TestATokenAuthorizesAConnection(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, tenants.JWTOptions{})
	w.changed(func(a *tenants.App) {
		a.Settings.RequireAuthorization, a.Settings.AuthorizationTimeoutSeconds = true, 1
	})
	c, onChannel, idle := w.signedIn(nil), w.connect(), w.connect()
	subscribe(onChannel, obj{"channel": "private-x", "auth": token(t, obj{"channel": "private-x"})})
	requireSubscribed(t, onChannel, "private-x")
	require.Equal(t, channels.CodeUnauthorized, idle.Closed())
	c.Silent()
	onChannel.Silent()
}

func TestAHubWithoutAVerifier(t *testing.T) {
	t.Parallel()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker)})
	_, refusal := hub.VerifyConnectToken(t.Context(), &tenants.App{ID: "7"}, "a.b.c")
	require.Equal(t, channels.CodeUnauthorized, refusal.Code)
	hub.RecheckTokens("7")
}

package ws_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/ws"
	"tidewire/tenants"
	"tidewire/tenants/jwks"
)

// tokenWorld is a server whose app trusts an issuer that publishes its keys.
type tokenWorld struct {
	*world
	key *rsa.PrivateKey
}

func newTokenWorld(t *testing.T) *tokenWorld {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
	require.NoError(t, err)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(issuer.Close)

	app := newApp(func(a *tenants.App) {
		a.Settings.JWT.Issuers = []tenants.JWTIssuer{
			{Issuer: "us", Audience: "app", Algorithms: []string{"RS256"}, JWKSURL: issuer.URL},
			{Issuer: "away", Audience: "app", Algorithms: []string{"RS256"}, JWKSURL: "http://127.0.0.1:1/keys"},
		}
	})
	broker := channels.NewMemoryBroker()
	keys := jwks.New(jwks.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	hub := channels.NewHub(channels.HubConfig{
		Broker: broker, Presence: channels.NewMemoryPresence(broker),
		JWT: tenants.NewJWTVerifier(keys, nil, tenants.JWTOptions{Leeway: -1}),
	})
	ctx, cancel := context.WithCancel(context.Background())
	hubDone := make(chan error, 1)
	go func() { hubDone <- hub.Run(ctx) }()
	door := ws.New(ws.Config{Hub: hub, Apps: apps{appKey: app}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: door, ReadHeaderTimeout: 5 * time.Second}
	listener = door.Listen(listener, server.Handler)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-served
		require.NoError(t, door.Close())
		cancel()
		require.NoError(t, <-hubDone)
	})
	probe := channels.Topic{App: "1", Channel: "is-it-running"}
	require.Eventually(t, func() bool { return broker.Subscribe(ctx, probe) == nil }, 5*time.Second, time.Millisecond)
	w := &world{t: t, app: app, hub: hub, door: door, url: "ws://" + listener.Addr().String()}
	return &tokenWorld{world: w, key: key}
}

func (w *tokenWorld) token(change jwt.MapClaims) string {
	w.t.Helper()
	claims := jwt.MapClaims{
		"iss": "us", "aud": "app", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
		"channels": map[string][]string{"private-*": {"subscribe"}, "presence-*": {"subscribe", "presence"}},
	}
	for name, value := range change {
		claims[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "k1"
	text, err := token.SignedString(w.key)
	require.NoError(w.t, err)
	return text
}

func (w *tokenWorld) path(query url.Values) string {
	query.Set("protocol", "7")
	return "/app/" + appKey + "?" + query.Encode()
}

// come connects with a token and reads what is said first.
func (w *tokenWorld) come(token string) *peer {
	w.t.Helper()
	p := w.dial(w.path(url.Values{"token": {token}}), nil)
	var greeting struct {
		SocketID string `json:"socket_id"`
	}
	f := p.next()
	require.Equal(w.t, "pusher:connection_established", f.Event, "%s", f.Data)
	unquote(w.t, f.Data, &greeting)
	p.id = greeting.SocketID
	f = p.next()
	require.Equal(w.t, "tidewire:auth_success", f.Event)
	return p
}

func TestConnectWithAToken(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t)
	p := w.come(w.token(nil))
	p.send(`{"event":"pusher:subscribe","data":{"channel":"presence-room"}}`)
	f := p.next()
	require.Equal(t, "pusher_internal:subscription_succeeded", f.Event, "%s", f.Data)
	require.Contains(t, string(f.Data), `\"ids\":[\"alice\"]`)

	// Beside it a client of the old kind, on the same channel.
	old := w.connect()
	auth, err := tenants.ChannelAuth(w.app.Keys[0], old.id, "private-news", "")
	require.NoError(t, err)
	old.send(`{"event":"pusher:subscribe","data":{"channel":"private-news","auth":"` + auth + `"}}`)
	require.Equal(t, "pusher_internal:subscription_succeeded", old.next().Event)
	p.send(`{"event":"pusher:subscribe","data":{"channel":"private-news"}}`)
	require.Equal(t, "pusher_internal:subscription_succeeded", p.next().Event)
	require.NoError(t, w.publish("private-news", "hello", "all"))
	for _, one := range []*peer{p, old} {
		require.Equal(t, "hello", one.next().Event)
	}
	// And one with a token for the channel alone.
	third := w.connect()
	third.send(`{"event":"pusher:subscribe","data":{"channel":"private-news","auth":"` + w.token(jwt.MapClaims{"socket_id": third.id}) + `"}}`)
	require.Equal(t, "pusher_internal:subscription_succeeded", third.next().Event)
}

func TestConnectWithABadToken(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t)
	forged := w.token(nil)
	forged = forged[:len(forged)-8] + "AAAAAAAA"
	for name, c := range map[string]struct {
		query url.Values
		code  int
		want  string
	}{
		"nonsense":                               {url.Values{"token": {"nonsense"}}, 4009, "three parts"},
		"empty":                                  {url.Values{"token": {""}}, 4009, "it is empty"},
		"twice":                                  {url.Values{"token": {w.token(nil), w.token(nil)}}, 4009, "several times"},
		"forged":                                 {url.Values{"token": {forged}}, 4009, "signature does not fit"},
		"expired":                                {url.Values{"token": {w.token(jwt.MapClaims{"exp": time.Now().Unix() - 5})}}, 4009, "it has expired"},
		"for a channel":                          {url.Values{"token": {w.token(jwt.MapClaims{"channels": map[string][]string{}, "socket_id": "1.2"})}}, 4009, "socket_id"},
		"an issuer whose keys cannot be fetched": {url.Values{"token": {w.token(jwt.MapClaims{"iss": "away"})}}, 4100, "in a moment"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.dial(w.path(c.query), nil)
			code, message := p.complaint()
			require.NotNil(t, code)
			require.Equal(t, c.code, *code, message)
			require.Contains(t, message, c.want)
			require.Equal(t, c.code, p.closed())
		})
	}
}

// A token that runs out closes its connection; one that is replaced in time
// does not, and the connection is the same.
func TestTokenExpiryOverTheSocket(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t)
	soon := w.token(jwt.MapClaims{"exp": time.Now().Unix() + 2})
	gone, stays := w.come(soon), w.come(soon)
	stays.send(`{"event":"tidewire:auth","data":{"token":"` + w.token(nil) + `"}}`)
	require.Equal(t, "tidewire:auth_success", stays.next().Event)
	code, message := gone.complaint()
	require.Equal(t, 4009, *code)
	require.Contains(t, message, "Token expired")
	require.Equal(t, 4009, gone.closed())

	auth, err := tenants.ChannelAuth(w.app.Keys[0], stays.id, "private-x", "")
	require.NoError(t, err)
	stays.send(`{"event":"pusher:subscribe","data":{"channel":"private-x","auth":"` + auth + `"}}`)
	require.Equal(t, "pusher_internal:subscription_succeeded", stays.next().Event, "the socket id is still the same")
}

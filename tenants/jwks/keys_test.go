package jwks_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/tenants"
	"tidewire/tenants/jwks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// rsaKeys are made once: they take long.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type obj = map[string]any

func rsaJWK(kid string, key *rsa.PrivateKey) obj {
	return obj{"kty": "RSA", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

func with(m obj, name string, value any) obj {
	m[name] = value
	return m
}

func keySet(keys ...obj) string {
	raw, err := json.Marshal(obj{"keys": keys})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// issuer publishes a key set over HTTPS.
type issuer struct {
	*httptest.Server

	mu     sync.Mutex
	asked  int
	answer func(http.ResponseWriter)
}

func newIssuer(t *testing.T, start func(*httptest.Server)) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		i.asked++
		answer := i.answer
		i.mu.Unlock()
		answer(w)
	}))
	i.Config.ErrorLog = nil
	start(i.Server)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(text string) {
	i.answers(func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) })
}

func (i *issuer) answers(f func(http.ResponseWriter)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *issuer) times() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func setup(t *testing.T) (*issuer, *jwks.Keys, *clock) {
	t.Helper()
	i := newIssuer(t, (*httptest.Server).StartTLS)
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	c := &clock{now: time.Now()}
	return i, jwks.New(jwks.Options{Allow: loopback, TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, Now: c.Now}), c
}

func requireKey(t *testing.T, want *rsa.PrivateKey, got crypto.PublicKey, err error) {
	t.Helper()
	require.NoError(t, err)
	require.True(t, want.PublicKey.Equal(got))
}

func TestRotation(t *testing.T) {
	t.Parallel()
	i, k, c := setup(t)
	one, two := rsaKeys()[0], rsaKeys()[1]
	i.serve(keySet(rsaJWK("one", one)))
	ctx := t.Context()

	got, err := k.Key(ctx, "7", i.URL, "one", "RS256")
	requireKey(t, one, got, err)
	_, err = k.Key(ctx, "7", i.URL, "two", "RS256")
	require.ErrorIs(t, err, tenants.ErrNotFound)
	require.Equal(t, 1, i.times(), "a second fetch has to wait")

	// The new key is published beside the old one.
	i.serve(keySet(rsaJWK("one", one), rsaJWK("two", two)))
	c.pass(30 * time.Second)
	got, err = k.Key(ctx, "7", i.URL, "two", "RS256")
	requireKey(t, two, got, err)
	got, err = k.Key(ctx, "7", i.URL, "one", "PS384")
	requireKey(t, one, got, err)
	require.Equal(t, 2, i.times())

	// The old key is removed: it is gone with the next fetch.
	i.serve(keySet(rsaJWK("two", two)))
	c.pass(5 * time.Minute)
	_, err = k.Key(ctx, "7", i.URL, "one", "RS256")
	require.ErrorIs(t, err, tenants.ErrNotFound)
	got, err = k.Key(ctx, "7", i.URL, "two", "RS256")
	requireKey(t, two, got, err)
	require.Equal(t, 3, i.times())
}

// A key id says nothing without app and URL.
func TestTheSameKeyIDAtTwoTenants(t *testing.T) {
	t.Parallel()
	i, k, _ := setup(t)
	other := newIssuer(t, func(s *httptest.Server) { s.Start() })
	one, two := rsaKeys()[0], rsaKeys()[1]
	i.serve(keySet(rsaJWK("k", one)))
	other.serve(keySet(rsaJWK("k", two)))

	for range 2 {
		got, err := k.Key(t.Context(), "7", i.URL, "k", "RS256")
		requireKey(t, one, got, err)
		got, err = k.Key(t.Context(), "8", other.URL, "k", "RS256")
		requireKey(t, two, got, err)
	}
	require.Equal(t, 1, i.times())
	require.Equal(t, 1, other.times())
	// Even the same URL is fetched for each app: what one made it answer is not
	// what the other gets.
	_, err := k.Key(t.Context(), "9", i.URL, "k", "RS256")
	require.NoError(t, err)
	require.Equal(t, 2, i.times())
}

// End to end: a token that tenant A's key signed, under tenant B's issuer.
func TestAForeignTokenOfTheSameKeyID(t *testing.T) {
	t.Parallel()
	i, k, _ := setup(t)
	other := newIssuer(t, func(s *httptest.Server) { s.Start() })
	i.serve(keySet(rsaJWK("k", rsaKeys()[0])))
	other.serve(keySet(rsaJWK("k", rsaKeys()[1])))
	app := func(id tenants.AppID, url string) *tenants.App {
		a := &tenants.App{ID: id, Settings: tenants.DefaultSettings()}
		a.Settings.JWT.Issuers = []tenants.JWTIssuer{{Issuer: "us", Audience: "app", Algorithms: []string{"RS256"}, JWKSURL: url}}
		require.NoError(t, a.Settings.Validate())
		return a
	}
	ours, theirs := app("7", i.URL), app("8", other.URL)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": "us", "aud": "app", "sub": "a", "exp": time.Now().Add(time.Minute).Unix()})
	token.Header["kid"] = "k"
	text, err := token.SignedString(rsaKeys()[0])
	require.NoError(t, err)

	v := tenants.NewJWTVerifier(k, nil, tenants.JWTOptions{})
	for range 2 {
		_, err = v.Verify(t.Context(), ours, text)
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), theirs, text)
		require.ErrorContains(t, err, "signature does not fit")
	}
}

// Unknown key ids cost their issuer one request in half a minute, all together.
func TestAFloodOfUnknownKeyIDs(t *testing.T) {
	t.Parallel()
	i, k, c := setup(t)
	i.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	for n := range 500 {
		_, err := k.Key(t.Context(), "7", i.URL, fmt.Sprint(n), "RS256")
		require.ErrorIs(t, err, tenants.ErrNotFound)
	}
	require.Equal(t, 1, i.times())
	c.pass(29 * time.Second)
	_, err := k.Key(t.Context(), "7", i.URL, "x", "RS256")
	require.ErrorIs(t, err, tenants.ErrNotFound)
	require.Equal(t, 1, i.times())
	got, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
	requireKey(t, rsaKeys()[0], got, err)
}

func TestAnIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	i, k, c := setup(t)
	down := func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }
	i.answers(down)
	for range 50 {
		_, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
		require.ErrorIs(t, err, tenants.ErrUnavailable, "never not found")
	}
	require.Equal(t, 1, i.times(), "that it is away is remembered")

	i.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	c.pass(30 * time.Second)
	got, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
	requireKey(t, rsaKeys()[0], got, err)

	i.answers(down)
	c.pass(59 * time.Minute)
	got, err = k.Key(t.Context(), "7", i.URL, "one", "RS256")
	requireKey(t, rsaKeys()[0], got, err) // the old set is still good
	c.pass(time.Minute)
	_, err = k.Key(t.Context(), "7", i.URL, "one", "RS256")
	require.ErrorIs(t, err, tenants.ErrUnavailable, "but not for ever")
}

// An issuer that hangs holds up one caller, not those who can use the old set.
func TestAnIssuerThatHangs(t *testing.T) {
	t.Parallel()
	i, k, c := setup(t)
	i.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	_, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
	require.NoError(t, err)

	entered, leave := make(chan struct{}), make(chan struct{})
	i.answers(func(w http.ResponseWriter) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, keySet(rsaJWK("two", rsaKeys()[1])))
	})
	c.pass(6 * time.Minute)
	refreshed := make(chan error, 1)
	go func() {
		_, err := k.Key(context.Background(), "7", i.URL, "one", "RS256")
		refreshed <- err
	}()
	<-entered
	_, err = k.Key(t.Context(), "7", i.URL, "one", "RS256")
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = k.Key(gone, "7", i.URL, "two", "RS256")
	require.ErrorIs(t, err, tenants.ErrUnavailable, "who waits can give up")
	close(leave)
	require.ErrorIs(t, <-refreshed, tenants.ErrNotFound, "the key was removed")
	_, err = k.Key(t.Context(), "7", i.URL, "two", "RS256")
	require.NoError(t, err)
}

func TestWhatIsNoKeySet(t *testing.T) {
	t.Parallel()
	many := make([]obj, 101)
	for n := range many {
		many[n] = obj{"kty": "RSA"}
	}
	for name, answer := range map[string]func(http.ResponseWriter){
		"not JSON":      func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"no keys":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"kty":"RSA"}`) },
		"not UTF-8":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{\"keys\":[],\"x\":\"\xff\"}") },
		"101 keys":      func(w http.ResponseWriter) { _, _ = io.WriteString(w, keySet(many...)) },
		"over 64 KiB":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, keySet(obj{"x": strings.Repeat("x", 65536)})) },
		"status 404":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"a huge header": func(w http.ResponseWriter) { w.Header().Set("X", strings.Repeat("x", 20_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, k, _ := setup(t)
			i.answers(answer)
			_, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
			require.ErrorIs(t, err, tenants.ErrUnavailable)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	i, k, _ := setup(t)
	target := newIssuer(t, func(s *httptest.Server) { s.Start() })
	target.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	i.answers(func(w http.ResponseWriter) {
		w.Header().Set("Location", target.URL)
		w.WriteHeader(http.StatusFound)
	})
	_, err := k.Key(t.Context(), "7", i.URL, "one", "RS256")
	require.ErrorIs(t, err, tenants.ErrUnavailable)
	require.Zero(t, target.times())
}

// Keys that are of no use are left out, and the good one beside them is found.
func TestKeysThatAreLeftOut(t *testing.T) {
	t.Parallel()
	good := rsaKeys()[0]
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := ec.PublicKey.Bytes()
	require.NoError(t, err)
	x, y := point[1:33], point[33:]
	ecJWK := func(crv string, x, y []byte) obj {
		return obj{"kty": "EC", "kid": "one", "crv": crv, "x": b64(x), "y": b64(y)}
	}
	for name, bad := range map[string]struct {
		alg string
		key obj
	}{
		"a symmetric key":       {"HS256", obj{"kty": "oct", "kid": "one", "k": b64(make([]byte, 64))}},
		"RSA of 1024 bits":      {"RS256", rsaJWK("one", small)},
		"RSA of 16384 bits":     {"RS256", with(rsaJWK("one", good), "n", b64(append([]byte{0x80}, make([]byte, 2047)...)))},
		"RSA with exponent 1":   {"RS256", with(rsaJWK("one", good), "e", b64([]byte{1}))},
		"RSA with a huge e":     {"RS256", with(rsaJWK("one", good), "e", b64([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 1}))},
		"RSA without a modulus": {"RS256", with(rsaJWK("one", good), "n", "")},
		"RSA for encryption":    {"RS256", with(rsaJWK("one", good), "use", "enc")},
		"RSA for signing only":  {"RS256", with(rsaJWK("one", good), "key_ops", []string{"sign"})},
		"RSA of another alg":    {"RS256", with(rsaJWK("one", good), "alg", "RS512")},
		"RSA that says HS256":   {"HS256", with(rsaJWK("one", good), "alg", "HS256")},
		"RSA asked for as EC":   {"ES256", rsaJWK("one", good)},
		"a point off the curve": {"ES256", ecJWK("P-256", x, append(y[:31:31], y[31]^1))},
		"a short coordinate":    {"ES256", ecJWK("P-256", x[:31], y)},
		"the point zero":        {"ES256", ecJWK("P-256", make([]byte, 32), make([]byte, 32))},
		"another curve":         {"ES384", ecJWK("P-256", x, y)},
		"an unknown curve":      {"ES256", ecJWK("secp256k1", x, y)},
		"Ed25519 of 31 bytes":   {"EdDSA", obj{"kty": "OKP", "kid": "one", "crv": "Ed25519", "x": b64(make([]byte, 31))}},
		"X25519":                {"EdDSA", obj{"kty": "OKP", "kid": "one", "crv": "X25519", "x": b64(make([]byte, 32))}},
		"a kid of 65 bytes":     {"RS256", rsaJWK(strings.Repeat("k", 65), good)},
		"a kid that is a list":  {"RS256", with(rsaJWK("one", good), "kid", []string{"one"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, k, _ := setup(t)
			i.serve(keySet(bad.key, rsaJWK("good", good)))
			_, err := k.Key(t.Context(), "7", i.URL, "one", bad.alg)
			require.ErrorIs(t, err, tenants.ErrNotFound)
			got, err := k.Key(t.Context(), "7", i.URL, "good", "RS256")
			requireKey(t, good, got, err)
		})
	}
}

func TestKeysOfEachKind(t *testing.T) {
	t.Parallel()
	i, k, _ := setup(t)
	var keys []obj
	want := make(map[string]crypto.PublicKey)
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		point, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		half := len(point) / 2
		keys = append(keys, obj{"kty": "EC", "kid": alg, "use": "sig", "crv": curve.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])})
		want[alg] = &key.PublicKey
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	want["EdDSA"] = public
	keys = append(keys, obj{"kty": "OKP", "kid": "EdDSA", "crv": "Ed25519", "alg": "EdDSA", "x": b64(public)})
	want["RS256"] = &rsaKeys()[0].PublicKey
	keys = append(keys, with(rsaJWK("RS256", rsaKeys()[0]), "key_ops", []string{"verify"}))
	i.serve(keySet(keys...))
	for alg, key := range want {
		for _, id := range []string{alg, ""} { // one key fits, so the id is not needed
			got, err := k.Key(t.Context(), "7", i.URL, id, alg)
			require.NoError(t, err, alg)
			require.True(t, key.(interface{ Equal(crypto.PublicKey) bool }).Equal(got), alg)
		}
	}

	other, k2, _ := setup(t)
	other.serve(keySet(rsaJWK("one", rsaKeys()[0]), rsaJWK("two", rsaKeys()[1]), rsaJWK("two", rsaKeys()[0])))
	for _, id := range []string{"", "two"} {
		_, err := k2.Key(t.Context(), "7", other.URL, id, "RS256")
		require.ErrorIs(t, err, tenants.ErrNotFound, "which of two is meant cannot be told")
	}
}

// An app cannot make the node remember more sets than it can have issuers.
func TestSetsAreForgotten(t *testing.T) {
	t.Parallel()
	i, k, c := setup(t)
	i.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	ask := func(n int) {
		c.pass(time.Millisecond)
		_, err := k.Key(t.Context(), "7", fmt.Sprint(i.URL, "/", n), "one", "RS256")
		require.NoError(t, err)
	}
	for n := range 11 {
		ask(n)
	}
	require.Equal(t, 11, i.times())
	ask(10)
	require.Equal(t, 11, i.times())
	ask(0) // the oldest had to go
	require.Equal(t, 12, i.times())
}

func FuzzKeySets(f *testing.F) {
	f.Add(keySet(rsaJWK("one", rsaKeys()[0])))
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":""}]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"gA","e":"AQAB"},null,1,[],"x"]}`)
	f.Add(`{"keys":null}`)
	var text string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, set string) {
		text = set
		k := jwks.New(jwks.Options{Allow: loopback})
		for _, alg := range tenants.JWTAlgorithms() {
			key, err := k.Key(t.Context(), "7", server.URL, "", alg)
			if err == nil {
				require.NoError(t, tenants.CheckPublicKey(key))
				require.True(t, tenants.JWTKeyFits(alg, key))
			}
		}
	})
}

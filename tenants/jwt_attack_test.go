package tenants_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// jwtSecret is the HMAC secret of the issuers in these tests.
const jwtSecret = "an HMAC secret of more than 32 bytes"

// jwtKeys are made once: RSA keys take long.
var jwtKeys = sync.OnceValue(func() (k struct {
	rsa, otherRSA *rsa.PrivateKey
	p256, p384    *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
},
) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.otherRSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// jwtApp is an app with one issuer per kind of key. All have the audience "app".
func jwtApp(t testing.TB) *tenants.App {
	t.Helper()
	k := jwtKeys()
	app := &tenants.App{ID: "7", TenantStatus: tenants.TenantActive, Settings: tenants.DefaultSettings()}
	app.Settings.JWT.Issuers = []tenants.JWTIssuer{
		{Issuer: "hmac", Audience: "app", Algorithms: []string{"HS256"}, Secret: tenants.NewSecret(jwtSecret)},
		{Issuer: "rsa", Audience: "app", Algorithms: []string{"RS256", "PS256"}, PublicKey: publicPEM(t, &k.rsa.PublicKey)},
		{Issuer: "ec", Audience: "app", Algorithms: []string{"ES256"}, PublicKey: publicPEM(t, &k.p256.PublicKey)},
		{Issuer: "ed", Audience: "app", Algorithms: []string{"EdDSA"}, PublicKey: publicPEM(t, k.ed.Public())},
		{Issuer: "set", Audience: "app", Algorithms: []string{"RS256"}, JWKSURL: "https://id.example.com/keys"},
	}
	require.NoError(t, app.Settings.Validate())
	return app
}

// oneKey publishes one RSA key, as "k1", for every app.
type oneKey struct{ key crypto.PublicKey }

func (k oneKey) Key(_ context.Context, _ tenants.AppID, url, id, _ string) (crypto.PublicKey, error) {
	switch {
	case url != "https://id.example.com/keys":
		return nil, fmt.Errorf("%w: another URL was asked for", tenants.ErrUnavailable)
	case id == "away":
		return nil, tenants.ErrUnavailable
	case id != "k1":
		return nil, tenants.ErrNotFound
	}
	return k.key, nil
}

func verifier() *tenants.JWTVerifier {
	return tenants.NewJWTVerifier(oneKey{&jwtKeys().otherRSA.PublicKey}, nil, tenants.JWTOptions{})
}

type obj = map[string]any

// goodClaims are what any issuer may say now.
func goodClaims(issuer string) obj {
	return obj{
		"iss": issuer, "aud": "app", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"channels": obj{"private-*": []string{"subscribe"}},
	}
}

func with(m obj, name string, value any) obj {
	if value == nil {
		delete(m, name)
	} else {
		m[name] = value
	}
	return m
}

func part(v any) string {
	raw, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		raw = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// signed makes a token out of any header and claims, objects or text, signed by
// the method as it is, whatever the header says.
func signed(t testing.TB, method jwt.SigningMethod, key, header, claims any) string {
	t.Helper()
	text := part(header) + "." + part(claims)
	signature, err := method.Sign(text, key)
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func hs256(t testing.TB, header, claims any) string {
	t.Helper()
	return signed(t, jwt.SigningMethodHS256, []byte(jwtSecret), header, claims)
}

var hsHeader = obj{"alg": "HS256", "typ": "JWT"}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	k, app := jwtKeys(), jwtApp(t)
	for name, token := range map[string]string{
		"HS256":                     hs256(t, hsHeader, goodClaims("hmac")),
		"RS256":                     signed(t, jwt.SigningMethodRS256, k.rsa, obj{"alg": "RS256"}, goodClaims("rsa")),
		"PS256":                     signed(t, jwt.SigningMethodPS256, k.rsa, obj{"alg": "PS256"}, goodClaims("rsa")),
		"ES256":                     signed(t, jwt.SigningMethodES256, k.p256, obj{"alg": "ES256"}, goodClaims("ec")),
		"EdDSA":                     signed(t, jwt.SigningMethodEdDSA, k.ed, obj{"alg": "EdDSA"}, goodClaims("ed")),
		"JWKS":                      signed(t, jwt.SigningMethodRS256, k.otherRSA, obj{"alg": "RS256", "kid": "k1", "typ": "at+jwt"}, goodClaims("set")),
		"an audience among several": hs256(t, hsHeader, with(goodClaims("hmac"), "aud", []string{"other", "app"})),
		"unknown claims and x5t":    hs256(t, obj{"alg": "HS256", "x5t": "abc"}, with(goodClaims("hmac"), "email", obj{"a": []int{1}})),
		"without iat":               hs256(t, hsHeader, with(goodClaims("hmac"), "iat", nil)),
		"with fractions":            hs256(t, hsHeader, with(goodClaims("hmac"), "exp", json.Number(fmt.Sprintf("%d.5", time.Now().Unix()+60)))),
		"a clock 5 s ahead":         hs256(t, hsHeader, with(goodClaims("hmac"), "iat", time.Now().Unix()+5)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims, err := verifier().Verify(t.Context(), app, token)
			require.NoError(t, err)
			require.Equal(t, "alice", claims.Subject)
			require.Equal(t, 10*time.Second, claims.Deadline.Sub(claims.ExpiresAt))
			require.True(t, claims.Allows("private-x", tenants.CapSubscribe))
			require.False(t, claims.Allows("private-x", tenants.CapPublish))
			require.False(t, claims.Allows("presence-x", tenants.CapSubscribe))
			require.NoError(t, verifier().Recheck(t.Context(), app, claims))
		})
	}
	t.Run("expired 5 s ago", func(t *testing.T) { // not parallel: it would age while it waits for its turn
		_, err := verifier().Verify(t.Context(), app, hs256(t, hsHeader, with(goodClaims("hmac"), "exp", time.Now().Unix()-5)))
		require.NoError(t, err)
	})
}

// TestTokenAttacks forges tokens. Each must be refused for its own reason, with
// a text that helps and holds nothing of the token.
func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	k := jwtKeys()
	rsaPEM := publicPEM(t, &k.rsa.PublicKey)
	now := time.Now().Unix()
	good := hs256(t, hsHeader, goodClaims("hmac"))
	goodParts := strings.Split(good, ".")
	// text makes HS256 tokens out of claims as text, where encoding/json would tidy up.
	text := func(format string, a ...any) string {
		return hs256(t, hsHeader, fmt.Sprintf(`{"iss":"hmac","aud":"app","sub":"alice",`+format+`}`, a...))
	}
	claim := func(name string, value any) string { return hs256(t, hsHeader, with(goodClaims("hmac"), name, value)) }
	head := func(h obj) string { return hs256(t, h, goodClaims("hmac")) }

	for _, c := range []struct {
		name, token string
		reason      tenants.JWTReason
	}{
		// Shape.
		{"empty", "", tenants.JWTMalformed},
		{"one part", "abc", tenants.JWTMalformed},
		{"two parts", goodParts[0] + "." + goodParts[1], tenants.JWTMalformed},
		{"four parts", good + ".x", tenants.JWTMalformed},
		{"a thousand dots", strings.Repeat(".", 1000), tenants.JWTMalformed},
		{"longer than 8 KiB", claim("pad", strings.Repeat("x", 8192)), tenants.JWTMalformed},
		{"padded base64", goodParts[0] + "==." + goodParts[1] + "." + goodParts[2], tenants.JWTMalformed},
		{"a line break in the header", goodParts[0] + "\n." + goodParts[1] + "." + goodParts[2], tenants.JWTMalformed},
		{"a line break in the signature", good[:len(good)-9] + "\r\n" + good[len(good)-9:], tenants.JWTMalformed},
		{"base64 of the other alphabet", goodParts[0] + "+." + goodParts[1] + "." + goodParts[2], tenants.JWTMalformed},
		{"a header that is a list", hs256(t, `[]`, goodClaims("hmac")), tenants.JWTMalformed},
		{"claims that are null", hs256(t, hsHeader, `null`), tenants.JWTMalformed},
		{"two objects as claims", hs256(t, hsHeader, `{}{}`), tenants.JWTMalformed},
		{"claims that are not UTF-8", hs256(t, hsHeader, "{\"a\":\"\xff\"}"), tenants.JWTMalformed},
		{"claims nested very deeply", text(`"x":%s%s,"exp":%d`, strings.Repeat("[", 1000), strings.Repeat("]", 1000), now+60), tenants.JWTMalformed},
		{"a duplicate exp", text(`"exp":%d,"exp":%d`, now-9999, now+60), tenants.JWTMalformed},
		{"a duplicate exp in another spelling", text(`"exp":%d,"\u0065xp":%d`, now-9999, now+60), tenants.JWTMalformed},
		{"a duplicate in info", text(`"exp":%d,"info":{"a":1,"a":2}`, now+60), tenants.JWTMalformed},
		{"EXP beside exp", text(`"exp":%d,"EXP":%d`, now-9999, now+60), tenants.JWTMalformed},
		{"Sub instead of sub", text(`"exp":%d,"Jti":"x"`, now+60), tenants.JWTMalformed},
		{"iss with a long s", text(`"exp":%d,"i%cs":"hmac"`, now+60, 'ſ'), tenants.JWTMalformed},
		{"a duplicate alg", hs256(t, `{"alg":"none","alg":"HS256"}`, goodClaims("hmac")), tenants.JWTMalformed},

		// Algorithms and signatures.
		{"alg none without signature", part(obj{"alg": "none"}) + "." + goodParts[1] + ".", tenants.JWTAlgorithm},
		{"alg None", part(obj{"alg": "None"}) + "." + goodParts[1] + ".", tenants.JWTAlgorithm},
		{"alg none with the old signature", part(obj{"alg": "none"}) + "." + goodParts[1] + "." + goodParts[2], tenants.JWTAlgorithm},
		{"no alg", head(obj{"typ": "JWT"}), tenants.JWTHeaderWrong},
		{"alg that is a number", head(obj{"alg": 256}), tenants.JWTHeaderWrong},
		{"alg in lower case", head(obj{"alg": "hs256"}), tenants.JWTAlgorithm},
		{"no signature", goodParts[0] + "." + goodParts[1] + ".", tenants.JWTSignature},
		{"another secret", signed(t, jwt.SigningMethodHS256, []byte("another secret, of more than 32 bytes"), hsHeader, goodClaims("hmac")), tenants.JWTSignature},
		{"an empty secret", signed(t, jwt.SigningMethodHS256, []byte{}, hsHeader, goodClaims("hmac")), tenants.JWTSignature},
		{"HS512 where HS256 is pinned", signed(t, jwt.SigningMethodHS512, []byte(jwtSecret), obj{"alg": "HS512"}, goodClaims("hmac")), tenants.JWTAlgorithm},
		{"half a signature", good[:len(good)-23], tenants.JWTSignature},
		{"claims of another token", goodParts[0] + "." + part(with(goodClaims("hmac"), "sub", "mallory")) + "." + goodParts[2], tenants.JWTSignature},
		{"the RSA key as HMAC secret", signed(t, jwt.SigningMethodHS256, []byte(rsaPEM), hsHeader, goodClaims("rsa")), tenants.JWTAlgorithm},
		{"the RSA key's DER as HMAC secret", signed(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey), hsHeader, goodClaims("rsa")), tenants.JWTAlgorithm},
		{"HMAC for the issuer of a key set", hs256(t, obj{"alg": "HS256", "kid": "k1"}, goodClaims("set")), tenants.JWTAlgorithm},
		{"RS512 where RS256 is pinned", signed(t, jwt.SigningMethodRS512, k.rsa, obj{"alg": "RS512"}, goodClaims("rsa")), tenants.JWTAlgorithm},
		{"somebody else's RSA key", signed(t, jwt.SigningMethodRS256, k.otherRSA, obj{"alg": "RS256"}, goodClaims("rsa")), tenants.JWTSignature},
		{"another curve", signed(t, jwt.SigningMethodES384, k.p384, obj{"alg": "ES384"}, goodClaims("ec")), tenants.JWTAlgorithm},
		{"an all-zero ECDSA signature", part(obj{"alg": "ES256"}) + "." + part(goodClaims("ec")) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), tenants.JWTSignature},
		{"an all-zero Ed25519 signature", part(obj{"alg": "EdDSA"}) + "." + part(goodClaims("ed")) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), tenants.JWTSignature},

		// Headers that bring keys along, or change the rules.
		{"jku", head(obj{"alg": "HS256", "jku": "https://evil.example/keys"}), tenants.JWTHeaderWrong},
		{"x5u", head(obj{"alg": "HS256", "x5u": "https://evil.example/cert"}), tenants.JWTHeaderWrong},
		{"jwk", head(obj{"alg": "HS256", "jwk": obj{"kty": "oct", "k": "AA"}}), tenants.JWTHeaderWrong},
		{"x5c", head(obj{"alg": "HS256", "x5c": []string{"AA"}}), tenants.JWTHeaderWrong},
		{"crit", head(obj{"alg": "HS256", "crit": []string{"exp"}}), tenants.JWTHeaderWrong},
		{"b64 false", head(obj{"alg": "HS256", "b64": false}), tenants.JWTHeaderWrong},
		{"zip", head(obj{"alg": "HS256", "zip": "DEF"}), tenants.JWTHeaderWrong},
		{"JKU in capitals", head(obj{"alg": "HS256", "JKU": "https://evil.example"}), tenants.JWTMalformed},
		{"a token in a token", head(obj{"alg": "HS256", "cty": "JWT"}), tenants.JWTHeaderWrong},
		{"typ of a logout token", head(obj{"alg": "HS256", "typ": "logout+jwt"}), tenants.JWTHeaderWrong},
		{"kid of 65 bytes", head(obj{"alg": "HS256", "kid": strings.Repeat("k", 65)}), tenants.JWTHeaderWrong},
		{"kid that is an object", head(obj{"alg": "HS256", "kid": obj{"a": 1}}), tenants.JWTHeaderWrong},
		{"kid that is a path", signed(t, jwt.SigningMethodRS256, k.otherRSA, obj{"alg": "RS256", "kid": "../../dev/null"}, goodClaims("set")), tenants.JWTUnknownKey},
		{"kid that is SQL", signed(t, jwt.SigningMethodRS256, k.otherRSA, obj{"alg": "RS256", "kid": "' OR 1=1 --"}, goodClaims("set")), tenants.JWTUnknownKey},
		{"no kid where there are several keys", signed(t, jwt.SigningMethodRS256, k.otherRSA, obj{"alg": "RS256"}, goodClaims("set")), tenants.JWTUnknownKey},

		// Time.
		{"no exp", claim("exp", nil), tenants.JWTClaimsWrong},
		{"exp of 0", claim("exp", 0), tenants.JWTClaimsWrong},
		{"exp null", text(`"exp":null`), tenants.JWTClaimsWrong},
		{"exp as text", claim("exp", fmt.Sprint(now+60)), tenants.JWTClaimsWrong},
		{"exp in milliseconds", claim("exp", (now+60)*1000), tenants.JWTClaimsWrong},
		{"exp with an exponent", text(`"exp":1e300`), tenants.JWTClaimsWrong},
		{"exp below zero", claim("exp", -1), tenants.JWTClaimsWrong},
		{"expired a minute ago", claim("exp", now-60), tenants.JWTExpired},
		{"valid for 25 hours", claim("exp", now+25*3600), tenants.JWTLifetime},
		{"valid for 25 hours, iat hidden", hs256(t, hsHeader, with(with(goodClaims("hmac"), "exp", now+25*3600), "iat", nil)), tenants.JWTLifetime},
		{"an old iat with a near exp", hs256(t, hsHeader, with(goodClaims("hmac"), "iat", now-30*3600)), tenants.JWTLifetime},
		{"nbf ahead", claim("nbf", now+60), tenants.JWTNotYet},
		{"iat ahead", claim("iat", now+60), tenants.JWTNotYet},

		// Who made it for whom.
		{"no iss", claim("iss", nil), tenants.JWTIssuerWrong},
		{"an unknown iss", claim("iss", "https://evil.example"), tenants.JWTIssuerWrong},
		{"iss as a list", claim("iss", []string{"hmac"}), tenants.JWTIssuerWrong},
		{"iss of another issuer of the app", claim("iss", "rsa"), tenants.JWTAlgorithm},
		{"no aud", claim("aud", nil), tenants.JWTAudience},
		{"aud of another app", claim("aud", "other"), tenants.JWTAudience},
		{"an empty list as aud", claim("aud", []string{}), tenants.JWTAudience},
		{"aud that only begins alike", claim("aud", "app2"), tenants.JWTAudience},
		{"aud as an object", claim("aud", obj{"app": true}), tenants.JWTClaimsWrong},
		{"sub as a number", claim("sub", 10), tenants.JWTClaimsWrong},
		{"sub of 129 characters", claim("sub", strings.Repeat("x", 129)), tenants.JWTClaimsWrong},
		{"sub with a control character", claim("sub", "a\u0000b"), tenants.JWTClaimsWrong},
		{"sub with half a surrogate", text(`"sub":"\ud800","exp":%d`, now+60), tenants.JWTMalformed},

		// What it allows.
		{"channels as a list", claim("channels", []string{"private-*"}), tenants.JWTClaimsWrong},
		{"an unknown capability", claim("channels", obj{"private-*": []string{"admin"}}), tenants.JWTClaimsWrong},
		{"capabilities as text", claim("channels", obj{"private-*": "subscribe"}), tenants.JWTClaimsWrong},
		{"a pattern with a star in a word", claim("channels", obj{"private-a*b": []string{"subscribe"}}), tenants.JWTClaimsWrong},
		{"a pattern that is no name", claim("channels", obj{"private-(a+)+$": []string{"subscribe"}}), tenants.JWTClaimsWrong},
		{"channel and channels", claim("channel", "private-x"), tenants.JWTClaimsWrong},
		{"channel that is no name", hs256(t, hsHeader, with(with(goodClaims("hmac"), "channels", nil), "channel", "private x")), tenants.JWTClaimsWrong},
		{"socket_id with more behind it", claim("socket_id", "1.2:private-x"), tenants.JWTClaimsWrong},
		{"info as text", claim("info", "admin"), tenants.JWTClaimsWrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claims, err := verifier().Verify(t.Context(), jwtApp(t), c.token)
			require.Nil(t, claims)
			var refused *tenants.JWTError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.reason, refused.Reason, "%v", err)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 250)
			for _, leak := range append(strings.Split(c.token, "."), "evil.example", "mallory") {
				if len(leak) > 4 {
					require.NotContains(t, err.Error(), leak)
				}
			}
		})
	}
}

// An issuer whose secret got lost must not be one with an empty secret.
func TestALostSecretVerifiesNothing(t *testing.T) {
	t.Parallel()
	app := jwtApp(t)
	app.Settings.JWT.Issuers[0].Secret = tenants.Secret{}
	mac := hmac.New(sha256.New, nil)
	text := part(hsHeader) + "." + part(goodClaims("hmac"))
	_, _ = mac.Write([]byte(text))
	_, err := verifier().Verify(t.Context(), app, text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	require.ErrorContains(t, err, "secret of its issuer is missing")
}

func TestTokensOfAnAppWithoutIssuers(t *testing.T) {
	t.Parallel()
	app := jwtApp(t)
	app.Settings.JWT.Issuers = nil
	_, err := verifier().Verify(t.Context(), app, hs256(t, hsHeader, goodClaims("hmac")))
	var refused *tenants.JWTError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, tenants.JWTDisabled, refused.Reason)
	require.Contains(t, err.Error(), "jwt.issuers")
}

// Not knowing is not a no.
func TestKeysThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	token := signed(t, jwt.SigningMethodRS256, jwtKeys().otherRSA, obj{"alg": "RS256", "kid": "away"}, goodClaims("set"))
	for _, v := range []*tenants.JWTVerifier{verifier(), tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{})} {
		_, err := v.Verify(t.Context(), jwtApp(t), token)
		require.ErrorIs(t, err, tenants.ErrUnavailable)
		require.NotErrorAs(t, err, new(*tenants.JWTError))
	}
}

// While a secret is replaced, tokens of the old and of the new one are good.
func TestTwoEntriesOfOneIssuer(t *testing.T) {
	t.Parallel()
	app := jwtApp(t)
	next := app.Settings.JWT.Issuers[0]
	next.Secret = tenants.NewSecret("the next secret, of more than 32 bytes")
	app.Settings.JWT.Issuers = append(app.Settings.JWT.Issuers, next)
	for _, secret := range []string{jwtSecret, next.Secret.Reveal()} {
		claims, err := verifier().Verify(t.Context(), app, signed(t, jwt.SigningMethodHS256, []byte(secret), hsHeader, goodClaims("hmac")))
		require.NoError(t, err)
		require.NoError(t, verifier().Recheck(t.Context(), app, claims))
	}
	_, err := verifier().Verify(t.Context(), app, hs256(t, hsHeader, with(goodClaims("hmac"), "exp", 1000)))
	require.ErrorContains(t, err, "expired", "the reason that tells most")
}

func TestRecheckFollowsTheSettings(t *testing.T) {
	t.Parallel()
	token := hs256(t, hsHeader, goodClaims("hmac"))
	for name, change := range map[string]func(*tenants.JWTIssuer){
		"audience":   func(i *tenants.JWTIssuer) { i.Audience = "other" },
		"secret":     func(i *tenants.JWTIssuer) { i.Secret = tenants.NewSecret(strings.Repeat("x", 40)) },
		"algorithms": func(i *tenants.JWTIssuer) { i.Algorithms = []string{"HS512"} },
		"issuer":     func(i *tenants.JWTIssuer) { i.Issuer = "somebody" },
	} {
		app := jwtApp(t)
		claims, err := verifier().Verify(t.Context(), app, token)
		require.NoError(t, err)
		change(&app.Settings.JWT.Issuers[0])
		require.ErrorContains(t, verifier().Recheck(t.Context(), app, claims), "no longer accepts its issuer", name)
	}
	app := jwtApp(t)
	claims, err := verifier().Verify(t.Context(), app, token)
	require.NoError(t, err)
	later := tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{Now: func() time.Time { return claims.Deadline }})
	require.ErrorContains(t, later.Recheck(t.Context(), app, claims), "expired")
}

func TestLeewayIsBounded(t *testing.T) {
	t.Parallel()
	token := hs256(t, hsHeader, with(goodClaims("hmac"), "exp", time.Now().Unix()-40))
	_, err := tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{Leeway: time.Hour}).Verify(t.Context(), jwtApp(t), token)
	require.ErrorContains(t, err, "expired")
	token = hs256(t, hsHeader, with(goodClaims("hmac"), "exp", time.Now().Unix()-2))
	_, err = tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{Leeway: -1}).Verify(t.Context(), jwtApp(t), token)
	require.ErrorContains(t, err, "expired")
}

// Whatever is changed about a good token, it is refused, unless it still is
// that token.
func FuzzTokens(f *testing.F) {
	app := jwtApp(f)
	good := []string{
		hs256(f, hsHeader, goodClaims("hmac")),
		signed(f, jwt.SigningMethodES256, jwtKeys().p256, obj{"alg": "ES256"}, goodClaims("ec")),
		signed(f, jwt.SigningMethodEdDSA, jwtKeys().ed, obj{"alg": "EdDSA"}, goodClaims("ed")),
	}
	f.Add(0, 3, 5, "x")
	f.Add(0, 0, 0, "")
	f.Add(1, 10, 11, "=")
	f.Add(2, 40, 60, "\n")
	f.Add(0, 0, 20, part(obj{"alg": "none"}))
	f.Fuzz(func(t *testing.T, which, from, to int, instead string) {
		token := good[uint(which)%uint(len(good))]
		from = int(uint(from) % uint(len(token)+1))
		to = from + int(uint(to)%uint(len(token)+1-from))
		changed := token[:from] + instead + token[to:]
		claims, err := verifier().Verify(t.Context(), app, changed)
		if changed == token {
			require.NoError(t, err)
			return
		}
		require.Error(t, err, changed)
		require.Nil(t, claims)
	})
}

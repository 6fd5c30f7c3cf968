package tenants_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// quoted is s as a JSON string.
func quoted(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func issuerJSON(rest string) string {
	return `{"jwt":{"issuers":[{"issuer":"us","audience":"app",` + rest + `}]}}`
}

func TestParseJWTSettings(t *testing.T) {
	t.Parallel()
	s, err := tenants.ParseSettings([]byte(`{"jwt":{"issuers":[
		{"issuer":"https://id.example.com/","audience":"app","algorithms":["RS256","ES256"],"jwks_url":"https://id.example.com/keys?v=1"},
		{"issuer":"dev","audience":"app","algorithms":["EdDSA"],"jwks_url":"http://127.0.0.1:8080/keys"},
		{"issuer":"pem","audience":"app","algorithms":["PS512"],"public_key":` + quoted(publicPEM(t, &jwtKeys().rsa.PublicKey)) + `},
		{"issuer":"us","audience":"app","algorithms":["HS256","HS512"],"secret":` + quoted(jwtSecret) + `}]}}`))
	require.NoError(t, err)
	require.Len(t, s.JWT.Issuers, 4)
	require.Equal(t, jwtSecret, s.JWT.Issuers[3].Secret.Reveal())

	shown, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(shown), jwtSecret)
	require.Contains(t, string(shown), `{"issuer":"us","audience":"app","algorithms":["HS256","HS512"],"secret_set":true}`)
	require.Equal(t, 1, strings.Count(string(shown), "secret_set"))
	require.NotContains(t, fmt.Sprintf("%+v %#v", s, s), jwtSecret)
}

func TestParseJWTSettingsRefuses(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	even := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}))
	good := publicPEM(t, &jwtKeys().rsa.PublicKey)
	const at = "settings.jwt.issuers[0]"
	rs := func(pem string) string { return issuerJSON(`"algorithms":["RS256"],"public_key":` + quoted(pem)) }
	url := func(u string) string { return issuerJSON(`"algorithms":["RS256"],"jwks_url":` + quoted(u)) }
	hs := func(secret string) string { return issuerJSON(`"algorithms":["HS256"],"secret":` + quoted(secret)) }

	for _, c := range []struct{ input, want string }{
		{`{"jwt":[]}`, "settings.jwt: must be a JSON object"},
		{`{"jwt":null}`, "settings.jwt: must be a JSON object"},
		{`{"jwt":{"issuer":[]}}`, "settings.jwt: unknown name \"issuer\", did you mean issuers?"},
		{`{"jwt":{"issuers":{}}}`, "settings.jwt.issuers: must be a list"},
		{`{"jwt":{"issuers":[` + strings.Repeat(`{},`, 10) + `{}]}}`, "at most 10 entries"},
		{`{"jwt":{"issuers":[{}]}}`, at + ".issuer: must be"},
		{`{"jwt":{"issuers":[{"issuer":"us"}]}}`, at + ".audience: must be"},
		{`{"jwt":{"issuers":[{"issuer":"u\ns","audience":"app"}]}}`, at + ".issuer: must be"},
		{issuerJSON(`"algorithms":[]`), at + ".algorithms: must name at least one of ES256,"},
		{issuerJSON(`"algorithms":["none"]`), at + `.algorithms[0]: "none" is not one of`},
		{issuerJSON(`"algorithms":["hs256"]`), at + `.algorithms[0]: "hs256" is not one of`},
		{issuerJSON(`"algorithms":["HS256","HS256"]`), at + ".algorithms[1]: HS256 is given twice"},
		{issuerJSON(`"algorithms":["HS256"]`), at + ": must have exactly one of jwks_url, public_key and secret"},
		{issuerJSON(`"algorithms":["HS256"],"secret":"x","jwks_url":"https://a.example"`), "exactly one of"},
		{issuerJSON(`"algorithms":["HS256"],"Secret":"x"`), `"Secret" must be written secret`},
		{issuerJSON(`"algorithms":["HS256"],"secret":"x","secret":"y"`), "is given twice"},
		{issuerJSON(`"algorithms":["HS256"],"jku":"x"`), `unknown name "jku"`},

		{hs("short"), at + ".secret: must be 32 to 512 bytes"},
		{hs(strings.Repeat("x", 31)), at + ".secret: must be 32 to 512 bytes"},
		{hs(strings.Repeat("x", 513)), at + ".secret: must be 32 to 512 bytes"},
		{hs(good), "a public key belongs in public_key"},
		{issuerJSON(`"algorithms":["HS256"],"secret_set":true`), at + ".secret: is never sent back by the server; give it again"},
		{issuerJSON(`"algorithms":["HS256","RS256"],"secret":` + quoted(jwtSecret)), "RS256 signs with a private key"},

		{rs("hello"), "must be in PEM form"},
		{rs(good + good), "must hold one key and nothing else"},
		{rs(private), "is a private key: keep it to yourself"},
		{rs(strings.ReplaceAll(good, "PUBLIC KEY", "CERTIFICATE")), "must be a public key"},
		{rs(strings.ReplaceAll(good, "MIIB", "MIIC")), "is damaged"},
		{rs(publicPEM(t, &small.PublicKey)), "RSA key of 1024 bits; it must have 2048 to 8192"},
		{rs(publicPEM(t, even)), "modulus or exponent"},
		{rs(publicPEM(t, &p224.PublicKey)), "a curve other than P-256, P-384 and P-521"},
		{rs(publicPEM(t, &jwtKeys().p256.PublicKey)), "RS256 cannot be verified with this public_key, which is for ES256"},
		{issuerJSON(`"algorithms":["HS256"],"public_key":` + quoted(good)), "HS256 cannot be verified with this public_key"},
		{issuerJSON(`"algorithms":["ES384"],"public_key":` + quoted(publicPEM(t, &jwtKeys().p256.PublicKey))), "ES384 cannot be verified"},

		{url("http://id.example.com/keys"), at + ".jwks_url: must begin with https://"},
		{url("http://127.0.0.1.example.com/keys"), "must begin with https://"},
		{url("file:///etc/passwd"), "must be a URL such as"},
		{url("gopher://id.example.com/"), "must begin with https://"},
		{url("https:///keys"), "must be a URL such as"},
		{url("id.example.com/keys"), "must be a URL such as"},
		{url("https://user:password@id.example.com/keys"), "user name or password"},
		{url("https://id.example.com/keys#a"), "#fragment"},
		{url("https://id.example.com/ keys"), "without spaces"},
		{url(`https://id.example.com\@evil.example/`), "without spaces and backslashes"},
		{url("https://ıd.example.com/"), "in ASCII"},
		{url("https://id.example.com/" + strings.Repeat("x", 1100)), "at most 1024 bytes"},
		{issuerJSON(`"algorithms":["HS256"],"jwks_url":"https://id.example.com/keys"`), "needs a secret"},
	} {
		_, err := tenants.ParseSettings([]byte(c.input))
		require.ErrorAs(t, err, new(*tenants.InvalidError), c.input)
		require.ErrorContains(t, err, c.want, c.input)
		require.NotContains(t, err.Error(), "password@")
		require.NotContains(t, err.Error(), "\n")
	}
}

func jwtSealer(t *testing.T, fill byte) *tenants.Sealer {
	t.Helper()
	s, err := tenants.NewSealer(bytes.Repeat([]byte{fill}, tenants.MasterKeyBytes))
	require.NoError(t, err)
	return s
}

func TestSettingsAreStoredSealed(t *testing.T) {
	t.Parallel()
	s, err := tenants.ParseSettings([]byte(`{"client_events":true,"jwt":{"issuers":[
		{"issuer":"us","audience":"app","algorithms":["HS256"],"secret":` + quoted(jwtSecret) + `},
		{"issuer":"set","audience":"app","algorithms":["RS256"],"jwks_url":"https://id.example.com/keys"}]}}`))
	require.NoError(t, err)
	raw, err := s.MarshalSealed(jwtSealer(t, 1), "7")
	require.NoError(t, err)
	require.NotContains(t, string(raw), jwtSecret)
	require.Contains(t, string(raw), `"sealed_secret":"v1:`)
	require.Equal(t, 1, strings.Count(string(raw), `"jwt"`))

	same, err := tenants.UnmarshalSealed(raw, jwtSealer(t, 1), "7")
	require.NoError(t, err)
	require.Equal(t, s, same)
	_, err = tenants.UnmarshalSealed(raw, jwtSealer(t, 2), "7")
	require.ErrorIs(t, err, tenants.ErrWrongMasterKey)
	_, err = tenants.UnmarshalSealed(raw, jwtSealer(t, 1), "8")
	require.ErrorContains(t, err, "moved from another place")

	defaults, err := tenants.UnmarshalSealed([]byte(`{"from_a_newer_version":1}`), jwtSealer(t, 1), "7")
	require.NoError(t, err)
	require.Equal(t, tenants.DefaultSettings(), defaults)
	_, err = tenants.UnmarshalSealed([]byte(`{`), jwtSealer(t, 1), "7")
	require.Error(t, err)
}

func TestPatchSettingsKeepsSecrets(t *testing.T) {
	t.Parallel()
	entry := func(rest string) string {
		return `{"issuer":"us","audience":"app","algorithms":["HS256"],` + rest + `}`
	}
	issuers := func(entries ...string) []byte {
		return []byte(`{"jwt":{"issuers":[` + strings.Join(entries, ",") + `]}}`)
	}
	first, second, third := strings.Repeat("1", 32), strings.Repeat("2", 32), strings.Repeat("3", 32)
	const kept = `"secret_set":true`
	current, err := tenants.ParseSettings(issuers(entry(`"secret":` + quoted(first))))
	require.NoError(t, err)

	s, err := tenants.PatchSettings(current, []byte(`{"client_events":true}`))
	require.NoError(t, err)
	require.True(t, s.ClientEvents)
	require.Equal(t, current.JWT, s.JWT, "what is not given stays")

	shown, err := json.Marshal(current)
	require.NoError(t, err)
	s, err = tenants.PatchSettings(current, shown)
	require.NoError(t, err)
	require.Equal(t, current, s, "what was read can be sent back")

	s, err = tenants.PatchSettings(current, issuers(entry(kept), entry(`"secret":`+quoted(second))))
	require.NoError(t, err)
	require.Equal(t, first, s.JWT.Issuers[0].Secret.Reveal())
	require.Equal(t, second, s.JWT.Issuers[1].Secret.Reveal())

	both := s
	s, err = tenants.PatchSettings(both, issuers(entry(kept), entry(kept)))
	require.NoError(t, err)
	require.Equal(t, both.JWT, s.JWT)
	for name, patch := range map[string][]byte{
		"one of two":           issuers(entry(kept)),
		"one of two and a new": issuers(entry(kept), entry(`"secret":`+quoted(third))),
		"of another audience":  issuers(strings.Replace(entry(kept), `"app"`, `"other"`, 1)),
		"one too many":         issuers(entry(kept), entry(kept), entry(kept)),
	} {
		_, err = tenants.PatchSettings(both, patch)
		require.ErrorContains(t, err, "give the secret again", name)
	}
	s, err = tenants.PatchSettings(both, issuers())
	require.NoError(t, err)
	require.Empty(t, s.JWT.Issuers)
	require.Equal(t, first, both.JWT.Issuers[0].Secret.Reveal(), "the current settings are left alone")
	_, err = tenants.PatchSettings(current, []byte(`{"cache_ttl_seconds":0}`))
	require.ErrorContains(t, err, "settings.cache_ttl_seconds")
}

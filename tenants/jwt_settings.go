package tenants

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of an app's JWT settings.
const (
	MaxJWTIssuers     = 10
	MinJWTSecretBytes = 32 // a shorter one can be guessed
	MaxJWTSecretBytes = 512
	maxJWTTextBytes   = 512 // of issuer and audience
	maxJWKSURLBytes   = 1024
	maxPublicKeyBytes = 8 << 10
)

// JWTSettings say whose tokens an app accepts, beside the signatures of its own
// keys. The zero value accepts none.
type JWTSettings struct {
	Issuers []JWTIssuer `json:"issuers"`
}

// JWTIssuer is one party whose tokens an app accepts. Exactly one of JWKSURL,
// PublicKey and Secret is set. The same issuer may stand in several entries,
// for instance while its secret is being replaced.
type JWTIssuer struct {
	Issuer     string   `json:"issuer"`               // the iss its tokens must have
	Audience   string   `json:"audience"`             // must be their aud, or one of it
	Algorithms []string `json:"algorithms"`           // the only ones it may sign with; see [JWTAlgorithms]
	JWKSURL    string   `json:"jwks_url,omitempty"`   // where it publishes its keys
	PublicKey  string   `json:"public_key,omitempty"` // PEM
	Secret     Secret   `json:"-"`                    // its bytes are the HMAC key as they are; write-only

	keepSecret bool // read as secret_set without a secret: only [PatchSettings] can tell which one is meant
}

// issuerView is an issuer as it is shown and stored.
type issuerView struct {
	Issuer       string   `json:"issuer"`
	Audience     string   `json:"audience"`
	Algorithms   []string `json:"algorithms"`
	JWKSURL      string   `json:"jwks_url,omitempty"`
	PublicKey    string   `json:"public_key,omitempty"`
	SecretSet    bool     `json:"secret_set,omitempty"`
	SealedSecret string   `json:"sealed_secret,omitempty"` // stored only
}

func (i JWTIssuer) view() issuerView {
	return issuerView{
		Issuer: i.Issuer, Audience: i.Audience, Algorithms: i.Algorithms,
		JWKSURL: i.JWKSURL, PublicKey: i.PublicKey, SecretSet: !i.Secret.IsZero(),
	}
}

// MarshalJSON implements [json.Marshaler]: a secret is shown as secret_set.
func (i JWTIssuer) MarshalJSON() ([]byte, error) { return json.Marshal(i.view()) }

func jwtInto(target *JWTSettings) reader {
	return func(path string, raw json.RawMessage) error {
		return readObject(path, raw, map[string]reader{"issuers": listInto(&target.Issuers, jwtIssuerInto)})
	}
}

func jwtIssuerInto(i *JWTIssuer) reader {
	return func(path string, raw json.RawMessage) error {
		var secret string
		var secretSet bool
		err := readObject(path, raw, map[string]reader{
			"issuer":     stringInto(&i.Issuer),
			"audience":   stringInto(&i.Audience),
			"algorithms": listInto(&i.Algorithms, stringInto),
			"jwks_url":   stringInto(&i.JWKSURL),
			"public_key": stringInto(&i.PublicKey),
			"secret":     stringInto(&secret),
			"secret_set": boolInto(&secretSet),
		})
		i.Secret, i.keepSecret = NewSecret(secret), secretSet && secret == ""
		return err
	}
}

func (s JWTSettings) validate(path string) error {
	if len(s.Issuers) > MaxJWTIssuers {
		return &InvalidError{path + ".issuers", fmt.Sprintf("must have at most %d entries", MaxJWTIssuers)}
	}
	for n := range s.Issuers {
		if err := s.Issuers[n].validate(fmt.Sprintf("%s.issuers[%d]", path, n)); err != nil {
			return err
		}
	}
	return nil
}

func (i *JWTIssuer) validate(path string) error {
	if !validJWTText(i.Issuer) {
		return &InvalidError{path + ".issuer", fmt.Sprintf("must be the iss of the tokens, 1 to %d bytes of printable text", maxJWTTextBytes)}
	}
	if !validJWTText(i.Audience) {
		return &InvalidError{path + ".audience", fmt.Sprintf("must be the aud of the tokens for this app, 1 to %d bytes of printable text", maxJWTTextBytes)}
	}
	if err := i.validateAlgorithms(path + ".algorithms"); err != nil {
		return err
	}
	given := 0
	for _, set := range []bool{i.JWKSURL != "", i.PublicKey != "", !i.Secret.IsZero() || i.keepSecret} {
		if set {
			given++
		}
	}
	if given != 1 {
		return &InvalidError{path, "must have exactly one of jwks_url, public_key and secret"}
	}
	switch {
	case i.JWKSURL != "":
		return i.validateJWKSURL(path)
	case i.PublicKey != "":
		return i.validatePublicKey(path)
	}
	return i.validateSecret(path)
}

func (i *JWTIssuer) validateAlgorithms(path string) error {
	known := JWTAlgorithms()
	if len(i.Algorithms) == 0 {
		return &InvalidError{path, "must name at least one of " + strings.Join(known, ", ")}
	}
	for n, alg := range i.Algorithms {
		if !slices.Contains(known, alg) {
			return &InvalidError{fmt.Sprintf("%s[%d]", path, n), quote(alg) + " is not one of " + strings.Join(known, ", ")}
		}
		if slices.Contains(i.Algorithms[:n], alg) {
			return &InvalidError{fmt.Sprintf("%s[%d]", path, n), alg + " is given twice; keep one"}
		}
	}
	return nil
}

// validateSecret also catches a public key given as a secret: everybody has it,
// so everybody could sign.
func (i *JWTIssuer) validateSecret(path string) error {
	for _, alg := range i.Algorithms {
		if jwtFamilies[alg].kind != keyHMAC {
			return &InvalidError{path + ".algorithms", alg + " signs with a private key: give public_key or jwks_url, or use HS256, HS384 or HS512"}
		}
	}
	if i.keepSecret {
		return &InvalidError{path + ".secret", "is never sent back by the server; give it again"}
	}
	secret := i.Secret.Reveal()
	if len(secret) < MinJWTSecretBytes || len(secret) > MaxJWTSecretBytes {
		return &InvalidError{path + ".secret", fmt.Sprintf("must be %d to %d bytes; make one with: openssl rand -base64 48", MinJWTSecretBytes, MaxJWTSecretBytes)}
	}
	if strings.Contains(secret, "-----BEGIN") {
		return &InvalidError{path + ".secret", "is a key in PEM form; a public key belongs in public_key, a private one nowhere here"}
	}
	return nil
}

func (i *JWTIssuer) validatePublicKey(path string) error {
	key, err := parsePublicKeyPEM(i.PublicKey)
	if err != nil {
		return &InvalidError{path + ".public_key", err.Error()}
	}
	for _, alg := range i.Algorithms {
		if !JWTKeyFits(alg, key) {
			return &InvalidError{path + ".algorithms", alg + " cannot be verified with this public_key, which is for " + strings.Join(algorithmsFor(key), ", ")}
		}
	}
	return nil
}

func (i *JWTIssuer) validateJWKSURL(path string) error {
	for _, alg := range i.Algorithms {
		if jwtFamilies[alg].kind == keyHMAC {
			return &InvalidError{path + ".algorithms", alg + " needs a secret, which nobody may publish at a jwks_url; use RS256, ES256 or EdDSA"}
		}
	}
	if reason := badJWKSURL(i.JWKSURL); reason != "" {
		return &InvalidError{path + ".jwks_url", reason}
	}
	return nil
}

// badJWKSURL says what is wrong with the form of a URL; "" if nothing is. What
// address it leads to is looked at whenever it is fetched.
func badJWKSURL(text string) string {
	const want = `must be a URL such as "https://id.example.com/.well-known/jwks.json"`
	if len(text) > maxJWKSURLBytes {
		return fmt.Sprintf("must be at most %d bytes", maxJWKSURLBytes)
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || c == '\\' {
			return want + ", in ASCII without spaces and backslashes"
		}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return want
	case u.User != nil:
		return "must not hold a user name or password"
	case strings.Contains(text, "#"):
		return "must not hold a #fragment"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && isLoopbackHost(u.Hostname()):
		return "" // fetched only by a server that allows private addresses
	}
	return "must begin with https://"
}

func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func validJWTText(s string) bool {
	if s == "" || len(s) > maxJWTTextBytes || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// trust stands for everything that makes an app believe an issuer. A token that
// was verified against one entry is as good as that entry is unchanged.
type trust [sha256.Size]byte

func (i *JWTIssuer) trust() trust {
	h := sha256.New()
	for _, part := range []string{i.Issuer, i.Audience, i.JWKSURL, i.PublicKey, i.Secret.Reveal()} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	var t trust
	h.Sum(t[:0])
	return t
}

// Trusts reports whether the issuer of verified claims is still among those the
// app accepts, with the same audience, key and algorithm.
func (s JWTSettings) Trusts(c *JWTClaims) bool {
	for n := range s.Issuers {
		if i := &s.Issuers[n]; i.trust() == c.trust && slices.Contains(i.Algorithms, c.algorithm) {
			return true
		}
	}
	return false
}

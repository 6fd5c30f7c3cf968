package tenants

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxJWTLeeway bounds how far two clocks may differ.
	MaxJWTLeeway     = 30 * time.Second
	defaultJWTLeeway = 10 * time.Second
)

// JWTKeys finds the keys that issuers publish. Its implementation is
// tenants/jwks.
type JWTKeys interface {
	// Key returns the one key of the set at url that has this id and fits the
	// algorithm alg; with an empty id, the one that fits. url is one of app's own
	// settings, and what is known of it is known of this app alone. It returns
	// [ErrNotFound] if there is no such key or more than one, and
	// [ErrUnavailable] if that cannot be told now.
	Key(ctx context.Context, app AppID, url, id, alg string) (crypto.PublicKey, error)
}

// JWTVerifier decides whether a token may be believed. It is safe for
// concurrent use.
type JWTVerifier struct {
	keys    JWTKeys
	revoked Revocations
	leeway  time.Duration
	now     func() time.Time
}

// JWTOptions tune a [JWTVerifier]. Every zero value means the default.
type JWTOptions struct {
	// Leeway is how far the clocks of issuers may differ from ours: 10 s by
	// default, none if negative, never more than [MaxJWTLeeway].
	Leeway time.Duration
	// Now tells the time; time.Now by default.
	Now func() time.Time
}

// NewJWTVerifier makes a verifier. Without keys, tokens of issuers with a
// jwks_url cannot be checked; without revoked, nothing is revoked.
func NewJWTVerifier(keys JWTKeys, revoked Revocations, o JWTOptions) *JWTVerifier {
	v := &JWTVerifier{keys: keys, revoked: revoked, leeway: min(max(o.Leeway, 0), MaxJWTLeeway), now: o.Now}
	if o.Leeway == 0 {
		v.leeway = defaultJWTLeeway
	}
	if v.now == nil {
		v.now = time.Now
	}
	return v
}

// Verify returns the claims of a token that an issuer of the app signed, that is
// in date and not revoked. The error is a [*JWTError], meant for the sender, or
// [ErrUnavailable] if something that must be asked is away.
func (v *JWTVerifier) Verify(ctx context.Context, app *App, token string) (*JWTClaims, error) {
	issuers := app.Settings.JWT.Issuers
	if len(issuers) == 0 {
		return nil, refuseJWT(JWTDisabled, "this app accepts no tokens; add whoever signs them to jwt.issuers in its settings")
	}
	t, err := takeApart(token)
	if err != nil {
		return nil, err
	}
	claims, err := readClaims(t.claims)
	if err != nil {
		return nil, err
	}
	if err := audienceFormed(t.claims); err != nil {
		return nil, err
	}
	// What an unverified token says of its issuer only chooses among the settings.
	name, ok := t.claims.text("iss")
	if !ok || name == "" {
		return nil, refuseJWT(JWTIssuerWrong, "it must say in iss who made it")
	}
	issuer, err := v.signer(ctx, app.ID, issuers, name, t, token)
	if err != nil {
		return nil, err
	}
	claims.algorithm, claims.trust = t.algorithm, issuer.trust()
	claims.Deadline = claims.ExpiresAt.Add(v.leeway)
	if err := v.checkLifetime(claims); err != nil {
		return nil, err
	}
	if err := v.checkRevoked(ctx, app, claims); err != nil {
		return nil, err
	}
	return claims, nil
}

// signer returns the entry of the settings under which the token verifies.
func (v *JWTVerifier) signer(ctx context.Context, app AppID, issuers []JWTIssuer, name string, t *unverified, token string) (*JWTIssuer, error) {
	err := refuseJWT(JWTIssuerWrong, "its iss is none of the jwt.issuers in this app's settings")
	for n := range issuers {
		issuer := &issuers[n]
		if issuer.Issuer != name {
			continue
		}
		if !slices.Contains(issuer.Algorithms, t.algorithm) {
			if refusalRank(err) < 1 {
				err = refuseJWT(JWTAlgorithm, "its alg is none of the algorithms that this app's settings allow its issuer")
			}
			continue
		}
		tried := v.check(ctx, app, issuer, t, token)
		if tried == nil {
			return issuer, nil
		}
		if refusalRank(tried) > refusalRank(err) {
			err = tried
		}
	}
	return nil, err
}

// refusalRank orders the errors of several entries by how much they tell: that
// something is away wins, since the token may be good.
func refusalRank(err error) int {
	var refused *JWTError
	switch {
	case !errors.As(err, &refused):
		return 9
	case refused.Reason == JWTIssuerWrong:
		return 0
	case refused.Reason == JWTAlgorithm:
		return 1
	case refused.Reason == JWTUnknownKey:
		return 2
	case refused.Reason == JWTSignature:
		return 3
	}
	return 4
}

// check verifies the token against one entry of the settings. The options of
// the library are all given: without them it accepts tokens that never expire
// and are for somebody else.
func (v *JWTVerifier) check(ctx context.Context, app AppID, issuer *JWTIssuer, t *unverified, token string) error {
	key, err := v.key(ctx, app, issuer, t)
	if err != nil {
		return err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(issuer.Algorithms),
		jwt.WithIssuer(issuer.Issuer),
		jwt.WithAudience(issuer.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(v.leeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(v.now),
	)
	_, err = parser.Parse(token, func(*jwt.Token) (any, error) { return key, nil })
	return explainJWT(err)
}

// key returns what the token must be signed with, of the type that its
// algorithm is bound to.
func (v *JWTVerifier) key(ctx context.Context, app AppID, issuer *JWTIssuer, t *unverified) (any, error) {
	var key crypto.PublicKey
	var err error
	switch {
	case jwtFamilies[t.algorithm].kind == keyHMAC:
		secret := issuer.Secret.Reveal()
		if len(secret) < MinJWTSecretBytes { // an empty key would verify whatever was signed with none
			return nil, refuseJWT(JWTUnknownKey, "the secret of its issuer is missing in this app's settings; give it again")
		}
		return []byte(secret), nil
	case issuer.PublicKey != "":
		if key, err = parsePublicKeyPEM(issuer.PublicKey); err != nil {
			return nil, refuseJWT(JWTUnknownKey, "the public_key of its issuer in this app's settings cannot be used; give it again")
		}
	case issuer.JWKSURL != "":
		if key, err = v.published(ctx, app, issuer.JWKSURL, t); err != nil {
			return nil, err
		}
	}
	if !JWTKeyFits(t.algorithm, key) {
		return nil, refuseJWT(JWTAlgorithm, "its alg is not one the key of its issuer is for")
	}
	return key, nil
}

func (v *JWTVerifier) published(ctx context.Context, app AppID, url string, t *unverified) (crypto.PublicKey, error) {
	if v.keys == nil {
		return nil, fmt.Errorf("find the key of a token: %w: no key sets are fetched here", ErrUnavailable)
	}
	key, err := v.keys.Key(ctx, app, url, t.keyID, t.algorithm)
	switch {
	case errors.Is(err, ErrNotFound) && t.keyID == "":
		return nil, refuseJWT(JWTUnknownKey, "it has no kid, and its issuer does not publish exactly one key for its alg; add the kid of the key that signed it")
	case errors.Is(err, ErrNotFound):
		return nil, refuseJWT(JWTUnknownKey, "its issuer publishes no key of its kid and alg; a new key must be published half a minute before it signs")
	case err != nil:
		return nil, fmt.Errorf("find the key of a token: %w", err)
	}
	return key, nil
}

// explainJWT turns an error of the library into one for the sender.
func explainJWT(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuseJWT(JWTExpired, "it has expired; get a new one, and check the clock of whoever made it")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuseJWT(JWTNotYet, "its nbf or iat lies ahead; set the clock of whoever made it")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuseJWT(JWTAudience, "its aud is not the audience that this app's settings give for its issuer")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return refuseJWT(JWTIssuerWrong, "its iss is none of the jwt.issuers in this app's settings")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuseJWT(JWTSignature, "its signature does not fit the key of its issuer; sign it with the key that is in this app's settings")
	}
	return refuseJWT(JWTMalformed, "it cannot be read; make it with a JWT library")
}

func (v *JWTVerifier) checkLifetime(c *JWTClaims) error {
	from := v.now().Add(v.leeway)
	if !c.IssuedAt.IsZero() && c.IssuedAt.Before(from) {
		from = c.IssuedAt
	}
	if c.ExpiresAt.Sub(from) > MaxJWTLifetime {
		return refuseJWT(JWTLifetime, "it is valid for more than 24 hours; set exp nearer and refresh it")
	}
	return nil
}

func (v *JWTVerifier) checkRevoked(ctx context.Context, app *App, c *JWTClaims) error {
	if v.revoked == nil {
		return nil
	}
	revoked, err := v.revoked.Revoked(ctx, app, c)
	if err != nil {
		return fmt.Errorf("see whether a token is revoked: %w", err)
	}
	if revoked {
		return refuseJWT(JWTRevoked, "it was revoked; get a new one")
	}
	return nil
}

// Recheck tells whether claims that were verified before may still be believed:
// they are in date, not revoked, and their issuer is trusted as it was. The
// errors are those of [JWTVerifier.Verify].
func (v *JWTVerifier) Recheck(ctx context.Context, app *App, c *JWTClaims) error {
	if !v.now().Before(c.Deadline) {
		return refuseJWT(JWTExpired, "it has expired; get a new one")
	}
	if !app.Settings.JWT.Trusts(c) {
		return refuseJWT(JWTIssuerWrong, "this app no longer accepts its issuer, or with another key; get a new one")
	}
	return v.checkRevoked(ctx, app, c)
}

package tenants

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// RevocationKind says what a revocation names.
type RevocationKind string

// A token is revoked by its own id, or with every other of its user.
const (
	RevokeJTI RevocationKind = "jti"
	RevokeSub RevocationKind = "sub" // tokens issued up to that moment; newer ones are in order
)

// MaxRevocations is how many revocations of one app can be in force at a time.
const MaxRevocations = 10_000

// Revocation takes back tokens before they expire.
type Revocation struct {
	Kind      RevocationKind `json:"kind"`
	Value     string         `json:"value"` // the jti or the sub
	RevokedAt time.Time      `json:"revoked_at"`
	ExpiresAt time.Time      `json:"expires_at"` // by then no token it covers can be in date
}

// NewRevocation makes a revocation as of now. The error is an [*InvalidError].
func NewRevocation(kind RevocationKind, value string, now time.Time) (Revocation, error) {
	switch {
	case kind != RevokeJTI && kind != RevokeSub:
		return Revocation{}, &InvalidError{"kind", `must be "jti" or "sub"`}
	case value == "" || !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return Revocation{}, &InvalidError{"value", "must be the " + string(kind) + " of the tokens"}
	case kind == RevokeJTI && len(value) > maxJWTID:
		return Revocation{}, &InvalidError{"value", fmt.Sprintf("must be at most %d bytes, as every accepted jti is", maxJWTID)}
	case kind == RevokeSub && utf8.RuneCountInString(value) > maxJWTSubject:
		return Revocation{}, &InvalidError{"value", fmt.Sprintf("must be at most %d characters, as every accepted sub is", maxJWTSubject)}
	}
	now = now.UTC().Truncate(time.Millisecond)
	return Revocation{Kind: kind, Value: value, RevokedAt: now, ExpiresAt: now.Add(MaxJWTLifetime + 2*MaxJWTLeeway)}, nil
}

// Revocations tells which tokens were taken back.
type Revocations interface {
	// Revoked reports whether the claims of a token of app are revoked. It answers
	// from memory as far as it can; the error is [ErrUnavailable] when it cannot.
	Revoked(ctx context.Context, app *App, c *JWTClaims) (bool, error)
}

// RevocationSource is where revocations are kept.
type RevocationSource interface {
	// Revocations returns those of the app that have not expired, all that were
	// made up to the moment of the call.
	Revocations(ctx context.Context, app AppID) ([]Revocation, error)
}

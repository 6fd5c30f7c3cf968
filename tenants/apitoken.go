package tenants

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Scope is one thing an API token may be used for; see [Scope.Grants].
type Scope string

// The scopes. A write scope contains reading the same thing.
const (
	ScopeAppsRead      Scope = "apps:read"
	ScopeAppsWrite     Scope = "apps:write"
	ScopeKeysWrite     Scope = "keys:write"
	ScopeWebhooksWrite Scope = "webhooks:write"
	ScopeChannelsRead  Scope = "channels:read"
	ScopeEventsWrite   Scope = "events:write"
	ScopeStatsRead     Scope = "stats:read"
	ScopeAuditRead     Scope = "audit:read"
	ScopeMembersWrite  Scope = "members:write"
	ScopeAdmin         Scope = "admin" // everything an admin may do
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{
		ScopeAppsRead, ScopeAppsWrite, ScopeKeysWrite, ScopeWebhooksWrite, ScopeChannelsRead,
		ScopeEventsWrite, ScopeStatsRead, ScopeAuditRead, ScopeMembersWrite, ScopeAdmin,
	}
}

// Token lets a program use the admin API in the name of a tenant. The text of
// the token is shown once, when it is made, and kept only as a hash.
type Token struct {
	ID         string    `json:"id"`
	TenantID   string    `json:"-"`
	Name       string    `json:"name"`
	TokenHash  string    `json:"-"`
	Prefix     string    `json:"prefix"` // the first characters, to tell tokens apart
	Last4      string    `json:"last4"`
	Scopes     []Scope   `json:"scopes"`
	Apps       []AppID   `json:"apps"` // empty = every app of the tenant
	CreatedBy  string    `json:"created_by"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`   // zero = never
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // right to a minute
}

// sees reports whether the token's restriction leaves the app visible.
func (t *Token) sees(app AppID) bool { return len(t.Apps) == 0 || slices.Contains(t.Apps, app) }

const (
	tokenPrefix   = "twk_"
	tokenRandom   = 30
	tokenChecksum = 6
	tokenShown    = 8 // characters that stay visible, the prefix included
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newTokenText makes the text of a token: the prefix, 30 random characters and
// a checksum, by which a scanner of leaked secrets knows one without asking us.
func newTokenText() string {
	var b strings.Builder
	b.WriteString(tokenPrefix)
	for range tokenRandom {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // crypto/rand ends the process before it would return an error
		}
		b.WriteByte(base62[n.Int64()])
	}
	return b.String() + checksum62(b.String())
}

// WellFormedToken reports whether text could be an API token: its shape and its
// checksum are right. It says nothing about whether there is one.
func WellFormedToken(text string) bool {
	body, sum := len(tokenPrefix)+tokenRandom, len(tokenPrefix)+tokenRandom+tokenChecksum
	if len(text) != sum || !strings.HasPrefix(text, tokenPrefix) {
		return false
	}
	for _, c := range []byte(text[len(tokenPrefix):]) {
		if !isAlphanumeric(c) {
			return false
		}
	}
	return checksum62(text[:body]) == text[body:]
}

func checksum62(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var out [tokenChecksum]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}

// hashToken is how tokens, session tokens and links are stored. They are long
// and random, so that a plain hash is as good as a slow one.
func hashToken(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// randomToken makes the text of a session token or a link: 256 random bits.
func randomToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}

func checkScopes(scopes []Scope) error {
	known := Scopes()
	if len(scopes) == 0 {
		return &InvalidError{"scopes", "must name at least one of " + joinScopes(known)}
	}
	for i, s := range scopes {
		if !slices.Contains(known, s) {
			return &InvalidError{"scopes", quote(string(s)) + " is no scope; known are " + joinScopes(known)}
		}
		if slices.Contains(scopes[:i], s) {
			return &InvalidError{"scopes", string(s) + " is given twice; keep one"}
		}
	}
	return nil
}

func joinScopes(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

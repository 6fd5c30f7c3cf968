package tenants

import (
	"strings"
	"time"
)

// User is a person who signs in. A user belongs to any number of tenants, see
// [Member].
type User struct {
	ID           string    `json:"id"`
	Email        string    `json:"email"` // as [NormalizeEmail] gives it; unique
	Name         string    `json:"name,omitempty"`
	PasswordHash Secret    `json:"-"`
	Operator     bool      `json:"operator"`             // looks after the whole installation
	VerifiedAt   time.Time `json:"verified_at,omitzero"` // zero = the address was never confirmed
	TermsVersion string    `json:"terms_version,omitempty"`
	TermsAt      time.Time `json:"terms_accepted_at,omitzero"`
	CreatedAt    time.Time `json:"created_at"`
}

// Verified reports whether the user has shown that the address is theirs.
func (u *User) Verified() bool { return !u.VerifiedAt.IsZero() }

// Session is one signed-in browser. Its token is known to that browser alone.
type Session struct {
	ID         string    `json:"id"`
	UserID     string    `json:"-"`
	TokenHash  string    `json:"-"`
	UserAgent  string    `json:"user_agent"`
	IP         string    `json:"ip"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"` // right to a minute
	ExpiresAt  time.Time `json:"expires_at"`   // whatever is done with it meanwhile
}

// UserTokenKind is what a link sent by mail is good for.
type UserTokenKind string

// The kinds of links.
const (
	TokenVerify UserTokenKind = "verify" // confirms the address
	TokenReset  UserTokenKind = "reset"  // sets a new password
	TokenSetup  UserTokenKind = "setup"  // makes the first operator
	TokenLogin  UserTokenKind = "login"  // opens a session
)

// UserToken is a single-use link; only its hash is kept.
type UserToken struct {
	ID        string
	Kind      UserTokenKind
	UserID    string // empty for [TokenSetup]
	TokenHash string
	CreatedAt time.Time
	ExpiresAt time.Time
}

const maxEmailBytes = 254

// NormalizeEmail returns an address in the one form it is stored and compared
// in: without spaces at its ends and in lower case. The error is an
// [*InvalidError].
func NormalizeEmail(address string) (string, error) {
	const want = "must be an e-mail address such as ada@example.com"
	address = strings.TrimSpace(address)
	if len(address) > maxEmailBytes {
		return "", &InvalidError{"email", "must be at most 254 characters"}
	}
	// Before lower-casing, which turns some foreign letters into Latin ones: two
	// addresses that look different must not become one account.
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", &InvalidError{"email", want + ", in ASCII without spaces; write an international domain in its xn-- form"}
	}
	local, domain, found := strings.Cut(strings.ToLower(address), "@")
	if !found || local == "" || len(local) > 64 || strings.ContainsAny(local, `"(),:;<>@[\]`) ||
		strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", &InvalidError{"email", want}
	}
	if !strings.Contains(domain, ".") && domain != "localhost" || strings.Contains(domain, "_") ||
		strings.ContainsAny(domain, ":") || !isHost(domain) {
		return "", &InvalidError{"email", want}
	}
	return local + "@" + domain, nil
}

// deniedDomain reports whether the address is at one of the domains, or below one.
func deniedDomain(email string, denied []string) bool {
	_, domain, _ := strings.Cut(email, "@")
	for _, d := range denied {
		d = strings.ToLower(strings.Trim(strings.TrimSpace(d), "."))
		if d != "" && (domain == d || strings.HasSuffix(domain, "."+d)) {
			return true
		}
	}
	return false
}

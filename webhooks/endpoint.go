package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"tidewire/tenants"
)

// Status says whether an endpoint is called.
type Status string

// The states of an endpoint. Deliveries to a paused one wait; to a disabled one
// there are none.
const (
	Enabled  Status = "enabled"
	Paused   Status = "paused"
	Disabled Status = "disabled"
	// Listening is an endpoint that a command on somebody's machine serves.
	Listening Status = "listening"
)

// Bounds of an endpoint.
const (
	MaxURLBytes    = 2048
	MaxPatterns    = 32
	MaxHeaders     = 16
	maxHeaderBytes = 4096 // names and values together
)

// Endpoint is one address that is told of an app's events. Two endpoints may
// share an address.
type Endpoint struct {
	ID       string
	App      tenants.AppID
	TenantID string
	URL      string
	// Kinds are the events it wants; empty = all.
	Kinds []Kind
	// Channels are patterns of the channels it wants, of which one must match; a *
	// stands for any characters. Empty = all. Events without a channel are not
	// held against them.
	Channels []string
	// Batching puts several events into one request, if the app's setting
	// webhook_batching is on too.
	Batching bool
	// KeepBodies keeps the events of finished deliveries in the log.
	KeepBodies bool
	Headers    map[string]string // sent with every request; a value may be a secret

	Secret        tenants.Secret // of the Standard Webhooks signature: whsec_…
	Previous      tenants.Secret // signs too, until PreviousUntil
	PreviousUntil time.Time

	Status       Status
	StatusReason string // why it is paused or disabled; shown to the customer
	Revision     int64  // grows with each change
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// NewSecret makes a secret of 32 random bytes, in the form of Standard Webhooks.
func NewSecret() tenants.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return tenants.NewSecret(secretPrefix + base64.StdEncoding.EncodeToString(b[:]))
}

// checkSecret accepts what Standard Webhooks accepts.
func checkSecret(s tenants.Secret) error {
	text, prefixed := strings.CutPrefix(s.Reveal(), secretPrefix)
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || !prefixed || len(raw) < 24 || len(raw) > 64 {
		return &tenants.InvalidError{Field: "secret", Reason: "must be whsec_ and 24 to 64 bytes in base64; leave it out to have one made"}
	}
	return nil
}

// Wants reports whether the endpoint wants an event of that kind and channel.
func (e *Endpoint) Wants(kind Kind, channel string) bool {
	if len(e.Kinds) > 0 && !slices.Contains(e.Kinds, kind) {
		return false
	}
	if channel == "" || len(e.Channels) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Channels, func(p string) bool { return matchPattern(p, channel) })
}

// open reports whether new deliveries are made for it.
func (e *Endpoint) open() bool { return e.Status != Disabled }

// kinds is the set of what it wants.
func (e *Endpoint) kinds() kindSet {
	if !e.open() {
		return 0
	}
	if len(e.Kinds) == 0 {
		return setOf(Kinds())
	}
	return setOf(e.Kinds)
}

// matchPattern reports whether name is pattern, in which each * stands for any
// characters. It goes through both once, returning to the last * only.
func matchPattern(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// validate checks everything but whether the address may be called; the error
// is a [*tenants.InvalidError].
func (e *Endpoint) validate() error {
	for i, k := range e.Kinds {
		if kindBits[k] == 0 || slices.Contains(e.Kinds[:i], k) {
			return &tenants.InvalidError{Field: fmt.Sprintf("events[%d]", i), Reason: fmt.Sprintf("%.40q is not an event, or is named twice; known are %s", string(k), kindNames())}
		}
	}
	if len(e.Channels) > MaxPatterns {
		return &tenants.InvalidError{Field: "channels", Reason: fmt.Sprintf("must have at most %d patterns", MaxPatterns)}
	}
	for i, p := range e.Channels {
		if reason := badPattern(p); reason != "" {
			return &tenants.InvalidError{Field: fmt.Sprintf("channels[%d]", i), Reason: reason}
		}
	}
	return e.validateHeaders()
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func badPattern(p string) string {
	if p == "" || len(p) > 200 {
		return `must be 1 to 200 characters, such as "orders-*"`
	}
	for i := range len(p) {
		if c := p[i]; !isWord(c) && strings.IndexByte("-=@,.;*", c) < 0 && (c != '#' || i > 0) {
			return "may hold letters, digits, * and _-=@,.; only"
		}
	}
	return ""
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// ownHeaders are those that the request has anyway, or that would change how it
// is read. Names that begin with X-Pusher- or Webhook- are ours too.
var ownHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

func (e *Endpoint) validateHeaders() error {
	if len(e.Headers) > MaxHeaders {
		return &tenants.InvalidError{Field: "headers", Reason: fmt.Sprintf("must be at most %d", MaxHeaders)}
	}
	size, clean := 0, make(map[string]string, len(e.Headers))
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		value := e.Headers[name]
		size += len(name) + len(value)
		key := textproto.CanonicalMIMEHeaderKey(name)
		_, twice := clean[key]
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r > 127 || r != '-' && !isWord(byte(r)) }):
			return &tenants.InvalidError{Field: "headers", Reason: fmt.Sprintf("%.40q is not a header name: use letters, digits, - and _", name)}
		case slices.Contains(ownHeaders, key) || strings.HasPrefix(key, "X-Pusher-") || strings.HasPrefix(key, "Webhook-"):
			return &tenants.InvalidError{Field: "headers", Reason: key + " is set by the server and cannot be replaced"}
		case twice:
			return &tenants.InvalidError{Field: "headers", Reason: key + " is named twice"}
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			return &tenants.InvalidError{Field: "headers", Reason: "the value of " + key + " may hold printable ASCII only"}
		}
		clean[key] = value
	}
	if size > maxHeaderBytes {
		return &tenants.InvalidError{Field: "headers", Reason: fmt.Sprintf("must have at most %d characters together", maxHeaderBytes)}
	}
	e.Headers = clean
	return nil
}

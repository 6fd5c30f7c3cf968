package tenants

import (
	"net"
	"strconv"
	"strings"
)

// MaxOriginBytes is the longest origin that can be allowed.
const MaxOriginBytes = 255

// originPattern is one entry of allowed_origins, or one Origin header, in parts.
type originPattern struct {
	scheme    string // empty = any
	host      string // lower case, without the wildcard
	port      string // empty = any, or the scheme's own when there is a scheme
	subdomain bool   // the entry began with "*."
}

// OriginAllowed reports whether a browser page of that origin (the Origin
// header, such as "https://app.example.com") may connect. An empty list allows
// every origin; otherwise one entry must match. Who sends no Origin is no
// browser page, and the list is there to keep foreign pages out: scripts and
// native apps could send any. An entry without scheme or port matches any; "*.example.com" matches
// the names below example.com, not example.com itself.
func (s *Settings) OriginAllowed(origin string) bool {
	if len(s.AllowedOrigins) == 0 || origin == "" {
		return true
	}
	got, reason := parseOriginPattern(origin)
	if reason != "" || got.scheme == "" || got.subdomain {
		return false
	}
	for _, entry := range s.AllowedOrigins {
		if want, reason := parseOriginPattern(entry); reason == "" && want.matches(got) {
			return true
		}
	}
	return false
}

func (p originPattern) matches(got originPattern) bool {
	if p.scheme != "" && (p.scheme != got.scheme || portOr(p.port, p.scheme) != portOr(got.port, got.scheme)) {
		return false
	}
	if p.scheme == "" && p.port != "" && p.port != portOr(got.port, got.scheme) {
		return false
	}
	if p.subdomain {
		return strings.HasSuffix(got.host, "."+p.host)
	}
	return got.host == p.host
}

func portOr(port, scheme string) string {
	switch {
	case port != "":
		return port
	case scheme == "https":
		return "443"
	case scheme == "http":
		return "80"
	}
	return ""
}

// parseOriginPattern takes an entry apart, or says what is wrong with it.
func parseOriginPattern(entry string) (p originPattern, reason string) {
	const want = `must look like "https://app.example.com", "https://*.example.com:8443" or "example.com"`
	if len(entry) > MaxOriginBytes {
		return p, "must be at most 255 characters"
	}
	// Before lower-casing, which turns some foreign letters into Latin ones.
	if strings.ContainsFunc(entry, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return p, want + "; write an international name in its xn-- form"
	}
	rest := strings.ToLower(entry)
	if scheme, after, found := strings.Cut(rest, "://"); found {
		if !isScheme(scheme) {
			return p, want
		}
		p.scheme, rest = scheme, after
	}
	if strings.ContainsAny(rest, "/?#") {
		return p, want + ", without a path"
	}
	host, port, reason := splitHostPort(rest)
	if reason != "" {
		return p, reason
	}
	p.host, p.subdomain = strings.CutPrefix(host, "*.")
	p.port = port
	if strings.Contains(p.host, "*") {
		return p, `may have one * only, as a leading "*."`
	}
	if !isHost(p.host) || p.subdomain && net.ParseIP(p.host) != nil {
		return p, want
	}
	return p, ""
}

func splitHostPort(s string) (host, port, reason string) {
	const badPort = "must have a port from 1 to 65535 after the colon"
	if inner, after, found := strings.Cut(s, "]"); found && strings.HasPrefix(s, "[") {
		host, s = inner[1:], after
		if ip := net.ParseIP(host); ip == nil || !strings.Contains(host, ":") {
			return "", "", "must have an IPv6 address between the brackets"
		}
		if s == "" {
			return host, "", ""
		}
		if s[0] != ':' {
			return "", "", badPort
		}
		s = s[1:]
	} else if host, s, found = strings.Cut(s, ":"); !found {
		return host, "", ""
	}
	number, err := strconv.ParseUint(s, 10, 16)
	if err != nil || number == 0 {
		return "", "", badPort
	}
	return host, strconv.FormatUint(number, 10), ""
}

// isScheme accepts what browsers send besides http and https too: native shells
// use names such as capacitor or chrome-extension.
func isScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// isHost accepts a DNS name or an IP address.
func isHost(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

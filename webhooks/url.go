package webhooks

import (
	"net/netip"
	"net/url"
	"strings"

	"tidewire/tenants"
)

// CheckURL checks the form of an endpoint's address. Which addresses may be
// called is the [Sender]'s to say, now and at each call; forms of writing one
// that programs read in different ways are refused here. The error is a
// [*tenants.InvalidError].
func CheckURL(raw string) error {
	refuse := func(reason string) error { return &tenants.InvalidError{Field: "url", Reason: reason} }
	if raw == "" || len(raw) > MaxURLBytes {
		return refuse("must be 1 to 2048 characters, such as https://example.com/hooks")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return refuse("may hold printable ASCII without spaces only; write other names in their xn-- form")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return refuse("must begin with https:// or http://")
	case u.User != nil:
		return refuse("must not hold a user or password; put credentials into a header")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return refuse("must not have a part behind #, which is never sent")
	}
	return checkHost(u, refuse)
}

func checkHost(u *url.URL, refuse func(string) error) error {
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") || port != "" && (port[0] == '0' || len(port) > 5) {
		return refuse("has a port that is none")
	}
	if strings.HasPrefix(u.Host, "[") {
		if ip, err := netip.ParseAddr(host); err != nil || ip.Zone() != "" {
			return refuse("has an address in brackets that is none")
		}
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return nil
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.ContainsFunc(l, func(r rune) bool { return r != '-' && !isWord(byte(r)) }) {
			return refuse("has a host that is not a name; write it without a dot at the end")
		}
	}
	// 2130706433, 0x7f.1, 127.1: numbers that some programs take for an address.
	last := strings.ToLower(labels[len(labels)-1])
	if last[0] >= '0' && last[0] <= '9' {
		return refuse("has an address in an unusual form; write it as four decimal numbers")
	}
	if len(host) > 253 {
		return refuse("has a host that is too long")
	}
	return nil
}

package tenants

import (
	"encoding/json"
	"strings"
)

// Capability is something a token may allow on a channel.
type Capability uint8

// The capabilities of a token. On a presence channel whoever subscribes becomes
// a member, so that takes both CapSubscribe and CapPresence.
const (
	CapSubscribe Capability = 1 << iota
	CapPublish              // send client events
	CapPresence             // be a member of a presence channel
	CapHistory              // read the channel's history
)

var capabilityNames = map[string]Capability{
	"subscribe": CapSubscribe, "publish": CapPublish, "presence": CapPresence, "history": CapHistory,
}

// String gives the name a token uses.
func (c Capability) String() string {
	for name, named := range capabilityNames {
		if named == c {
			return name
		}
	}
	return "unknown"
}

const (
	maxGrants       = 100
	maxGrantPattern = 200
)

// grant allows some capabilities on the channels of a pattern.
type grant struct {
	pattern string
	allows  Capability // or-ed
}

func readGrants(raw json.RawMessage) ([]grant, error) {
	var list map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, refuseJWT(JWTClaimsWrong, `channels must be an object such as {"private-room-*":["subscribe"]}`)
	}
	if len(list) > maxGrants {
		return nil, refuseJWT(JWTClaimsWrong, "channels has more than 100 patterns; use patterns that cover more")
	}
	grants := make([]grant, 0, len(list))
	for pattern, names := range list {
		if !validChannelPattern(pattern) {
			return nil, refuseJWT(JWTClaimsWrong, "channels has a pattern that is no channel name; a * may stand at the end, or for a whole segment between - and .")
		}
		allows, err := readCapabilities(names)
		if err != nil {
			return nil, err
		}
		grants = append(grants, grant{pattern, allows})
	}
	return grants, nil
}

func readCapabilities(raw json.RawMessage) (Capability, error) {
	var names []string
	if json.Unmarshal(raw, &names) != nil || names == nil || len(names) > 2*len(capabilityNames) {
		return 0, refuseJWT(JWTClaimsWrong, `capabilities must be a list of "subscribe", "publish", "presence" and "history"`)
	}
	var allows Capability
	for _, name := range names {
		named, known := capabilityNames[name]
		if !known {
			return 0, refuseJWT(JWTClaimsWrong, `a capability is none of "subscribe", "publish", "presence" and "history"`)
		}
		allows |= named
	}
	return allows, nil
}

// Allows reports whether the claims allow all of what on the channel. The
// patterns that match a channel add up.
func (c *JWTClaims) Allows(channel string, what Capability) bool {
	var allowed Capability
	for i := range c.grants {
		if c.grants[i].allows&what != 0 && matchChannel(c.grants[i].pattern, channel) {
			allowed |= c.grants[i].allows
		}
	}
	return allowed&what == what
}

// A channel pattern is a channel name in which a * at the very end stands for
// any characters, none included, and a * that is a whole segment (between two
// of - and ., or at the start) for one segment that is not empty. There is no
// other place for a *, which is why matching never has to try twice.

func isSegmentEnd(c byte) bool { return c == '-' || c == '.' }

func validChannelPattern(p string) bool {
	if p == "" || len(p) > maxGrantPattern {
		return false
	}
	for i := range len(p) {
		switch {
		case p[i] != '*':
			if !isAlphanumeric(p[i]) && strings.IndexByte("_-=@,.;", p[i]) < 0 {
				return false
			}
		case i == len(p)-1:
		case i > 0 && !isSegmentEnd(p[i-1]), !isSegmentEnd(p[i+1]):
			return false
		}
	}
	return true
}

// matchChannel reports whether a valid pattern matches name, reading each of
// them once.
func matchChannel(pattern, name string) bool {
	at := 0
	for i := range len(pattern) {
		switch {
		case pattern[i] != '*':
			if at == len(name) || name[at] != pattern[i] {
				return false
			}
			at++
		case i == len(pattern)-1:
			return true
		default:
			start := at
			for at < len(name) && !isSegmentEnd(name[at]) {
				at++
			}
			if at == start {
				return false
			}
		}
	}
	return at == len(name)
}

package tenants

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxJWTLifetime is the longest time a token may be valid for.
	MaxJWTLifetime  = 24 * time.Hour
	maxJWTSubject   = 128 // characters: the longest user id of a presence channel
	maxJWTID        = 200 // bytes
	maxJWTAudiences = 32
	maxJWTTime      = 253402300799 // the end of the year 9999
)

// JWTClaims are what a verified token says. They are shared and must not be changed.
type JWTClaims struct {
	ID        string          // jti; empty for none
	Subject   string          // sub, the user; empty for none
	Info      json.RawMessage // what others learn of the user, a JSON object; nil for none
	Channel   string          // the one channel it is for; empty unless it is a channel token
	SocketID  string          // the one connection it is for; empty for any
	IssuedAt  time.Time       // zero if it does not say
	ExpiresAt time.Time
	// Deadline is when nothing may stand on the token any more: ExpiresAt and the
	// leeway for clocks that differ.
	Deadline time.Time

	grants    []grant
	algorithm string
	trust     trust
}

// readClaims reads the claims of a token, all but iss and aud, which say whether
// it is for this app at all.
func readClaims(m members) (*JWTClaims, error) {
	c := &JWTClaims{}
	if err := c.readTimes(m); err != nil {
		return nil, err
	}
	var ok bool
	if c.Subject, ok = m.text("sub"); !ok || !printable(c.Subject) || utf8.RuneCountInString(c.Subject) > maxJWTSubject {
		return nil, refuseJWT(JWTClaimsWrong, "sub must be a string of at most 128 printable characters")
	}
	if c.ID, ok = m.text("jti"); !ok || len(c.ID) > maxJWTID {
		return nil, refuseJWT(JWTClaimsWrong, "jti must be a string of at most 200 bytes")
	}
	if c.SocketID, ok = m.text("socket_id"); !ok || c.SocketID != "" && !ValidSocketID(c.SocketID) {
		return nil, refuseJWT(JWTClaimsWrong, "socket_id must be the id of a connection, two numbers with a dot between")
	}
	if info, there := m["info"]; there {
		if info[0] != '{' {
			return nil, refuseJWT(JWTClaimsWrong, "info must be an object")
		}
		c.Info = info
	}
	return c, c.readChannels(m)
}

// readChannels reads what the token allows where: on the channels of several
// patterns, or on exactly one.
func (c *JWTClaims) readChannels(m members) error {
	channels, several := m["channels"]
	_, one := m["channel"]
	capabilities, listed := m["capabilities"]
	switch {
	case several && one:
		return refuseJWT(JWTClaimsWrong, "it has channel and channels; keep one")
	case listed && !one:
		return refuseJWT(JWTClaimsWrong, "capabilities go with channel; with channels they stand behind each pattern")
	case several:
		var err error
		c.grants, err = readGrants(channels)
		return err
	case !one:
		return nil
	}
	var ok bool
	if c.Channel, ok = m.text("channel"); !ok || !signableChannel(c.Channel) {
		return refuseJWT(JWTClaimsWrong, "channel must be the name of a channel")
	}
	allows := CapSubscribe | CapPresence | CapHistory
	if listed {
		var err error
		if allows, err = readCapabilities(capabilities); err != nil {
			return err
		}
	}
	c.grants = []grant{{c.Channel, allows}}
	return nil
}

func (c *JWTClaims) readTimes(m members) error {
	if _, there := m["exp"]; !there {
		return refuseJWT(JWTClaimsWrong, "it must say in exp when it expires, at most 24 hours ahead")
	}
	var err error
	if c.ExpiresAt, err = m.time("exp"); err != nil {
		return err
	}
	if c.IssuedAt, err = m.time("iat"); err != nil {
		return err
	}
	_, err = m.time("nbf")
	return err
}

// time returns a time claim, zero if it is absent. Only plain numbers are
// taken: other readers make other times of text and of exponents.
func (m members) time(name string) (time.Time, error) {
	raw, there := m[name]
	if !there {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || strings.ContainsAny(string(raw), "eE+-") || seconds < 1 || seconds > maxJWTTime {
		return time.Time{}, refuseJWT(JWTClaimsWrong, name+" must be a number, the seconds since 1970-01-01T00:00:00Z")
	}
	return time.Unix(int64(seconds), 0), nil
}

// audienceFormed checks the form of aud, a string or a list of them. Whether the
// right one is there is for the verification.
func audienceFormed(m members) error {
	raw, there := m["aud"]
	if !there || string(raw) == "[]" {
		return refuseJWT(JWTAudience, "it must say in aud whom it is for: the audience in this app's settings")
	}
	var list []json.RawMessage
	if raw[0] != '[' {
		list = []json.RawMessage{raw}
	} else if json.Unmarshal(raw, &list) != nil || len(list) > maxJWTAudiences {
		return refuseJWT(JWTClaimsWrong, "aud must be a string, or a list of at most 32")
	}
	for _, element := range list {
		if _, ok := (members{"aud": element}).text("aud"); !ok {
			return refuseJWT(JWTClaimsWrong, "aud must be a string, or a list of strings")
		}
	}
	return nil
}

// printable reports whether s is free of control and invisible characters.
func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

package channels

import (
	"strings"
	"unicode/utf8"

	"tidewire/channels/wire"
	"tidewire/tenants"
)

// Bounds of names, in bytes.
const (
	MaxChannelName = 164 // the prefix included
	MaxEventName   = 200
)

const (
	serverToUserPrefix = "#server-to-user-"
	clientEventPrefix  = "client-"
)

// Kind is what a channel's name says about it. The zero value is a plain
// public channel. [Classify] is the only source of others.
type Kind uint8

const (
	kindPrivate Kind = 1 << iota
	kindPresence
	kindEncrypted
	kindCache
	kindServerToUser
)

// prefixes is searched from the top, so that the longest prefix wins.
var prefixes = [...]struct {
	prefix string
	kind   Kind
}{
	{"private-encrypted-cache-", kindPrivate | kindEncrypted | kindCache},
	{"private-encrypted-", kindPrivate | kindEncrypted},
	{"private-cache-", kindPrivate | kindCache},
	{"presence-cache-", kindPresence | kindCache},
	{"presence-", kindPresence},
	{"private-", kindPrivate},
	{"cache-", kindCache},
}

// NameError is an unusable channel or event name. The text is the one clients
// and publishers get.
type NameError string

// Error implements error.
func (e NameError) Error() string { return string(e) }

// The reasons for which names are refused.
const (
	ErrChannelEmpty    NameError = "Invalid channel name: it is empty"
	ErrChannelTooLong  NameError = "Invalid channel name: it is longer than 164 characters"
	ErrChannelChars    NameError = "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed"
	ErrChannelReserved NameError = "Invalid channel name: # is reserved, except for #server-to-user- followed by a user id"

	ErrEventEmpty    NameError = "Invalid event name: it is empty"
	ErrEventTooLong  NameError = "Invalid event name: it is longer than 200 bytes"
	ErrEventChars    NameError = "Invalid event name: it must be UTF-8 without control characters"
	ErrEventPusher   NameError = "The 'pusher' namespace is reserved for internal usage"
	ErrEventTidewire NameError = "The 'tidewire:' namespace is reserved for internal usage"
)

// Classify checks a channel name and says what kind of channel it names.
// Prefixes count at the start and in lower case only: Private-x is a public
// channel. The error is a [NameError].
func Classify(name string) (Kind, error) {
	if name == "" {
		return 0, ErrChannelEmpty
	}
	if name[0] == '#' {
		if id, ok := strings.CutPrefix(name, serverToUserPrefix); ok && wire.ValidUserID(id) {
			return kindServerToUser, nil
		}
		return 0, ErrChannelReserved
	}
	if len(name) > MaxChannelName {
		return 0, ErrChannelTooLong
	}
	for i := range len(name) {
		if c := name[i]; !wire.IsNameByte(c) {
			if c == '#' {
				return 0, ErrChannelReserved
			}
			return 0, ErrChannelChars
		}
	}
	for i := range prefixes {
		if strings.HasPrefix(name, prefixes[i].prefix) {
			return prefixes[i].kind, nil
		}
	}
	return 0, nil
}

// Public reports whether anyone may subscribe.
func (k Kind) Public() bool { return k&(kindPrivate|kindPresence|kindServerToUser) == 0 }

// Private reports whether the name begins with private-, encrypted and cache
// channels included.
func (k Kind) Private() bool { return k&kindPrivate != 0 }

// Presence reports whether the channel has members.
func (k Kind) Presence() bool { return k&kindPresence != 0 }

// Encrypted reports whether the payloads are encrypted end to end.
func (k Kind) Encrypted() bool { return k&kindEncrypted != 0 }

// Cache reports whether the last event is replayed to new subscribers.
func (k Kind) Cache() bool { return k&kindCache != 0 }

// ServerToUser reports whether the channel is the private line to one signed-in
// user, whom [ServerToUserID] names.
func (k Kind) ServerToUser() bool { return k&kindServerToUser != 0 }

// NeedsAuth reports whether a subscription must carry an authorization. A
// server-to-user channel needs none, but a signed-in user.
func (k Kind) NeedsAuth() bool { return k&(kindPrivate|kindPresence) != 0 }

// AllowsClientEvents reports whether subscribers may publish, if the app lets them.
func (k Kind) AllowsClientEvents() bool { return k.NeedsAuth() }

// HasSubscriptionCount reports whether the channel may announce its number of
// subscriptions.
func (k Kind) HasSubscriptionCount() bool { return k&(kindPresence|kindServerToUser) == 0 }

// ServerToUserID returns the user id in a server-to-user channel's name, and
// "" for any other name.
func ServerToUserID(name string) string {
	id, ok := strings.CutPrefix(name, serverToUserPrefix)
	if !ok {
		return ""
	}
	return id
}

// ValidSocketID reports whether s looks like a socket id, by the one rule there
// is: that of [tenants.ValidSocketID], which signatures stand on.
func ValidSocketID(s string) bool { return tenants.ValidSocketID(s) }

// ValidEventName checks the name of an event to be published: 1 to
// [MaxEventName] bytes of UTF-8 without control characters, outside the
// namespaces of the protocol. The error is a [NameError].
func ValidEventName(name string) error {
	switch {
	case name == "":
		return ErrEventEmpty
	case len(name) > MaxEventName:
		return ErrEventTooLong
	case strings.HasPrefix(name, "pusher"):
		return ErrEventPusher
	case strings.HasPrefix(name, "tidewire:"):
		return ErrEventTidewire
	case !utf8.ValidString(name):
		return ErrEventChars
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ErrEventChars
		}
	}
	return nil
}

// IsClientEvent reports whether name is one that clients may publish.
func IsClientEvent(name string) bool { return strings.HasPrefix(name, clientEventPrefix) }

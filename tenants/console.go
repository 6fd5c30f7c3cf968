package tenants

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The installation's own app, whose channels carry what the dashboard shows as it
// happens. It is in no database and of no tenant. Neither name can be one of a customer's: their ids
// begin with another digit, and their keys have no tilde.
const (
	ConsoleAppID = AppID("0")
	ConsoleKey   = "~console"

	consoleParty    = "tidewire"
	consoleAudience = "console"
	// consoleTimeout is how long somebody who shows no ticket stays, in seconds.
	consoleTimeout = 10
)

// ConsoleTicketTime is how long a ticket is good for. Who watches renews it in
// place; whoever may not look any more is cut off before, within seconds.
const ConsoleTicketTime = 5 * time.Minute

// Stream is something about an app that can be watched as it happens.
type Stream string

// The streams.
const (
	StreamConsole  Stream = "app"      // what happens: the live console
	StreamStats    Stream = "stats"    // how the app stands
	StreamChannels Stream = "channels" // its occupied channels
)

// Channel is the channel of [ConsoleAppID] that carries the stream of an app.
func (s Stream) Channel(app AppID) string { return "private-" + string(s) + "-" + string(app) }

// Action is what somebody must be allowed to do to watch it.
func (s Stream) Action() Action {
	if s == StreamStats {
		return ActStatsRead
	}
	return ActChannelsRead
}

// StreamOf is what a channel of [ConsoleAppID] carries, and of which app; both are
// empty if it carries nothing.
func StreamOf(channel string) (Stream, AppID) {
	for _, s := range []Stream{StreamConsole, StreamStats, StreamChannels} {
		id, ok := strings.CutPrefix(channel, s.Channel(""))
		if app := AppID(id); ok && app.valid() {
			return s, app
		}
	}
	return "", ""
}

// ConsoleSecret makes what signs tickets from the master key, so that every node
// of an installation has the same and nothing must be stored.
func ConsoleSecret(masterKey []byte) (Secret, error) {
	raw, err := hkdf.Key(sha256.New, masterKey, nil, "tidewire console tickets", 32)
	if err != nil {
		return Secret{}, fmt.Errorf("derive the secret of console tickets: %w", err)
	}
	return NewSecret(hex.EncodeToString(raw)), nil
}

// ConsoleApp makes the app of the live consoles: its one issuer is this
// installation, and who shows no ticket within seconds is sent away.
func ConsoleApp(secret Secret) *App {
	s := DefaultSettings()
	s.RequireAuthorization, s.AuthorizationTimeoutSeconds = true, consoleTimeout
	s.JWT.Issuers = []JWTIssuer{{Issuer: consoleParty, Audience: consoleAudience, Algorithms: []string{"HS256"}, Secret: secret}}
	return &App{
		ID: ConsoleAppID, TenantStatus: TenantActive, Name: "Live consoles", Settings: s,
		// The key has no secret: nothing can be signed with it.
		Keys: []Key{{ID: ConsoleKey, Key: ConsoleKey, Status: KeyActive}},
	}
}

// ConsoleTicket lets one connection, and no other, listen to a channel of
// [ConsoleAppID] until a moment: socketID is its id, and ids are never used twice.
// user is who asked.
func ConsoleTicket(secret Secret, channel, user, socketID string, now time.Time) (ticket string, until time.Time, err error) {
	until = now.Add(ConsoleTicketTime).Truncate(time.Second)
	ticket, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": consoleParty, "aud": consoleAudience, "sub": user, "jti": rand.Text(),
		"iat": now.Unix(), "exp": until.Unix(),
		"channel": channel, "socket_id": socketID, "capabilities": []string{"subscribe"},
	}).SignedString([]byte(secret.Reveal()))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a console ticket: %w", err)
	}
	return ticket, until, nil
}

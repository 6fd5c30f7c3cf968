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

// The installation's own app, whose channels carry the live consoles. It is in no
// database and of no tenant. Neither name can be one of a customer's: their ids
// begin with another digit, and their keys have no tilde.
const (
	ConsoleAppID = AppID("0")
	ConsoleKey   = "~console"

	consoleChannelPrefix = "private-app-"
	consoleParty         = "tidewire"
	consoleAudience      = "console"
	// consoleTimeout is how long somebody who shows no ticket stays, in seconds.
	consoleTimeout = 10
)

// ConsoleTicketTime is how long a ticket is good for. The console renews it in
// place; whoever may not look any more is cut off before, within seconds.
const ConsoleTicketTime = 5 * time.Minute

// ConsoleChannel is the channel that carries the console of an app.
func ConsoleChannel(app AppID) string { return consoleChannelPrefix + string(app) }

// ConsoleChannelApp is the app whose console a channel of [ConsoleAppID] carries;
// empty if it is none.
func ConsoleChannelApp(channel string) AppID {
	id, ok := strings.CutPrefix(channel, consoleChannelPrefix)
	if app := AppID(id); ok && app.valid() {
		return app
	}
	return ""
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

// ConsoleTicket lets one connection, and no other, listen to the console of an app
// until a moment: socketID is its id, and ids are never used twice. user is who
// asked.
func ConsoleTicket(secret Secret, app AppID, user, socketID string, now time.Time) (ticket string, until time.Time, err error) {
	until = now.Add(ConsoleTicketTime).Truncate(time.Second)
	ticket, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": consoleParty, "aud": consoleAudience, "sub": user, "jti": rand.Text(),
		"iat": now.Unix(), "exp": until.Unix(),
		"channel": ConsoleChannel(app), "socket_id": socketID, "capabilities": []string{"subscribe"},
	}).SignedString([]byte(secret.Reveal()))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a console ticket: %w", err)
	}
	return ticket, until, nil
}

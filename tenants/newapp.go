package tenants

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameBytes  = 100 // of a display name
	maxKeyBytes   = 64
	minSecret     = 8
	maxSecret     = 128
	maxAppIDBytes = 18 // the most digits that fit a signed 64-bit number
)

// NewApp is what it takes to create an app. Only TenantSlug and Name must be
// given: [NewApp.Fill] makes the rest. A given id, key or secret is kept as it
// is, so that an app can move here from Pusher, soketi or Reverb.
type NewApp struct {
	TenantSlug string
	TenantName string // of a tenant that has to be created; empty = the slug
	Name       string
	Cluster    string // a label; empty = "main"
	ID         AppID
	Key        string
	Secret     Secret
	Settings   *Settings // nil = the defaults
	Limits     *Limits   // nil = the defaults
}

// Fill makes what is missing, the id apart: only the store knows which are free
// ([RandomAppID]).
func (n *NewApp) Fill() {
	if n.TenantName == "" {
		n.TenantName = n.TenantSlug
	}
	if n.Cluster == "" {
		n.Cluster = "main"
	}
	if n.Key == "" {
		n.Key = randomHex()
	}
	if n.Secret.IsZero() {
		n.Secret = NewSecret(randomHex())
	}
	if n.Settings == nil {
		settings := DefaultSettings()
		n.Settings = &settings
	}
	if n.Limits == nil {
		limits := DefaultLimits()
		n.Limits = &limits
	}
}

// Validate checks what was given; the error is an [*InvalidError]. What is
// missing and can be made is in order.
func (n *NewApp) Validate() error {
	if err := ValidateSlug(n.TenantSlug); err != nil {
		return err
	}
	if err := validateName("name", n.Name); err != nil {
		return err
	}
	if n.TenantName != "" {
		if err := validateName("tenant name", n.TenantName); err != nil {
			return err
		}
	}
	if n.Cluster != "" && !isSlug(n.Cluster) {
		return &InvalidError{"cluster", "must be 1 to 63 of a-z, 0-9 and -, starting with a letter or digit"}
	}
	if n.ID != "" && !n.ID.valid() {
		return &InvalidError{"id", "must be 1 to 18 digits without a leading zero; official server libraries read it as a number"}
	}
	if n.Key != "" && !validKeyName(n.Key) {
		return &InvalidError{"key", "must be 1 to 64 letters, digits, _ or -"}
	}
	if err := validateSecret(n.Secret); err != nil {
		return err
	}
	if n.Settings != nil {
		if err := n.Settings.Validate(); err != nil {
			return err
		}
	}
	if n.Limits != nil {
		return n.Limits.Validate()
	}
	return nil
}

// ValidateSlug checks the short unique name of a tenant.
func ValidateSlug(slug string) error {
	if !isSlug(slug) {
		return &InvalidError{"tenant", "must be 1 to 63 of a-z, 0-9 and -, starting with a letter or digit, such as \"acme\""}
	}
	return nil
}

func isSlug(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func validateName(field, name string) error {
	if name == "" || len(name) > maxNameBytes || strings.TrimSpace(name) != name || !utf8.ValidString(name) {
		return &InvalidError{field, fmt.Sprintf("must be 1 to %d bytes of text without spaces at its ends", maxNameBytes)}
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return &InvalidError{field, "must not hold control or invisible characters"}
		}
	}
	return nil
}

func validateSecret(secret Secret) error {
	value := secret.Reveal()
	if value == "" {
		return nil
	}
	if len(value) < minSecret || len(value) > maxSecret {
		return &InvalidError{"secret", fmt.Sprintf("must be %d to %d characters; leave it out to have one made", minSecret, maxSecret)}
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return &InvalidError{"secret", "must be printable ASCII without spaces"}
		}
	}
	return nil
}

// valid reports whether an app could have this id at all.
func (id AppID) valid() bool {
	if id == "" || len(id) > maxAppIDBytes || id[0] == '0' {
		return false
	}
	for _, c := range []byte(id) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// validKeyName reports whether a key could have this name at all. A colon would
// break "key:signature", a slash the path.
func validKeyName(key string) bool {
	if key == "" || len(key) > maxKeyBytes {
		return false
	}
	for _, c := range []byte(key) {
		if !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// RandomAppID returns an id of 6 to 9 digits. It may be taken.
func RandomAppID() AppID {
	const low, high = 100_000, 1_000_000_000
	n, err := rand.Int(rand.Reader, big.NewInt(high-low))
	if err != nil {
		panic(err) // crypto/rand ends the process before it would return an error
	}
	return AppID(n.Add(n, big.NewInt(low)).String())
}

// randomHex returns 20 hex characters, the shape Pusher gives keys and secrets:
// some official libraries accept no other.
func randomHex() string {
	raw := make([]byte, 10)
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}

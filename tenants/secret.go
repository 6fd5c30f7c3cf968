package tenants

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Secret is a value that must never be printed. Every ordinary way of showing
// it (fmt, slog, JSON) gives "[redacted]"; only [Secret.Reveal] gives the value.
type Secret struct{ value string }

const redacted = "[redacted]"

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value itself, for signing, sealing, or the one time it is shown.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret at all.
func (s Secret) IsZero() bool { return s.value == "" }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// Format implements [fmt.Formatter], so that no verb can reach the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [json.Marshaler].
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

package tenants

import (
	"strconv"
	"strings"
)

// SignatureReason says, in one stable word, why a signature was refused.
type SignatureReason string

// The reasons a signed request or an auth string is refused for.
const (
	ReasonMalformed  SignatureReason = "malformed"   // the path, query or auth string has a form we do not read
	ReasonMissing    SignatureReason = "missing"     // a required parameter is absent
	ReasonUnknownKey SignatureReason = "unknown_key" // no such key, or a revoked one
	ReasonVersion    SignatureReason = "version"
	ReasonTimestamp  SignatureReason = "timestamp"
	ReasonBody       SignatureReason = "body_md5"
	ReasonSignature  SignatureReason = "signature"
)

// SignatureError is a refused signature. Its text is meant for the sender: it
// says what is wrong and never holds a secret or the right digest.
type SignatureError struct {
	Reason SignatureReason
	Text   string
}

// Error implements error.
func (e *SignatureError) Error() string { return e.Text }

func refuse(reason SignatureReason, text string) error {
	return &SignatureError{Reason: reason, Text: text}
}

// quoteShort quotes what a stranger sent for use in an error, cut to a length
// that no answer grows from.
func quoteShort(s string) string { return strconv.Quote(shorten(s, 128)) }

// shorten cuts s after most bytes, never inside a character.
func shorten(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidewire/tenants"
)

const (
	secretPrefix = "whsec_"
	userAgent    = "Tidewire-Webhooks/1"
)

var errNoKey = errors.New("the app has no key that is not revoked, so the request cannot be signed; create one")

// signed makes the headers of one attempt. Both families of signatures are over
// exactly the bytes of body.
func signed(d *Delivery, e *Endpoint, key *tenants.Key, body []byte, now time.Time) http.Header {
	h := make(http.Header, 10+len(e.Headers))
	for name, value := range e.Headers {
		h.Set(name, value)
	}
	// To the byte: verifiers compare it as a string.
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", userAgent)
	h.Set("X-Pusher-Key", key.Key)
	h.Set("X-Pusher-Signature", hex.EncodeToString(mac([]byte(key.Secret.Reveal()), body)))
	stamp := strconv.FormatInt(now.Unix(), 10)
	h.Set("Webhook-Id", d.ID)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Attempt", strconv.Itoa(d.Attempts+1))
	signatures := standardSignature(e.Secret, d.ID, stamp, body)
	if !e.Previous.IsZero() && now.Before(e.PreviousUntil) {
		signatures += " " + standardSignature(e.Previous, d.ID, stamp, body)
	}
	h.Set("Webhook-Signature", signatures)
	return h
}

// standardSignature is that of Standard Webhooks 1.0.0.
func standardSignature(secret tenants.Secret, id, stamp string, body []byte) string {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), secretPrefix))
	if err != nil {
		raw = nil // made by us; one that was damaged verifies nowhere
	}
	return "v1," + base64.StdEncoding.EncodeToString(mac(raw, []byte(id+"."+stamp+"."), body))
}

// mac is over the parts as if they were one.
func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

// signingKey is the oldest key that is not revoked, as with Pusher: a rotation
// must not break receivers that know the old one only.
func signingKey(app *tenants.App) *tenants.Key {
	for i := range app.Keys {
		if k := app.Key(app.Keys[i].Key); k != nil {
			return k
		}
	}
	return nil
}

// requestHead shows the headers that were sent. Signatures and the customer's
// own headers, which may be secrets, are left out.
func requestHead(h http.Header) string {
	shown := []string{"Content-Type", "User-Agent", "X-Pusher-Key", "Webhook-Id", "Webhook-Timestamp", "Webhook-Attempt"}
	var b strings.Builder
	for _, name := range shown {
		b.WriteString(name + ": " + h.Get(name) + "\n")
	}
	return b.String()
}

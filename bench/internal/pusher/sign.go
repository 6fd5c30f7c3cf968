package pusher

import (
	"crypto/hmac"
	"crypto/md5" // body_md5 is what the protocol asks for
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// window is how far a request's timestamp may be from the server's clock.
const window = 600 * time.Second

// ErrSignature says that a request is not signed by the app it names.
var ErrSignature = errors.New("request signature does not match")

// Signer signs requests of one app without allocating per request. It is not
// safe for concurrent use; each publisher owns one.
type Signer struct {
	app   App
	mac   hash.Hash
	text  []byte
	query []byte
	sum   [sha256.Size]byte
}

// NewSigner returns a Signer for app.
func NewSigner(app App) *Signer {
	return &Signer{app: app, mac: hmac.New(sha256.New, []byte(app.Secret))}
}

// Query returns the complete query string of a signed request: method and path
// as they stand on the request line, unix in seconds. The slice is good until
// the next call.
func (s *Signer) Query(method, path string, unix int64, body []byte) []byte {
	sum := md5.Sum(body)
	q := append(s.query[:0], "auth_key="...)
	q = append(q, s.app.Key...)
	q = append(q, "&auth_timestamp="...)
	q = strconv.AppendInt(q, unix, 10)
	q = append(q, "&auth_version=1.0&body_md5="...)
	q = hex.AppendEncode(q, sum[:])

	t := append(s.text[:0], method...)
	t = append(t, '\n')
	t = append(t, path...)
	t = append(t, '\n')
	t = append(t, q...)
	s.mac.Reset()
	s.mac.Write(t)
	q = append(q, "&auth_signature="...)
	q = hex.AppendEncode(q, s.mac.Sum(s.sum[:0]))
	s.text, s.query = t, q
	return q
}

// Verify checks a signed request the plain way: version, time, the digest of
// the body and the HMAC over the canonical string. It returns an error that
// wraps [ErrSignature] when the request is not app's.
func Verify(app App, method, path string, query url.Values, body []byte, now time.Time) error {
	if query.Get("auth_version") != "1.0" {
		return fmt.Errorf("auth_version is %q, want 1.0: %w", query.Get("auth_version"), ErrSignature)
	}
	unix, err := strconv.ParseInt(query.Get("auth_timestamp"), 10, 64)
	if err != nil {
		return fmt.Errorf("auth_timestamp is not a number: %w", ErrSignature)
	}
	if age := now.Sub(time.Unix(unix, 0)); age.Abs() >= window {
		return fmt.Errorf("auth_timestamp is %s off: %w", age, ErrSignature)
	}
	sum := md5.Sum(body)
	if len(body) > 0 && query.Get("body_md5") != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("body_md5 is not the body's: %w", ErrSignature)
	}
	mac := hmac.New(sha256.New, []byte(app.Secret))
	mac.Write([]byte(method + "\n" + path + "\n" + canonical(query)))
	got, err := hex.DecodeString(query.Get("auth_signature"))
	if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return ErrSignature
	}
	return nil
}

// canonical joins every parameter but the signature, keys lowered and sorted.
func canonical(query url.Values) string {
	pairs := make([]string, 0, len(query))
	for k, vs := range query {
		if k != "auth_signature" && len(vs) > 0 {
			pairs = append(pairs, strings.ToLower(k)+"="+vs[0])
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

// ChannelAuth returns the auth value that admits socketID to a private or
// presence channel; data is the channel_data, empty for none.
func ChannelAuth(app App, socketID, channel, data string) string {
	text := socketID + ":" + channel
	if data != "" {
		text += ":" + data
	}
	mac := hmac.New(sha256.New, []byte(app.Secret))
	mac.Write([]byte(text))
	return app.Key + ":" + hex.EncodeToString(mac.Sum(nil))
}

package tenants

import (
	"crypto/hmac"
	"crypto/md5" // the protocol names it; what protects is the HMAC over it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SignatureWindow is how far the timestamp of a signed request may be from the
// server's clock; at this distance and beyond the request is refused.
const SignatureWindow = 600 * time.Second

const signatureVersion = "1.0"

// unknownKeySecret signs in the place of a secret that does not exist, so that
// a made-up key costs the same time as a real one.
var unknownKeySecret = NewSecret("no such key, but the same work")

// SignedRequest is the part of an HTTP request that its signature covers.
type SignedRequest struct {
	Method   string
	Path     string // escaped, byte for byte as requested; what the caller routes by
	RawQuery string // as requested, without the question mark
	Body     []byte // raw, empty for none
}

// VerifyRequest checks that r was signed, within [SignatureWindow] of now, by
// the owner of the key it names, and returns the parameters of its query.
//
// secret is called once, with the key of the request. If it answers
// [ErrNotFound] the request is refused as one of an unknown key, after the same
// work a known key costs; any other error of it is returned wrapped. Every
// refusal is a [*SignatureError]. The caller must have capped the size of the
// body before, and must not look into it until VerifyRequest returned nil.
func VerifyRequest(r SignedRequest, now time.Time, secret func(key string) (Secret, error)) (Params, error) {
	params, err := parseParams(r.RawQuery)
	if err != nil {
		return Params{}, err
	}
	if err := checkPath(r.Path); err != nil {
		return Params{}, err
	}
	key, ok := params.Get("auth_key")
	if !ok {
		return Params{}, refuse(ReasonMissing, "Missing parameter: auth_key")
	}
	sec, err := secret(key)
	unknown := errors.Is(err, ErrNotFound) || (err == nil && sec.IsZero())
	switch {
	case unknown:
		sec = unknownKeySecret
	case err != nil:
		return Params{}, fmt.Errorf("look up signing key: %w", err)
	}
	err = params.verify(r, now, sec)
	if unknown {
		return Params{}, refuse(ReasonUnknownKey, "Unknown auth_key")
	}
	if err != nil {
		return Params{}, err
	}
	return params, nil
}

// verify runs the checks that need the secret, cheapest first.
func (p Params) verify(r SignedRequest, now time.Time, secret Secret) error {
	if err := p.checkVersion(); err != nil {
		return err
	}
	if err := p.checkTimestamp(now); err != nil {
		return err
	}
	if err := p.checkBody(r.Body); err != nil {
		return err
	}
	sent, ok := p.Get("auth_signature")
	if !ok {
		return refuse(ReasonMissing, "Missing parameter: auth_signature")
	}
	signed := p.appendStringToSign(make([]byte, 0, 256), r.Method, r.Path)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = mac.Write(signed)
	if !equalHex(sent, mac.Sum(nil)) {
		return refuse(ReasonSignature, fmt.Sprintf(
			"Invalid signature: you should have sent HmacSHA256Hex(%s, your_secret_key), but you sent %s",
			strconv.Quote(string(signed)), quoteShort(sent)))
	}
	return nil
}

func (p Params) checkVersion() error {
	v, ok := p.Get("auth_version")
	if !ok || v == "" {
		return refuse(ReasonVersion, "Version required")
	}
	if v != signatureVersion {
		return refuse(ReasonVersion, "Version not supported: auth_version must be 1.0")
	}
	return nil
}

func (p Params) checkTimestamp(now time.Time) error {
	text, ok := p.Get("auth_timestamp")
	if !ok || text == "" {
		return refuse(ReasonTimestamp, "Timestamp required")
	}
	// Twelve digits reach the year 33658 and keep the difference far from overflow.
	if len(text) > 12 || !allDigits(text) {
		return refuse(ReasonTimestamp, "Timestamp invalid: auth_timestamp must be whole seconds since 1970-01-01T00:00:00Z, digits only")
	}
	sec, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return refuse(ReasonTimestamp, "Timestamp invalid: auth_timestamp must be whole seconds since 1970-01-01T00:00:00Z, digits only")
	}
	window := int64(SignatureWindow / time.Second)
	ahead := sec - now.Unix()
	if ahead > -window && ahead < window {
		return nil
	}
	off := fmt.Sprintf("%d s ahead of", ahead)
	if ahead < 0 {
		off = fmt.Sprintf("%d s behind", -ahead)
	}
	return refuse(ReasonTimestamp, fmt.Sprintf(
		"Timestamp expired: Given timestamp (%s) not within %ds of server time (%s); it is %s the server: set the sender's clock and sign each request when it is sent",
		time.Unix(sec, 0).UTC().Format(time.RFC3339), window, now.UTC().Format(time.RFC3339), off))
}

// checkBody holds body_md5 against the raw body. It is required where there is
// a body, and must be right where there is none: some libraries always send it.
func (p Params) checkBody(body []byte) error {
	sent, ok := p.Get("body_md5")
	if !ok {
		if len(body) == 0 {
			return nil
		}
		return refuse(ReasonBody, "Missing parameter: body_md5 is required when there is a body")
	}
	sum := md5.Sum(body)
	if !equalHex(sent, sum[:]) {
		return refuse(ReasonBody, fmt.Sprintf(
			"Invalid body_md5: the body received has the MD5 %s, but you sent %s",
			hex.EncodeToString(sum[:]), quoteShort(sent)))
	}
	return nil
}

// SignRequest returns params together with the parameters that sign the
// request: auth_key, auth_timestamp, auth_version, body_md5 if there is a body,
// and auth_signature. path is the escaped path the request will be sent to;
// array parameters have names that end in "[]". params is not changed.
func SignRequest(secret Secret, key, method, path string, params url.Values, body []byte, now time.Time) url.Values {
	out := make(url.Values, len(params)+5)
	for name, values := range params {
		out[name] = slices.Clone(values)
	}
	out.Set("auth_key", key)
	out.Set("auth_timestamp", strconv.FormatInt(now.Unix(), 10))
	out.Set("auth_version", signatureVersion)
	out.Del("body_md5")
	if len(body) > 0 {
		sum := md5.Sum(body)
		out.Set("body_md5", hex.EncodeToString(sum[:]))
	}
	out.Del("auth_signature")

	pairs := make([]param, 0, len(out))
	for name, values := range out {
		base, array := strings.CutSuffix(strings.ToLower(name), "[]")
		for _, v := range values {
			pairs = append(pairs, param{name: base, value: v, array: array})
		}
	}
	slices.SortStableFunc(pairs, byName)
	toSign := Params{pairs}.appendStringToSign(nil, method, path)
	out.Set("auth_signature", hexHMAC(secret, string(toSign)))
	return out
}

// equalHex reports whether text is the hexadecimal form of want, in a time that
// tells nothing about the bytes.
func equalHex(text string, want []byte) bool {
	var got [sha256.Size]byte
	if len(text) != hex.EncodedLen(len(want)) {
		return false
	}
	n, err := hex.Decode(got[:], []byte(text))
	return err == nil && hmac.Equal(got[:n], want)
}

func hexHMAC(secret Secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

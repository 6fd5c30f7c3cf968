package tenants

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxJWTBytes is the longest token that is looked at.
	MaxJWTBytes   = 8 << 10
	maxJWTKeyID   = 64
	maxJWTNesting = 16
)

// LooksLikeJWT reports whether an auth value is meant as a token: it has two
// dots and no colon, which the form key:signature always has.
func LooksLikeJWT(auth string) bool {
	return strings.Count(auth, ".") == 2 && !strings.Contains(auth, ":")
}

// unverified is a token taken apart by rules stricter than those of the library
// that verifies it: what the two could read differently does not get that far.
type unverified struct {
	algorithm string
	keyID     string // opaque; empty for none
	claims    members
}

// members are the fields of a JSON object whose names are all different.
type members map[string]json.RawMessage

// headerNames are the headers that are understood or refused, claimNames the
// claims that are understood. Nothing may differ from them by case only.
var (
	headerNames = []string{"alg", "typ", "kid", "cty", "jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"}
	claimNames  = []string{"iss", "aud", "exp", "nbf", "iat", "sub", "jti", "info", "channels", "channel", "capabilities", "socket_id"}
)

// takeApart reads a token without believing any of it.
func takeApart(token string) (*unverified, error) {
	if len(token) > MaxJWTBytes {
		return nil, refuseJWT(JWTMalformed, "it is longer than 8192 bytes; leave claims out of it")
	}
	if token == "" {
		return nil, refuseJWT(JWTMalformed, "it is empty; send a JWT, or leave it out")
	}
	// The decoders would skip line breaks, and so let one token be written in many ways.
	if strings.ContainsAny(token, "\r\n") {
		return nil, refuseJWT(JWTMalformed, "its parts must be base64url without padding and line breaks")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, refuseJWT(JWTMalformed, "it must be a signed JWT: three parts with a dot between, in compact form")
	}
	head, err := readPart(parts[0], headerNames)
	if err != nil {
		return nil, err
	}
	t := &unverified{}
	if err := t.readHeader(head); err != nil {
		return nil, err
	}
	if parts[2] == "" {
		return nil, refuseJWT(JWTSignature, "it is not signed")
	}
	t.claims, err = readPart(parts[1], claimNames)
	return t, err
}

func readPart(part string, known []string) (members, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, refuseJWT(JWTMalformed, "its parts must be base64url without padding and line breaks")
	}
	m, err := readMembers(raw, known)
	if err != nil {
		return nil, refuseJWT(JWTMalformed, "its header and its claims must each be one JSON object: "+err.Error())
	}
	return m, nil
}

func (t *unverified) readHeader(head members) error {
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"} {
		if _, there := head[name]; there {
			return refuseJWT(JWTHeaderWrong, "its header has "+name+", which is not accepted: keys come from the app's settings only; leave it out")
		}
	}
	var ok bool
	if t.algorithm, ok = head.text("alg"); !ok || t.algorithm == "" {
		return refuseJWT(JWTHeaderWrong, "its header must name its algorithm in alg")
	}
	if _, known := jwtFamilies[t.algorithm]; !known {
		return refuseJWT(JWTAlgorithm, "its alg must be one of "+strings.Join(JWTAlgorithms(), ", "))
	}
	kind, ok := head.text("typ")
	if kind = strings.TrimPrefix(strings.ToLower(kind), "application/"); !ok || kind != "" && kind != "jwt" && kind != "at+jwt" {
		return refuseJWT(JWTHeaderWrong, "typ in its header must be JWT, or left out")
	}
	if _, nested := head["cty"]; nested {
		return refuseJWT(JWTHeaderWrong, "its header has cty, as a token inside a token has; send the inner one")
	}
	if t.keyID, ok = head.text("kid"); !ok || len(t.keyID) > maxJWTKeyID {
		return refuseJWT(JWTHeaderWrong, "kid in its header must be a string of at most 64 bytes")
	}
	return nil
}

// text returns a string member, "" if it is absent. It is false for any other
// value, and for text that was not well-formed.
func (m members) text(name string) (string, bool) {
	raw, there := m[name]
	if !there {
		return "", true
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil || strings.ContainsRune(s, utf8.RuneError) {
		return "", false
	}
	return s, true
}

// readMembers reads exactly one JSON object. Names given twice, at any depth,
// are refused, and those that differ from a known one by case only.
func readMembers(raw []byte, known []string) (members, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	var m members
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, errors.New("it is not one")
	}
	if err := checkNames(json.NewDecoder(bytes.NewReader(raw)), 0); err != nil {
		return nil, err
	}
	for name := range m {
		if slices.Contains(known, name) {
			continue
		}
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return nil, errors.New("a name differs from a registered one by case only")
		}
	}
	return m, nil
}

// checkNames walks over one value of a text known to be JSON.
func checkNames(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return errors.New("it is not one")
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth == maxJWTNesting {
		return errors.New("it is nested too deeply")
	}
	seen := make(map[string]bool)
	for d.More() {
		if open == '{' {
			token, err := d.Token()
			name, ok := token.(string)
			if err != nil || !ok {
				return errors.New("it is not one")
			}
			if seen[name] {
				return errors.New("a name is given twice")
			}
			seen[name] = true
		}
		if err := checkNames(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

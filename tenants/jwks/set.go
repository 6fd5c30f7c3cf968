package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"unicode/utf8"

	"tidewire/tenants"
)

const (
	maxKeys       = 100
	maxKeyIDBytes = 64
)

// jwk is one entry of a key set: the members that are used. Certificates and
// links to them are never looked at.
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	Alg    string   `json:"alg"`
	KeyOps []string `json:"key_ops"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

// published is one usable key of a set.
type published struct {
	id  string
	alg string // the only algorithm it is for; empty = every one that fits
	key crypto.PublicKey
}

// parseSet reads a key set. Entries that are of no use for verifying a token
// (other kinds, for encryption, too weak, without a readable form) are left
// out, as the standard asks; a text that is no key set is an error.
func parseSet(text []byte) ([]published, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the answer is not UTF-8")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &set) != nil || set.Keys == nil {
		return nil, errors.New(`the answer is no key set: want {"keys":[...]}`)
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("the key set has more than 100 keys")
	}
	var keys []published
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil || !j.verifies() {
			continue
		}
		key, err := j.key()
		if err != nil || tenants.CheckPublicKey(key) != nil || j.Alg != "" && !tenants.JWTKeyFits(j.Alg, key) {
			continue
		}
		keys = append(keys, published{id: j.Kid, alg: j.Alg, key: key})
	}
	return keys, nil
}

func (j *jwk) verifies() bool {
	return (j.Use == "" || j.Use == "sig") && len(j.Kid) <= maxKeyIDBytes &&
		(j.KeyOps == nil || slices.Contains(j.KeyOps, "verify"))
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

var errKey = errors.New("not a public key of a known kind")

// key makes the key. A symmetric one ("oct") is never taken: it is public now.
func (j *jwk) key() (crypto.PublicKey, error) {
	switch {
	case j.Kty == "RSA":
		n, err := number(j.N)
		if err != nil {
			return nil, err
		}
		e, err := number(j.E)
		if err != nil || !e.IsInt64() || e.Int64() > 1<<31-1 {
			return nil, errKey
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case j.Kty == "EC" && curves[j.Crv] != nil:
		return j.point(curves[j.Crv])
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x, err := decode(j.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errKey
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errKey
}

// point reads an EC key. That its point is on the curve is checked here.
func (j *jwk) point(curve elliptic.Curve) (crypto.PublicKey, error) {
	x, errX := decode(j.X)
	y, errY := decode(j.Y)
	size := (curve.Params().BitSize + 7) / 8
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, errKey
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

func number(text string) (*big.Int, error) {
	raw, err := decode(text)
	if err != nil || len(raw) == 0 {
		return nil, errKey
	}
	return new(big.Int).SetBytes(raw), nil
}

func decode(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }

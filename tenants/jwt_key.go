package tenants

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type keyKind uint8

const (
	keyHMAC keyKind = iota
	keyRSA
	keyEC
	keyEd25519
)

// jwtFamilies binds each algorithm to the one kind of key it works with. A key
// is never used with an algorithm of another line: that is how a public key
// would come to be taken for an HMAC secret.
var jwtFamilies = map[string]struct {
	kind  keyKind
	curve elliptic.Curve
}{
	"HS256": {kind: keyHMAC}, "HS384": {kind: keyHMAC}, "HS512": {kind: keyHMAC},
	"RS256": {kind: keyRSA}, "RS384": {kind: keyRSA}, "RS512": {kind: keyRSA},
	"PS256": {kind: keyRSA}, "PS384": {kind: keyRSA}, "PS512": {kind: keyRSA},
	"ES256": {keyEC, elliptic.P256()}, "ES384": {keyEC, elliptic.P384()}, "ES512": {keyEC, elliptic.P521()},
	"EdDSA": {kind: keyEd25519},
}

// JWTAlgorithms are the names of the algorithms tokens may be signed with, sorted.
func JWTAlgorithms() []string { return slices.Sorted(maps.Keys(jwtFamilies)) }

// JWTKeyFits reports whether tokens of the algorithm alg can be verified with
// key: the type must be the algorithm's own, and for ECDSA the curve too.
func JWTKeyFits(alg string, key crypto.PublicKey) bool {
	family, known := jwtFamilies[alg]
	if !known {
		return false
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return family.kind == keyRSA
	case *ecdsa.PublicKey:
		return family.kind == keyEC && k.Curve == family.curve
	case ed25519.PublicKey:
		return family.kind == keyEd25519
	}
	return false
}

func algorithmsFor(key crypto.PublicKey) []string {
	return slices.DeleteFunc(JWTAlgorithms(), func(alg string) bool { return !JWTKeyFits(alg, key) })
}

// The bounds of RSA keys. The upper ones keep a verification cheap.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 3
	maxRSAExponent = 1<<31 - 1
)

// CheckPublicKey refuses a key that no token may be verified with: one that is
// weak, not on its curve, costly to use, or of a kind no algorithm is for. The
// error says which rule it breaks.
func CheckPublicKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("is an RSA key of %d bits; it must have %d to %d", bits, minRSABits, maxRSABits)
		}
		if k.N.Bit(0) == 0 || k.E%2 == 0 || k.E < minRSAExponent || k.E > maxRSAExponent {
			return errors.New("is an RSA key whose modulus or exponent no generator makes; make a new one")
		}
	case *ecdsa.PublicKey:
		if len(algorithmsFor(k)) == 0 {
			return errors.New("is an EC key on a curve other than P-256, P-384 and P-521")
		}
		if _, err := k.ECDH(); err != nil {
			return errors.New("is an EC key whose point is not on its curve")
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return errors.New("is an Ed25519 key of the wrong length")
		}
	default:
		return errors.New("is of a kind other than RSA, EC and Ed25519")
	}
	return nil
}

// parsePublicKeyPEM reads the one public key of a setting. The error is a
// clause about it, and never holds any of it.
func parsePublicKeyPEM(text string) (crypto.PublicKey, error) {
	if len(text) > maxPublicKeyBytes {
		return nil, fmt.Errorf("must be at most %d bytes", maxPublicKeyBytes)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New(`must be in PEM form, beginning with "-----BEGIN PUBLIC KEY-----"`)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("must hold one key and nothing else; give each further key an entry of its own")
	}
	var key crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		if strings.Contains(block.Type, "PRIVATE") {
			return nil, errors.New("is a private key: keep it to yourself, and replace it, for it has been sent here; get its public half with: openssl pkey -in KEY -pubout")
		}
		return nil, errors.New(`must be a public key ("PUBLIC KEY" or "RSA PUBLIC KEY"); take it out of a certificate with: openssl x509 -in CERT -pubkey -noout`)
	}
	if err != nil {
		return nil, errors.New("is damaged or of a kind other than RSA, EC and Ed25519")
	}
	if err := CheckPublicKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

package tenants

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MasterKeyBytes is the length of a master key.
const MasterKeyBytes = 32

const sealVersion = "v1"

// ErrWrongMasterKey says that a value was sealed with another master key.
var ErrWrongMasterKey = errors.New("sealed with another master key")

// Sealer keeps secrets unreadable at rest with AES-256-GCM. A sealed value is
// "v1:<key id>:<base64 of nonce and ciphertext>". It is safe for concurrent use.
type Sealer struct {
	keyID string
	aead  cipher.AEAD
}

// NewSealer derives a Sealer from a master key of [MasterKeyBytes] bytes.
func NewSealer(master []byte) (*Sealer, error) {
	if len(master) != MasterKeyBytes {
		return nil, fmt.Errorf("master key has %d bytes, it must have %d", len(master), MasterKeyBytes)
	}
	// Two purposes, two derived keys: the id is shown, so it must say nothing
	// about the key that encrypts.
	key, err := hkdf.Key(sha256.New, master, nil, "tidewire seal v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the sealing key: %w", err)
	}
	id, err := hkdf.Key(sha256.New, master, nil, "tidewire seal id v1", 4)
	if err != nil {
		return nil, fmt.Errorf("derive the key id: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher: %w", err)
	}
	return &Sealer{keyID: hex.EncodeToString(id), aead: aead}, nil
}

// KeyID names the master key without telling anything about it.
func (s *Sealer) KeyID() string { return s.keyID }

// SealedPlace is the usual aad: the place a sealed value is stored at. A value
// copied to another row or column does not open there.
func SealedPlace(table, rowID, column string) string { return table + "/" + rowID + "/" + column }

// Seal encrypts plaintext. aad must be given again, unchanged, to [Sealer.Open].
func (s *Sealer) Seal(plaintext, aad string) (string, error) {
	sealed := s.aead.Seal(nil, nil, []byte(plaintext), s.bind(aad))
	return s.prefix() + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what [Sealer.Seal] made. It returns [ErrWrongMasterKey] when
// another key sealed it, and an error that tells nothing of the content when the
// value was altered or aad is not the same.
func (s *Sealer) Open(sealed, aad string) (string, error) {
	version, rest, _ := strings.Cut(sealed, ":")
	id, encoded, found := strings.Cut(rest, ":")
	if version != sealVersion || !found {
		return "", errors.New("not a sealed value this version can read")
	}
	if id != s.keyID {
		return "", fmt.Errorf("%w: it has id %s, this one %s", ErrWrongMasterKey, quote(id), s.keyID)
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return "", errors.New("sealed value is damaged")
	}
	plaintext, err := s.aead.Open(nil, nil, raw, s.bind(aad))
	if err != nil {
		return "", errors.New("sealed value is damaged or was moved from another place")
	}
	return string(plaintext), nil
}

func (s *Sealer) prefix() string { return sealVersion + ":" + s.keyID + ":" }

func (s *Sealer) bind(aad string) []byte { return []byte(s.prefix() + aad) }

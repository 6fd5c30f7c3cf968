// Package argon2id is the door to the password hash of that name. It turns a
// password into a PHC string and checks one against the other.
//
// It holds no rules about passwords and does not bound how many are hashed at a
// time: tenants.Accounts does both.
package argon2id

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"tidewire/tenants"
)

// Hasher hashes with argon2id. The zero value has the cost that is meant for
// production: 19 MiB of memory, two passes, one lane.
type Hasher struct {
	MemoryKiB uint32 // 0 = 19,456
	Passes    uint32 // 0 = 2
}

var _ tenants.PasswordHasher = Hasher{}

const (
	saltBytes = 16
	keyBytes  = 32
	lanes     = 1

	// A stored hash beyond these was not made by us; it must not be able to take
	// the machine's memory.
	mostMemoryKiB = 1 << 20
	mostPasses    = 64
	mostKeyBytes  = 64
)

var errMalformed = errors.New("stored password hash is malformed")

// params are the cost and the outcome of one hash.
type params struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func (h Hasher) cost() (memory, passes uint32) {
	memory, passes = h.MemoryKiB, h.Passes
	if memory == 0 {
		memory = 19 * 1024
	}
	if passes == 0 {
		passes = 2
	}
	return memory, passes
}

// Hash implements [tenants.PasswordHasher] with a new random salt.
func (h Hasher) Hash(password string) (string, error) {
	memory, passes := h.cost()
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, passes, memory, lanes, keyBytes)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, encode(salt), encode(key)), nil
}

// Verify implements [tenants.PasswordHasher]. A hash that is not ours is an
// error, never a wrong password.
func (h Hasher) Verify(password, hash string) (ok, outdated bool, err error) {
	p, err := parse(hash)
	if err != nil {
		return false, false, err
	}
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	memory, passes := h.cost()
	outdated = p.memory != memory || p.passes != passes || p.lanes != lanes || len(p.key) != keyBytes || len(p.salt) != saltBytes
	return subtle.ConstantTimeCompare(key, p.key) == 1, outdated, nil
}

func parse(hash string) (p params, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errMalformed
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, errMalformed
	}
	if parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.lanes) {
		return p, errMalformed
	}
	if p.memory < 8 || p.memory > mostMemoryKiB || p.passes < 1 || p.passes > mostPasses || p.lanes < 1 {
		return p, errMalformed
	}
	decode := base64.RawStdEncoding.Strict().DecodeString
	if p.salt, err = decode(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > mostKeyBytes {
		return p, errMalformed
	}
	if p.key, err = decode(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > mostKeyBytes {
		return p, errMalformed
	}
	return p, nil
}

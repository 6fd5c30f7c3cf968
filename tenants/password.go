package tenants

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"
)

// PasswordHasher turns passwords into something that can be stored. Both calls
// are slow by design; [Accounts] bounds how many run at the same time.
type PasswordHasher interface {
	// Hash returns a salted hash in a form of its own choice.
	Hash(password string) (string, error)
	// Verify reports whether the password is the one that was hashed, and whether
	// the hash should be made again with today's cost.
	Verify(password, hash string) (ok, outdated bool, err error)
}

// The bounds of a password's length.
const (
	MinPasswordChars = 12
	MaxPasswordChars = 128
)

// CheckPassword holds a password to the rules: its length, that it is not the
// e-mail address, and that it is none of the ones tried first by everybody who
// guesses. There are no rules of composition. The error is an [*InvalidError].
func CheckPassword(password, email string) error {
	if !utf8.ValidString(password) {
		return &InvalidError{"password", "must be valid UTF-8"}
	}
	if n := utf8.RuneCountInString(password); n < MinPasswordChars || n > MaxPasswordChars {
		return &InvalidError{"password", fmt.Sprintf("must be %d to %d characters; a few random words make a good one",
			MinPasswordChars, MaxPasswordChars)}
	}
	folded := strings.ToLower(strings.TrimSpace(password))
	local, domain, _ := strings.Cut(email, "@")
	if email != "" && (folded == email || leftOver(folded, local, domain) < 4) {
		return &InvalidError{"password", "must not be made of the e-mail address"}
	}
	if commonPassword(folded) {
		return &InvalidError{"password", "is one of the first that guessers try; choose something of your own"}
	}
	return nil
}

// leftOver counts the characters of s that remain without the parts. Parts of
// one or two letters are too short to mean anything.
func leftOver(s string, parts ...string) int {
	for _, part := range parts {
		if len(part) > 2 {
			s = strings.ReplaceAll(s, part, "")
		}
	}
	return len(strings.Trim(s, "@._- "))
}

func hashSlots(configured int) int {
	if configured > 0 {
		return configured
	}
	return min(runtime.GOMAXPROCS(0), 4)
}

// slot waits for the right to hash one password. A flood of logins waits here
// instead of taking all memory and processors.
func (a *Accounts) slot(ctx context.Context) (release func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: wait for a turn to check a password: %w", ErrUnavailable, ctx.Err())
	}
}

func (a *Accounts) hash(ctx context.Context, password string) (Secret, error) {
	release, err := a.slot(ctx)
	if err != nil {
		return Secret{}, err
	}
	defer release()
	hash, err := a.hasher.Hash(password)
	if err != nil {
		return Secret{}, fmt.Errorf("hash the password: %w", err)
	}
	return NewSecret(hash), nil
}

// verify checks a password against a user, who may be nil: an unknown address
// costs the same time as a wrong password.
func (a *Accounts) verify(ctx context.Context, password string, user *User) (ok, outdated bool, err error) {
	release, err := a.slot(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	a.dummyOnce.Do(func() { a.dummy, err = a.hasher.Hash(randomToken()) })
	if err != nil {
		return false, false, fmt.Errorf("hash a password: %w", err)
	}
	hash := a.dummy
	if user != nil && !user.PasswordHash.IsZero() {
		hash = user.PasswordHash.Reveal()
	}
	ok, outdated, err = a.hasher.Verify(password, hash)
	if err != nil {
		return false, false, fmt.Errorf("check the password: %w", err)
	}
	return ok && user != nil && !user.PasswordHash.IsZero(), outdated, nil
}

// commonPasswords is made once, when the first password is checked.
var commonPasswords = sync.OnceValue(makeCommonPasswords)

// commonPassword reports whether guessers try this early: a word or key sequence
// everybody knows, with the usual additions, or few characters repeated.
func commonPassword(folded string) bool {
	const ends = "1234567890!?.-_#$%&*+ "
	plain := strings.Trim(folded, ends)
	for _, form := range []string{folded, plain, unleet(folded), unleet(plain)} {
		if isCommon(form) || repeats(form) {
			return true
		}
	}
	return false
}

// isCommon looks for one known piece, or two next to each other.
func isCommon(form string) bool {
	known := commonPasswords()
	if _, ok := known[form]; ok {
		return true
	}
	for i := range form {
		_, left := known[form[:i]]
		if _, right := known[strings.TrimLeft(form[i:], "-_. 0123456789")]; left && right {
			return true
		}
	}
	return false
}

// repeats reports whether s is one piece of at most 4 characters, again and
// again, or a run such as abcdef or 987654.
func repeats(s string) bool {
	if len(s) < 4 {
		return s == "" // nothing but digits and marks was there
	}
	for size := 1; size <= 4 && size*2 <= len(s); size++ {
		if strings.HasPrefix(strings.Repeat(s[:size], len(s)/size+1), s) {
			return true
		}
	}
	for _, step := range []int{1, -1} {
		run := true
		for i := 1; i < len(s) && run; i++ {
			want := int(s[i-1]) + step
			run = int(s[i]) == want || s[i] == '0' && s[i-1] == '9' && step == 1
		}
		if run {
			return true
		}
	}
	return false
}

// unleet undoes the usual replacements of letters.
func unleet(s string) string {
	return strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i").Replace(s)
}

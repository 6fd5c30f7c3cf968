package tenants

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound says that the thing asked for does not exist, or belongs to another tenant.
	ErrNotFound = errors.New("not found")
	// ErrExists says that an id, key or slug is already taken.
	ErrExists = errors.New("already exists")
	// ErrUnavailable says that the answer is not known because a dependency is
	// away. It must never be read as [ErrNotFound].
	ErrUnavailable = errors.New("unavailable")
	// ErrUnauthenticated says that who asks is not known: no session or token, or
	// one that is wrong, expired or revoked. It never says which.
	ErrUnauthenticated = errors.New("not signed in")
	// ErrForbidden says that who asks is known here and may not do this.
	ErrForbidden = errors.New("not allowed")
	// ErrConflict says that the state of things does not permit it.
	ErrConflict = errors.New("conflict")
	// ErrChanged says that the thing was changed since the caller read it.
	ErrChanged = errors.New("changed meanwhile")
	// ErrPlanLimit says that the tenant's plan allows no more.
	ErrPlanLimit = errors.New("plan limit reached")
	// ErrThrottled says that this was tried too often; see [ThrottledError].
	ErrThrottled = errors.New("too many attempts")
)

// Refusal is an error people may read: one of the sentinels above with a stable
// code for programs and a sentence that says what to do about it.
type Refusal struct {
	Kind   error  // ErrForbidden, ErrConflict…
	Code   string // stable: "last_owner"
	Detail string // one sentence with the remedy; holds nothing of another tenant
}

// Error implements error.
func (r *Refusal) Error() string { return r.Detail }

// Unwrap gives the sentinel.
func (r *Refusal) Unwrap() error { return r.Kind }

func refusal(kind error, code, format string, args ...any) error {
	return &Refusal{kind, code, fmt.Sprintf(format, args...)}
}

// ThrottledError says when it may be tried again. It is an [ErrThrottled].
type ThrottledError struct {
	RetryAfter time.Duration
}

// Error implements error.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many attempts; try again in %s", e.RetryAfter.Round(time.Second))
}

// Unwrap gives [ErrThrottled].
func (*ThrottledError) Unwrap() error { return ErrThrottled }

package tenants

import "errors"

var (
	// ErrNotFound says that the thing asked for does not exist, or belongs to another tenant.
	ErrNotFound = errors.New("not found")
	// ErrExists says that an id, key or slug is already taken.
	ErrExists = errors.New("already exists")
	// ErrUnavailable says that the answer is not known because a dependency is
	// away. It must never be read as [ErrNotFound].
	ErrUnavailable = errors.New("unavailable")
)

package tenants

import "context"

// Source is where the truth about apps is kept. It has one engine with two
// dialects (tenants/sqlstore) and a fake for tests, held to one suite
// (tenantstest.TestStore).
//
// Every error but [ErrNotFound] means that the answer is not known. An App's
// Version is the configuration version of the very moment it was read: it
// contains every change up to that version and none after.
type Source interface {
	// AppByKey returns the app that owns the key of that name, or [ErrNotFound]
	// if there is none or the key is revoked.
	AppByKey(ctx context.Context, key string) (*App, error)

	// AppByID returns the app, or [ErrNotFound].
	AppByID(ctx context.Context, id AppID) (*App, error)

	// Changes returns what was changed after version since, oldest first and
	// perhaps not all of it: the next call, with the Version returned, gives the
	// rest. A negative since asks for the current version alone.
	Changes(ctx context.Context, since int64) (ChangeSet, error)
}

// ChangeSet is a stretch of the configuration's history.
type ChangeSet struct {
	Version int64    // the version up to which this set tells the story
	Reset   bool     // the history does not reach back to since: drop everything
	Changes []Change // empty when Reset
}

// Change says that an app was created, changed or deleted.
type Change struct {
	Version  int64
	App      AppID  // empty = every app of the tenant
	TenantID string // the app's tenant
}

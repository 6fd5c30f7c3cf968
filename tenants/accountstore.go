package tenants

import (
	"context"
	"encoding/json"
	"time"
)

// AccountStore is where accounts are kept: people, tenants, their apps and what
// they did. It has one engine with two dialects (tenants/sqlstore), held to the
// suite tenantstest.TestAccounts.
//
// What belongs to a tenant is asked for with the tenant's id, and found only
// under it: another tenant's id gives [ErrNotFound], as if it did not exist.
type AccountStore interface {
	AccountReader

	// Write runs fn in one transaction. Such transactions pass one by one, over
	// all processes on the same database, so that what fn reads stays true until
	// it has written. All of fn's writes happen, or none if it returns an error,
	// which Write returns unchanged.
	Write(ctx context.Context, fn func(tx AccountWriter) error) error
	// WriteBulk is Write for a great many changes: it may take as long as ctx
	// allows, and other writers wait for it.
	WriteBulk(ctx context.Context, fn func(tx AccountWriter) error) error

	// TouchSession and TouchToken note a use. They do not wait for writers.
	TouchSession(ctx context.Context, id string, at time.Time) error
	TouchToken(ctx context.Context, id string, at time.Time) error

	// ClaimMail returns up to limit mails that are due, and holds them back from
	// other claims until the lease ends.
	ClaimMail(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]QueuedMail, error)
	// FinishMail removes a mail; RetryMail plans another attempt.
	FinishMail(ctx context.Context, id string) error
	RetryMail(ctx context.Context, id string, at time.Time) error
}

// TenantFilter chooses tenants for an operator's list.
type TenantFilter struct {
	Status TenantStatus // empty = any
	Query  string       // a part of the slug; empty = any
	Cursor string       // the id of the last one already seen
	Limit  int
}

// AccountReader asks. A thing that is not there gives [ErrNotFound]; lists may
// be empty. Lists with a cursor begin after it and hold at most limit.
type AccountReader interface {
	// Tenant finds by id ("tn_…") or slug.
	Tenant(ctx context.Context, ref string) (*Tenant, error)
	Tenants(ctx context.Context, f TenantFilter) ([]Tenant, error)
	ClosedTenants(ctx context.Context, purgeBefore time.Time) ([]Tenant, error)

	User(ctx context.Context, id string) (*User, error)
	UserByEmail(ctx context.Context, email string) (*User, error)
	CountUsers(ctx context.Context) (int, error)
	SessionByHash(ctx context.Context, hash string) (*Session, error)
	Sessions(ctx context.Context, userID string) ([]Session, error)
	UserTokenByHash(ctx context.Context, hash string) (*UserToken, error)

	Memberships(ctx context.Context, userID string) ([]Membership, error)
	Member(ctx context.Context, tenantID, userID string) (*Member, error)
	Members(ctx context.Context, tenantID string) ([]Member, error)
	Invitations(ctx context.Context, tenantID string) ([]Invitation, error)
	Invitation(ctx context.Context, tenantID, id string) (*Invitation, error)
	InvitationByHash(ctx context.Context, hash string) (*Invitation, error)

	TokenByHash(ctx context.Context, hash string) (*Token, error)
	Token(ctx context.Context, tenantID, id string) (*Token, error)
	Tokens(ctx context.Context, tenantID string) ([]Token, error)

	// AppOwner returns the id of the tenant an app belongs to.
	AppOwner(ctx context.Context, id AppID) (tenantID string, err error)
	// App returns the app as it is stored: limits are not lowered to the plan.
	App(ctx context.Context, tenantID string, id AppID) (*App, error)
	// Apps lists by id; after is the id of the last app already seen.
	Apps(ctx context.Context, tenantID string, after AppID, limit int) ([]*App, error)
	CountApps(ctx context.Context, tenantID string) (int, error)
	// RetiredKeys lists the retiring keys whose time was over at now.
	RetiredKeys(ctx context.Context, now time.Time) ([]AppKey, error)

	// Plan returns the newest version of a plan, built-in ones included.
	Plan(ctx context.Context, name string) (*Plan, error)
	// Plans lists the newest version of every plan by name.
	Plans(ctx context.Context) ([]Plan, error)

	AuditLog(ctx context.Context, tenantID string, f AuditFilter) ([]AuditEntry, error)
}

// AppKey names a key of an app of a tenant.
type AppKey struct {
	TenantID string
	App      AppID
	KeyID    string
}

// AccountWriter changes. Insert methods set the ID of what they are given. An
// id, slug, address or name that is taken gives [ErrExists].
type AccountWriter interface {
	AccountReader

	// Changed notes that an app, or with an empty app every app of the tenant,
	// has a new configuration, and returns its version. Every node learns it
	// within a second after the transaction.
	Changed(ctx context.Context, tenantID string, app AppID) (version int64, err error)

	InsertTenant(ctx context.Context, t *Tenant) error
	UpdateTenant(ctx context.Context, t *Tenant) error // by ID; sets the next Revision
	// TenantSlugFree reports whether no tenant has, or had, that slug.
	TenantSlugFree(ctx context.Context, slug string) (bool, error)
	// PurgeTenant removes everything of a tenant but hashes of its ids, which stay
	// reserved, and its audit entries, which lose every name. Users without
	// another tenant go too, operators excepted.
	PurgeTenant(ctx context.Context, tenantID string) error

	InsertUser(ctx context.Context, u *User) error
	UpdateUser(ctx context.Context, u *User) error
	InsertSession(ctx context.Context, s *Session) error
	DeleteSession(ctx context.Context, userID, id string) error
	DeleteSessions(ctx context.Context, userID, exceptID string) error
	InsertUserToken(ctx context.Context, t *UserToken) error
	// DeleteUserTokens removes the user's tokens of a kind.
	DeleteUserTokens(ctx context.Context, userID string, kind UserTokenKind) error

	InsertMember(ctx context.Context, m *Member) error
	UpdateMember(ctx context.Context, m *Member) error
	DeleteMember(ctx context.Context, tenantID, userID string) error
	InsertInvitation(ctx context.Context, i *Invitation) error
	DeleteInvitation(ctx context.Context, tenantID, id string) error

	InsertToken(ctx context.Context, t *Token) error
	DeleteToken(ctx context.Context, tenantID, id string) error

	// InsertApp stores an app with its keys; an empty ID gets a free one.
	InsertApp(ctx context.Context, a *App) error
	UpdateApp(ctx context.Context, tenantID string, a *App) error // name, state, settings, limits; sets the next Revision
	// DeleteApp removes the app and all that hangs on it; its id and the names of
	// its keys stay reserved.
	DeleteApp(ctx context.Context, tenantID string, id AppID) error
	InsertKey(ctx context.Context, tenantID string, app AppID, k *Key) error
	// UpdateKey stores status and retirement. A revoked key loses its secret.
	UpdateKey(ctx context.Context, tenantID string, app AppID, k *Key) error
	// DeleteKey removes a key; its name stays reserved.
	DeleteKey(ctx context.Context, tenantID string, app AppID, keyID string) error

	InsertPlan(ctx context.Context, p *Plan) error // as the newest version of its name
	TenantsOnPlan(ctx context.Context, name string) (tenantIDs []string, err error)

	InsertAudit(ctx context.Context, e *AuditEntry) error
	QueueMail(ctx context.Context, m *QueuedMail) error

	// Count adds n to a counter of the window that starts at the given time and
	// returns the sum. The counter is forgotten some time after it expires.
	Count(ctx context.Context, bucket string, window, expires time.Time, n int) (int, error)

	// InsertIdempotency stores a record, or gives [ErrExists].
	InsertIdempotency(ctx context.Context, r *IdempotencyRecord) error
	Idempotency(ctx context.Context, principal, key string) (*IdempotencyRecord, error)
	UpdateIdempotency(ctx context.Context, r *IdempotencyRecord) error
	DeleteIdempotency(ctx context.Context, principal, key string) error

	// Prune forgets what has expired: sessions, links, invitations, tokens,
	// counters and idempotency keys.
	Prune(ctx context.Context, now time.Time, sessionIdle time.Duration) error
}

// IdempotencyRecord is the answer to a POST, kept to be given again to a retry.
type IdempotencyRecord struct {
	Principal   string // whose key it is: a user's or token's id
	TenantID    string // whose data the answer holds; empty = of no tenant
	Key         string
	RequestHash string // of method, path and body
	Status      int    // 0 = the first request is still under way
	Header      json.RawMessage
	Body        []byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

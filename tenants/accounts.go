package tenants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// SignUpMode says who may make an account.
type SignUpMode string

// The modes. The zero value is closed.
const (
	SignUpClosed SignUpMode = "closed" // only the first operator, by the link of the first start
	SignUpInvite SignUpMode = "invite" // who was invited to a tenant
	SignUpOpen   SignUpMode = "open"   // everybody; each sign-up gets a tenant
)

// AccountOptions tune [Accounts]. Every zero value means the default.
type AccountOptions struct {
	SignUp            SignUpMode
	PublicURL         string   // what links in mails begin with; never taken from a request
	Brand             string   // the name in mails; "Tidewire"
	SupportURL        string   // shown to suspended tenants; empty = none
	TermsVersion      string   // the version a sign-up must accept; empty = there are no terms
	DeniedMailDomains []string // no account for addresses at or below these

	SessionIdle  time.Duration // a session unused for so long ends; 7 days
	SessionMax   time.Duration // the longest a session lives; 30 days
	VerifyFor    time.Duration // how long a confirmation link is good; 48 h
	ResetFor     time.Duration // how long a reset link is good; 30 min
	InviteFor    time.Duration // how long an invitation is good; 7 days
	DeleteGrace  time.Duration // between the deletion of a tenant and its removal; 14 days
	MaxHashes    int           // passwords hashed at the same time; the number of processors, at most 4
	TenantsPerIP int           // tenants made from one address in a day; 5
	OwnedTenants int           // tenants a person may own before they can add no more; 10

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil = the clock; tests put theirs
}

func (o AccountOptions) withDefaults() AccountOptions {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	const day = 24 * time.Hour
	set(&o.SessionIdle, 7*day)
	set(&o.SessionMax, 30*day)
	set(&o.VerifyFor, 2*day)
	set(&o.ResetFor, 30*time.Minute)
	set(&o.InviteFor, 7*day)
	set(&o.DeleteGrace, 14*day)
	if o.SignUp == "" {
		o.SignUp = SignUpClosed
	}
	if o.Brand == "" {
		o.Brand = "Tidewire"
	}
	if o.TenantsPerIP <= 0 {
		o.TenantsPerIP = 5
	}
	if o.OwnedTenants <= 0 {
		o.OwnedTenants = 10
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Accounts holds the rules of the tenants floor: who may do what to which tenant,
// app, key, member and token. Every change goes through it, is checked against
// the table in permissions.go, and leaves an entry in the audit log, in the same
// transaction. It is safe for concurrent use.
//
// Its errors are [*InvalidError] (a value is wrong), [*Refusal] (a rule forbids
// it), [*ThrottledError], or one of the sentinels of errors.go, wrapped. Anything
// else is a fault of the store and means that the outcome is not known.
type Accounts struct {
	store  AccountStore
	hasher PasswordHasher
	opts   AccountOptions
	slots  chan struct{} // one for each password hashed at the same time

	dummyOnce sync.Once
	dummy     string // the hash that unknown users are checked against
}

// NewAccounts returns the rules over a store. Background work happens only while
// [Accounts.Run] runs.
func NewAccounts(store AccountStore, hasher PasswordHasher, opts AccountOptions) *Accounts {
	opts = opts.withDefaults()
	return &Accounts{store: store, hasher: hasher, opts: opts, slots: make(chan struct{}, hashSlots(opts.MaxHashes))}
}

// now has the precision of the store, so that a value made here and the same
// value read back are equal.
func (a *Accounts) now() time.Time { return a.opts.Now().UTC().Truncate(time.Millisecond) }

// authorize finds the tenant, by id or slug, and checks that c may do act there.
// app names the app it is about; empty = the tenant as a whole. The Caller it
// returns is c in the role it acts in. A tenant c has nothing to do with is not
// found, whether it exists or not.
func (a *Accounts) authorize(ctx context.Context, r AccountReader, c Caller, ref string, app AppID, act Action) (*Tenant, Caller, error) {
	if c.kind == "" {
		return nil, c, ErrUnauthenticated
	}
	tenant, err := r.Tenant(ctx, ref)
	if err != nil {
		return nil, c, notFoundAs(err, "tenant")
	}
	switch c.kind {
	case ActorCLI, ActorSystem:
		return tenant, c, nil
	case ActorToken:
		err = authorizeToken(c.token, tenant, app, act)
	default:
		c, err = authorizeUser(ctx, r, c, tenant, act)
	}
	if err != nil {
		return nil, c, err
	}
	closed := tenant.Status == TenantSuspended || tenant.Status == TenantClosing
	if closed && c.kind != ActorOperator && !OpenWhileClosed(act) {
		return nil, c, refusal(ErrForbidden, "tenant_"+string(tenant.Status),
			"this tenant is %s (%s): it can be read and exported, not changed%s", tenant.Status, reasonOr(tenant.StatusReason), a.askSupport())
	}
	return tenant, c, nil
}

func (a *Accounts) askSupport() string {
	if a.opts.SupportURL == "" {
		return ""
	}
	return "; ask at " + a.opts.SupportURL
}

func reasonOr(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	return reason
}

func authorizeToken(t *Token, tenant *Tenant, app AppID, act Action) error {
	if t.TenantID != tenant.ID || app != "" && !t.sees(app) {
		return notFoundAs(ErrNotFound, "tenant")
	}
	granted := false
	for _, scope := range t.Scopes {
		granted = granted || scope.Grants(act)
	}
	if !granted {
		return refusal(ErrForbidden, "scope_missing", "this token has no scope for %s; make one that has", act)
	}
	if len(t.Apps) > 0 && app == "" && act != ActAppsRead && act != ActTenantRead {
		return refusal(ErrForbidden, "token_restricted", "this token is restricted to some apps and cannot do %s for the whole tenant", act)
	}
	return nil
}

func authorizeUser(ctx context.Context, r AccountReader, c Caller, tenant *Tenant, act Action) (Caller, error) {
	member, err := r.Member(ctx, tenant.ID, c.user.ID)
	switch {
	case err == nil && member.Role.May(act):
		return c, nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return c, fmt.Errorf("read the membership: %w", err)
	}
	if c.user.Operator {
		if OperatorMay(act) {
			c.kind = ActorOperator
			return c, nil
		}
		return c, refusal(ErrForbidden, "operator_not_allowed", "an operator may not do %s in a tenant they are no member of", act)
	}
	if err != nil {
		return c, notFoundAs(err, "tenant")
	}
	return c, refusal(ErrForbidden, "role_too_low", "your role here is %s, which does not allow %s; ask an owner of the tenant", member.Role, act)
}

// authorizeApp is authorize for an app, which leads to its tenant.
func (a *Accounts) authorizeApp(ctx context.Context, r AccountReader, c Caller, id AppID, act Action) (*Tenant, Caller, error) {
	if c.kind == "" {
		return nil, c, ErrUnauthenticated
	}
	if !id.valid() {
		return nil, c, notFoundAs(ErrNotFound, "app")
	}
	owner, err := r.AppOwner(ctx, id)
	if err != nil {
		return nil, c, notFoundAs(err, "app")
	}
	tenant, c, err := a.authorize(ctx, r, c, owner, id, act)
	return tenant, c, notFoundAs(err, "app")
}

// Authorize checks that c may do act in the tenant, found by id or slug, and
// returns it. Doors whose own things belong to a tenant ask it first.
func (a *Accounts) Authorize(ctx context.Context, c Caller, tenantRef string, act Action) (*Tenant, error) {
	tenant, _, err := a.authorize(ctx, a.store, c, tenantRef, "", act)
	return tenant, err
}

// AuthorizeApp is [Accounts.Authorize] for what belongs to one app.
func (a *Accounts) AuthorizeApp(ctx context.Context, c Caller, id AppID, act Action) (*Tenant, error) {
	tenant, _, err := a.authorizeApp(ctx, a.store, c, id, act)
	return tenant, err
}

// Record writes an audit entry for a change made by another domain, such as a
// webhook endpoint. before and after are any values that marshal to JSON objects,
// or nil; only what differs is kept.
func (a *Accounts) Record(ctx context.Context, c Caller, tenantID, action, targetKind, targetID string, before, after any) error {
	return a.write(ctx, "record "+action, func(tx AccountWriter) error {
		entry := c.entry(tenantID, action, targetKind, targetID, a.now()).changed(before, after)
		return tx.InsertAudit(ctx, &entry)
	})
}

// requireOperator is for what concerns the whole installation.
func requireOperator(c Caller) (Caller, error) {
	switch {
	case c.kind == "":
		return c, ErrUnauthenticated
	case !c.Operator():
		return c, refusal(ErrForbidden, "operator_only", "only an operator of this installation may do this")
	case c.kind == ActorUser:
		c.kind = ActorOperator
	}
	return c, nil
}

// write wraps what the store itself has to say; the errors of the rules stay as
// they are.
func (a *Accounts) write(ctx context.Context, doing string, fn func(tx AccountWriter) error) error {
	err := a.store.Write(ctx, fn)
	if err == nil || errors.As(err, new(*InvalidError)) || errors.As(err, new(*Refusal)) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// notFoundAs gives every "not found" of one kind of thing the same words: which
// look-up failed must not tell whether a stranger's thing exists.
func notFoundAs(err error, what string) error {
	if errors.Is(err, ErrNotFound) {
		return refusal(ErrNotFound, what+"_not_found", "there is no such %s here; check the id, and that you are signed in where it belongs", what)
	}
	return err
}

package tenants

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// SignUp is what a person gives to get an account. Email, Password and
// TenantName are all that most need.
type SignUp struct {
	Email      string
	Password   Secret
	TenantName string // of the tenant that is made; empty = from the address. Not used with an invitation
	Name       string // of the person; may be empty
	Terms      string // the version of the terms that was accepted
	Invitation string // the text of an invitation's link; joins that tenant instead of making one
	Setup      string // the text of the first start's link; makes the first operator
}

// SignUp makes an account and, without an invitation, a tenant with its first
// owner. The tenant is unverified, and in the sandbox, until the link sent to the
// address was followed.
//
// It gives no session: the person signs in next. An address that has an account
// gets the same answer after the same work, and its owner a mail about it.
func (a *Accounts) SignUp(ctx context.Context, m Meta, in SignUp) error {
	email, err := a.checkSignUp(&in)
	if err != nil {
		return err
	}
	if in.Invitation == "" && in.Setup == "" {
		if err := a.throttleSignUp(ctx, m); err != nil {
			return err
		}
	}
	hash, err := a.hash(ctx, in.Password.Reveal())
	if err != nil {
		return err
	}
	return a.write(ctx, "sign up", func(tx AccountWriter) error {
		return a.signUp(ctx, tx, m, in, email, hash)
	})
}

// checkSignUp looks at all that can be judged without the database.
func (a *Accounts) checkSignUp(in *SignUp) (email string, err error) {
	switch {
	case in.Setup != "" || in.Invitation != "" && a.opts.SignUp != SignUpClosed:
	case a.opts.SignUp == SignUpInvite:
		return "", refusal(ErrForbidden, "signup_invite_only", "accounts here are by invitation; ask an owner of the tenant to invite you")
	case a.opts.SignUp != SignUpOpen:
		return "", refusal(ErrForbidden, "signup_closed", "accounts are not open to everybody here; ask the operator of this installation")
	}
	if email, err = NormalizeEmail(in.Email); err != nil {
		return "", err
	}
	if deniedDomain(email, a.opts.DeniedMailDomains) {
		return "", &InvalidError{"email", "addresses of this mail domain are not accepted here; use another"}
	}
	if err := CheckPassword(in.Password.Reveal(), email); err != nil {
		return "", err
	}
	if in.Name != "" {
		if err := validateName("name", in.Name); err != nil {
			return "", err
		}
	}
	if in.TenantName == "" {
		in.TenantName, _, _ = strings.Cut(email, "@")
	}
	if err := validateName("tenant_name", in.TenantName); err != nil {
		return "", err
	}
	if in.Terms != a.opts.TermsVersion {
		return "", &InvalidError{"terms", fmt.Sprintf("must be %q: the version of the terms in force, once accepted", a.opts.TermsVersion)}
	}
	return email, nil
}

func (a *Accounts) signUp(ctx context.Context, tx AccountWriter, m Meta, in SignUp, email string, hash Secret) error {
	now := a.now()
	invitation, setup, err := a.signUpLinks(ctx, tx, in, email, now)
	if err != nil {
		return err
	}
	known, err := tx.UserByEmail(ctx, email)
	if err == nil {
		if invitation != nil || setup {
			return refusal(ErrConflict, "account_exists", "there is an account for this address; sign in and follow the link again")
		}
		return tx.QueueMail(ctx, a.mailKnownAddress(known, now))
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	user := &User{
		Email: email, Name: in.Name, PasswordHash: hash, Operator: setup, TermsVersion: in.Terms, CreatedAt: now,
	}
	if in.Terms != "" {
		user.TermsAt = now
	}
	if invitation != nil || setup { // the link came to this address, or from the machine itself
		user.VerifiedAt = now
	}
	if err := tx.InsertUser(ctx, user); err != nil {
		return err
	}
	caller := Caller{Meta: m, kind: ActorUser, user: user}
	if invitation != nil {
		return a.join(ctx, tx, caller, invitation)
	}
	tenant := &Tenant{Name: in.TenantName, Status: TenantUnverified, Plan: DefaultPlan, CreatedAt: now}
	if setup {
		tenant.Status = TenantActive
	}
	if err := a.insertTenant(ctx, tx, caller, tenant, user, RoleOwner); err != nil {
		return err
	}
	if user.Verified() {
		return nil
	}
	return a.sendVerification(ctx, tx, user, tenant.ID, now)
}

// signUpLinks looks up the link that a sign-up came by and uses it up.
func (a *Accounts) signUpLinks(ctx context.Context, tx AccountWriter, in SignUp, email string, now time.Time) (*Invitation, bool, error) {
	if in.Setup != "" {
		token, err := useLink(ctx, tx, in.Setup, TokenSetup, now)
		if err != nil {
			return nil, false, err
		}
		return nil, true, tx.DeleteUserTokens(ctx, token.UserID, TokenSetup)
	}
	if in.Invitation == "" {
		return nil, false, nil
	}
	invitation, err := openInvitation(ctx, tx, in.Invitation, email, now)
	return invitation, false, err
}

// insertTenant makes a tenant with a first member, under a slug made from its
// name when it has none.
func (a *Accounts) insertTenant(ctx context.Context, tx AccountWriter, c Caller, t *Tenant, first *User, role Role) error {
	if t.Slug == "" {
		slug, err := freeSlug(ctx, tx, t.Name)
		if err != nil {
			return err
		}
		t.Slug = slug
	} else if free, err := tx.TenantSlugFree(ctx, t.Slug); err != nil {
		return err
	} else if !free {
		return refusal(ErrExists, "slug_taken", "the slug %s is taken; choose another", t.Slug)
	}
	if err := tx.InsertTenant(ctx, t); err != nil {
		return err
	}
	if first != nil {
		member := &Member{TenantID: t.ID, UserID: first.ID, Role: role, CreatedAt: t.CreatedAt}
		if err := tx.InsertMember(ctx, member); err != nil {
			return err
		}
	}
	entry := c.entry(t.ID, "tenant.created", "tenant", t.ID, t.CreatedAt).changed(nil, t)
	return tx.InsertAudit(ctx, &entry)
}

// freeSlug makes a short name out of a display name: "Ada's Café" gives
// "ada-s-caf", and, when that is taken, "ada-s-caf-3f9c".
func freeSlug(ctx context.Context, tx AccountWriter, name string) (string, error) {
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	base = strings.Join(strings.FieldsFunc(base, func(r rune) bool { return r == '-' }), "-")
	base = strings.Trim(base[:min(len(base), 40)], "-")
	if base == "" {
		base = "team"
	}
	slug := base
	for range 20 {
		free, err := tx.TenantSlugFree(ctx, slug)
		if err != nil {
			return "", err
		}
		if free {
			return slug, nil
		}
		random := make([]byte, 4)
		_, _ = rand.Read(random)
		slug = base + "-" + hex.EncodeToString(random)
	}
	return "", errors.New("found no free slug; try again")
}

// throttleSignUp counts the attempt before any costly work, for the address and
// for the network it is in. What an address may not do costs its network nothing:
// it would shut its neighbours out.
func (a *Accounts) throttleSignUp(ctx context.Context, m Meta) error {
	address, network := addressBuckets(m.IP)
	if err := a.throttle(ctx, budget{"signup:address:" + address, a.opts.TenantsPerIP, 24 * time.Hour}); err != nil {
		return err
	}
	return a.throttle(ctx, budget{"signup:network:" + network, 10 * a.opts.TenantsPerIP, 24 * time.Hour})
}

// addressBuckets names the address and the network of a client for counting. One
// customer of a provider commands a whole IPv6 /64, so that is an address.
func addressBuckets(ip string) (address, network string) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown", "unknown"
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		wide, _ := addr.Prefix(24)
		return addr.String(), wide.String()
	}
	narrow, _ := addr.Prefix(64)
	wide, _ := addr.Prefix(48)
	return narrow.String(), wide.String()
}

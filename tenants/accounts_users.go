package tenants

import (
	"context"
)

// NewUser is what it takes to make a user without a sign-up.
type NewUser struct {
	Email    string
	Name     string
	Password Secret // empty = none yet: the user sets one by a reset link
	Operator bool
	Tenant   string // id or slug of a tenant to join; empty = none
	Role     Role   // in that tenant; empty = owner
}

// CreateUser makes a user whose address counts as confirmed. It is for operators
// and the command line.
func (a *Accounts) CreateUser(ctx context.Context, c Caller, n NewUser) (*User, error) {
	c, err := requireOperator(c)
	if err != nil {
		return nil, err
	}
	if c.kind != ActorCLI && n.Tenant != "" {
		return nil, refusal(ErrForbidden, "operator_not_allowed", "an operator does not put people into tenants; its owner invites them")
	}
	email, err := NormalizeEmail(n.Email)
	if err != nil {
		return nil, err
	}
	if n.Name != "" {
		if err := validateName("name", n.Name); err != nil {
			return nil, err
		}
	}
	if n.Role == "" {
		n.Role = RoleOwner
	}
	if err := checkRole(n.Role); err != nil {
		return nil, err
	}
	now := a.now()
	user := &User{Email: email, Name: n.Name, Operator: n.Operator, VerifiedAt: now, CreatedAt: now}
	if !n.Password.IsZero() {
		if err := CheckPassword(n.Password.Reveal(), email); err != nil {
			return nil, err
		}
		if user.PasswordHash, err = a.hash(ctx, n.Password.Reveal()); err != nil {
			return nil, err
		}
	}
	err = a.write(ctx, "create a user", func(tx AccountWriter) error { return a.createUser(ctx, tx, c, user, n) })
	if err != nil {
		return nil, err
	}
	return user, nil
}

func (a *Accounts) createUser(ctx context.Context, tx AccountWriter, c Caller, user *User, n NewUser) error {
	if _, err := tx.UserByEmail(ctx, user.Email); err == nil {
		return refusal(ErrExists, "account_exists", "there is an account for %s already", user.Email)
	}
	if err := tx.InsertUser(ctx, user); err != nil {
		return err
	}
	entry := c.entry("", "user.created", "user", user.ID, user.CreatedAt).changed(nil, user)
	if err := tx.InsertAudit(ctx, &entry); err != nil || n.Tenant == "" {
		return err
	}
	tenant, err := tx.Tenant(ctx, n.Tenant)
	if err != nil {
		return notFoundAs(err, "tenant")
	}
	member := &Member{TenantID: tenant.ID, UserID: user.ID, Email: user.Email, Role: n.Role, CreatedAt: user.CreatedAt}
	if err := tx.InsertMember(ctx, member); err != nil {
		return err
	}
	entry = c.entry(tenant.ID, "member.joined", "member", user.ID, user.CreatedAt).changed(nil, member)
	return tx.InsertAudit(ctx, &entry)
}

// ResetLink returns a link by which a user sets a password, for the command line
// to print. It makes older ones useless.
func (a *Accounts) ResetLink(ctx context.Context, c Caller, address string) (string, error) {
	return a.userLink(ctx, c, address, TokenReset, "reset", "user.reset_link_made")
}

// LoginLink returns a link that signs a user in, once, for the command line to
// print. It makes older ones useless.
func (a *Accounts) LoginLink(ctx context.Context, c Caller, address string) (string, error) {
	return a.userLink(ctx, c, address, TokenLogin, "login", "user.login_link_made")
}

func (a *Accounts) userLink(ctx context.Context, c Caller, address string, kind UserTokenKind, page, action string) (string, error) {
	if c.kind != ActorCLI {
		return "", refusal(ErrForbidden, "cli_only", "only the command line may read such a link; ask for one by mail")
	}
	var text string
	err := a.write(ctx, "make a reset link", func(tx AccountWriter) error {
		user, err := userByAddress(ctx, tx, address)
		if err != nil {
			return err
		}
		if text, err = makeLink(ctx, tx, user.ID, kind, a.now(), a.opts.ResetFor); err != nil {
			return err
		}
		entry := c.entry("", action, "user", user.ID, a.now())
		return tx.InsertAudit(ctx, &entry)
	})
	if err != nil {
		return "", err
	}
	return a.link(page, text), nil
}

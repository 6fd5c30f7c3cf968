package tenants

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// errBadLink is the one answer to every link that does not work.
var errBadLink = &Refusal{
	ErrNotFound, "link_invalid", "this link is wrong, was used before, or is too old; ask for a new one",
}

// useLink finds the link with that text. The caller deletes it: links are single-use.
func useLink(ctx context.Context, tx AccountReader, text string, kind UserTokenKind, now time.Time) (*UserToken, error) {
	token, err := tx.UserTokenByHash(ctx, hashToken(text))
	if errors.Is(err, ErrNotFound) {
		return nil, errBadLink
	}
	if err != nil {
		return nil, err
	}
	if token.Kind != kind || !now.Before(token.ExpiresAt) {
		return nil, errBadLink
	}
	return token, nil
}

// makeLink stores a new link of a kind in place of older ones and returns its text.
func makeLink(ctx context.Context, tx AccountWriter, userID string, kind UserTokenKind, now time.Time, good time.Duration) (string, error) {
	if err := tx.DeleteUserTokens(ctx, userID, kind); err != nil {
		return "", err
	}
	text := randomToken()
	return text, tx.InsertUserToken(ctx, &UserToken{
		Kind: kind, UserID: userID, TokenHash: hashToken(text), CreatedAt: now, ExpiresAt: now.Add(good),
	})
}

// link is an address of the dashboard. It is made from the configuration only: a
// Host header would let a stranger choose where the link leads.
func (a *Accounts) link(page, text string) string {
	return strings.TrimSuffix(a.opts.PublicURL, "/") + "/dashboard/" + page + "?token=" + url.QueryEscape(text)
}

func (a *Accounts) sendVerification(ctx context.Context, tx AccountWriter, user *User, tenantID string, now time.Time) error {
	text, err := makeLink(ctx, tx, user.ID, TokenVerify, now, a.opts.VerifyFor)
	if err != nil {
		return err
	}
	return tx.QueueMail(ctx, &QueuedMail{
		TenantID: tenantID, UserID: user.ID, CreatedAt: now, NextAt: now,
		Mail: Mail{
			To:      user.Email,
			Subject: "Confirm your address for " + a.opts.Brand,
			Text: fmt.Sprintf("Welcome to %s.\n\nFollow this link to confirm your address; it is good for %s:\n\n%s\n\n"+
				"If you did not sign up, ignore this mail.\n", a.opts.Brand, spell(a.opts.VerifyFor), a.link("verify", text)),
		},
	})
}

// ResendVerification sends the signed-in user a new link, and makes older ones useless.
func (a *Accounts) ResendVerification(ctx context.Context, c Caller) error {
	switch {
	case c.user == nil:
		return ErrUnauthenticated
	case c.user.Verified():
		return refusal(ErrConflict, "already_verified", "this address is confirmed already; there is nothing to do")
	}
	if err := a.throttle(ctx, budget{"verify:" + hashToken(c.user.ID)[:32], 5, time.Hour}); err != nil {
		return err
	}
	return a.write(ctx, "send a link", func(tx AccountWriter) error {
		return a.sendVerification(ctx, tx, c.user, "", a.now())
	})
}

// Verify confirms the address of whoever got the link, and lets the tenants they
// own out of the sandbox.
func (a *Accounts) Verify(ctx context.Context, m Meta, text string) (*User, error) {
	var user *User
	err := a.write(ctx, "verify an address", func(tx AccountWriter) error {
		now := a.now()
		token, err := useLink(ctx, tx, text, TokenVerify, now)
		if err != nil {
			return err
		}
		if user, err = tx.User(ctx, token.UserID); err != nil {
			return err
		}
		if err := tx.DeleteUserTokens(ctx, user.ID, TokenVerify); err != nil {
			return err
		}
		user.VerifiedAt = now
		if err := tx.UpdateUser(ctx, user); err != nil {
			return err
		}
		return a.activateOwned(ctx, tx, Caller{Meta: m, kind: ActorUser, user: user})
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}

func (a *Accounts) activateOwned(ctx context.Context, tx AccountWriter, c Caller) error {
	entry := c.entry("", "user.verified", "user", c.user.ID, a.now())
	if err := tx.InsertAudit(ctx, &entry); err != nil {
		return err
	}
	memberships, err := tx.Memberships(ctx, c.user.ID)
	if err != nil {
		return err
	}
	for _, m := range memberships {
		if m.Role != RoleOwner || m.Tenant.Status != TenantUnverified {
			continue
		}
		before := m.Tenant
		m.Tenant.Status = TenantActive
		if err := a.updateTenant(ctx, tx, c, "tenant.verified", &before, &m.Tenant); err != nil {
			return err
		}
	}
	return nil
}

// RequestReset sends a link to set a new password, if there is an account. The
// answer does not tell.
func (a *Accounts) RequestReset(ctx context.Context, m Meta, address string) error {
	email, err := NormalizeEmail(address)
	if err != nil {
		return err
	}
	client, network := addressBuckets(m.IP)
	err = a.throttle(ctx,
		budget{"reset:account:" + hashToken(email)[:32], 5, time.Hour},
		budget{"reset:address:" + client, 20, time.Hour},
		budget{"reset:network:" + network, 200, time.Hour},
	)
	if err != nil {
		return err
	}
	return a.write(ctx, "request a reset", func(tx AccountWriter) error {
		now := a.now()
		user, err := tx.UserByEmail(ctx, email)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := makeLink(ctx, tx, user.ID, TokenReset, now, a.opts.ResetFor)
		if err != nil {
			return err
		}
		return tx.QueueMail(ctx, &QueuedMail{
			UserID: user.ID, CreatedAt: now, NextAt: now,
			Mail: Mail{
				To:      user.Email,
				Subject: "Set a new password for " + a.opts.Brand,
				Text: fmt.Sprintf("Somebody, we hope you, asked for a new password.\n\nFollow this link; it is good for %s:\n\n%s\n\n"+
					"If it was not you, ignore this mail: nothing has changed.\n", spell(a.opts.ResetFor), a.link("reset", text)),
			},
		})
	})
}

// Reset sets a new password by a link, and ends every session of the account.
func (a *Accounts) Reset(ctx context.Context, m Meta, text string, password Secret) error {
	// The link is looked at first, so that nobody can make us hash for nothing,
	// and once more in the transaction that uses it up.
	link, err := useLink(ctx, a.store, text, TokenReset, a.now())
	if err != nil {
		return err
	}
	user, err := a.store.User(ctx, link.UserID)
	if err != nil {
		return fmt.Errorf("reset a password: %w", err)
	}
	if err := CheckPassword(password.Reveal(), user.Email); err != nil {
		return err
	}
	hash, err := a.hash(ctx, password.Reveal())
	if err != nil {
		return err
	}
	return a.write(ctx, "reset a password", func(tx AccountWriter) error {
		now := a.now()
		if _, err := useLink(ctx, tx, text, TokenReset, now); err != nil {
			return err
		}
		if err := tx.DeleteUserTokens(ctx, user.ID, TokenReset); err != nil {
			return err
		}
		return a.setPassword(ctx, tx, Caller{Meta: m, kind: ActorUser, user: user}, hash, "", "user.password_reset")
	})
}

// ChangePassword sets the caller's password and ends their other sessions.
func (a *Accounts) ChangePassword(ctx context.Context, c Caller, old, password Secret) error {
	if c.user == nil || c.session == nil {
		return ErrUnauthenticated
	}
	budgets := loginBudgets(c.user.Email, c.IP)
	if err := a.throttle(ctx, budgets...); err != nil {
		return err
	}
	ok, _, err := a.verify(ctx, boundedPassword(old), c.user)
	if err != nil {
		return err
	}
	if !ok {
		return refusal(ErrForbidden, "wrong_password", "the present password is wrong; check it, or reset it by mail")
	}
	if err := CheckPassword(password.Reveal(), c.user.Email); err != nil {
		return err
	}
	hash, err := a.hash(ctx, password.Reveal())
	if err != nil {
		return err
	}
	return a.write(ctx, "change a password", func(tx AccountWriter) error {
		return a.setPassword(ctx, tx, c, hash, c.session.ID, "user.password_changed")
	})
}

func (a *Accounts) setPassword(ctx context.Context, tx AccountWriter, c Caller, hash Secret, keepSession, action string) error {
	user, err := tx.User(ctx, c.user.ID)
	if err != nil {
		return err
	}
	if user.PasswordHash != c.user.PasswordHash { // somebody was faster
		return refusal(ErrConflict, "password_changed", "the password was changed meanwhile; sign in again")
	}
	user.PasswordHash = hash
	if err := tx.UpdateUser(ctx, user); err != nil {
		return err
	}
	if err := tx.DeleteSessions(ctx, user.ID, keepSession); err != nil {
		return err
	}
	entry := c.entry("", action, "user", user.ID, a.now())
	return tx.InsertAudit(ctx, &entry)
}

func (a *Accounts) mailKnownAddress(user *User, now time.Time) *QueuedMail {
	return &QueuedMail{
		UserID: user.ID, CreatedAt: now, NextAt: now,
		Mail: Mail{
			To:      user.Email,
			Subject: "You have an account at " + a.opts.Brand,
			Text: "Somebody, perhaps you, tried to sign up with this address, which has an account already.\n\n" +
				"Sign in, or ask for a new password, at " + strings.TrimSuffix(a.opts.PublicURL, "/") + "/dashboard/\n\n" +
				"If it was not you, ignore this mail: nothing has changed.\n",
		},
	}
}

// SetupLink returns the link by which the first operator makes an account, while
// there is no user at all; otherwise "". Each call makes older links useless.
func (a *Accounts) SetupLink(ctx context.Context) (string, error) {
	var text string
	err := a.write(ctx, "make the setup link", func(tx AccountWriter) error {
		users, err := tx.CountUsers(ctx)
		if err != nil || users > 0 {
			return err
		}
		text, err = makeLink(ctx, tx, "", TokenSetup, a.now(), 24*time.Hour)
		return err
	})
	if err != nil || text == "" {
		return "", err
	}
	return a.link("setup", text), nil
}

// spell writes a duration for people.
func spell(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

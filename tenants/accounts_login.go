package tenants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// seenEvery is how exact "last seen" and "last used" are.
const seenEvery = time.Minute

// errWrongLogin is the one answer to every login that does not work.
var errWrongLogin = &Refusal{
	ErrUnauthenticated, "wrong_credentials", "the address or the password is wrong; check both, or reset the password",
}

// LogIn opens a session and returns the text of its token, which is known to the
// caller alone. A wrong password and an unknown address give the same answer
// after the same work; too many wrong ones a [*ThrottledError].
func (a *Accounts) LogIn(ctx context.Context, m Meta, address string, password Secret) (token string, _ *Session, _ *User, err error) {
	email, err := NormalizeEmail(address)
	if err != nil {
		return "", nil, nil, err
	}
	budgets := loginBudgets(email, m.IP)
	if err := a.throttle(ctx, budgets...); err != nil {
		return "", nil, nil, err
	}
	user, err := a.store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", nil, nil, fmt.Errorf("log in: %w", err)
	}
	ok, outdated, err := a.verify(ctx, boundedPassword(password), user)
	if err != nil {
		return "", nil, nil, err
	}
	if !ok {
		return "", nil, nil, errWrongLogin
	}
	if err := a.refund(ctx, budgets...); err != nil {
		return "", nil, nil, err
	}
	rehashed := Secret{}
	if outdated {
		if rehashed, err = a.hash(ctx, password.Reveal()); err != nil {
			return "", nil, nil, err
		}
	}
	token, session, err := a.openSession(ctx, m, user, rehashed)
	return token, session, user, err
}

// LogInByLink opens a session by a link of [Accounts.LoginLink], which is used up.
func (a *Accounts) LogInByLink(ctx context.Context, m Meta, text string) (token string, _ *Session, _ *User, err error) {
	var user *User
	err = a.write(ctx, "use a link", func(tx AccountWriter) error {
		link, err := useLink(ctx, tx, text, TokenLogin, a.now())
		if err != nil {
			return err
		}
		if err := tx.DeleteUserTokens(ctx, link.UserID, TokenLogin); err != nil {
			return err
		}
		user, err = tx.User(ctx, link.UserID)
		return err
	})
	if err != nil {
		return "", nil, nil, err
	}
	token, session, err := a.openSession(ctx, m, user, Secret{})
	return token, session, user, err
}

// boundedPassword keeps a hostile megabyte away from the hash. No account has a
// password that long.
func boundedPassword(password Secret) string {
	const most = MaxPasswordChars * 4
	text := password.Reveal()
	return text[:min(len(text), most)]
}

// loginBudgets: few attempts at one account from one place, so that strangers
// cannot lock the owner out; more from everywhere; and a bound for one place
// that tries many accounts.
func loginBudgets(email, ip string) []budget {
	address, network := addressBuckets(ip)
	return []budget{
		{"login:pair:" + hashToken(email)[:32] + ":" + address, 10, 15 * time.Minute},
		{"login:account:" + hashToken(email)[:32], 100, time.Hour},
		{"login:address:" + address, 50, 15 * time.Minute},
		{"login:network:" + network, 500, 15 * time.Minute},
	}
}

// maxSessions is how many sessions one user has; the oldest ends first.
const maxSessions = 50

func (a *Accounts) openSession(ctx context.Context, m Meta, user *User, rehashed Secret) (string, *Session, error) {
	token, now := randomToken(), a.now()
	session := &Session{
		UserID: user.ID, TokenHash: hashToken(token), UserAgent: printableText(m.UserAgent, 200), IP: m.IP,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(a.opts.SessionMax),
	}
	err := a.write(ctx, "open a session", func(tx AccountWriter) error {
		// Read again: the password may have been changed while it was checked.
		current, err := tx.User(ctx, user.ID)
		if err != nil {
			return err
		}
		if current.PasswordHash != user.PasswordHash {
			return errWrongLogin
		}
		if !rehashed.IsZero() {
			current.PasswordHash = rehashed
			if err := tx.UpdateUser(ctx, current); err != nil {
				return err
			}
		}
		open, err := tx.Sessions(ctx, user.ID) // newest first
		if err != nil {
			return err
		}
		for i := maxSessions - 1; i < len(open); i++ {
			if err := tx.DeleteSession(ctx, user.ID, open[i].ID); err != nil {
				return err
			}
		}
		if err := tx.InsertSession(ctx, session); err != nil {
			return err
		}
		c := Caller{Meta: m, kind: ActorUser, user: current}
		entry := c.entry("", "session.created", "session", session.ID, now)
		return tx.InsertAudit(ctx, &entry)
	})
	if err != nil {
		return "", nil, err
	}
	return token, session, nil
}

// printableText keeps what a stranger sent on one line and short.
func printableText(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// SessionCaller returns who a session token belongs to. A token that is unknown,
// expired, idle for too long or revoked gives [ErrUnauthenticated].
func (a *Accounts) SessionCaller(ctx context.Context, token string, m Meta) (Caller, error) {
	if len(token) != len(randomToken()) {
		return Caller{}, ErrUnauthenticated
	}
	session, err := a.store.SessionByHash(ctx, hashToken(token))
	if err != nil {
		return Caller{}, unauthenticatedIfMissing("read the session", err)
	}
	now := a.now()
	if !now.Before(session.ExpiresAt) || now.Sub(session.LastSeenAt) > a.opts.SessionIdle {
		return Caller{}, ErrUnauthenticated
	}
	user, err := a.store.User(ctx, session.UserID)
	if err != nil {
		return Caller{}, unauthenticatedIfMissing("read the user", err)
	}
	if now.Sub(session.LastSeenAt) >= seenEvery {
		if err := a.store.TouchSession(ctx, session.ID, now); err != nil {
			return Caller{}, fmt.Errorf("note the use of a session: %w", err)
		}
		session.LastSeenAt = now
	}
	return Caller{Meta: m, kind: ActorUser, user: user, session: session}, nil
}

func unauthenticatedIfMissing(doing string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrUnauthenticated
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// LogOut ends the caller's own session.
func (a *Accounts) LogOut(ctx context.Context, c Caller) error {
	if c.session == nil {
		return ErrUnauthenticated
	}
	return a.RevokeSession(ctx, c, c.session.ID)
}

// Sessions lists the caller's sessions, the newest first.
func (a *Accounts) Sessions(ctx context.Context, c Caller) ([]Session, error) {
	if c.user == nil {
		return nil, ErrUnauthenticated
	}
	all, err := a.store.Sessions(ctx, c.user.ID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now := a.now()
	open := make([]Session, 0, len(all))
	for _, s := range all {
		if now.Before(s.ExpiresAt) && now.Sub(s.LastSeenAt) <= a.opts.SessionIdle {
			open = append(open, s)
		}
	}
	return open, nil
}

// RevokeSession ends one of the caller's sessions.
func (a *Accounts) RevokeSession(ctx context.Context, c Caller, id string) error {
	if c.user == nil {
		return ErrUnauthenticated
	}
	return a.write(ctx, "revoke a session", func(tx AccountWriter) error {
		if err := tx.DeleteSession(ctx, c.user.ID, id); err != nil {
			return notFoundAs(err, "session")
		}
		entry := c.entry("", "session.revoked", "session", id, a.now())
		return tx.InsertAudit(ctx, &entry)
	})
}

// RevokeOtherSessions ends all of the caller's sessions but the one in use.
func (a *Accounts) RevokeOtherSessions(ctx context.Context, c Caller) error {
	if c.user == nil || c.session == nil {
		return ErrUnauthenticated
	}
	return a.write(ctx, "revoke sessions", func(tx AccountWriter) error {
		if err := tx.DeleteSessions(ctx, c.user.ID, c.session.ID); err != nil {
			return err
		}
		entry := c.entry("", "session.revoked_others", "user", c.user.ID, a.now())
		return tx.InsertAudit(ctx, &entry)
	})
}

// Memberships lists the tenants of the signed-in user, by name.
func (a *Accounts) Memberships(ctx context.Context, c Caller) ([]Membership, error) {
	if c.user == nil {
		return nil, ErrUnauthenticated
	}
	list, err := a.store.Memberships(ctx, c.user.ID)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return list, nil
}

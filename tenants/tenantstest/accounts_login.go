package tenantstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testLogIn(t *testing.T, w *World) {
	ctx := t.Context()
	w.Join("ada@example.com", "One")
	good := tenants.NewSecret(Password)
	token, session, user, err := w.LogIn(ctx, w.Meta(), " ADA@example.com", good)
	require.NoError(t, err)
	require.Len(t, token, 64)
	require.Equal(t, user.ID, session.UserID)
	require.NotContains(t, fmt.Sprintf("%+v", session), token, "only its hash is kept")

	w.Hasher.Verifies.Store(0)
	_, _, _, wrong := w.LogIn(ctx, w.Meta(), "ada@example.com", tenants.NewSecret("wrong-password-123"))
	require.EqualValues(t, 1, w.Hasher.Verifies.Load())
	_, _, _, unknown := w.LogIn(ctx, w.Meta(), "nobody@example.com", good)
	require.EqualValues(t, 2, w.Hasher.Verifies.Load(), "an unknown address costs as much")
	require.ErrorIs(t, wrong, tenants.ErrUnauthenticated)
	require.Equal(t, wrong, unknown)

	w.Hasher.Current = "v2"
	hashes := w.Hasher.Hashes.Load()
	w.Enter("ada@example.com")
	require.Equal(t, hashes+1, w.Hasher.Hashes.Load(), "an outdated hash is made again")
	w.Enter("ada@example.com")
	require.Equal(t, hashes+1, w.Hasher.Hashes.Load())

	for _, bad := range []string{"", "x", strings.Repeat("0", 64), token[:63] + "g"} {
		_, err = w.SessionCaller(ctx, bad, w.Meta())
		require.ErrorIs(t, err, tenants.ErrUnauthenticated, bad)
	}
	_, err = w.Memberships(ctx, tenants.Caller{})
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "the zero caller is nobody")
	_, err = w.Tenant(ctx, tenants.Caller{}, "one")
	require.ErrorIs(t, err, tenants.ErrUnauthenticated)
}

func testLogInThrottle(t *testing.T, w *World) {
	ctx := t.Context()
	w.Join("ada@example.com", "One")
	attacker := tenants.Meta{IP: "203.0.113.9"}
	for range 10 {
		_, _, _, err := w.LogIn(ctx, attacker, "ada@example.com", tenants.NewSecret("guess-guess-guess"))
		require.ErrorIs(t, err, tenants.ErrUnauthenticated)
	}
	_, _, _, err := w.LogIn(ctx, attacker, "ada@example.com", tenants.NewSecret(Password))
	require.ErrorIs(t, err, tenants.ErrThrottled, "even the right one, from there")
	w.Enter("ada@example.com") // the owner, from elsewhere, is not locked out
	w.Clock.Advance(15 * time.Minute)
	_, _, _, err = w.LogIn(ctx, attacker, "ada@example.com", tenants.NewSecret(Password))
	require.NoError(t, err)
	for range 30 {
		_, _, _, err = w.LogIn(ctx, attacker, "ada@example.com", tenants.NewSecret(Password))
		require.NoError(t, err, "only failures count")
	}
}

func testSessions(t *testing.T, w *World) {
	ctx := t.Context()
	w.Join("ada@example.com", "One")
	token, session, _, err := w.LogIn(ctx, tenants.Meta{IP: "192.0.2.1", UserAgent: "evil\r\nagent\x00" + strings.Repeat("x", 500)}, "ada@example.com", tenants.NewSecret(Password))
	require.NoError(t, err)
	require.Len(t, session.UserAgent, 200)
	require.True(t, strings.HasPrefix(session.UserAgent, "evilagent"))
	c, err := w.SessionCaller(ctx, token, w.Meta())
	require.NoError(t, err)
	list, err := w.Sessions(ctx, c)
	require.NoError(t, err)
	require.Len(t, list, 2)

	other, _ := w.Join("eve@example.com", "Two")
	require.ErrorIs(t, w.RevokeSession(ctx, other, session.ID), tenants.ErrNotFound, "a stranger's session")
	require.NoError(t, w.RevokeOtherSessions(ctx, c))
	list, err = w.Sessions(ctx, c)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, session.ID, list[0].ID)

	w.Clock.Advance(6 * 24 * time.Hour) // used again before it is idle for too long
	for range 4 {
		c, err = w.SessionCaller(ctx, token, w.Meta())
		require.NoError(t, err)
		require.Equal(t, w.Clock.Now(), c.Session().LastSeenAt)
		w.Clock.Advance(5 * 24 * time.Hour)
	}
	w.Clock.Advance(4 * 24 * time.Hour) // 30 days since it began
	_, err = w.SessionCaller(ctx, token, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "nothing keeps a session alive for ever")

	token, _, _, err = w.LogIn(ctx, w.Meta(), "ada@example.com", tenants.NewSecret(Password))
	require.NoError(t, err)
	w.Clock.Advance(7*24*time.Hour + time.Second)
	_, err = w.SessionCaller(ctx, token, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "idle")

	token, _, _, err = w.LogIn(ctx, w.Meta(), "ada@example.com", tenants.NewSecret(Password))
	require.NoError(t, err)
	c, err = w.SessionCaller(ctx, token, w.Meta())
	require.NoError(t, err)
	require.NoError(t, w.LogOut(ctx, c))
	_, err = w.SessionCaller(ctx, token, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated)
}

func testPasswords(t *testing.T, w *World) {
	ctx := t.Context()
	w.Join("ada@example.com", "One")
	first, second := w.Enter("ada@example.com"), w.Enter("ada@example.com")
	const newPassword = "quiet-meadow-77-glass"
	RequireCode(t, w.ChangePassword(ctx, first, tenants.NewSecret("not-the-old-one"), tenants.NewSecret(newPassword)), "wrong_password")
	require.ErrorAs(t, w.ChangePassword(ctx, first, tenants.NewSecret(Password), tenants.NewSecret("password1234")), new(*tenants.InvalidError))
	require.NoError(t, w.ChangePassword(ctx, first, tenants.NewSecret(Password), tenants.NewSecret(newPassword)))
	list, err := w.Sessions(ctx, first)
	require.NoError(t, err)
	require.Len(t, list, 1, "the other sessions have ended")
	require.ErrorIs(t, w.RevokeSession(ctx, second, second.Session().ID), tenants.ErrNotFound)
	_, _, _, err = w.LogIn(ctx, w.Meta(), "ada@example.com", tenants.NewSecret(Password))
	require.ErrorIs(t, err, tenants.ErrUnauthenticated)

	require.NoError(t, w.RequestReset(ctx, w.Meta(), "ada@example.com"))
	link := w.Link("ada@example.com")
	require.ErrorAs(t, w.Reset(ctx, w.Meta(), link, tenants.NewSecret("short")), new(*tenants.InvalidError))
	w.Clock.Advance(30 * time.Minute)
	RequireCode(t, w.Reset(ctx, w.Meta(), link, tenants.NewSecret(Password)), "link_invalid")
	require.NoError(t, w.RequestReset(ctx, w.Meta(), "ada@example.com"))
	link = w.Link("ada@example.com")
	require.NoError(t, w.Reset(ctx, w.Meta(), link, tenants.NewSecret(Password)))
	list, err = w.Sessions(ctx, first)
	require.NoError(t, err)
	require.Empty(t, list, "every session has ended")
	w.Enter("ada@example.com")
}

func testLinksAreSingleUse(t *testing.T, w *World) {
	ctx := t.Context()
	c, _ := w.Join("ada@example.com", "One")
	old := w.Link("ada@example.com")
	require.NoError(t, w.ResendVerification(ctx, c))
	link := w.Link("ada@example.com")
	_, err := w.Verify(ctx, w.Meta(), old)
	RequireCode(t, err, "link_invalid")
	RequireCode(t, w.Reset(ctx, w.Meta(), link, tenants.NewSecret(Password)), "link_invalid") // a link of another kind
	_, err = w.Verify(ctx, w.Meta(), link)
	require.NoError(t, err)
	_, err = w.Verify(ctx, w.Meta(), link)
	RequireCode(t, err, "link_invalid")
	RequireCode(t, w.ResendVerification(ctx, w.Enter("ada@example.com")), "already_verified")

	late, _ := w.Join("eve@example.com", "Two")
	link = w.Link("eve@example.com")
	w.Clock.Advance(48 * time.Hour)
	_, err = w.Verify(ctx, w.Meta(), link)
	RequireCode(t, err, "link_invalid")
	for range 5 {
		require.NoError(t, w.ResendVerification(ctx, late))
	}
	require.ErrorIs(t, w.ResendVerification(ctx, late), tenants.ErrThrottled)
}

func testLoginLink(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "Acme")
	_, err := w.LoginLink(ctx, owner, "ada@example.com")
	RequireCode(t, err, "cli_only")
	text := func() string {
		link, err := w.LoginLink(ctx, tenants.CLI(), "ada@example.com")
		require.NoError(t, err)
		return linkPattern.FindStringSubmatch(link)[1]
	}
	older, newer := text(), text()
	_, _, _, err = w.LogInByLink(ctx, w.Meta(), older)
	RequireCode(t, err, "link_invalid")
	token, _, _, err := w.LogInByLink(ctx, w.Meta(), newer)
	require.NoError(t, err)
	c, err := w.SessionCaller(ctx, token, w.Meta())
	require.NoError(t, err)
	_, err = w.Tenant(ctx, c, tenant.ID)
	require.NoError(t, err)
	_, _, _, err = w.LogInByLink(ctx, w.Meta(), newer)
	RequireCode(t, err, "link_invalid")
	late := text()
	w.Clock.Advance(time.Hour)
	_, _, _, err = w.LogInByLink(ctx, w.Meta(), late)
	RequireCode(t, err, "link_invalid")
	require.ErrorIs(t, w.Reset(ctx, w.Meta(), text(), tenants.NewSecret("another-password-1")), tenants.ErrNotFound, "it is for nothing else")
}

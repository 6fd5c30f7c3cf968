package tenantstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testAuditLog(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	stranger, other := w.Owner("eve@example.com", "Two")
	w.NewApp(stranger, other.ID)
	start := w.Clock.Now()
	w.Clock.Advance(time.Minute)
	app, err := w.CreateApp(ctx, owner, tenant.ID, tenants.NewApp{Name: "Chat", Secret: tenants.NewSecret("app-secret-marker")})
	require.NoError(t, err)
	_, err = w.UpdateApp(ctx, owner, app.ID, tenants.AppPatch{Settings: json.RawMessage(
		`{"client_events":true,"jwt":{"issuers":[{"issuer":"i","audience":"a","algorithms":["HS256"],"secret":"jwt-secret-marker-0123456789abcdef"}]}}`)})
	require.NoError(t, err)
	fresh, _, err := w.RotateKey(ctx, owner, app.ID, app.Keys[0].ID, time.Hour)
	require.NoError(t, err)
	program := w.API(owner, tenant.ID, tenants.NewToken{Name: "robot", Scopes: []tenants.Scope{tenants.ScopeAppsWrite}})
	w.Clock.Advance(time.Minute)
	name := "By a robot"
	_, err = w.UpdateApp(ctx, program, app.ID, tenants.AppPatch{Name: &name})
	require.NoError(t, err)

	read := func(f tenants.AuditFilter) (actions []string, list []tenants.AuditEntry) {
		list, next, err := w.AuditLog(ctx, owner, tenant.ID, f)
		require.NoError(t, err)
		require.Empty(t, next)
		for _, e := range list {
			require.Equal(t, tenant.ID, e.TenantID)
			actions = append(actions, e.Action)
		}
		return actions, list
	}
	actions, list := read(tenants.AuditFilter{})
	require.Equal(t, []string{
		"app.updated", "token.created", "key.rotated", "key.created", "app.updated", "app.created", "tenant.verified", "tenant.created",
	}, actions, "in the order it was done, within one moment too")
	robot := list[0]
	require.Equal(t, tenants.ActorToken, robot.ActorKind)
	require.Equal(t, "robot", robot.ActorName)
	require.Equal(t, program.IP, robot.IP)
	require.Equal(t, program.RequestID, robot.RequestID)
	require.JSONEq(t, `{"name":"Chat"}`, string(robot.Before), "only what changed")
	require.JSONEq(t, `{"name":"By a robot"}`, string(robot.After))

	actions, _ = read(tenants.AuditFilter{Action: "key."})
	require.ElementsMatch(t, []string{"key.rotated", "key.created"}, actions)
	actions, _ = read(tenants.AuditFilter{Action: "key.rotated", TargetID: app.Keys[0].ID, ActorID: owner.User().ID, From: start})
	require.Equal(t, []string{"key.rotated"}, actions)
	actions, _ = read(tenants.AuditFilter{TargetID: fresh.ID})
	require.Equal(t, []string{"key.created"}, actions)
	actions, _ = read(tenants.AuditFilter{From: start.Add(time.Second), To: w.Clock.Now()})
	require.Len(t, actions, 5)
	actions, _ = read(tenants.AuditFilter{Action: "key"})
	require.Empty(t, actions)

	var cursor string
	var seen []tenants.AuditEntry
	for {
		page, next, err := w.AuditLog(ctx, owner, tenant.ID, tenants.AuditFilter{Cursor: cursor, Limit: 3})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), 3)
		seen = append(seen, page...)
		if cursor = next; next == "" {
			break
		}
	}
	require.Equal(t, list, seen)

	var out bytes.Buffer
	require.NoError(t, w.ExportAudit(ctx, owner, tenant.ID, tenants.AuditFilter{}, &out))
	require.Equal(t, len(list), strings.Count(out.String(), "\n"))
	for _, secret := range []string{"app-secret-marker", "jwt-secret-marker", fresh.Secret.Reveal(), Password, "token_hash"} {
		require.NotContains(t, out.String(), secret)
	}
	require.NoError(t, w.Record(ctx, owner, tenant.ID, "webhook.created", "webhook", "wh_1", nil,
		map[string]any{"url": "https://x", "secret": "hidden-marker", "nested": []any{map[string]string{"Password": "hidden-marker"}}}))
	_, list = read(tenants.AuditFilter{Action: "webhook.created"})
	require.NotContains(t, string(list[0].After), "hidden-marker", "a secret that slipped through is redacted by its name")
	require.Contains(t, string(list[0].After), "https://x")

	_, _, err = w.InstallationAudit(ctx, owner, tenants.AuditFilter{})
	require.ErrorIs(t, err, tenants.ErrForbidden)
	page, _, err := w.InstallationAudit(ctx, tenants.CLI(), tenants.AuditFilter{Action: "session."})
	require.NoError(t, err)
	require.NotEmpty(t, page)
}

func testIdempotency(t *testing.T, w *World) {
	ctx := t.Context()
	a, tenant := w.Owner("ada@example.com", "One")
	b, _ := w.Owner("eve@example.com", "Two")
	known, err := w.BeginIdempotent(ctx, a, tenant.ID, "key-1", "hash-1")
	require.NoError(t, err)
	require.Nil(t, known)
	_, err = w.BeginIdempotent(ctx, a, tenant.ID, "key-1", "hash-1")
	RequireCode(t, err, "idempotency_in_flight")
	require.NoError(t, w.EndIdempotent(ctx, a, "key-1", 201, json.RawMessage(`{"X":"y"}`), []byte("a secret shown once")))
	known, err = w.BeginIdempotent(ctx, a, tenant.ID, "key-1", "hash-1")
	require.NoError(t, err)
	require.Equal(t, 201, known.Status)
	require.Equal(t, "a secret shown once", string(known.Body))
	require.JSONEq(t, `{"X":"y"}`, string(known.Header))
	_, err = w.BeginIdempotent(ctx, a, tenant.ID, "key-1", "hash-2")
	RequireCode(t, err, "idempotency_key_reused")
	known, err = w.BeginIdempotent(ctx, b, "", "key-1", "hash-1")
	require.NoError(t, err)
	require.Nil(t, known, "keys of others are none of ours")
	require.NoError(t, w.DropIdempotent(ctx, b, "key-1"))
	known, err = w.BeginIdempotent(ctx, b, "", "key-1", "hash-3")
	require.NoError(t, err)
	require.Nil(t, known, "a request without effect can be corrected")
	w.Clock.Advance(3 * time.Minute)
	known, err = w.BeginIdempotent(ctx, b, "", "key-1", "hash-3")
	require.NoError(t, err)
	require.Nil(t, known, "a request that was lost does not block for ever")
	w.Clock.Advance(24 * time.Hour)
	known, err = w.BeginIdempotent(ctx, a, tenant.ID, "key-1", "hash-9")
	require.NoError(t, err)
	require.Nil(t, known, "a day later the key is free")
	for _, bad := range []string{"", "a\nb", strings.Repeat("x", 256)} {
		_, err = w.BeginIdempotent(ctx, a, tenant.ID, bad, "h")
		require.ErrorAs(t, err, new(*tenants.InvalidError))
	}
}

func testMail(t *testing.T, w *World) {
	ctx := t.Context()
	w.Outbox.Fail(errors.New("server away"))
	w.Join("ada@example.com", "One")
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	w.Outbox.Fail(nil)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Empty(t, w.Outbox.Mails("ada@example.com"), "not tried again at once")
	w.Clock.Advance(2 * time.Minute)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Len(t, w.Outbox.Mails("ada@example.com"), 1)
	require.Contains(t, w.Outbox.Mails("ada@example.com")[0].Text, "https://rt.example.com/dashboard/verify?token=")
	w.Clock.Advance(time.Hour)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Len(t, w.Outbox.Mails("ada@example.com"), 1, "sent once")

	w.Join("eve@example.com", "Two")
	claimed, err := w.Store.ClaimMail(ctx, w.Clock.Now(), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	again, err := w.Store.ClaimMail(ctx, w.Clock.Now(), time.Minute, 10)
	require.NoError(t, err)
	require.Empty(t, again, "one sender has it")
	w.Clock.Advance(time.Minute)
	again, err = w.Store.ClaimMail(ctx, w.Clock.Now(), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, again, 1, "a sender that died does not keep it")
	require.Equal(t, 2, again[0].Attempts)

	w.Outbox.Fail(errors.New("server away"))
	w.Clock.Advance(25 * time.Hour)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	w.Outbox.Fail(nil)
	w.Clock.Advance(25 * time.Hour)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Empty(t, w.Outbox.Mails("eve@example.com"), "given up after a day")
}

// What the server does by itself is in the log, and the owners who can be reached
// have a mail, but not any number of them.
func testNotices(t *testing.T, w *World) {
	ctx := t.Context()
	ada, tenant := w.Owner("ada@example.com", "One")
	w.Join("eve@example.com", "Other")
	n := tenants.Notice{
		TenantID: tenant.ID, Action: "webhook.paused", TargetKind: "webhook", TargetID: "whe_1",
		Before: map[string]string{"status": "enabled", "url": "u"}, After: map[string]string{"status": "paused", "url": "u"},
		Subject: "Stopped", Text: "It is stopped.", Page: "apps/1/webhooks/whe_1",
	}
	require.NoError(t, w.Notify(ctx, n))
	w.Outbox.Fail(errors.New("server away"))
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	w.Outbox.Fail(nil)
	before := len(w.Outbox.Mails("ada@example.com"))
	w.Clock.Advance(2 * time.Minute)
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	mails := w.Outbox.Mails("ada@example.com")[before:]
	require.Len(t, mails, 1, "tried again")
	require.Equal(t, "Stopped", mails[0].Subject)
	require.Contains(t, mails[0].Text, "It is stopped.\n\nhttps://rt.example.com/dashboard/apps/1/webhooks/whe_1\n")
	entries, _, err := w.AuditLog(ctx, ada, tenant.ID, tenants.AuditFilter{Action: "webhook.paused"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, tenants.ActorSystem, entries[0].ActorKind)
	require.JSONEq(t, `{"status":"paused"}`, string(entries[0].After))

	for range 30 {
		require.NoError(t, w.Notify(ctx, n))
	}
	for range 5 { // a few at a time
		require.NoError(t, w.SendMail(ctx, w.Outbox))
	}
	require.Len(t, w.Outbox.Mails("ada@example.com")[before:], 20)
	entries, _, err = w.AuditLog(ctx, ada, tenant.ID, tenants.AuditFilter{Action: "webhook.paused", Limit: 50})
	require.NoError(t, err)
	require.Len(t, entries, 31)
	require.Len(t, w.Outbox.Mails("eve@example.com"), 1, "the one to confirm the address")

	eve, other := w.Join("joe@example.com", "Third") // whose address is not confirmed
	n.TenantID = other.ID
	require.NoError(t, w.Notify(ctx, n))
	require.NoError(t, w.SendMail(ctx, w.Outbox))
	require.Len(t, w.Outbox.Mails(eve.User().Email), 1, "the one to confirm it")
}

func testTidy(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	_, err := w.Invite(ctx, owner, tenant.ID, "x@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAppsRead}, ExpiresAt: w.Clock.Now().Add(time.Hour)})
	for i := range 3 {
		_, err := w.BeginIdempotent(ctx, owner, tenant.ID, fmt.Sprint(i), "h")
		require.NoError(t, err)
	}
	require.NoError(t, w.Tidy(ctx))
	open, err := w.Invitations(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Len(t, open, 1, "what has not expired stays")
	w.Clock.Advance(8 * 24 * time.Hour)
	require.NoError(t, w.Tidy(ctx))
	kept, err := w.Store.Invitations(ctx, tenant.ID)
	require.NoError(t, err)
	require.Empty(t, kept)
	sessions, err := w.Store.Sessions(ctx, owner.User().ID)
	require.NoError(t, err)
	require.Empty(t, sessions)
	tokens, err := w.Store.Tokens(ctx, tenant.ID)
	require.NoError(t, err)
	require.Len(t, tokens, 1, "an expired token stays listed for a while")
	w.Clock.Advance(30 * 24 * time.Hour)
	require.NoError(t, w.Tidy(ctx))
	tokens, err = w.Store.Tokens(ctx, tenant.ID)
	require.NoError(t, err)
	require.Empty(t, tokens)
}

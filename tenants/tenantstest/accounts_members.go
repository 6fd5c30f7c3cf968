package tenantstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testInvitations(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	_, err := w.Invite(ctx, owner, tenant.ID, "not an address", tenants.RoleViewer)
	require.ErrorAs(t, err, new(*tenants.InvalidError))
	_, err = w.Invite(ctx, owner, tenant.ID, "bob@example.com", "emperor")
	require.ErrorAs(t, err, new(*tenants.InvalidError))

	bob := w.Colleague(owner, tenant.ID, "bob@example.com", tenants.RoleDeveloper)
	require.True(t, bob.User().Verified(), "the link came to that address")
	list, err := w.Memberships(ctx, bob)
	require.NoError(t, err)
	require.Len(t, list, 1, "an invited person gets no tenant of their own")
	require.Equal(t, tenants.RoleDeveloper, list[0].Role)
	_, err = w.Invite(ctx, owner, tenant.ID, "bob@example.com", tenants.RoleViewer)
	RequireCode(t, err, "already_member")

	eve, _ := w.Owner("eve@example.com", "Two")
	_, err = w.Invite(ctx, owner, tenant.ID, "carol@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	first := w.Link("carol@example.com")
	_, err = w.AcceptInvitation(ctx, eve, first)
	RequireCode(t, err, "invitation_for_another")
	_, err = w.Invite(ctx, owner, tenant.ID, "carol@example.com", tenants.RoleAdmin)
	require.NoError(t, err)
	open, err := w.Invitations(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Len(t, open, 1, "a new invitation replaces the old one")
	carol, _ := w.Join("carol@example.com", "Three")
	_, err = w.AcceptInvitation(ctx, carol, first)
	RequireCode(t, err, "link_invalid")

	_, err = w.Invite(ctx, owner, tenant.ID, "eve@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	link := w.Link("eve@example.com")
	require.NoError(t, w.RevokeInvitation(ctx, owner, tenant.ID, invitationOf(t, w, owner, tenant.ID, "eve@example.com")))
	_, err = w.AcceptInvitation(ctx, eve, link)
	RequireCode(t, err, "link_invalid")
	_, err = w.Invite(ctx, owner, tenant.ID, "eve@example.com", tenants.RoleViewer)
	require.NoError(t, err)
	link = w.Link("eve@example.com")
	joined, err := w.AcceptInvitation(ctx, eve, link)
	require.NoError(t, err)
	require.Equal(t, tenant.ID, joined.ID)
	w.Clock.Advance(8 * 24 * time.Hour)
	open, err = w.Invitations(ctx, owner, tenant.ID)
	require.NoError(t, err)
	require.Empty(t, open, "an invitation ends")
}

func invitationOf(t *testing.T, w *World, c tenants.Caller, tenantID, email string) string {
	t.Helper()
	list, err := w.Invitations(t.Context(), c, tenantID)
	require.NoError(t, err)
	for _, i := range list {
		if i.Email == email {
			return i.ID
		}
	}
	require.FailNow(t, "no invitation", email)
	return ""
}

func testLastOwner(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	admin := w.Colleague(owner, tenant.ID, "bob@example.com", tenants.RoleAdmin)
	ownerID, adminID := owner.User().ID, admin.User().ID
	RequireCode(t, w.RemoveMember(ctx, owner, tenant.ID, ownerID), "last_owner")
	_, err := w.SetRole(ctx, owner, tenant.ID, ownerID, tenants.RoleAdmin)
	RequireCode(t, err, "last_owner")
	_, err = w.SetRole(ctx, admin, tenant.ID, adminID, tenants.RoleOwner)
	RequireCode(t, err, "role_too_low")
	_, err = w.SetRole(ctx, admin, tenant.ID, ownerID, tenants.RoleViewer)
	RequireCode(t, err, "role_too_low")
	RequireCode(t, w.RemoveMember(ctx, admin, tenant.ID, ownerID), "role_too_low")
	_, err = w.Invite(ctx, admin, tenant.ID, "x@example.com", tenants.RoleOwner)
	RequireCode(t, err, "role_too_low")
	RequireCode(t, w.TransferOwnership(ctx, admin, tenant.ID, adminID), "role_too_low")

	require.NoError(t, w.TransferOwnership(ctx, owner, tenant.ID, adminID))
	members, err := w.Members(ctx, admin, tenant.ID)
	require.NoError(t, err)
	roles := map[string]tenants.Role{}
	for _, m := range members {
		roles[m.UserID] = m.Role
	}
	require.Equal(t, map[string]tenants.Role{ownerID: tenants.RoleAdmin, adminID: tenants.RoleOwner}, roles)
	require.NoError(t, w.RemoveMember(ctx, owner, tenant.ID, ownerID), "who is not the last owner may leave")
	_, err = w.Tenant(ctx, owner, tenant.ID)
	require.ErrorIs(t, err, tenants.ErrNotFound)
}

// testRoles walks a sample of the permission table through the real methods.
func testRoles(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	callers := map[tenants.Role]tenants.Caller{tenants.RoleOwner: owner}
	for _, role := range tenants.Roles()[1:] {
		callers[role] = w.Colleague(owner, tenant.ID, string(role)+"@example.com", role)
	}
	name := "Renamed"
	for act, do := range map[tenants.Action]func(c tenants.Caller) error{
		tenants.ActTenantRead: func(c tenants.Caller) error { _, err := w.Tenant(ctx, c, tenant.ID); return err },
		tenants.ActTenantWrite: func(c tenants.Caller) error {
			_, err := w.UpdateTenant(ctx, c, tenant.ID, tenants.TenantPatch{Name: &name})
			return err
		},
		tenants.ActMembersRead: func(c tenants.Caller) error { _, err := w.Members(ctx, c, tenant.ID); return err },
		tenants.ActMembersWrite: func(c tenants.Caller) error {
			_, err := w.Invite(ctx, c, tenant.ID, "new@example.com", tenants.RoleViewer)
			return err
		},
		tenants.ActTokensRead: func(c tenants.Caller) error { _, err := w.Tokens(ctx, c, tenant.ID); return err },
		tenants.ActTokensWrite: func(c tenants.Caller) error {
			_, _, err := w.CreateToken(ctx, c, tenant.ID, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAppsRead}})
			return err
		},
		tenants.ActAppsRead: func(c tenants.Caller) error { _, err := w.App(ctx, c, app.ID); return err },
		tenants.ActAppsWrite: func(c tenants.Caller) error {
			_, err := w.UpdateApp(ctx, c, app.ID, tenants.AppPatch{Name: &name})
			return err
		},
		tenants.ActKeysWrite: func(c tenants.Caller) error { _, err := w.CreateKey(ctx, c, app.ID, tenants.NewKey{}); return err },
		tenants.ActAuditRead: func(c tenants.Caller) error {
			_, _, err := w.AuditLog(ctx, c, tenant.ID, tenants.AuditFilter{})
			return err
		},
		tenants.ActAppsDelete: func(c tenants.Caller) error {
			return w.DeleteApp(ctx, c, w.NewApp(owner, tenant.ID).ID)
		},
	} {
		for role, c := range callers {
			err := do(c)
			if role.May(act) {
				require.NoError(t, err, "%s %s", role, act)
				continue
			}
			RequireCode(t, err, "role_too_low")
			require.ErrorIs(t, err, tenants.ErrForbidden)
		}
	}
}

func testRemovedMember(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	admin := w.Colleague(owner, tenant.ID, "bob@example.com", tenants.RoleAdmin)
	text, _, err := w.CreateToken(ctx, admin, tenant.ID, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	require.NoError(t, err)
	kept := w.API(owner, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAppsRead}})
	_, err = w.TokenCaller(ctx, text, w.Meta())
	require.NoError(t, err)

	require.NoError(t, w.RemoveMember(ctx, owner, tenant.ID, admin.User().ID))
	_, err = w.App(ctx, admin, app.ID)
	require.ErrorIs(t, err, tenants.ErrNotFound, "the session goes on, the tenant is gone from it")
	_, err = w.TokenCaller(ctx, text, w.Meta())
	require.ErrorIs(t, err, tenants.ErrUnauthenticated, "a token they know must not be a back door")
	_, err = w.App(ctx, kept, app.ID)
	require.NoError(t, err, "the tokens of others stay")
	require.ErrorIs(t, w.RemoveMember(ctx, owner, tenant.ID, admin.User().ID), tenants.ErrNotFound)

	demoted := w.Colleague(owner, tenant.ID, "carol@example.com", tenants.RoleAdmin)
	token := w.API(demoted, tenant.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAppsRead}})
	_, err = w.SetRole(ctx, owner, tenant.ID, demoted.User().ID, tenants.RoleViewer)
	require.NoError(t, err)
	list, err := w.Tokens(ctx, owner, tenant.ID)
	require.NoError(t, err)
	for _, one := range list {
		require.NotEqual(t, token.Token().ID, one.ID)
	}
}

// testStrangers tries every method on another tenant's things. Whatever exists
// there, the answer is that it does not.
func testStrangers(t *testing.T, w *World) {
	ctx := t.Context()
	owner, tenant := w.Owner("ada@example.com", "One")
	app := w.NewApp(owner, tenant.ID)
	member := w.Colleague(owner, tenant.ID, "bob@example.com", tenants.RoleViewer)
	_, token, err := w.CreateToken(ctx, owner, tenant.ID, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	require.NoError(t, err)
	invitation, err := w.Invite(ctx, owner, tenant.ID, "x@example.com", tenants.RoleViewer)
	require.NoError(t, err)

	eve, own := w.Owner("eve@example.com", "Two")
	ownApp := w.NewApp(eve, own.ID)
	program := w.API(eve, own.ID, tenants.NewToken{Scopes: []tenants.Scope{tenants.ScopeAdmin}})
	// Her own tenant's id with his things, too.
	for name, err := range map[string]error{
		"member":     w.RemoveMember(ctx, eve, own.ID, member.User().ID),
		"invitation": w.RevokeInvitation(ctx, eve, own.ID, invitation.ID),
		"token":      w.RevokeToken(ctx, eve, own.ID, token.ID),
		"key":        second(w.RevokeKey(ctx, eve, ownApp.ID, app.Keys[0].ID)),
		"role":       second(w.SetRole(ctx, eve, own.ID, member.User().ID, tenants.RoleViewer)),
	} {
		require.ErrorIs(t, err, tenants.ErrNotFound, name)
	}
	for who, c := range map[string]tenants.Caller{"member of another": eve, "token of another": program} {
		for _, ref := range []string{tenant.ID, tenant.Slug, "no-such-tenant", "", "tn_%"} {
			for what, err := range foreign(t, w, c, ref, app, member.User().ID, token.ID, invitation.ID) {
				require.ErrorIs(t, err, tenants.ErrNotFound, "%s: %s of %q", who, what, ref)
			}
		}
	}
	same, err := w.App(ctx, owner, app.ID)
	require.NoError(t, err)
	require.Equal(t, app.Revision, same.Revision)
}

func second[T any](_ T, err error) error { return err }

func foreign(t *testing.T, w *World, c tenants.Caller, ref string, app *tenants.App, userID, tokenID, invitationID string) map[string]error {
	ctx, name := t.Context(), "Mine"
	_, _, audit := w.AuditLog(ctx, c, ref, tenants.AuditFilter{})
	_, _, apps := w.Apps(ctx, c, ref, "", 10)
	_, _, rotate := w.RotateKey(ctx, c, app.ID, app.Keys[0].ID, time.Hour)
	_, _, create := w.CreateToken(ctx, c, ref, tenants.NewToken{Name: "n", Scopes: []tenants.Scope{tenants.ScopeAppsRead}})
	return map[string]error{
		"tenant": second(w.Tenant(ctx, c, ref)), "rename": second(w.UpdateTenant(ctx, c, ref, tenants.TenantPatch{Name: &name})),
		"delete": second(w.DeleteTenant(ctx, c, ref)), "keep": second(w.KeepTenant(ctx, c, ref)), "export": w.Export(ctx, c, ref, discard{}),
		"plan": second(w.TenantPlan(ctx, c, ref)), "audit": audit, "audit export": w.ExportAudit(ctx, c, ref, tenants.AuditFilter{}, discard{}),
		"members": second(w.Members(ctx, c, ref)), "invitations": second(w.Invitations(ctx, c, ref)),
		"invite": second(w.Invite(ctx, c, ref, "y@example.com", tenants.RoleViewer)), "revoke invitation": w.RevokeInvitation(ctx, c, ref, invitationID),
		"set role": second(w.SetRole(ctx, c, ref, userID, tenants.RoleViewer)), "remove": w.RemoveMember(ctx, c, ref, userID),
		"transfer": w.TransferOwnership(ctx, c, ref, userID), "tokens": second(w.Tokens(ctx, c, ref)), "new token": create,
		"revoke token": w.RevokeToken(ctx, c, ref, tokenID), "apps": apps, "new app": second(w.CreateApp(ctx, c, ref, tenants.NewApp{Name: "x"})),
		"app": second(w.App(ctx, c, app.ID)), "update app": second(w.UpdateApp(ctx, c, app.ID, tenants.AppPatch{Name: &name})),
		"delete app": w.DeleteApp(ctx, c, app.ID), "new key": second(w.CreateKey(ctx, c, app.ID, tenants.NewKey{})),
		"rotate": rotate, "revoke key": second(w.RevokeKey(ctx, c, app.ID, app.Keys[0].ID)),
		"authorize": second(w.Authorize(ctx, c, ref, tenants.ActStatsRead)), "authorize app": second(w.AuthorizeApp(ctx, c, app.ID, tenants.ActEventsWrite)),
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

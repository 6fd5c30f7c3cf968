package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Members lists the people of a tenant, the oldest first.
func (a *Accounts) Members(ctx context.Context, c Caller, tenantRef string) ([]Member, error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActMembersRead)
	if err != nil {
		return nil, err
	}
	list, err := a.store.Members(ctx, tenant.ID)
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return list, nil
}

// Invitations lists the open invitations of a tenant, the oldest first.
func (a *Accounts) Invitations(ctx context.Context, c Caller, tenantRef string) ([]Invitation, error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActMembersRead)
	if err != nil {
		return nil, err
	}
	return a.openInvitations(ctx, a.store, tenant.ID)
}

func (a *Accounts) openInvitations(ctx context.Context, r AccountReader, tenantID string) ([]Invitation, error) {
	all, err := r.Invitations(ctx, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	open := make([]Invitation, 0, len(all))
	for _, i := range all {
		if a.now().Before(i.ExpiresAt) {
			open = append(open, i)
		}
	}
	return open, nil
}

// mayGrant checks that c may give somebody that role: nobody makes others
// mightier than themselves, and a token makes no administrators unless it is one.
func mayGrant(ctx context.Context, r AccountReader, c Caller, tenantID string, role Role) error {
	if err := checkRole(role); err != nil {
		return err
	}
	switch {
	case c.kind == ActorCLI:
		return nil
	case c.token != nil:
		if role == RoleDeveloper || role == RoleViewer || role == RoleAdmin && hasScope(c.token, ScopeAdmin) {
			return nil
		}
		return refusal(ErrForbidden, "role_too_low", "this token may not make anybody %s", role)
	case c.user == nil:
		return ErrUnauthenticated
	}
	own, err := r.Member(ctx, tenantID, c.user.ID)
	if err != nil {
		return notFoundAs(err, "tenant")
	}
	if role == RoleOwner && own.Role != RoleOwner {
		return refusal(ErrForbidden, "role_too_low", "only an owner can make or unmake an owner")
	}
	return nil
}

func hasScope(t *Token, scope Scope) bool {
	for _, s := range t.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// Invite sends an invitation to an address. An older one to the same address is
// replaced. Until the caller's own address is confirmed, no mail is sent in their
// name.
func (a *Accounts) Invite(ctx context.Context, c Caller, tenantRef, address string, role Role) (*Invitation, error) {
	email, err := NormalizeEmail(address)
	if err != nil {
		return nil, err
	}
	if err := a.throttle(ctx, budget{"invite:" + hashToken(c.ID())[:32], 100, 24 * time.Hour}); err != nil {
		return nil, err
	}
	var invitation *Invitation
	err = a.write(ctx, "invite", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActMembersWrite)
		if err != nil {
			return err
		}
		if tenant.Status == TenantUnverified {
			return refusal(ErrForbidden, "email_unverified", "confirm your own address first: follow the link in the mail you got at sign-up")
		}
		if err := mayGrant(ctx, tx, c, tenant.ID, role); err != nil {
			return err
		}
		if err := a.checkNewMember(ctx, tx, tenant, email); err != nil {
			return err
		}
		invitation, err = a.invite(ctx, tx, c, tenant, email, role)
		return err
	})
	if err != nil {
		return nil, err
	}
	return invitation, nil
}

// checkNewMember looks whether there is room for one more, and drops an older
// invitation to the same address.
func (a *Accounts) checkNewMember(ctx context.Context, tx AccountWriter, tenant *Tenant, email string) error {
	members, err := tx.Members(ctx, tenant.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Email == email {
			return refusal(ErrExists, "already_member", "%s is a member already; change the role instead", email)
		}
	}
	open, err := a.openInvitations(ctx, tx, tenant.ID)
	if err != nil {
		return err
	}
	taken := len(members)
	for _, i := range open {
		if i.Email != email {
			taken++
			continue
		}
		if err := tx.DeleteInvitation(ctx, tenant.ID, i.ID); err != nil {
			return err
		}
	}
	plan, err := tx.Plan(ctx, tenant.PlanInForce())
	if err != nil {
		return err
	}
	return room(plan, "max_members", taken, plan.Effective().MaxMembers)
}

// room refuses one more of something the plan bounds.
func room(plan *Plan, name string, taken, most int) error {
	if taken < most {
		return nil
	}
	return refusal(ErrPlanLimit, "plan_limit", "plan %s allows %d (%s), and there are %d; remove one, or ask for a larger plan",
		plan.Name, most, name, taken)
}

func (a *Accounts) invite(ctx context.Context, tx AccountWriter, c Caller, tenant *Tenant, email string, role Role) (*Invitation, error) {
	text, now := randomToken(), a.now()
	invitation := &Invitation{
		TenantID: tenant.ID, Email: email, Role: role, TokenHash: hashToken(text), InvitedBy: c.ID(),
		CreatedAt: now, ExpiresAt: now.Add(a.opts.InviteFor),
	}
	if err := tx.InsertInvitation(ctx, invitation); err != nil {
		return nil, err
	}
	mail := &QueuedMail{
		TenantID: tenant.ID, CreatedAt: now, NextAt: now,
		Mail: Mail{
			To:      email,
			Subject: fmt.Sprintf("You are invited to %s on %s", tenant.Name, a.opts.Brand),
			Text: fmt.Sprintf("You are invited to join %s on %s as %s.\n\nFollow this link; it is good for %s:\n\n%s\n",
				tenant.Name, a.opts.Brand, role, spell(a.opts.InviteFor), a.link("invitation", text)),
		},
	}
	if err := tx.QueueMail(ctx, mail); err != nil {
		return nil, err
	}
	entry := c.entry(tenant.ID, "invitation.created", "invitation", invitation.ID, now).changed(nil, invitation)
	return invitation, tx.InsertAudit(ctx, &entry)
}

// RevokeInvitation makes an invitation's link useless.
func (a *Accounts) RevokeInvitation(ctx context.Context, c Caller, tenantRef, id string) error {
	return a.write(ctx, "revoke an invitation", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActMembersWrite)
		if err != nil {
			return err
		}
		invitation, err := tx.Invitation(ctx, tenant.ID, id)
		if err != nil {
			return notFoundAs(err, "invitation")
		}
		if err := tx.DeleteInvitation(ctx, tenant.ID, id); err != nil {
			return err
		}
		entry := c.entry(tenant.ID, "invitation.revoked", "invitation", id, a.now()).changed(invitation, nil)
		return tx.InsertAudit(ctx, &entry)
	})
}

// openInvitation finds an invitation by the text of its link; it must have been
// sent to that address.
func openInvitation(ctx context.Context, r AccountReader, text, email string, now time.Time) (*Invitation, error) {
	invitation, err := r.InvitationByHash(ctx, hashToken(text))
	if errors.Is(err, ErrNotFound) {
		return nil, errBadLink
	}
	if err != nil {
		return nil, err
	}
	if !now.Before(invitation.ExpiresAt) {
		return nil, errBadLink
	}
	if invitation.Email != email {
		return nil, refusal(ErrForbidden, "invitation_for_another", "this invitation was sent to another address; sign in, or sign up, with that one")
	}
	return invitation, nil
}

// AcceptInvitation makes the signed-in user a member by the text of a link, and
// returns the tenant. Who has no account gives the text to [Accounts.SignUp].
func (a *Accounts) AcceptInvitation(ctx context.Context, c Caller, text string) (*Tenant, error) {
	if c.user == nil {
		return nil, ErrUnauthenticated
	}
	var tenant *Tenant
	err := a.write(ctx, "accept an invitation", func(tx AccountWriter) error {
		invitation, err := openInvitation(ctx, tx, text, c.user.Email, a.now())
		if err != nil {
			return err
		}
		if err := a.join(ctx, tx, c, invitation); err != nil {
			return err
		}
		tenant, err = tx.Tenant(ctx, invitation.TenantID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tenant, nil
}

// join turns an invitation into a membership of the caller's user.
func (a *Accounts) join(ctx context.Context, tx AccountWriter, c Caller, i *Invitation) error {
	tenant, err := tx.Tenant(ctx, i.TenantID)
	if err != nil {
		return errBadLink
	}
	if tenant.Status == TenantSuspended || tenant.Status == TenantClosing {
		return refusal(ErrForbidden, "tenant_"+string(tenant.Status), "this tenant is %s and takes no new members", tenant.Status)
	}
	if _, err := tx.Member(ctx, i.TenantID, c.user.ID); err == nil {
		return refusal(ErrExists, "already_member", "you are a member already")
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	now := a.now()
	if err := tx.DeleteInvitation(ctx, i.TenantID, i.ID); err != nil {
		return err
	}
	member := &Member{TenantID: i.TenantID, UserID: c.user.ID, Email: c.user.Email, Role: i.Role, CreatedAt: now}
	if err := tx.InsertMember(ctx, member); err != nil {
		return err
	}
	entry := c.entry(i.TenantID, "member.joined", "member", c.user.ID, now).changed(nil, member)
	return tx.InsertAudit(ctx, &entry)
}

// SetRole changes what a member may do.
func (a *Accounts) SetRole(ctx context.Context, c Caller, tenantRef, userID string, role Role) (*Member, error) {
	var member *Member
	err := a.write(ctx, "change a role", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActMembersWrite)
		if err != nil {
			return err
		}
		if member, err = tx.Member(ctx, tenant.ID, userID); err != nil {
			return notFoundAs(err, "member")
		}
		for _, r := range []Role{role, member.Role} { // both the new one and the one taken away
			if err := mayGrant(ctx, tx, c, tenant.ID, r); err != nil {
				return err
			}
		}
		if role != RoleOwner {
			if err := keepAnOwner(ctx, tx, member); err != nil {
				return err
			}
		}
		return a.setRole(ctx, tx, c, member, role)
	})
	if err != nil {
		return nil, err
	}
	return member, nil
}

func (a *Accounts) setRole(ctx context.Context, tx AccountWriter, c Caller, m *Member, role Role) error {
	before := *m
	m.Role = role
	if err := tx.UpdateMember(ctx, m); err != nil {
		return err
	}
	if !role.May(ActTokensWrite) {
		if err := a.dropTokens(ctx, tx, c, m); err != nil {
			return err
		}
	}
	entry := c.entry(m.TenantID, "member.role_changed", "member", m.UserID, a.now()).changed(before, *m)
	return tx.InsertAudit(ctx, &entry)
}

// dropTokens revokes the API tokens a member made and therefore knows: who may no
// longer make tokens must not go on by an old one.
func (a *Accounts) dropTokens(ctx context.Context, tx AccountWriter, c Caller, m *Member) error {
	list, err := tx.Tokens(ctx, m.TenantID)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].CreatedBy != m.UserID {
			continue
		}
		if err := a.deleteToken(ctx, tx, c, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// keepAnOwner refuses to take the last owner away.
func keepAnOwner(ctx context.Context, r AccountReader, m *Member) error {
	if m.Role != RoleOwner {
		return nil
	}
	members, err := r.Members(ctx, m.TenantID)
	if err != nil {
		return err
	}
	for _, other := range members {
		if other.Role == RoleOwner && other.UserID != m.UserID {
			return nil
		}
	}
	return refusal(ErrConflict, "last_owner", "a tenant needs an owner: make another member owner first, or delete the tenant")
}

// RemoveMember takes somebody out of a tenant; anybody may take themselves out.
// The last owner cannot go.
func (a *Accounts) RemoveMember(ctx context.Context, c Caller, tenantRef, userID string) error {
	return a.write(ctx, "remove a member", func(tx AccountWriter) error {
		act := ActMembersWrite
		leaving := c.user != nil && c.user.ID == userID
		if leaving {
			act = ActMembersRead
		}
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", act)
		if err != nil {
			return err
		}
		member, err := tx.Member(ctx, tenant.ID, userID)
		if err != nil {
			return notFoundAs(err, "member")
		}
		if !leaving {
			if err := mayGrant(ctx, tx, c, tenant.ID, member.Role); err != nil {
				return err
			}
		}
		if err := keepAnOwner(ctx, tx, member); err != nil {
			return err
		}
		if err := a.dropTokens(ctx, tx, c, member); err != nil {
			return err
		}
		if err := tx.DeleteMember(ctx, tenant.ID, userID); err != nil {
			return err
		}
		action := "member.removed"
		if leaving {
			action = "member.left"
		}
		entry := c.entry(tenant.ID, action, "member", userID, a.now()).changed(member, nil)
		return tx.InsertAudit(ctx, &entry)
	})
}

// TransferOwnership makes another member owner and the caller, an owner, admin.
func (a *Accounts) TransferOwnership(ctx context.Context, c Caller, tenantRef, userID string) error {
	return a.write(ctx, "transfer a tenant", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActOwners)
		if err != nil {
			return err
		}
		if c.user == nil {
			return refusal(ErrForbidden, "owners_only", "an owner transfers their own place; set the role of a member instead")
		}
		if c.user.ID == userID {
			return &InvalidError{"user_id", "must be another member, not yourself"}
		}
		successor, err := tx.Member(ctx, tenant.ID, userID)
		if err != nil {
			return notFoundAs(err, "member")
		}
		own, err := tx.Member(ctx, tenant.ID, c.user.ID)
		if err != nil {
			return notFoundAs(err, "member")
		}
		if err := a.setRole(ctx, tx, c, successor, RoleOwner); err != nil {
			return err
		}
		return a.setRole(ctx, tx, c, own, RoleAdmin)
	})
}

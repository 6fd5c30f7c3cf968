package adminapi

import (
	"tidewire/tenants"
)

func (a *API) memberRoutes() []Route {
	return []Route{
		ofTenant("members.list", get, "/members", tenants.ActMembersRead, 200, "The people of a tenant").with(nil, tenants.Member{}, a.members).list(),
		ofTenant("members.update", patch, "/members/{user}", tenants.ActMembersWrite, 200, "Change what a member may do").with(roleBody{}, tenants.Member{}, a.setRole),
		// Anybody may take themselves out: the rules tell the two apart.
		ofTenant("members.remove", del, "/members/{user}", tenants.ActMembersRead, 204, "Remove a member, or leave").with(nil, nil, a.removeMember),
		ofTenant("ownership.transfer", post, "/ownership", tenants.ActOwners, 204, "Make another member owner, and oneself admin").with(successorBody{}, nil, a.transferOwnership),
		ofTenant("invitations.list", get, "/invitations", tenants.ActMembersRead, 200, "The open invitations").with(nil, tenants.Invitation{}, a.invitations).list(),
		ofTenant("invitations.create", post, "/invitations", tenants.ActMembersWrite, 201, "Invite somebody by mail").with(invitationBody{}, tenants.Invitation{}, a.invite),
		ofTenant("invitations.revoke", del, "/invitations/{invitation}", tenants.ActMembersWrite, 204, "Take an invitation back").with(nil, nil, a.revokeInvitation),
	}
}

func (a *API) members(r *Request) (*Reply, error) {
	list, err := a.cfg.Accounts.Members(r.Context(), r.Caller, r.Tenant.ID)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(m *tenants.Member) string { return byAge(m.CreatedAt, m.UserID) }), nil
}

type roleBody struct {
	Role tenants.Role `json:"role" api:"required"`
}

func (a *API) setRole(r *Request) (*Reply, error) {
	var in roleBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	member, err := a.cfg.Accounts.SetRole(r.Context(), r.Caller, r.Tenant.ID, r.Param("user"), in.Role)
	return &Reply{Body: member}, err
}

func (a *API) removeMember(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.RemoveMember(r.Context(), r.Caller, r.Tenant.ID, r.Param("user"))
}

type successorBody struct {
	UserID string `json:"user_id" api:"required"`
}

func (a *API) transferOwnership(r *Request) (*Reply, error) {
	var in successorBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return nil, a.cfg.Accounts.TransferOwnership(r.Context(), r.Caller, r.Tenant.ID, in.UserID)
}

func (a *API) invitations(r *Request) (*Reply, error) {
	list, err := a.cfg.Accounts.Invitations(r.Context(), r.Caller, r.Tenant.ID)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(i *tenants.Invitation) string { return byAge(i.CreatedAt, i.ID) }), nil
}

type invitationBody struct {
	Email string       `json:"email" api:"required"`
	Role  tenants.Role `json:"role" api:"required"`
}

func (a *API) invite(r *Request) (*Reply, error) {
	var in invitationBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	invitation, err := a.cfg.Accounts.Invite(r.Context(), r.Caller, r.Tenant.ID, in.Email, in.Role)
	return &Reply{Body: invitation}, err
}

func (a *API) revokeInvitation(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.RevokeInvitation(r.Context(), r.Caller, r.Tenant.ID, r.Param("invitation"))
}

package adminapi

import (
	"tidewire/tenants"
)

func (a *API) accountRoutes() []Route {
	return []Route{
		row("installation.get", get, "/installation", Public, 200, "What a page for signing up must know").with(nil, Installation{}, a.installation),
		row("signup.create", post, "/signup", Public, 202, "Make an account, and a tenant with it").with(signUpBody{}, acceptedView{}, a.signUp),
		row("verification.confirm", post, "/verify", Public, 200, "Confirm an address by the link that was mailed").with(linkBody{}, tenants.User{}, a.verify),
		row("verification.resend", post, "/verify/resend", Person, 202, "Mail a new confirmation link").with(nil, acceptedView{}, a.resendVerification),
		row("password.request_reset", post, "/password-reset", Public, 202, "Mail a link to set a new password").with(emailBody{}, acceptedView{}, a.requestReset),
		row("password.reset", post, "/password-reset/confirm", Public, 204, "Set a new password by a link; ends every session").with(resetBody{}, nil, a.resetPassword),
		row("password.change", post, "/me/password", Person, 204, "Change the own password; ends the other sessions").with(changePasswordBody{}, nil, a.changePassword),
		row("me.get", get, "/me", SignedIn, 200, "Who is asking, and where they belong").with(nil, meView{}, a.me),
		row("invitations.accept", post, "/invitations/accept", Person, 200, "Join a tenant by the link of an invitation").with(linkBody{}, tenants.Tenant{}, a.acceptInvitation),
	}
}

// acceptedView answers what goes on by mail. It is the same whatever is known of
// the address.
type acceptedView struct {
	Status string `json:"status"`
	Next   string `json:"next"` // what to do now
}

func accepted(next string) (*Reply, error) {
	return &Reply{Body: acceptedView{"accepted", next}}, nil
}

func (a *API) installation(*Request) (*Reply, error) {
	return &Reply{Body: a.cfg.Installation}, nil
}

type signUpBody struct {
	Email      string `json:"email" api:"required"`
	Password   string `json:"password" api:"required"`
	TenantName string `json:"tenant_name"` // left out: made from the address
	Name       string `json:"name"`
	Terms      string `json:"terms"`      // the version that was accepted, where there are terms
	Invitation string `json:"invitation"` // the token of an invitation's link
	Setup      string `json:"setup"`      // the token of the first start's link
}

func (a *API) signUp(r *Request) (*Reply, error) {
	var in signUpBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	err := a.cfg.Accounts.SignUp(r.Context(), r.Meta, tenants.SignUp{
		Email: in.Email, Password: tenants.NewSecret(in.Password), TenantName: in.TenantName, Name: in.Name,
		Terms: in.Terms, Invitation: in.Invitation, Setup: in.Setup,
	})
	if err != nil {
		return nil, err
	}
	return accepted("sign in with POST /api/v1/sessions, and follow the link in the mail to leave the sandbox")
}

// linkBody is the token of a link that was mailed.
type linkBody struct {
	Token string `json:"token" api:"required"`
}

func (a *API) verify(r *Request) (*Reply, error) {
	var in linkBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	user, err := a.cfg.Accounts.Verify(r.Context(), r.Meta, in.Token)
	return &Reply{Body: user}, err
}

func (a *API) resendVerification(r *Request) (*Reply, error) {
	if err := a.cfg.Accounts.ResendVerification(r.Context(), r.Caller); err != nil {
		return nil, err
	}
	return accepted("follow the link in the mail")
}

type emailBody struct {
	Email string `json:"email" api:"required"`
}

func (a *API) requestReset(r *Request) (*Reply, error) {
	var in emailBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := a.cfg.Accounts.RequestReset(r.Context(), r.Meta, in.Email); err != nil {
		return nil, err
	}
	return accepted("if there is an account for this address, a mail with a link is on its way")
}

type resetBody struct {
	Token    string `json:"token" api:"required"`
	Password string `json:"password" api:"required"`
}

func (a *API) resetPassword(r *Request) (*Reply, error) {
	var in resetBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return nil, a.cfg.Accounts.Reset(r.Context(), r.Meta, in.Token, tenants.NewSecret(in.Password))
}

type changePasswordBody struct {
	CurrentPassword string `json:"current_password" api:"required"`
	NewPassword     string `json:"new_password" api:"required"`
}

func (a *API) changePassword(r *Request) (*Reply, error) {
	var in changePasswordBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return nil, a.cfg.Accounts.ChangePassword(r.Context(), r.Caller, tenants.NewSecret(in.CurrentPassword), tenants.NewSecret(in.NewPassword))
}

// meView is who asks: a person, or a program with a token.
type meView struct {
	Kind    tenants.ActorKind    `json:"kind"` // user or token
	User    *tenants.User        `json:"user,omitempty"`
	Session *tenants.Session     `json:"session,omitempty"`
	Token   *tenants.Token       `json:"token,omitempty"`
	Tenants []tenants.Membership `json:"tenants"` // the role of a token is empty: its scopes count
}

func (a *API) me(r *Request) (*Reply, error) {
	list, err := a.memberships(r)
	if err != nil {
		return nil, err
	}
	return &Reply{Body: meView{r.Caller.Kind(), r.Caller.User(), r.Caller.Session(), r.Caller.Token(), list}}, nil
}

// memberships are the tenants of a person, or the one of a token.
func (a *API) memberships(r *Request) ([]tenants.Membership, error) {
	if token := r.Caller.Token(); token != nil {
		tenant, err := a.cfg.Accounts.Tenant(r.Context(), r.Caller, token.TenantID)
		if err != nil {
			return nil, err
		}
		return []tenants.Membership{{Tenant: *tenant}}, nil
	}
	return a.cfg.Accounts.Memberships(r.Context(), r.Caller)
}

func (a *API) acceptInvitation(r *Request) (*Reply, error) {
	var in linkBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	tenant, err := a.cfg.Accounts.AcceptInvitation(r.Context(), r.Caller, in.Token)
	return &Reply{Body: tenant}, err
}

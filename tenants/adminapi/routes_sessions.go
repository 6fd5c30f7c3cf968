package adminapi

import (
	"tidewire/tenants"
)

func (a *API) sessionRoutes() []Route {
	return []Route{
		row("sessions.create", post, "/sessions", Public, 201, "Sign in; the session is in a cookie no script can read").with(logInBody{}, loggedInView{}, a.logIn),
		row("sessions.create_by_link", post, "/sessions/link", Public, 201, "Sign in by a link that the command line printed").with(linkBody{}, loggedInView{}, a.logInByLink),
		row("sessions.list", get, "/sessions", Person, 200, "The own sessions").with(nil, tenants.Session{}, a.sessions).list(),
		row("sessions.revoke_others", del, "/sessions", Person, 204, "End every own session but this one").with(nil, nil, a.revokeOtherSessions),
		row("sessions.end", del, "/sessions/current", Person, 204, "Sign out").with(nil, nil, a.logOut),
		row("sessions.revoke", del, "/sessions/{session}", Person, 204, "End one of the own sessions").with(nil, nil, a.revokeSession),
	}
}

type logInBody struct {
	Email    string `json:"email" api:"required"`
	Password string `json:"password" api:"required"`
}

type loggedInView struct {
	User    *tenants.User    `json:"user"`
	Session *tenants.Session `json:"session"`
}

func (a *API) logIn(r *Request) (*Reply, error) {
	var in logInBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	token, session, user, err := a.cfg.Accounts.LogIn(r.Context(), r.Meta, in.Email, tenants.NewSecret(in.Password))
	return loggedIn(r, token, session, user, err)
}

func (a *API) logInByLink(r *Request) (*Reply, error) {
	var in linkBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	token, session, user, err := a.cfg.Accounts.LogInByLink(r.Context(), r.Meta, in.Token)
	return loggedIn(r, token, session, user, err)
}

func loggedIn(r *Request, token string, session *tenants.Session, user *tenants.User, err error) (*Reply, error) {
	if err != nil {
		return nil, err
	}
	return &Reply{Body: loggedInView{user, session}, Cookie: sessionCookie(token, session.ExpiresAt, r.secure)}, nil
}

func (a *API) sessions(r *Request) (*Reply, error) {
	list, err := a.cfg.Accounts.Sessions(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(s *tenants.Session) string { return byAge(s.CreatedAt, s.ID) }), nil
}

func (a *API) logOut(r *Request) (*Reply, error) {
	return &Reply{Cookie: noSessionCookie(r.secure)}, a.cfg.Accounts.LogOut(r.Context(), r.Caller)
}

func (a *API) revokeSession(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.RevokeSession(r.Context(), r.Caller, r.Param("session"))
}

func (a *API) revokeOtherSessions(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.RevokeOtherSessions(r.Context(), r.Caller)
}

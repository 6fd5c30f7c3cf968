package adminapi

import (
	"time"

	"tidewire/tenants"
)

func (a *API) tokenRoutes() []Route {
	return []Route{
		ofTenant("tokens.list", get, "/tokens", tenants.ActTokensRead, 200, "The API tokens of a tenant").with(nil, tenants.Token{}, a.tokens).list(),
		ofTenant("tokens.create", post, "/tokens", tenants.ActTokensWrite, 201, "Make an API token; its text is shown this once").with(tokenBody{}, newTokenView{}, a.createToken),
		ofTenant("tokens.revoke", del, "/tokens/{token}", tenants.ActTokensWrite, 204, "Revoke an API token, at once on every node").with(nil, nil, a.revokeToken),
	}
}

func (a *API) tokens(r *Request) (*Reply, error) {
	list, err := a.cfg.Accounts.Tokens(r.Context(), r.Caller, r.Tenant.ID)
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(t *tenants.Token) string { return byAge(t.CreatedAt, t.ID) }), nil
}

type tokenBody struct {
	Name      string          `json:"name" api:"required"`
	Scopes    []tenants.Scope `json:"scopes" api:"required"`
	Apps      []tenants.AppID `json:"apps"`       // left out: every app of the tenant
	ExpiresAt time.Time       `json:"expires_at"` // left out: never
}

type newTokenView struct {
	*tenants.Token
	Text string `json:"token"` // shown this once: Authorization: Bearer twk_…
}

func (a *API) createToken(r *Request) (*Reply, error) {
	var in tokenBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	text, token, err := a.cfg.Accounts.CreateToken(r.Context(), r.Caller, r.Tenant.ID, tenants.NewToken{
		Name: in.Name, Scopes: in.Scopes, Apps: in.Apps, ExpiresAt: in.ExpiresAt,
	})
	if err != nil {
		return nil, err
	}
	return &Reply{Body: newTokenView{token, text}}, nil
}

func (a *API) revokeToken(r *Request) (*Reply, error) {
	return nil, a.cfg.Accounts.RevokeToken(r.Context(), r.Caller, r.Tenant.ID, r.Param("token"))
}

package tenants

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// maxTokenApps bounds the apps a token is restricted to.
const maxTokenApps = 100

// NewToken is what it takes to make an API token.
type NewToken struct {
	Name      string
	Scopes    []Scope
	Apps      []AppID   // empty = every app of the tenant
	ExpiresAt time.Time // zero = never
}

// CreateToken makes an API token. The text is shown this once and kept nowhere.
func (a *Accounts) CreateToken(ctx context.Context, c Caller, tenantRef string, n NewToken) (text string, _ *Token, err error) {
	now := a.now()
	if err := validateName("name", n.Name); err != nil {
		return "", nil, err
	}
	if err := checkScopes(n.Scopes); err != nil {
		return "", nil, err
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		return "", nil, &InvalidError{"expires_at", "must lie in the future; leave it out for a token that does not expire"}
	}
	if len(n.Apps) > maxTokenApps {
		return "", nil, &InvalidError{"apps", fmt.Sprintf("must name at most %d apps; leave it out for all", maxTokenApps)}
	}
	text = newTokenText()
	token := &Token{
		Name: n.Name, TokenHash: hashToken(text), Prefix: text[:tokenShown], Last4: text[len(text)-4:],
		Scopes: slices.Clone(n.Scopes), Apps: slices.Clone(n.Apps), CreatedBy: c.ID(), CreatedAt: now,
		ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
	if token.Apps == nil {
		token.Apps = []AppID{}
	}
	err = a.write(ctx, "create a token", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActTokensWrite)
		if err != nil {
			return err
		}
		token.TenantID = tenant.ID
		if err := a.checkNewToken(ctx, tx, tenant, token); err != nil {
			return err
		}
		if err := tx.InsertToken(ctx, token); err != nil {
			return err
		}
		entry := c.entry(tenant.ID, "token.created", "token", token.ID, now).changed(nil, token)
		return tx.InsertAudit(ctx, &entry)
	})
	if err != nil {
		return "", nil, err
	}
	return text, token, nil
}

func (a *Accounts) checkNewToken(ctx context.Context, tx AccountWriter, tenant *Tenant, t *Token) error {
	for _, app := range t.Apps {
		if _, err := tx.App(ctx, tenant.ID, app); err != nil {
			return notFoundAs(err, "app")
		}
	}
	list, err := tx.Tokens(ctx, tenant.ID)
	if err != nil {
		return err
	}
	plan, err := tx.Plan(ctx, tenant.PlanInForce())
	if err != nil {
		return err
	}
	return room(plan, "max_tokens", len(list), plan.Effective().MaxTokens)
}

// Tokens lists the API tokens of a tenant, the oldest first.
func (a *Accounts) Tokens(ctx context.Context, c Caller, tenantRef string) ([]Token, error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActTokensRead)
	if err != nil {
		return nil, err
	}
	list, err := a.store.Tokens(ctx, tenant.ID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// RevokeToken makes an API token useless at once, on every node.
func (a *Accounts) RevokeToken(ctx context.Context, c Caller, tenantRef, id string) error {
	return a.write(ctx, "revoke a token", func(tx AccountWriter) error {
		tenant, c, err := a.authorize(ctx, tx, c, tenantRef, "", ActTokensWrite)
		if err != nil {
			return err
		}
		token, err := tx.Token(ctx, tenant.ID, id)
		if err != nil {
			return notFoundAs(err, "token")
		}
		return a.deleteToken(ctx, tx, c, token)
	})
}

func (a *Accounts) deleteToken(ctx context.Context, tx AccountWriter, c Caller, t *Token) error {
	if err := tx.DeleteToken(ctx, t.TenantID, t.ID); err != nil {
		return err
	}
	entry := c.entry(t.TenantID, "token.revoked", "token", t.ID, a.now()).changed(t, nil)
	return tx.InsertAudit(ctx, &entry)
}

// TokenCaller returns whom an API token speaks for. One that is malformed,
// unknown, expired or revoked gives [ErrUnauthenticated].
func (a *Accounts) TokenCaller(ctx context.Context, text string, m Meta) (Caller, error) {
	if !WellFormedToken(text) {
		return Caller{}, ErrUnauthenticated
	}
	token, err := a.store.TokenByHash(ctx, hashToken(text))
	if err != nil {
		return Caller{}, unauthenticatedIfMissing("read the token", err)
	}
	now := a.now()
	if !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
		return Caller{}, ErrUnauthenticated
	}
	if now.Sub(token.LastUsedAt) >= seenEvery {
		if err := a.store.TouchToken(ctx, token.ID, now); err != nil {
			return Caller{}, fmt.Errorf("note the use of a token: %w", err)
		}
		token.LastUsedAt = now
	}
	return Caller{Meta: m, kind: ActorToken, token: token}, nil
}

package tenants

import (
	"context"
	"errors"
)

// StillMay is [Accounts.AuthorizeApp] for somebody who was let in before and is
// known by [Caller.ID] only: meanwhile a member may have been removed, a token
// deleted, a tenant suspended. It is told by [ErrUnauthenticated] or a [*Refusal];
// with any other error it cannot be told.
func (a *Accounts) StillMay(ctx context.Context, id string, app AppID, act Action) error {
	c, err := a.known(ctx, id, app)
	if err != nil {
		return err
	}
	_, err = a.AuthorizeApp(ctx, c, app, act)
	return err
}

// known makes the caller anew from its id.
func (a *Accounts) known(ctx context.Context, id string, app AppID) (Caller, error) {
	user, err := a.store.User(ctx, id)
	if err == nil {
		return Caller{kind: ActorUser, user: user}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Caller{}, err
	}
	owner, err := a.store.AppOwner(ctx, app)
	if err != nil {
		return Caller{}, notFoundAs(err, "app")
	}
	token, err := a.store.Token(ctx, owner, id)
	if err != nil {
		return Caller{}, unauthenticatedIfMissing("read the token", err)
	}
	if !token.ExpiresAt.IsZero() && !a.now().Before(token.ExpiresAt) {
		return Caller{}, ErrUnauthenticated
	}
	return Caller{kind: ActorToken, token: token}, nil
}

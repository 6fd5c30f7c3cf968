package channels

import (
	"context"
	"fmt"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// maxWatchlist is how many users one connection may watch (Pusher, "Watchlist events").
const maxWatchlist = 100

// userTopicPrefix starts the names of the internal topics that stand for one
// user each. No client can subscribe to such a name.
const userTopicPrefix = "#user-"

func userTopic(app tenants.AppID, id string) Topic {
	return Topic{App: app, Channel: userTopicPrefix + id}
}

// signedIn is the user of one connection.
type signedIn struct {
	id    string
	info  []byte
	watch []*watched
}

// signin is the answer to pusher:signin.
func (c *Conn) signin(ctx context.Context, data []byte) error {
	var req wire.Signin
	if err := wire.DecodeSignin(data, &req); err != nil {
		return complain(console.MessageMalformed, "Invalid sign-in message: %v", err)
	}
	app := c.app()
	if err := tenants.VerifyUserAuth(app, req.Auth, string(c.id), req.UserData); err != nil {
		return complainOf(err, console.AuthMalformed)
	}
	id, info, watchlist, err := wire.DecodeUserData(req.UserData)
	if err != nil {
		return complainOf(err, console.UserDataInvalid)
	}
	if c.user != nil && c.user.id != id {
		return complain(console.SignedInAsAnother, "Connection already signed in as user %s", c.user.id)
	}
	if c.user == nil {
		c.user = &signedIn{id: id, info: info}
		if err := c.hub.userArrived(ctx, c); err != nil {
			c.user = nil
			return fmt.Errorf("sign in: %w", err)
		}
	}
	c.authorized()
	c.note(console.Entry{Code: console.SignedIn, User: id})
	c.line.Send(fanout.NewText(wire.AppendSigninSuccess(room(96+2*len(req.UserData)), req.UserData)))
	if !app.Settings.WatchlistEvents || len(watchlist) == 0 || c.user.watch != nil {
		return nil
	}
	return c.watch(ctx, watchlist)
}

// watch makes the connection hear of the users named, and tells it how they are.
func (c *Conn) watch(ctx context.Context, ids []string) error {
	tooMany := len(ids) > maxWatchlist
	if tooMany {
		ids = ids[:maxWatchlist]
	}
	if err := c.hub.watch(ctx, c, ids); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if tooMany {
		return &complaint{code: CodeWatchlistLimit, reason: console.WatchlistLimit, message: "Watchlist limit exceeded. Only the first 100 user IDs are accepted."}
	}
	return nil
}

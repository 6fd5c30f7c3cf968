package channels

import (
	"context"
	"errors"
	"sync"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// EventAuth is what a client sends to show a token on an open connection: a new
// connection token or, with a channel, a new token for that subscription. It is
// answered by EventAuthSuccess; a token that is refused changes nothing.
const (
	EventAuth        = "tidewire:auth"
	EventAuthSuccess = "tidewire:auth_success"
)

// standing is what a subscription rests on.
type standing uint8

const (
	onSignature  standing = iota // an HMAC, or a channel that needs none
	onConnection                 // the token of the connection
	onChannel                    // a token of its own
)

// tokens are the tokens a connection rests on. Only connections that showed one
// have it.
//
// Each token lasts until its deadline. At that of the connection token the
// connection is closed with [CodeUnauthorized]: the client has to come with
// another one. At that of a channel token it is closed with [CodeReconnect]:
// Pusher clients come back at once and ask their endpoint for new ones, while
// after any 40xx they would give up for good.
type tokens struct {
	mu       sync.Mutex                    // the reading side changes the rest, and may read it without
	conn     *tenants.JWTClaims            // nil for none
	channels map[string]*tenants.JWTClaims // by channel
	timer    *time.Timer                   // fires at the earliest deadline
	over     bool                          // the connection has ended, or is about to
}

// VerifyConnectToken checks the token a client connects with; the claims are
// for [Conn.Authenticate]. The refusal says why it may not come in.
func (h *Hub) VerifyConnectToken(ctx context.Context, app *tenants.App, token string) (*tenants.JWTClaims, *Refusal) {
	claims, err := h.verifyToken(ctx, app, token)
	if err == nil {
		err = connectionClaims(app, claims, "")
	}
	if err != nil {
		return nil, h.tokenRefusal(ctx, app, err)
	}
	return claims, nil
}

func (h *Hub) verifyToken(ctx context.Context, app *tenants.App, token string) (*tenants.JWTClaims, error) {
	if h.cfg.JWT == nil {
		return nil, tenants.RefuseJWT("this server accepts no tokens")
	}
	return h.cfg.JWT.Verify(ctx, app, token)
}

// tokenRefusal turns an error of a token into the reason to close. Not knowing
// is never a no: the client comes back.
func (h *Hub) tokenRefusal(ctx context.Context, app *tenants.App, err error) *Refusal {
	var refused *tenants.JWTError
	if errors.As(err, &refused) {
		return &Refusal{Code: CodeUnauthorized, Message: refused.Error(), Reason: reasonOf(refused, console.TokenNotForThis)}
	}
	h.log.WarnContext(ctx, "token not checked", "app", app.ID, "error", err)
	return Unknown()
}

// connectionClaims says why claims cannot be those of the connection id, which
// is empty before it has one.
func connectionClaims(app *tenants.App, c *tenants.JWTClaims, id SocketID) error {
	switch {
	case c.Channel != "":
		return tenants.RefuseJWT("it is for one channel; send it as auth when subscribing, or use channels instead of channel")
	case c.SocketID != "" && c.SocketID != string(id):
		return tenants.RefuseJWT("its socket_id is not the one of this connection")
	case !wire.ValidUserID(c.Subject):
		return tenants.RefuseJWT("sub must be the user's id, 1 to 128 of A-Z a-z 0-9 _ - = @ , . ;")
	}
	return checkInfo(app, c)
}

func checkInfo(app *tenants.App, c *tenants.JWTClaims) error {
	if c.Info == nil {
		return nil
	}
	if limit := app.Limits.Effective().MaxPresenceInfoBytes; len(c.Info) > limit {
		return tenants.RefuseJWT("info has more than the " + itoa(limit) + " bytes that this app allows (max_presence_info_bytes)")
	}
	if _, err := wire.ParseObject(c.Info, nil); err != nil {
		return tenants.RefuseJWT("info must be an object that others can be sent: " + err.Error())
	}
	return nil
}

// Authenticate makes a connection just opened rest on the token it came with.
// If that cannot be, the connection is closed. The reading side calls it.
func (c *Conn) Authenticate(ctx context.Context, claims *tenants.JWTClaims) {
	if err := c.adopt(ctx, claims); err != nil {
		var known *complaint
		if errors.As(err, &known) {
			c.Close(&Refusal{Code: CodeUnauthorized, Message: known.message, Reason: known.reason})
			return
		}
		c.Close(c.hub.tokenRefusal(ctx, c.app(), err))
	}
}

// auth is the answer to tidewire:auth.
func (c *Conn) auth(ctx context.Context, data []byte) error {
	token, channel, err := decodeAuth(data)
	if err != nil {
		return complain(console.MessageMalformed, "Invalid %s message: %v", EventAuth, err)
	}
	claims, err := c.hub.verifyToken(ctx, c.app(), token)
	switch {
	case err != nil:
	case channel != "":
		err = c.refreshChannel(ctx, channel, claims)
	default:
		if err = connectionClaims(c.app(), claims, c.id); err == nil {
			err = c.adopt(ctx, claims)
		}
	}
	return tokenComplaint(err)
}

// tokenComplaint is for a connection that stays open although a token was refused.
func tokenComplaint(err error) error {
	var refused *tenants.JWTError
	if errors.As(err, &refused) {
		return &complaint{code: CodeUnauthorized, message: refused.Error(), reason: reasonOf(refused, console.TokenNotForThis)}
	}
	return err
}

func decodeAuth(data []byte) (token, channel string, err error) {
	const want = wire.FormatError(`data must be an object with token, a string, and for a channel's token channel, a string`)
	if !wire.IsObject(data) {
		return "", "", want
	}
	fields, err := wire.ParseObject(data, nil)
	if err != nil {
		return "", "", err
	}
	raw, _ := wire.Get(fields, "token")
	token, ok := wire.String(raw)
	if !ok {
		return "", "", want
	}
	if raw, there := wire.Get(fields, "channel"); there && !wire.IsNull(raw) {
		if channel, ok = wire.String(raw); !ok || channel == "" {
			return "", "", want
		}
	}
	return token, channel, nil
}

// adopt makes the connection rest on verified claims, in place of those it had:
// it signs the user in, and ends the subscriptions that the new ones do not allow.
func (c *Conn) adopt(ctx context.Context, claims *tenants.JWTClaims) error {
	if err := c.tokenUser(ctx, claims); err != nil {
		return err
	}
	c.authorized()
	if c.hold(ctx, "", claims) {
		c.note(console.Entry{Code: console.TokenAccepted, User: claims.Subject})
		c.line.Send(authSuccessFrame(claims, "", c.leaveDisallowed(ctx, claims)))
	}
	return nil
}

// tokenUser signs the connection in as the user of the claims.
func (c *Conn) tokenUser(ctx context.Context, claims *tenants.JWTClaims) error {
	if c.user != nil {
		if c.user.id != claims.Subject {
			return complain(console.SignedInAsAnother, "Connection already signed in as user %s", c.user.id)
		}
		c.user.info = claims.Info
		return nil
	}
	c.user = &signedIn{id: claims.Subject, info: claims.Info}
	if err := c.hub.userArrived(ctx, c); err != nil {
		c.user = nil
		return err
	}
	return nil
}

// leaveDisallowed ends the subscriptions that rest on the connection's token
// and that claims do not allow.
func (c *Conn) leaveDisallowed(ctx context.Context, claims *tenants.JWTClaims) []string {
	var left []string
	for i := 0; i < len(c.subs); {
		s := &c.subs[i]
		if s.rests != onConnection || allowsSubscribing(claims, s.channel.kind, s.channel.topic.Channel) {
			i++
			continue
		}
		left = append(left, s.channel.topic.Channel)
		c.leaveAt(ctx, i)
	}
	return left
}

// refreshChannel puts claims in the place of those a subscription rests on.
func (c *Conn) refreshChannel(ctx context.Context, channel string, claims *tenants.JWTClaims) error {
	i := c.find(channel)
	if i < 0 || c.subs[i].rests != onChannel {
		return tenants.RefuseJWT("this connection has no subscription by token to that channel; subscribe with the token as auth")
	}
	s := &c.subs[i]
	if err := c.channelClaims(s.channel.kind, channel, claims); err != nil {
		return err
	}
	if s.userID != "" && s.userID != claims.Subject {
		return tenants.RefuseJWT("its sub is not the user who is subscribed; unsubscribe first")
	}
	if c.hold(ctx, channel, claims) {
		c.line.Send(authSuccessFrame(claims, channel, nil))
	}
	return nil
}

func authSuccessFrame(c *tenants.JWTClaims, channel string, left []string) *fanout.Frame {
	inner := append([]byte(`{"user_id":`), wire.Quote(nil, c.Subject)...)
	inner = append(inner, `,"expires_at":`+itoa(int(c.ExpiresAt.Unix()))...)
	if channel != "" {
		inner = wire.Quote(append(inner, `,"channel":`...), channel)
	}
	inner = append(inner, `,"unsubscribed":[`...)
	for i, name := range left {
		if i > 0 {
			inner = append(inner, ',')
		}
		inner = wire.Quote(inner, name)
	}
	inner = append(inner, `]}`...)
	b := append(room(64+2*len(inner)), `{"event":"`+EventAuthSuccess+`","data":`...)
	b = append(wire.Quote(b, string(inner)), '}')
	return fanout.NewText(b)
}

package channels

import (
	"context"
	"errors"

	"tidewire/channels/console"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// allowed is what gives a connection the right to a subscription.
type allowed struct {
	rests  standing
	claims *tenants.JWTClaims // nil on a signature
}

// byChannelToken checks the right to subscribe by a token sent as auth.
func (c *Conn) byChannelToken(ctx context.Context, app *tenants.App, kind Kind, req *wire.Subscribe) (allowed, error) {
	claims, err := c.hub.verifyToken(ctx, app, req.Auth)
	if err == nil {
		err = c.channelClaims(kind, req.Channel, claims)
	}
	if err == nil {
		err = checkInfo(app, claims)
	}
	var refused *tenants.JWTError
	if errors.As(err, &refused) {
		return allowed{}, complain(reasonOf(refused, console.TokenNotForThis), "%v (subscribing to %s)", refused, req.Channel)
	}
	return allowed{onChannel, claims}, err
}

// channelClaims says why claims do not allow a subscription of this connection.
func (c *Conn) channelClaims(kind Kind, channel string, claims *tenants.JWTClaims) error {
	switch {
	case claims.Channel != "" && claims.Channel != channel:
		return tenants.RefuseJWT("its channel is another one")
	case claims.SocketID != "" && claims.SocketID != string(c.id):
		return tenants.RefuseJWT("its socket_id is not the one of this connection")
	case !allowsSubscribing(claims, kind, channel):
		return tenants.RefuseJWT("it does not allow " + neededFor(kind) + " on this channel; add that under channels or capabilities")
	case kind.Presence() && claims.Subject == "":
		return tenants.RefuseJWT("for a presence channel it must say in sub who the user is")
	}
	return nil
}

// byConnectionToken checks the right to subscribe without auth.
func (c *Conn) byConnectionToken(kind Kind, channel string) (allowed, error) {
	held := c.tokens.Load()
	if held == nil || held.conn == nil {
		return allowed{}, complain(console.AuthMissing, "Auth info required to subscribe to %s", channel)
	}
	if !allowsSubscribing(held.conn, kind, channel) {
		return allowed{}, complain(console.TokenCapability, "The token of this connection does not allow %s on %s. Add that to its channels and send it by %s, or subscribe with auth.", neededFor(kind), channel, EventAuth)
	}
	return allowed{onConnection, held.conn}, nil
}

func allowsSubscribing(claims *tenants.JWTClaims, kind Kind, channel string) bool {
	if kind.Presence() {
		return claims.Allows(channel, tenants.CapSubscribe|tenants.CapPresence)
	}
	return claims.Allows(channel, tenants.CapSubscribe)
}

func neededFor(kind Kind) string {
	if kind.Presence() {
		return "subscribe and presence"
	}
	return "subscribe"
}

// tokenMember says who a subscription of a presence channel is: the user of the
// token. channel_data is not signed then. Its user_id, which some clients need
// for themselves, must be the same; its user_info is not used.
func (c *Conn) tokenMember(req *wire.Subscribe, claims *tenants.JWTClaims) (*Member, error) {
	if req.HasChannelData {
		id, _, err := wire.DecodeChannelData(req.ChannelData)
		if err != nil {
			return nil, complainOf(err, console.ChannelDataInvalid)
		}
		if id != claims.Subject {
			return nil, complain(console.TokenUserMismatch, "The user_id in channel_data is not the sub of the token. Send the same, or leave channel_data out.")
		}
	}
	return &Member{UserID: claims.Subject, Info: claims.Info}, nil
}

// mayPublish says why the connection may not send client events on a channel it
// is in.
func (c *Conn) mayPublish(s *subscription) error { return c.mayDo(s, tenants.CapPublish) }

// mayDo says why the token behind a subscription, if it rests on one, does not
// allow more than to listen.
func (c *Conn) mayDo(s *subscription, what tenants.Capability) error {
	channel, held := s.channel.topic.Channel, c.tokens.Load()
	var claims *tenants.JWTClaims
	switch s.rests {
	case onSignature:
		return nil
	case onConnection:
		claims = held.conn
	case onChannel:
		claims = held.channels[channel]
	}
	if claims == nil || !claims.Allows(channel, what) {
		return complain(console.TokenCapability, "The token behind this subscription does not allow %s on %s. Add that to its capabilities.", what, channel)
	}
	return nil
}

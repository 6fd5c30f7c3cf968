package channels

import (
	"context"
	"errors"
	"fmt"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// subscribe is the answer to pusher:subscribe.
func (c *Conn) subscribe(ctx context.Context, data []byte) error {
	var req wire.Subscribe
	if err := wire.DecodeSubscribe(data, &req); err != nil {
		return complain(console.MessageMalformed, "Invalid subscribe message: %v", err)
	}
	return about(c.subscribeTo(ctx, &req), req.Channel, "")
}

func (c *Conn) subscribeTo(ctx context.Context, req *wire.Subscribe) error {
	kind, err := Classify(req.Channel)
	if err != nil {
		return complainOf(err, console.ChannelNameInvalid)
	}
	if c.find(req.Channel) >= 0 {
		return complain(console.AlreadySubscribed, "Existing subscription to channel %s", req.Channel)
	}
	app := c.app()
	if limit := app.Limits.Effective().MaxChannelsPerConnection; len(c.subs) >= limit {
		return complain(console.ChannelLimit, messageTooManyChannels, limit)
	}
	w, err := c.wishOf(req)
	if err != nil {
		return err
	}
	by, err := c.authorize(ctx, app, kind, req)
	if err != nil {
		return err
	}
	var m *Member
	if kind.Presence() {
		if m, err = c.memberOf(app, req, by); err != nil {
			return err
		}
	}
	return c.enter(ctx, Topic{App: app.ID, Channel: req.Channel}, app, m, by, &w)
}

// authorize checks the right to subscribe: the signature or token on private
// and presence channels, being that user on a server-to-user channel.
func (c *Conn) authorize(ctx context.Context, app *tenants.App, kind Kind, req *wire.Subscribe) (by allowed, err error) {
	switch {
	case kind.ServerToUser():
		if c.user == nil || c.user.id != ServerToUserID(req.Channel) {
			return by, complain(console.NotThatUser, "Only the user signed in as %s on this connection may subscribe to %s", ServerToUserID(req.Channel), req.Channel)
		}
		return by, nil
	case !kind.NeedsAuth():
		return by, nil
	case !req.HasAuth:
		by, err = c.byConnectionToken(kind, req.Channel)
	case tenants.LooksLikeJWT(req.Auth):
		by, err = c.byChannelToken(ctx, app, kind, req)
	default:
		if err = tenants.VerifyChannelAuth(app, req.Auth, string(c.id), req.Channel, req.ChannelData); err != nil {
			err = complainOf(err, console.AuthSignature)
		}
	}
	if err == nil {
		c.authorized()
	}
	return by, err
}

// memberOf says who the subscription of a presence channel is: the user of the
// token, or what the signed channel_data says, or else the signed-in user.
func (c *Conn) memberOf(app *tenants.App, req *wire.Subscribe, by allowed) (*Member, error) {
	var m Member
	switch {
	case by.claims != nil:
		return c.tokenMember(req, by.claims)
	case req.HasChannelData:
		id, info, err := wire.DecodeChannelData(req.ChannelData)
		if err != nil {
			return nil, complainOf(err, console.ChannelDataInvalid)
		}
		m = Member{UserID: id, Info: info}
	case c.user != nil:
		m = Member{UserID: c.user.id, Info: c.user.info}
	default:
		return nil, complain(console.ChannelDataMissing, "%s is a presence channel and subscription must include channel_data", req.Channel)
	}
	if limit := app.Limits.Effective().MaxPresenceInfoBytes; len(m.Info) > limit {
		return nil, complain(console.UserInfoTooLarge, "user_info has %d bytes, and this app allows %d (max_presence_info_bytes)", len(m.Info), limit)
	}
	return &m, nil
}

// enter makes the connection hear t. The client is told so before the first
// event, and every event published after that reaches it. m is who it is on a
// presence channel.
func (c *Conn) enter(ctx context.Context, t Topic, app *tenants.App, m *Member, by allowed, w *wish) error {
	ch, err := c.hub.registry.acquire(ctx, t)
	if err != nil {
		return fmt.Errorf("subscribe to broker: %w", err)
	}
	s := subscription{channel: ch, rests: by.rests}
	announce := app.Settings.SubscriptionCountEvents
	ch.count.announce.Store(announce)
	// Whoever was told to be on a channel is known to be there, even if this node is
	// killed the next moment. Not so where the count itself is told to the channel's
	// clients: it is to reach the new one too.
	if !announce {
		c.hub.count(ctx, ch, 1)
	}
	if err := c.join(ctx, &s, app, m, w); err != nil {
		if !announce {
			c.hub.count(ctx, ch, -1)
		}
		c.hub.registry.release(ch)
		if errors.Is(err, ErrFull) {
			return complain(console.PresenceFull, "%s has %d members, the most this app allows (max_presence_members)", t.Channel, app.Limits.Effective().MaxPresenceMembers)
		}
		return err
	}
	c.subs = append(c.subs, s)
	if by.rests == onChannel {
		c.hold(ctx, t.Channel, by.claims)
	}
	if announce {
		c.hub.count(ctx, ch, 1)
	}
	c.subscribed(t, s.userID)
	return nil
}

// join puts the connection into the channel's group, behind the frames that
// say how things stand at that moment.
func (c *Conn) join(ctx context.Context, s *subscription, app *tenants.App, m *Member, w *wish) error {
	ch := s.channel
	into := func(confirmation []byte, cached *fanout.Frame) {
		frames := append(make([]*fanout.Frame, 0, 2), fanout.NewText(confirmation))
		if cached != nil {
			frames = append(frames, cached)
		}
		s.member = c.line.Join(ch.group, frames...)
	}
	if c.serials {
		c.hub.prepare(ctx, c, ch, w)
		into = func(confirmation []byte, cached *fanout.Frame) {
			s.member = c.joinPast(ch, w, confirmation, cached)
		}
	}
	begin := func(confirmation []byte) { into(confirmation, nil) }
	if ch.cache != nil {
		kept, until, err := c.hub.keptFrame(ctx, ch.topic)
		if err != nil {
			return err
		}
		begin = func(confirmation []byte) {
			ch.cache.join(ch.topic.Channel, kept, until, c.hub.cacheMiss(ch.topic), func(cached *fanout.Frame) {
				into(confirmation, cached)
			})
		}
	}
	if c.serials { // where it stands, and what it hears from then on, must be one moment
		p, inner := c.hub.pastOf(ch), begin
		begin = func(confirmation []byte) {
			p.mu.Lock()
			defer p.mu.Unlock()
			inner(confirmation)
		}
	}
	if m == nil {
		begin(succeeded(ch.topic.Channel))
		return nil
	}
	s.userID = m.UserID
	return c.hub.attend(ctx, ch, *m, app.Limits.Effective().MaxPresenceMembers, begin)
}

// cacheMiss is what is to be done when the topic has no last event; nil = nothing.
func (h *Hub) cacheMiss(t Topic) func() {
	if !wanted(h.cfg.Observer, t.App, CacheMissed) {
		return nil
	}
	return func() { h.cfg.Observer.Observe(Change{Kind: CacheMissed, App: t.App, Channel: t.Channel}) }
}

// unsubscribe is the answer to pusher:unsubscribe: none, as the protocol has it,
// also for a channel the connection is not in.
func (c *Conn) unsubscribe(ctx context.Context, data []byte) error {
	channel, err := wire.DecodeUnsubscribe(data)
	if err != nil {
		return complain(console.MessageMalformed, "Invalid unsubscribe message: %v", err)
	}
	i := c.find(channel)
	if i >= 0 {
		c.leaveAt(ctx, i)
		c.note(console.Entry{Code: console.Unsubscribed, Channel: channel})
	}
	return nil
}

// leaveAt ends the subscription at place i; the last one takes its place.
func (c *Conn) leaveAt(ctx context.Context, i int) {
	s := c.subs[i]
	last := len(c.subs) - 1
	c.subs[i], c.subs[last] = c.subs[last], subscription{}
	c.subs = c.subs[:last]
	c.leave(ctx, &s)
}

// leave takes the connection out of a channel. What the presence engine cannot
// be told now it is told later.
func (c *Conn) leave(ctx context.Context, s *subscription) {
	s.member.Leave()
	c.gone(ctx, s)
}

// gone is what is left of leave for who hears nothing any more.
func (c *Conn) gone(ctx context.Context, s *subscription) {
	h := c.hub
	if s.rests == onChannel {
		c.letGo(s.channel.topic.Channel)
	}
	if s.userID != "" {
		if err := h.depart(ctx, s.channel, s.userID); err != nil {
			h.log.WarnContext(ctx, "member not removed yet", "app", s.channel.topic.App, "error", err)
		}
	}
	h.count(ctx, s.channel, -1)
	h.registry.release(s.channel)
}

// find returns the place of a channel among the connection's subscriptions, or
// -1. Connections are in few channels: a scan beats a map in memory and time.
func (c *Conn) find(channel string) int {
	for i := range c.subs {
		if c.subs[i].channel.topic.Channel == channel {
			return i
		}
	}
	return -1
}

package channels

import (
	"context"
	"fmt"

	"tidewire/channels/wire"
)

// subscribe is the answer to pusher:subscribe.
func (c *Conn) subscribe(ctx context.Context, data []byte) error {
	var req wire.Subscribe
	if err := wire.DecodeSubscribe(data, &req); err != nil {
		return complain("Invalid subscribe message: %v", err)
	}
	kind, err := Classify(req.Channel)
	if err != nil {
		return complain("%v", err)
	}
	if c.find(req.Channel) >= 0 {
		return complain("Existing subscription to channel %s", req.Channel)
	}
	app := c.app()
	if limit := app.Limits.Effective().MaxChannelsPerConnection; len(c.subs) >= limit {
		return complain(messageTooManyChannels, limit)
	}
	if kind.NeedsAuth() {
		return complain("Channel %s needs an authorization, and this server does not offer private and presence channels yet.", req.Channel)
	}
	return c.enter(ctx, Topic{App: app.ID, Channel: req.Channel})
}

// enter makes the connection hear t. The client is told so before the first
// event, and every event published after that reaches it.
func (c *Conn) enter(ctx context.Context, t Topic) error {
	ch, err := c.hub.registry.acquire(ctx, t)
	if err != nil {
		return fmt.Errorf("subscribe to broker: %w", err)
	}
	member := c.line.Join(ch.group, succeededFrame(t.Channel))
	c.subs = append(c.subs, &subscription{channel: ch, member: member})
	return nil
}

// unsubscribe is the answer to pusher:unsubscribe: none, as the protocol has it,
// also for a channel the connection is not in.
func (c *Conn) unsubscribe(data []byte) error {
	channel, err := wire.DecodeUnsubscribe(data)
	if err != nil {
		return complain("Invalid unsubscribe message: %v", err)
	}
	i := c.find(channel)
	if i < 0 {
		return nil
	}
	s := c.subs[i]
	last := len(c.subs) - 1
	c.subs[i], c.subs[last] = c.subs[last], nil
	c.subs = c.subs[:last]
	c.leave(s)
	return nil
}

func (c *Conn) leave(s *subscription) {
	s.member.Leave()
	c.hub.registry.release(s.channel)
}

// find returns the place of a channel among the connection's subscriptions, or
// -1. Connections are in few channels: a scan beats a map in memory and time.
func (c *Conn) find(channel string) int {
	for i, s := range c.subs {
		if s.channel.topic.Channel == channel {
			return i
		}
	}
	return -1
}

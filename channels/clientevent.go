package channels

import (
	"bytes"
	"context"
	"errors"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/wire"
)

// clientEvent relays an event of a client to the others on the channel.
func (c *Conn) clientEvent(ctx context.Context, f *wire.ClientFrame) error {
	return about(c.relay(ctx, f), f.Channel, f.Event)
}

func (c *Conn) relay(ctx context.Context, f *wire.ClientFrame) error {
	app := c.app()
	switch {
	case !app.Settings.ClientEvents:
		return complain(console.ClientEventsOff, "To send client events, you must enable this feature in the settings of your app (client_events).")
	case !f.HasChannel || len(f.Data) == 0:
		return complain(console.ClientEventInvalid, "Invalid client event (must contain channel and data)")
	}
	if err := ValidEventName(f.Event); err != nil {
		return complainOf(err, console.EventNameInvalid)
	}
	i := c.find(f.Channel)
	if i < 0 {
		return complain(console.NotSubscribed, "Cannot broadcast client event (connection not subscribed to channel %.164s)", f.Channel)
	}
	s := &c.subs[i]
	if !s.channel.kind.AllowsClientEvents() {
		return complain(console.ChannelNotPrivate, "Client events are only possible on private and presence channels, and %s is neither", f.Channel)
	}
	if err := c.mayPublish(s); err != nil {
		return err
	}
	data := wire.AppendData(nil, f.Data)
	if limit := EventBytesLimit(app); wire.DecodedLen(data) > limit {
		return complain(console.ClientEventTooLarge, "The data content of this event exceeds the allowed maximum (%d bytes)", limit)
	}
	if rate := app.Limits.Effective().MaxClientEventsPerSecond; !c.events.spend(time.Now(), rate) {
		return &complaint{code: CodeClientEventRate, reason: console.ClientEventRate, message: "Client event rejected due to rate limit: this app allows " + itoa(rate) + " a second on one connection. Send fewer."}
	}
	observed := wanted(c.hub.cfg.Observer, app.ID, ClientEventSent)
	if observed && c.hub.cfg.Observer.Full(app.ID) {
		return &complaint{code: CodeClientEventRate, reason: console.WebhooksBehind, message: "Client event rejected: too many of this app are still to be told to its webhooks. Send it again in a moment."}
	}
	evs := []Event{{Topic: s.channel.topic, Name: f.Event, Data: bytes.Clone(data), Except: c.id, UserID: s.userID}}
	err := c.publishClientEvent(ctx, app, evs)
	ev := &evs[0]
	if err == nil && observed {
		c.hub.cfg.Observer.Observe(Change{
			Kind: ClientEventSent, App: app.ID, Channel: ev.Topic.Channel, UserID: ev.UserID,
			Event: ev.Name, Data: ev.Data, SocketID: c.id, Trace: ev.Trace,
		})
	}
	if feed := c.hub.cfg.Console.Of(app.ID); feed != nil && err == nil {
		feed.Add(console.Entry{Code: console.ClientEventSent, Socket: string(c.id), Channel: ev.Topic.Channel, Event: ev.Name, User: ev.UserID, Data: ev.Data})
	}
	if errors.Is(err, ErrBusy) {
		return &complaint{code: CodeClientEventRate, reason: console.ClientEventBusy, message: "Client event rejected: the server has too much to deliver right now. Send it again in a moment."}
	}
	return err
}

// rate is a token bucket of one second's worth, in eight bytes.
type rate struct{ paid int64 } // unix nanoseconds up to which the past is paid

// spend takes one token and reports whether perSecond allows it.
func (r *rate) spend(now time.Time, perSecond int) bool {
	cost := int64(time.Second) / int64(max(perSecond, 1))
	paid := max(r.paid, now.UnixNano()-int64(time.Second)) + cost
	if paid > now.UnixNano() {
		return false
	}
	r.paid = paid
	return true
}

package channels

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
	"unique"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// Conn is one client connection: the protocol, over whatever transport carries
// it. Handle and Closed are called by the transport's reading side, one at a
// time; Close may be called by anyone.
type Conn struct {
	hub   *Hub     // static
	id    SocketID // static
	since uint32   // static: when it was opened, in seconds of Unix time
	// serials says that the client is told where in a history an event is.
	serials bool
	line    *fanout.Line // static

	// set on admission
	space *space
	by    unique.Handle[entrance]

	// owned by the reading side
	subs   []subscription
	user   *signedIn // nil until signed in
	events rate
	reads  rate        // of history
	limbo  *time.Timer // closes a connection that is not authorized in time; nil if it need not be

	tokens atomic.Pointer[tokens] // nil unless it showed a JWT
}

// subscription is one channel this connection is in.
type subscription struct {
	channel *channel
	member  *fanout.Member
	userID  string // who it is on a presence channel
	rests   standing
}

// entrance is by what connections came in. Most of an app's share one, so that a
// connection pays for a pointer.
type entrance struct {
	key    string // the app key
	origin string // of the page; empty for a program
}

// Connect opens a connection of who came in over t: it is greeted, or refused
// with a code and nil is returned. Either way the plane owns t from here on.
func (h *Hub) Connect(e *Entry, t fanout.Transport) (*Conn, *fanout.Line) {
	line := h.plane.Attach(t)
	c := &Conn{hub: h, id: newSocketID(), since: uint32(time.Now().Unix()), line: line} // #nosec G115 -- until 2106
	refusal := e.Refusal
	if refusal == nil {
		refusal = h.seat(e, c)
	}
	if refusal != nil {
		h.stats.refused.Add(1)
		h.noteRefused(e, refusal)
		line.Close(closing(refusal.Code, refusal.Message)...)
		return nil, line
	}
	h.stats.connects.Add(1)
	if app := c.app(); app.Settings.RequireAuthorization {
		c.limbo = time.AfterFunc(time.Duration(app.Settings.AuthorizationTimeoutSeconds)*time.Second, func() {
			c.Close(&Refusal{Code: CodeUnauthorized, Message: "Connection not authorized within timeout", Reason: console.AuthorizationTimeout})
		})
	}
	c.note(console.Entry{Code: console.ConnectionOpened, From: c.by.Value().key})
	line.Send(establishedFrame(c.id, int(h.cfg.ActivityTimeout.Seconds())))
	return c, line
}

// authorized notes that the connection has proved who it is.
func (c *Conn) authorized() {
	if c.limbo != nil {
		c.limbo.Stop()
		c.limbo = nil
	}
}

// ID returns the connection's socket id.
func (c *Conn) ID() SocketID { return c.id }

// Close tells the client why, after everything queued for it, and closes.
func (c *Conn) Close(r *Refusal) {
	c.note(console.Entry{Code: r.reason(), Text: r.Message})
	c.line.Close(closing(r.Code, r.Message)...)
}

// PeerDead closes a connection whose peer stopped answering.
func (c *Conn) PeerDead() { c.Close(&Refusal{Code: CodePongMissing, Message: messagePongMissing}) }

// Unsupported closes a connection that left the protocol, with the close frame given.
func (c *Conn) Unsupported(reason console.Code, last *fanout.Frame) {
	c.note(console.Entry{Code: reason})
	c.line.Close(last)
}

// Closed gives back everything the connection held. The reading side calls it
// once, last.
func (c *Conn) Closed(ctx context.Context) {
	c.authorized()
	c.note(console.Entry{Code: console.ConnectionClosed})
	c.dropTokens()
	for i := range c.subs {
		c.subs[i].member.Leave()
	}
	if c.hub.handOver(c) {
		c.hub.expel(c) // the seat is free for whoever comes back
		return
	}
	c.goneFromAll(ctx)
	c.hub.expel(c)
}

// goneFromAll tells that the connection, which hears nothing any more, is gone
// from its channels.
func (c *Conn) goneFromAll(ctx context.Context) {
	for i := range c.subs {
		c.gone(ctx, &c.subs[i])
	}
	c.subs = nil
	if c.user != nil {
		c.hub.userGone(ctx, c)
	}
}

// Handle acts on one text message of the client. What is wrong with it is told
// to the client; the connection stays open.
func (c *Conn) Handle(ctx context.Context, message []byte) {
	c.hub.stats.frames.Add(1)
	err := c.dispatch(ctx, message)
	if err == nil {
		return
	}
	var known *complaint
	if !errors.As(err, &known) {
		c.hub.log.WarnContext(ctx, "client frame not served", "app", c.app().ID, "socket", c.id, "error", err)
		known = &complaint{code: CodeOverCapacity, reason: console.NotPossibleNow, message: "The server cannot do this right now. Try again in a moment."}
	}
	c.hub.stats.complaints.Add(1)
	c.note(console.Entry{Code: known.reason, Channel: known.channel, Event: known.event, Text: known.message})
	c.line.Send(errorFrame(known.code, known.message))
}

func (c *Conn) app() *tenants.App { return c.space.app.Load() }

func (c *Conn) dispatch(ctx context.Context, message []byte) error {
	var f wire.ClientFrame
	if err := wire.DecodeClientFrame(message, &f); err != nil {
		return complain(console.MessageMalformed, "Invalid message: %v", err)
	}
	switch f.Event {
	case "pusher:ping":
		c.line.Send(pongFrame)
		return nil
	case "pusher:pong":
		return nil
	case "pusher:subscribe":
		return c.subscribe(ctx, f.Data)
	case "pusher:unsubscribe":
		return c.unsubscribe(ctx, f.Data)
	case "pusher:signin":
		return c.signin(ctx, f.Data)
	case EventAuth:
		return c.auth(ctx, f.Data)
	case EventHistory:
		return c.pastRequest(ctx, f.Data)
	}
	if IsClientEvent(f.Event) {
		return c.clientEvent(ctx, &f)
	}
	return complain(console.UnknownEvent, "Unknown event %.80q. A client may send pusher:subscribe, pusher:unsubscribe, pusher:signin, pusher:ping and events whose names start with client-.", f.Event)
}

func itoa(n int) string { return strconv.Itoa(n) }

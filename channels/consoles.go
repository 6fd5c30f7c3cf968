package channels

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// A live console is a client of the installation's own app (tenants.ConsoleApp),
// subscribed to the channel of the app it shows. The node it is connected to
// announces on watchTopic that the app is watched; every node that hears that
// takes notes for a while and publishes them, in batches, on the console's
// channel. So a console sees all nodes, by the road that every event takes, and
// while none is open no node does anything.

const (
	// EntriesEvent is the name of the events that carry what was noted.
	EntriesEvent = "entries"

	consoleBatch   = 100 * time.Millisecond // between two batches of a node
	announceEvery  = 2 * time.Second
	watchedFor     = 15 * time.Second // after an announcement: a busy node may be late with the next
	announceTime   = 5 * time.Second
	watchBegins    = "begin"
	watchContinues = "go on"
)

// watchTopic is what the nodes tell each other on that an app is watched. No
// client can subscribe to such a name.
var watchTopic = Topic{App: tenants.ConsoleAppID, Channel: "#watched"}

// consoles is the hub's part in live consoles.
type consoles struct {
	figures Figures        // static once the hub runs; nil tells none
	wake    chan struct{}  // there may be something to do
	ending  map[*Conn]bool // owned by runConsoles: who was found to have no right to look

	mu      sync.Mutex
	apps    map[tenants.AppID]bool // watched by connections of this node; whether that was announced
	telling map[string]bool        // channels on which figures are told to connections of this node
}

func (h *Hub) openConsoles() {
	h.consoles.wake = make(chan struct{}, 1)
	h.consoles.apps = make(map[tenants.AppID]bool)
	h.consoles.telling = make(map[string]bool)
	h.registry.hear = map[Topic]func(*Event){watchTopic: h.watched}
}

func (cs *consoles) stir() {
	select {
	case cs.wake <- struct{}{}:
	default:
	}
}

// watched acts on the announcement that an app is watched somewhere.
func (h *Hub) watched(ev *Event) {
	id, ok := wire.String(ev.Data)
	if app := tenants.AppID(id); ok && h.cfg.Console != nil {
		h.watchHere(app, ev.Name == watchBegins)
	}
}

func (h *Hub) watchHere(app tenants.AppID, begins bool) {
	feed := h.cfg.Console.Watch(app, time.Now().Add(watchedFor))
	if begins {
		feed.Add(console.Entry{Code: console.Watching, From: h.cfg.Console.Node()})
	}
	h.consoles.stir()
}

// consoleOpened notes that a connection of this node listens to a channel of
// tenants.ConsoleAppID.
func (h *Hub) consoleOpened(channel string) {
	stream, app := tenants.StreamOf(channel)
	switch {
	case stream == "" || h.cfg.Console == nil:
		return
	case stream != tenants.StreamConsole:
		h.figuresOpened(channel)
		return
	}
	h.consoles.mu.Lock()
	h.consoles.apps[app] = false // whoever comes is told which nodes report
	h.consoles.mu.Unlock()
	h.consoles.stir()
}

// runConsoles announces what is watched from here and publishes what was noted,
// until ctx ends. While nothing is watched it sleeps.
func (h *Hub) runConsoles(ctx context.Context) error {
	if h.cfg.Console == nil {
		<-ctx.Done()
		return nil
	}
	if err := h.listenForWatchers(ctx); err != nil {
		return nil //nolint:nilerr // ctx has ended
	}
	tick := time.NewTicker(consoleBatch)
	defer tick.Stop()
	var announced time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.consoles.wake:
		case <-tick.C:
		}
		now := time.Now()
		if h.announceWatched(ctx, now.Sub(announced) >= announceEvery) {
			announced = now
			h.checkWatchers(ctx)
		}
		h.cfg.Console.Sweep(now, func(app tenants.AppID, feed *console.Feed) { h.publishNotes(ctx, app, feed) })
		if h.consoles.idle() && !h.cfg.Console.Watched() {
			if err := wait(ctx, h.consoles.wake); err != nil {
				return nil //nolint:nilerr // ctx has ended
			}
			h.consoles.stir()
		}
	}
}

// listenForWatchers subscribes to the announcements of all nodes.
func (h *Hub) listenForWatchers(ctx context.Context) error {
	for {
		if _, err := h.registry.acquire(ctx, watchTopic); err == nil {
			return nil
		}
		if err := pause(ctx, consoleBatch); err != nil {
			return err
		}
	}
}

func (cs *consoles) idle() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.apps)+len(cs.telling) == 0
}

// announceWatched tells all nodes which apps are watched from here: those that were not
// told yet, or all of them. It reports whether it was all.
func (h *Hub) announceWatched(ctx context.Context, all bool) bool {
	h.consoles.mu.Lock()
	var evs []Event
	for app, told := range h.consoles.apps {
		ch := h.registry.find(Topic{App: tenants.ConsoleAppID, Channel: tenants.StreamConsole.Channel(app)})
		if ch == nil || ch.count.now.Load() == 0 {
			delete(h.consoles.apps, app) // nobody is there any more
			continue
		}
		name := watchContinues
		if !told {
			name = watchBegins
		}
		if all || !told {
			evs = append(evs, Event{Topic: watchTopic, Name: name, Data: wire.Quote(nil, string(app))})
		}
		h.consoles.apps[app] = true
	}
	h.consoles.mu.Unlock()
	if len(evs) > 0 {
		h.tellNodes(ctx, evs)
	}
	return all
}

// tellNodes publishes for the platform itself: nothing of it counts as an app's.
// What is lost is lost: announcements are repeated, and a console is no log.
func (h *Hub) tellNodes(ctx context.Context, evs []Event) {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	if _, err := h.broker.Publish(ctx, evs); err != nil && ctx.Err() == nil {
		h.log.WarnContext(ctx, "live consoles are not told", "error", err)
	}
}

func (h *Hub) publishNotes(ctx context.Context, app tenants.AppID, feed *console.Feed) {
	notes := feed.Take(h.cfg.Console.Node())
	if notes == nil {
		return
	}
	h.tellNodes(ctx, []Event{{
		Topic: Topic{App: tenants.ConsoleAppID, Channel: tenants.StreamConsole.Channel(app)},
		Name:  EntriesEvent, Data: wire.QuoteBytes(nil, notes),
	}})
}

// What follows is for an app with customers; that of the consoles uses no quota
// and takes no seat.

func (h *Hub) seated(app *tenants.App) bool {
	return h.cfg.Seats != nil && app.ID != tenants.ConsoleAppID
}

func (h *Hub) usageOf(app *tenants.App) *tenants.AppUsage {
	if app.ID == tenants.ConsoleAppID {
		return nil
	}
	return h.cfg.Meters.App(app)
}

// note notes something about the connection, and counts it if it was refused.
func (c *Conn) note(e console.Entry) {
	if c.space == nil {
		return
	}
	countRefused(c.space.usage, e.Code)
	if feed := c.hub.cfg.Console.Of(c.app().ID); feed != nil {
		e.Socket = string(c.id)
		if e.User == "" && c.user != nil && e.Code != console.ConnectionOpened {
			e.User = c.user.id
		}
		feed.Add(e)
	}
}

// subscribed notes that the connection is on a channel from now on.
func (c *Conn) subscribed(t Topic, user string) {
	if t.App == tenants.ConsoleAppID {
		c.hub.consoleOpened(t.Channel)
		return
	}
	c.note(console.Entry{Code: console.Subscribed, Channel: t.Channel, User: user})
}

func (h *Hub) noteRefused(e *Entry, r *Refusal) {
	if e.App == nil {
		return
	}
	countRefused(h.usageOf(e.App), r.reason())
	if feed := h.cfg.Console.Of(e.App.ID); feed != nil {
		feed.Add(console.Entry{Code: r.reason(), From: strings.ToValidUTF8(e.Key, ""), Text: r.Message})
	}
}

// noteSlow notes that a connection was cut off for slowness. It is called by the
// shard that did it, and looks for the connection elsewhere.
func (h *Hub) noteSlow(line *fanout.Line) {
	if !h.cfg.Console.Watched() {
		return
	}
	h.background(func(context.Context) {
		h.mu.RLock()
		spaces := make([]*space, 0, len(h.spaces))
		for _, sp := range h.spaces {
			if h.cfg.Console.Of(sp.app.Load().ID) != nil {
				spaces = append(spaces, sp)
			}
		}
		h.mu.RUnlock()
		for _, sp := range spaces {
			for _, c := range sp.all() {
				if c.line == line {
					h.cfg.Console.Note(c.app().ID, console.Entry{Code: console.SlowConsumer, Socket: string(c.id), Text: messageSlow})
				}
			}
		}
	})
}

// notePublished notes events that the broker has.
func notePublished(feed *console.Feed, evs []Event) {
	for i := range evs {
		ev := &evs[i]
		feed.Add(console.Entry{Code: console.Published, Channel: ev.Topic.Channel, Event: ev.Name, Data: ev.Data, Socket: string(ev.Except)})
	}
}

// overConnections says which limit of connections was met.
func overConnections(err error) *Refusal {
	reason := console.ConnectionLimit
	if e, ok := errors.AsType[*tenants.ConnectionsError](err); ok && e.OfTenant {
		reason = console.TenantConnectionLimit
	}
	return Refuse(CodeOverQuota, "%v", err).For(reason)
}

package channels

import (
	"context"
	"strings"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// online is one signed-in user's connections on this node.
type online struct {
	channel *channel // the user's own topic: changes are counted and heard there
	conns   map[*Conn]struct{}
}

// watched is one user that connections of this node watch.
type watched struct {
	id      string
	channel *channel
	watcher map[*Conn]struct{}
	known   bool // whether online has been told by an engine yet
	online  bool
}

// userArrived notes that c is signed in.
func (h *Hub) userArrived(ctx context.Context, c *Conn) error {
	ch, err := h.registry.acquire(ctx, userTopic(c.app().ID, c.user.id))
	if err != nil {
		return err
	}
	sp := c.space
	sp.mu.Lock()
	u := sp.users[c.user.id]
	if u == nil {
		u = &online{channel: ch, conns: make(map[*Conn]struct{})}
		if sp.users == nil {
			sp.users = make(map[string]*online)
		}
		sp.users[c.user.id] = u
	}
	u.conns[c] = struct{}{}
	sp.mu.Unlock()
	if err := h.counted(ctx, ch, 1); err != nil {
		h.log.WarnContext(ctx, "user not counted yet", "app", ch.topic.App, "error", err)
	}
	return nil
}

// userGone is the end of userArrived and watch.
func (h *Hub) userGone(ctx context.Context, c *Conn) {
	sp, user := c.space, c.user
	c.user = nil
	sp.mu.Lock()
	u := sp.users[user.id]
	delete(u.conns, c)
	if len(u.conns) == 0 {
		delete(sp.users, user.id)
	}
	for _, w := range user.watch {
		delete(w.watcher, c)
		if len(w.watcher) == 0 && sp.watched[w.id] == w {
			delete(sp.watched, w.id)
		}
	}
	sp.mu.Unlock()
	for _, w := range user.watch {
		h.registry.release(w.channel)
	}
	if err := h.counted(ctx, u.channel, -1); err != nil {
		h.log.WarnContext(ctx, "user not signed out yet", "error", err)
	}
	h.registry.release(u.channel)
}

// watch makes c hear when the users come online or go offline, and tells it how
// they are now. A change that arrives while the engine is asked wins over its answer.
func (h *Hub) watch(ctx context.Context, c *Conn, ids []string) error {
	sp, app := c.space, c.app().ID
	seen := make(map[string]struct{}, len(ids))
	topics := make([]Topic, 0, len(ids))
	for _, id := range ids {
		if _, twice := seen[id]; twice || !wire.ValidUserID(id) {
			continue
		}
		seen[id] = struct{}{}
		ch, err := h.registry.acquire(ctx, userTopic(app, id))
		if err != nil {
			return err // what was acquired is released with the connection
		}
		c.user.watch = append(c.user.watch, sp.watchedBy(c, id, ch))
		topics = append(topics, ch.topic)
	}
	counts, err := h.presence.Occupancy(ctx, topics)
	if err != nil {
		return err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	var on, off []string
	for i, w := range c.user.watch {
		if !w.known {
			w.known, w.online = true, counts[i].Subscriptions > 0
		}
		if w.online {
			on = append(on, w.id)
		} else {
			off = append(off, w.id)
		}
	}
	if len(on)+len(off) > 0 {
		c.line.Send(watchlistFrame(on, off))
	}
	return nil
}

func (sp *space) watchedBy(c *Conn, id string, ch *channel) *watched {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	w := sp.watched[id]
	if w == nil {
		w = &watched{id: id, channel: ch, watcher: make(map[*Conn]struct{})}
		if sp.watched == nil {
			sp.watched = make(map[string]*watched)
		}
		sp.watched[id] = w
	}
	w.watcher[c] = struct{}{}
	return w
}

// userChanged acts on an event of a user's own topic.
func (h *Hub) userChanged(ev *Event) {
	h.mu.RLock()
	sp := h.spaces[ev.Topic.App]
	h.mu.RUnlock()
	if sp == nil {
		return
	}
	id := strings.TrimPrefix(ev.Topic.Channel, userTopicPrefix)
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch ev.Kind {
	case Terminate:
		if u := sp.users[id]; u != nil {
			for c := range u.conns {
				c.Close(&Refusal{Code: CodeUnauthorized, Message: "You got disconnected by the app.", Reason: console.UserTerminated})
			}
		}
	case CountChanged:
		if w := sp.watched[id]; w != nil {
			w.changed(ev.Count > 0)
		}
	}
}

func (w *watched) changed(online bool) {
	if w.known && w.online == online {
		return
	}
	w.known, w.online = true, online
	ids := []string{w.id}
	frame := watchlistFrame(ids, nil)
	if !online {
		frame = watchlistFrame(nil, ids)
	}
	for c := range w.watcher {
		c.line.Send(frame)
	}
}

func watchlistFrame(on, off []string) *fanout.Frame {
	return fanout.NewText(wire.AppendWatchlistEvents(room(160+32*(len(on)+len(off))), on, off))
}

// TerminateUser closes every connection, on every node, that is signed in as
// the user. Such a client may come back. It counts for the rate of publishing.
func (h *Hub) TerminateUser(ctx context.Context, app *tenants.App, id string) error {
	if err := h.withinRate(ctx, limitPublishes, app.PublishDemand(1)); err != nil {
		return err
	}
	_, err := h.broker.Publish(ctx, []Event{{Kind: Terminate, Topic: userTopic(app.ID, id)}})
	return err
}

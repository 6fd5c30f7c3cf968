package channels

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

const (
	// busyCount is the number of subscriptions from which clients are told of
	// changes at most every busyCountEvery (Pusher, "Subscription count events").
	busyCount      = 100
	busyCountEvery = 5 * time.Second
	// retellEvery is how often what an engine could not be told is told again.
	retellEvery = time.Second
)

// localCount is how many subscriptions of this node a channel has, and what
// the presence engine and the clients know of it.
type localCount struct {
	turn     chan struct{} // whoever is in it may talk to Presence about this topic
	now      atomic.Int32
	told     atomic.Int32 // written in turn
	unheard  bool         // owned by the turn: the engine could not be told that somebody came
	announce atomic.Bool  // the app wants subscription_count events

	mu      sync.Mutex
	sent    time.Time // when clients were last told
	pending int       // what they are still to be told; -1 for nothing
}

// takeTurn waits for the channel's turn; the returned function ends it.
func (c *localCount) takeTurn(ctx context.Context) (end func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// count is counted for whoever has nobody to tell: what the engine cannot be told
// now it is told later.
func (h *Hub) count(ctx context.Context, ch *channel, delta int32) {
	if err := h.counted(ctx, ch, delta); err != nil {
		h.log.WarnContext(ctx, "subscription not counted yet", "app", ch.topic.App, "error", err)
	}
}

// counted notes that delta subscriptions came or went, and tells the presence
// engine: at once when the channel became occupied or vacated on this node,
// else within CountInterval.
func (h *Hub) counted(ctx context.Context, ch *channel, delta int32) error {
	now := ch.count.now.Add(delta)
	if h.cfg.CountInterval > 0 && (now == 0) == (ch.count.told.Load() == 0) {
		h.behind(ch)
		return nil
	}
	return h.tellCount(ctx, ch)
}

// tellCount makes the engine know the count as it is now.
func (h *Hub) tellCount(ctx context.Context, ch *channel) error {
	end, err := ch.count.takeTurn(ctx)
	if err != nil {
		h.behind(ch)
		return err
	}
	defer end()
	now := ch.count.now.Load()
	told := ch.count.told.Load()
	if now == told && !ch.count.unheard {
		return nil
	}
	if now == 0 && ch.count.unheard { // the outside is to learn of both: that they came, and that they went
		if _, err := h.presence.SetCount(ctx, ch.topic, 1, false); err != nil {
			h.behind(ch)
			return err
		}
	}
	if _, err := h.presence.SetCount(ctx, ch.topic, int(now), ch.count.announce.Load()); err != nil {
		ch.count.unheard = ch.count.unheard || told == 0
		h.behind(ch)
		return err
	}
	ch.count.told.Store(now)
	ch.count.unheard = false
	return nil
}

// countChanged tells the channel's clients of a new total, now or when it is
// time: a channel with many subscriptions is not told of every one.
func (h *Hub) countChanged(ch *channel, total int) {
	if !ch.count.announce.Load() || !ch.kind.HasSubscriptionCount() {
		return
	}
	c := &ch.count
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := busyCountEvery - time.Since(c.sent); total > busyCount && wait > 0 {
		if c.pending < 0 {
			time.AfterFunc(wait, func() { h.sendPendingCount(ch) })
		}
		c.pending = total
		return
	}
	h.sendCount(ch, total)
}

func (h *Hub) sendPendingCount(ch *channel) {
	ch.count.mu.Lock()
	defer ch.count.mu.Unlock()
	if ch.count.pending >= 0 {
		h.sendCount(ch, ch.count.pending)
	}
}

func (h *Hub) sendCount(ch *channel, total int) {
	ch.count.sent, ch.count.pending = time.Now(), -1
	frame := fanout.NewText(wire.AppendSubscriptionCount(room(128+len(ch.topic.Channel)), ch.topic.Channel, total))
	h.announce(ch, frame)
}

// untold is the set of channels whose presence engine is behind. Each is held
// in the registry meanwhile: what is owed must not be told by one channel while
// a later one for the same topic tells the opposite.
type untold struct {
	mu       sync.Mutex
	channels map[*channel]struct{}
}

// behind notes that the engine does not know all of ch yet. The caller holds
// the channel in the registry.
func (h *Hub) behind(ch *channel) {
	if h.untold.add(ch) {
		h.registry.hold(ch)
	}
}

// add reports whether ch was not in the set.
func (u *untold) add(ch *channel) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.channels[ch]; known {
		return false
	}
	if u.channels == nil {
		u.channels = make(map[*channel]struct{})
	}
	u.channels[ch] = struct{}{}
	return true
}

func (u *untold) take() map[*channel]struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.channels
	u.channels = nil
	return taken
}

// retell tells the engine what it does not know yet, until ctx ends.
func (h *Hub) retell(ctx context.Context) error {
	every := retellEvery
	if h.cfg.CountInterval > 0 {
		every = h.cfg.CountInterval
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for ch := range h.untold.take() {
				if err := h.tell(ctx, ch); err != nil { // and ch is in the set again
					h.log.WarnContext(ctx, "presence engine behind", "app", ch.topic.App, "error", err)
				}
				h.registry.release(ch)
			}
		}
	}
}

func (h *Hub) tell(ctx context.Context, ch *channel) error {
	if err := h.tellDepartures(ctx, ch); err != nil {
		return err
	}
	return h.tellCount(ctx, ch)
}

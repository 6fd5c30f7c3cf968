package channels

import (
	"context"
	"sync"
	"time"

	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

// LastEvents is the second ability of a [Broker]: it keeps the last event of a
// topic that was published with a CacheTTL. Both engines have it, and append in
// the step that publishes.
type LastEvents interface {
	// Last returns the topic's last kept event and how long it is kept still;
	// nil if there is none.
	Last(ctx context.Context, t Topic) (ev *Event, left time.Duration, err error)
}

// lastEvent is this node's copy of a cache channel's last event. It closes the
// gap between reading the kept event and hearing the live ones.
type lastEvent struct {
	mu    sync.Mutex
	frame *fanout.Frame
	until time.Time
}

// delivered notes an event as it goes to the clients; publish is called under
// the lock, so that a connection joins either before it or after.
func (l *lastEvent) delivered(ev *Event, f *fanout.Frame, publish func() bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !publish() {
		return false
	}
	if ev.CacheTTL > 0 {
		l.frame, l.until = f, time.Now().Add(ev.CacheTTL)
	}
	return true
}

// keptFrame reads the kept event of a cache channel; nil if there is none.
func (h *Hub) keptFrame(ctx context.Context, t Topic) (*fanout.Frame, time.Time, error) {
	kept, left, err := h.last.Last(ctx, t)
	if kept == nil || err != nil {
		return nil, time.Time{}, err
	}
	return countDeliveries(h.cfg.Meters.Find(t.App), eventFrame(kept)), time.Now().Add(left), nil
}

// join calls into with what a connection joining a cache channel is sent behind
// its confirmation: the last event, or word that there is none. kept was read
// from the broker before; an event delivered since then wins over it. missed,
// if not nil, is called when there is none.
func (l *lastEvent) join(channel string, kept *fanout.Frame, until time.Time, missed func(), into func(cached *fanout.Frame)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frame == nil || !time.Now().Before(l.until) {
		l.frame, l.until = kept, until
	}
	if l.frame == nil {
		if missed != nil {
			missed()
		}
		into(fanout.NewText(wire.AppendCacheMiss(room(80+len(channel)), channel)))
		return
	}
	into(l.frame)
}

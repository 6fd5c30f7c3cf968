package channels

import (
	"context"
	"sync"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
)

// past is what this node has delivered of one channel's history, and the
// connections on it that are told serials. Events are delivered in the order of
// their positions and none twice; when one is missing, those behind it wait
// until the missing run has been read.
//
// Lock order: roster.mu, past.mu, lastEvent.mu.
type past struct {
	serials *fanout.Group // static: the connections that are told serials

	reading chan struct{} // static; whoever has put a token in may read for a replay

	mu      sync.Mutex
	seen    Position      // of the last event delivered; zero while unknown
	heard   Position      // of the last event the broker brought
	behind  bool          // events are missing, and are being read
	need    Position      // then: how far it must get
	suspect Position      // what a check found and had not been delivered then
	due     time.Time     // of the next check
	recent  *recent       // not nil while connections resume
	settled chan struct{} // closed when no longer behind; nil if nobody waits
}

// pastOf returns the channel's past, made if there is none.
func (h *Hub) pastOf(ch *channel) *past {
	if p := ch.past.Load(); p != nil {
		return p
	}
	ch.past.CompareAndSwap(nil, &past{serials: h.plane.NewGroup(), reading: make(chan struct{}, 1)})
	return ch.past.Load()
}

// retention is how much history t keeps by the newest configuration known here;
// zero is none.
func (h *Hub) retention(t Topic) Retention {
	h.mu.RLock()
	sp := h.spaces[t.App]
	h.mu.RUnlock()
	if sp == nil {
		return Retention{}
	}
	return retentionOf(&sp.app.Load().Settings, t.Channel)
}

// loadPast finds out where the history of a channel stands that was just
// subscribed. Nobody is in it yet, so what comes later and is older is for nobody.
func (h *Hub) loadPast(ctx context.Context, ch *channel) error {
	keep := h.retention(ch.topic)
	if keep.Max == 0 {
		return nil
	}
	pos, err := h.history.Position(ctx, ch.topic, keep)
	if err != nil {
		return err
	}
	p := h.pastOf(ch)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen.Epoch != pos.Epoch || p.seen.Offset < pos.Offset {
		p.seen = pos
	}
	return nil
}

// announce sends a frame that must not be refused to everybody on a channel.
func (h *Hub) announce(ch *channel, f *fanout.Frame) {
	h.plane.Announce(ch.group, f, nil)
	if p := ch.past.Load(); p != nil {
		h.plane.Announce(p.serials, f, nil)
	}
}

// deliverPlaced is deliverMessage for an event of a history.
func (h *Hub) deliverPlaced(ch *channel, ev *Event, except *fanout.Line) error {
	p := h.pastOf(ch)
	p.mu.Lock()
	defer p.mu.Unlock()
	pos := ev.Position
	repeated := pos.Epoch == p.heard.Epoch && pos.Offset <= p.heard.Offset
	switch {
	case repeated:
		// The engine has given out a place again: it has lost what was there.
		h.engineLost(ch, pos.Epoch)
		plain := *ev
		plain.Position = Position{}
		return h.send(ch, p, &plain, except)
	case p.behind:
		p.heard = pos
		if pos.Epoch != p.need.Epoch || pos.Offset > p.need.Offset {
			p.need = pos
		}
		return nil // it is in the history, and will be read
	case pos.Epoch == p.seen.Epoch && pos.Offset <= p.seen.Offset:
		p.heard = pos
		return nil // delivered when it was read
	case p.seen.IsZero() || pos.Epoch == p.seen.Epoch && pos.Offset == p.seen.Offset+1 || pos.Epoch != p.seen.Epoch && pos.Offset == 1:
		if err := h.send(ch, p, ev, except); err != nil {
			return err
		}
		p.seen, p.heard = pos, pos
		return nil
	}
	p.heard = pos
	h.fallBehind(ch, p, pos)
	return nil
}

// send queues ev for everybody on the channel, in the form they understand. The
// caller holds p's lock if ev has a position.
func (h *Hub) send(ch *channel, p *past, ev *Event, except *fanout.Line) error {
	var targets [2]fanout.Target
	to := targets[:0]
	placed := !ev.Position.IsZero()
	var plain, numbered *fanout.Frame
	if ch.group.Len() > 0 || !placed || ch.cache != nil {
		plain = countDeliveries(ch.usage, eventFrame(ev))
		to = append(to, fanout.Target{Group: ch.group, Frame: plain})
	}
	if numbered = plain; placed && (p.serials.Len() > 0 || p.recent != nil) {
		numbered = countDeliveries(ch.usage, placedFrame(ev))
	}
	if numbered != nil {
		to = append(to, fanout.Target{Group: p.serials, Frame: numbered})
	}
	publish := func() bool { return h.plane.PublishAll(except, to...) }
	ok := false
	if ch.cache != nil {
		ok = ch.cache.delivered(ev, plain, publish)
	} else {
		ok = publish()
	}
	if !ok {
		h.stats.busy.Add(1)
		return ErrBusy
	}
	if placed && p.recent != nil {
		h.retain(p, ev.Position.Offset, numbered)
	}
	return nil
}

// fallBehind has the events up to need read before anything else is delivered.
// The caller holds p's lock.
func (h *Hub) fallBehind(ch *channel, p *past, need Position) {
	if p.behind {
		return
	}
	p.behind, p.need, p.settled = true, need, make(chan struct{})
	h.stats.refills.Add(1)
	h.background(func(ctx context.Context) { h.refill(ctx, ch, p) })
}

// settle ends being behind. The caller holds p's lock.
func (p *past) settle() {
	if p.behind {
		p.behind = false
		close(p.settled)
	}
}

// engineLost begins a new epoch where the engine has lost events of this one.
func (h *Hub) engineLost(ch *channel, epoch string) {
	h.stats.historyLost.Add(1)
	h.log.Warn("the engine has lost events of a history, beginning a new epoch", "app", ch.topic.App)
	h.background(func(ctx context.Context) {
		if err := h.history.Renew(ctx, ch.topic, h.retention(ch.topic), epoch); err != nil {
			h.log.WarnContext(ctx, "epoch not renewed", "app", ch.topic.App, "error", err)
		}
	})
}

const (
	refillEvents = 200
	refillBytes  = 512 << 10
	minRefill    = 20 * time.Millisecond
	maxRefill    = 2 * time.Second
)

// refill reads what this node has missed and delivers it, until it has caught up
// or nobody hears the channel any more.
func (h *Hub) refill(ctx context.Context, ch *channel, p *past) {
	for wait := minRefill; ; {
		more, err := h.refillOnce(ctx, ch, p)
		if err == nil && !more {
			return
		}
		if err == nil {
			wait = minRefill
			continue
		}
		if ctx.Err() != nil || h.registry.find(ch.topic) != ch {
			return
		}
		if wait > time.Second { // the engine may be away for long: once is enough to say so
			h.log.DebugContext(ctx, "missed events not read yet", "app", ch.topic.App, "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		wait = min(2*wait, maxRefill)
	}
}

// refillOnce reads and delivers one run, and reports whether there is more.
func (h *Hub) refillOnce(ctx context.Context, ch *channel, p *past) (more bool, err error) {
	keep := h.retention(ch.topic)
	if keep.Max == 0 { // the rule is gone, and with it the order
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen = p.need
		p.settle()
		return false, nil
	}
	p.mu.Lock()
	from, known := p.seen, p.seen // known is the furthest place that was ever heard of
	if p.need.Epoch == from.Epoch && p.need.Offset > from.Offset {
		known = p.need
	}
	p.mu.Unlock()
	run, err := h.history.Read(ctx, ch.topic, keep, Query{After: from.Offset, Limit: refillEvents, MaxBytes: refillBytes})
	if err != nil {
		return false, err
	}
	if run.Head.Epoch != from.Epoch { // all that is left of the new one
		if run, err = h.history.Read(ctx, ch.topic, keep, Query{After: run.Base, Limit: refillEvents, MaxBytes: refillBytes}); err != nil {
			return false, err
		}
		if run.Head.IsZero() {
			if run.Head, err = h.history.Position(ctx, ch.topic, keep); err != nil {
				return false, err
			}
			run.Oldest = run.Head.Offset + 1
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return h.takeRun(ch, p, known, &run)
}

// takeRun delivers a run that was read because events were missed, when known
// was the furthest place heard of. The caller holds p's lock.
func (h *Hub) takeRun(ch *channel, p *past, known Position, run *Run) (more bool, err error) {
	switch {
	case run.Head.Epoch != p.seen.Epoch:
		// What came behind the last event of the old epoch nobody can know.
		h.cut(ch, p)
		p.seen = Position{Epoch: run.Head.Epoch, Offset: max(run.Base, run.Oldest-1)}
		p.recent = nil
	case run.Head.Epoch == known.Epoch && run.Head.Offset < known.Offset:
		h.engineLost(ch, p.seen.Epoch)
		p.seen, p.heard, p.recent = Position{}, Position{}, nil
		h.cut(ch, p)
		p.settle()
		return false, nil
	case run.Oldest > p.seen.Offset+1:
		h.cut(ch, p) // what was missed is not kept any more
		p.seen.Offset = run.Oldest - 1
		p.recent = nil
	}
	if err := h.fill(ch, p, run.Events); err != nil {
		return true, err
	}
	if run.More {
		return true, nil
	}
	if p.need.Epoch == p.seen.Epoch && p.need.Offset > p.seen.Offset {
		return true, nil
	}
	p.settle()
	return false, nil
}

// fill delivers those of evs, a run, that come next. The caller holds p's lock.
func (h *Hub) fill(ch *channel, p *past, evs []Event) error {
	for i := range evs {
		ev := &evs[i]
		if ev.Position.Epoch != p.seen.Epoch || ev.Position.Offset != p.seen.Offset+1 {
			continue
		}
		var except *fanout.Line
		if ev.Except != "" {
			except = h.lineOf(ev.Topic.App, ev.Except)
		}
		if err := h.send(ch, p, ev, except); err != nil {
			return err
		}
		p.seen = ev.Position
	}
	return nil
}

// cut sends the connections that are told serials away to resume: events of the
// channel were lost on the way here and cannot be read any more, and they must
// be told that instead of going on as if nothing had happened.
func (h *Hub) cut(ch *channel, p *past) {
	h.stats.historyGaps.Add(1)
	h.cfg.Console.Note(ch.topic.App, console.Entry{Code: console.EventsMissed, Channel: ch.topic.Channel, Text: messageGap})
	h.log.Warn("events of a history were missed and are gone", "app", ch.topic.App)
	h.plane.CloseAll(p.serials, closing(CodeReconnect, messageGap)...)
}

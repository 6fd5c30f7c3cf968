package channels

import (
	"context"
	"slices"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

// Why a subscription could not be resumed without a gap.
const (
	gapEpoch       = "epoch_changed" // the engine may have lost events
	gapExpired     = "expired"       // what is missing is not kept any more
	gapTooFar      = "too_far"       // more is missing than is replayed
	gapUnavailable = "unavailable"   // the channel keeps no history, or it cannot be read now
)

const (
	// replayEvents and replayBytes bound what one subscription is sent of the
	// past. More is read with tidewire:history.
	replayEvents = 10_000
	replayBytes  = 640 << 10
	// replayCalm is how much may be waiting on a connection when a replay is
	// added: together they must stay below what cuts it off as too slow.
	replayCalm = 128 << 10
	calmTime   = 10 * time.Second
	calmPause  = 5 * time.Millisecond
)

// Serials makes the connection one that is told serials and may ask for the
// past. It is called right after [Hub.Connect].
func (c *Conn) Serials() { c.serials = true }

// wish is what a subscription asks of the past, and what came of it.
type wish struct {
	resume Position // zero for none
	rewind wire.Rewind

	from uint64 // the replay begins behind this offset; valid with ready
	// ready says that the replay can be made, in epoch.
	ready bool
	epoch string
	// reason is why a resume cannot be.
	reason string
}

// wishOf checks what req asks of the past.
func (c *Conn) wishOf(req *wire.Subscribe) (w wish, err error) {
	if req.Resume == "" && req.Rewind == (wire.Rewind{}) {
		return w, nil
	}
	if !c.serials {
		return w, complain(console.SerialsNeeded, "resume and rewind need a connection that is told serials: connect with tidewire=1 in the query")
	}
	w.rewind = req.Rewind
	if req.Resume != "" {
		if w.resume, err = ParsePosition(req.Resume); err != nil {
			return w, complain(console.ResumeInvalid, "%v (subscribing to %s)", wire.ErrResume, req.Channel)
		}
	}
	return w, nil
}

// asks reports whether anything of the past is wanted.
func (w *wish) asks() bool { return !w.resume.IsZero() || w.rewind != (wire.Rewind{}) }

// prepare reads what w asks for, so that joining has only to queue it. What
// cannot be is noted in w.
func (h *Hub) prepare(ctx context.Context, c *Conn, ch *channel, w *wish) {
	keep := h.retention(ch.topic)
	if !w.asks() {
		return
	}
	w.reason = gapUnavailable
	if keep.Max == 0 || h.recentBytes.Load() > recentTotal {
		return
	}
	c.calm(ctx)
	p := h.pastOf(ch)
	for range 3 {
		var again bool
		var err error
		if h.fromRecent(p, w) {
			again, err = h.confirm(ctx, ch, p, keep, w)
		} else {
			again, err = h.readInTurn(ctx, ch, p, keep, w)
		}
		if err != nil {
			w.ready = false
			h.log.WarnContext(ctx, "history not read", "app", ch.topic.App, "error", err)
			return
		}
		if !again {
			return
		}
	}
}

// confirm asks the engine whether the epoch is still the one this node knows:
// what is in memory here does not show that the engine has lost everything.
func (h *Hub) confirm(ctx context.Context, ch *channel, p *past, keep Retention, w *wish) (again bool, err error) {
	pos, err := h.history.Position(ctx, ch.topic, keep)
	if err != nil || pos.Epoch == w.resume.Epoch && pos.Offset >= w.resume.Offset {
		return false, err
	}
	w.ready, w.reason = false, gapEpoch
	p.mu.Lock()
	h.fallBehind(ch, p, pos)
	settled := p.settled
	p.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	_ = wait(within, settled) // the subscription then stands in the new epoch
	return false, nil
}

// readInTurn is readWish for one connection after the other: what one has read
// the next one finds in memory.
func (h *Hub) readInTurn(ctx context.Context, ch *channel, p *past, keep Retention, w *wish) (again bool, err error) {
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if h.fromRecent(p, w) {
		return h.confirm(ctx, ch, p, keep, w)
	}
	return h.readWish(ctx, ch, p, keep, w)
}

// calm waits until little is queued on the connection. One that does not read
// is left to be cut off.
func (c *Conn) calm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, calmTime)
	defer cancel()
	for {
		select {
		case n := <-c.line.Queued():
			if n <= replayCalm {
				return
			}
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(calmPause):
		case <-ctx.Done():
			return
		}
	}
}

// fromRecent reports whether a resume needs nothing that is not in memory.
func (h *Hub) fromRecent(p *past, w *wish) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen.IsZero() || p.behind {
		return false
	}
	h.retainFrom(p)
	if w.resume.IsZero() || w.resume.Epoch != p.seen.Epoch || !p.covers(w.resume.Offset) {
		return false
	}
	w.ready, w.from, w.epoch = true, w.resume.Offset, w.resume.Epoch
	return true
}

// readWish reads the run that w asks for. again says that this node was behind
// and that it is worth another try.
func (h *Hub) readWish(ctx context.Context, ch *channel, p *past, keep Retention, w *wish) (again bool, err error) {
	q := Query{After: w.resume.Offset, Limit: min(replayEvents, keep.Max), MaxBytes: replayBytes}
	if w.resume.IsZero() {
		q.Backwards = true
		if w.rewind.Count > 0 {
			q.Limit = min(q.Limit, w.rewind.Count)
		} else {
			q.Since = time.Now().Add(-time.Duration(w.rewind.Seconds) * time.Second)
		}
	}
	run, err := h.history.Read(ctx, ch.topic, keep, q)
	if err != nil {
		return false, err
	}
	if !w.judge(&run) {
		return false, nil
	}
	if q.Backwards {
		slices.Reverse(run.Events)
	}
	p.mu.Lock()
	if p.seen.IsZero() { // the rule is newer than the subscription of this node
		p.mu.Unlock()
		return false, nil
	}
	if p.behind || p.seen.Epoch != run.Head.Epoch {
		h.fallBehind(ch, p, run.Head)
		settled := p.settled
		p.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, changeTime)
		defer cancel()
		return wait(within, settled) == nil, nil
	}
	defer p.mu.Unlock()
	h.retainFrom(p)
	w.from, w.epoch = run.Head.Offset, run.Head.Epoch
	if len(run.Events) > 0 {
		w.from = run.Events[0].Position.Offset - 1
	}
	h.prepend(ch, p, run.Events)
	if err := h.fill(ch, p, run.Events); err != nil {
		return false, err
	}
	w.ready = p.covers(w.from)
	return false, nil
}

// judge says whether run is what is missing, and if not, why.
func (w *wish) judge(run *Run) bool {
	if w.resume.IsZero() {
		return !run.Head.IsZero()
	}
	switch {
	case run.Head.Epoch != w.resume.Epoch || run.Head.Offset < w.resume.Offset:
		w.reason = gapEpoch
	case run.Oldest > w.resume.Offset+1:
		w.reason = gapExpired
	case run.More:
		w.reason = gapTooFar
	default:
		return true
	}
	return false
}

// joinPast puts the connection among those that are told serials, behind its
// confirmation, to which where it stands is added, and what it is to be sent of
// the past. cached, which may be nil, comes behind the confirmation where
// nothing is replayed.
func (c *Conn) joinPast(ch *channel, w *wish, confirmation []byte, cached *fanout.Frame) *fanout.Member {
	p := c.hub.pastOf(ch)
	standing := wire.Standing{Resumed: !w.resume.IsZero(), Reason: w.reason}
	at := p.seen
	replay := w.ready && w.epoch == p.seen.Epoch && p.covers(w.from)
	switch {
	case replay:
		at.Offset, standing.Recovered = w.from, true
	case w.ready: // more came in between than is retained
		standing.Reason = gapTooFar
	}
	if !at.IsZero() {
		standing.Serial = at.String()
	}
	first := make([]*fanout.Frame, 1, 2)
	first[0] = fanout.NewText(wire.AppendStanding(confirmation, standing))
	if replay {
		first = append(first, p.after(w.from)...)
	} else if cached != nil {
		first = append(first, cached)
	}
	return c.line.Join(p.serials, first...)
}

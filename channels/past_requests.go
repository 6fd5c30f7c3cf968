package channels

import (
	"context"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

const (
	// EventHistory is what a client asks for the past with, and is answered by.
	EventHistory = "tidewire:history"

	defaultHistoryLimit = 50
	// historyRate is how many requests a second one connection may make.
	historyRate = 10
	// HistoryPageBytes ends a page of history before the event with which its
	// data would exceed it.
	HistoryPageBytes = 256 << 10
)

// History reads the past of a channel of an app. kept is false if no rule of
// the app covers it.
func (h *Hub) History(ctx context.Context, app *tenants.App, name string, q Query) (run Run, kept bool, err error) {
	keep := retentionOf(&app.Settings, name)
	if keep.Max == 0 {
		return Run{}, false, nil
	}
	run, err = h.history.Read(ctx, Topic{App: app.ID, Channel: name}, keep, q)
	return run, true, err
}

// retentionOf is how much history a channel keeps by an app's settings.
func retentionOf(s *tenants.Settings, channel string) Retention {
	if len(s.History) == 0 {
		return Retention{}
	}
	rule := s.HistoryOf(channel)
	if rule == nil {
		return Retention{}
	}
	return Retention{Max: rule.MaxMessages, TTL: time.Duration(rule.TTLSeconds) * time.Second}
}

// pastRequest is the answer to tidewire:history.
func (c *Conn) pastRequest(ctx context.Context, data []byte) error {
	if !c.serials {
		return complain(console.SerialsNeeded, "%s needs a connection with tidewire=1 in the query", EventHistory)
	}
	var req wire.HistoryRequest
	if err := wire.DecodeHistory(data, &req); err != nil {
		return complain(console.MessageMalformed, "Invalid %s message: %v", EventHistory, err)
	}
	return about(c.history(ctx, &req), req.Channel, EventHistory)
}

func (c *Conn) history(ctx context.Context, req *wire.HistoryRequest) error {
	i := c.find(req.Channel)
	if i < 0 {
		return complain(console.NotSubscribed, "Cannot read history (connection not subscribed to channel %.164s)", req.Channel)
	}
	if err := c.mayDo(&c.subs[i], tenants.CapHistory); err != nil {
		return err
	}
	q, epoch, err := historyQuery(req)
	if err != nil {
		return err
	}
	if !c.reads.spend(time.Now(), historyRate) {
		return &complaint{code: CodeClientEventRate, reason: console.HistoryRate, message: "History request rejected due to rate limit: one connection may make 10 a second. Send fewer."}
	}
	run, kept, err := c.hub.History(ctx, c.app(), req.Channel, q)
	switch {
	case err != nil:
		return err
	case !kept:
		return complain(console.HistoryOff, "%s keeps no history: add a rule to the settings of the app (history)", req.Channel)
	case epoch != "" && run.Head.Epoch != epoch:
		return complain(console.HistoryEpoch, "The history of %s is in another epoch than the serial given: events may have been lost. Ask without it.", req.Channel)
	}
	events, next := run.Page(q.Backwards)
	c.line.Send(fanout.NewText(wire.AppendHistory(room(256), req.Channel, req.ID, events, next)))
	return nil
}

// historyQuery is the query a client's request stands for, and the epoch it must be in.
func historyQuery(req *wire.HistoryRequest) (q Query, epoch string, err error) {
	q = Query{Backwards: req.After == "", Limit: req.Limit, MaxBytes: HistoryPageBytes}
	if q.Limit == 0 {
		q.Limit = defaultHistoryLimit
	}
	bound := req.After + req.Before
	if bound == "" {
		return q, "", nil
	}
	pos, err := ParsePosition(bound)
	if err != nil {
		return q, "", complain(console.ResumeInvalid, "Invalid %s message: %v", EventHistory, wire.ErrHistoryBound)
	}
	if q.Backwards {
		q.Before = max(pos.Offset, 1)
	} else {
		q.After = pos.Offset
	}
	return q, pos.Epoch, nil
}

// Page gives the events of a run as the doors show them, and the serial from
// which the next page goes on, in the same direction; empty at the end.
func (r *Run) Page(backwards bool) (events []wire.PastEvent, next string) {
	events = make([]wire.PastEvent, len(r.Events))
	for i := range r.Events {
		ev := &r.Events[i]
		events[i] = wire.PastEvent{
			Name: ev.Name, Serial: ev.Position.String(), UserID: ev.UserID, Data: ev.Data, TimeMillis: ev.At.UnixMilli(),
		}
	}
	if r.More && len(events) > 0 {
		next = events[len(events)-1].Serial
	}
	return events, next
}

// missed has a channel whose events may have been lost on the way here caught up.
func (h *Hub) missed(ch *channel) {
	p := ch.past.Load()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.seen.IsZero() {
		h.fallBehind(ch, p, p.seen)
	}
}

// The time between two looks at where a history stands: a quarter of how long
// its events live, within these bounds.
const (
	minCheck  = time.Second
	maxCheck  = 30 * time.Second
	checkTick = 500 * time.Millisecond
)

// checkPasts keeps histories remembered that somebody here may resume, and
// notices what the broker did not bring, until ctx ends.
func (h *Hub) checkPasts(ctx context.Context) error {
	tick := time.NewTicker(checkTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for i := range h.registry.stripes {
				for _, ch := range h.registry.stripes[i].dueForCheck(now) {
					h.checkPast(ctx, ch, now)
				}
			}
		}
	}
}

// dueForCheck returns the channels of a stripe whose history is to be looked at.
func (st *stripe) dueForCheck(now time.Time) (due []*channel) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, ch := range st.channels {
		p := ch.past.Load()
		if p == nil || p.serials.Len() == 0 {
			continue
		}
		p.mu.Lock()
		if !p.seen.IsZero() && !p.behind && !now.Before(p.due) {
			due = append(due, ch)
		}
		p.mu.Unlock()
	}
	return due
}

// checkPast compares where the history of ch stands with what was delivered.
// What was missing at the last look as well did not come.
func (h *Hub) checkPast(ctx context.Context, ch *channel, now time.Time) {
	keep := h.retention(ch.topic)
	if keep.Max == 0 {
		return
	}
	p := ch.past.Load()
	p.mu.Lock()
	before := p.seen
	p.mu.Unlock()
	pos, err := h.history.Position(ctx, ch.topic, keep)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = now.Add(min(max(keep.TTL/4, minCheck), maxCheck))
	if err != nil || p.behind || p.seen.IsZero() {
		return
	}
	late := p.suspect
	p.suspect = Position{}
	switch {
	case pos == p.seen:
	case pos.Epoch == before.Epoch && pos.Offset < before.Offset:
		h.fallBehind(ch, p, p.seen) // the engine has lost some
	case pos.Epoch == p.seen.Epoch && pos.Offset < p.seen.Offset:
		// delivered meanwhile
	case !late.IsZero() && (p.seen.Epoch != late.Epoch || p.seen.Offset < late.Offset):
		h.fallBehind(ch, p, late)
	default: // may be on its way
		p.suspect, p.due = pos, now.Add(minCheck)
	}
}

package channels

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// drainBatch is how many connections are told to go at a time: clients come
// back at once, and they should not all come to the next node together.
const drainBatch = 200

// Refuse makes the hub refuse new connections with [CodeReconnect], for good.
// Connections that end from then on are handed over ([HubConfig].Handover).
func (h *Hub) Refuse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Drain is [Hub.Refuse], and closes the connections that are open with
// [CodeReconnect], spread over the time given. What was accepted for them
// before is written first. It returns when every connection has been told and
// gone and whoever had to be was handed over, or ctx ends.
func (h *Hub) Drain(ctx context.Context, over time.Duration) error {
	h.mu.Lock()
	h.draining = true
	var conns []*Conn
	for _, sp := range h.spaces {
		conns = append(conns, sp.all()...)
	}
	h.mu.Unlock()

	if err := CloseSpread(ctx, conns, over); err != nil {
		return err
	}
	for h.Stats().Connections > 0 {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return h.endHandover(ctx)
}

// handOver keeps what a connection says of its user until the handover ends, if
// the hub drains and it says something that others would be told of.
func (h *Hub) handOver(c *Conn) bool {
	if h.cfg.Handover <= 0 || c.user == nil && !slices.ContainsFunc(c.subs, subscription.seen) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		return false
	}
	h.handed = append(h.handed, c)
	return true
}

// seen reports whether other clients are told when the subscription ends.
func (s subscription) seen() bool { return s.userID != "" || s.channel.count.announce.Load() }

// endHandover gives those who were here time to come back elsewhere, then says
// that they have left. If ctx ends first it says so at once.
func (h *Hub) endHandover(ctx context.Context) error {
	h.mu.Lock()
	some := len(h.handed) > 0
	h.mu.Unlock()
	if !some {
		return nil
	}
	err := pause(ctx, h.cfg.Handover)
	h.mu.Lock()
	handed := h.handed
	h.handed = nil
	h.mu.Unlock()
	for _, c := range handed {
		c.goneFromAll(context.WithoutCancel(ctx))
	}
	return err
}

// CloseSpread closes connections with [CodeReconnect], spread over the time
// given: clients come back at once, and should not all come together.
func CloseSpread(ctx context.Context, conns []*Conn, over time.Duration) error {
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	batches := (len(conns) + drainBatch - 1) / drainBatch
	for i, c := range conns {
		c.Close(Draining())
		if i%drainBatch == drainBatch-1 {
			if err := pause(ctx, over/time.Duration(batches)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Draining is the refusal of a node that is going away.
func Draining() *Refusal { return &Refusal{Code: CodeReconnect, Message: messageDraining} }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

package channels

import (
	"context"
	"math/rand/v2"
	"time"
)

// drainBatch is how many connections are told to go at a time: clients come
// back at once, and they should not all come to the next node together.
const drainBatch = 200

// Drain refuses new connections and closes those that are open with
// [CodeReconnect], spread over the time given. What was accepted for them
// before is written first. It returns when every connection has been told and
// gone, or ctx ends.
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
	return nil
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

//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// retryAfter is how long a publisher that was refused waits.
const retryAfter = time.Millisecond

// minGrace is the least time a paced phase may overrun.
const minGrace = 2 * time.Second

// Sent is what a group of publishers did in one phase.
type Sent struct {
	Requests   int64         // answered with 200
	Events     int64         // events in them
	Deliveries int64         // what the clients must receive for them
	Unsent     int64         // paced only: requests given up because the schedule could not be kept
	Refused    int64         // answered with 429 or 503, and sent again if there was time
	Elapsed    time.Duration // of the phase
	Lag        Histogram     // paced only: how late a request left, against its schedule
}

// Group is a set of publishers, each with its own connection and its own share
// of the targets. Make one with [NewGroup], end it with [Group.Close].
type Group struct {
	pubs     []*publisher
	shape    Shape
	expected atomic.Int64 // deliveries caused since the start of the phase
}

// NewGroup connects publishers to the server at addr. Target i belongs to
// publisher i modulo their number, so that each channel has one sequence; with
// fewer targets than publishers every publisher sends to all of them, each with
// a sequence of its own.
func NewGroup(ctx context.Context, addr string, publishers int, targets []Target, shape Shape) (*Group, error) {
	if publishers < 1 || publishers > maxStreams || len(targets) == 0 {
		return nil, fmt.Errorf("a group needs 1 to %d publishers and a target", maxStreams)
	}
	g := &Group{shape: shape}
	for i := range publishers {
		mine := targets
		if len(targets) >= publishers {
			mine = nil
			for k := i; k < len(targets); k += publishers {
				mine = append(mine, targets[k])
			}
		}
		p, err := newPublisher(ctx, addr, i, mine, shape)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.pubs = append(g.pubs, p)
	}
	return g, nil
}

// Close hangs up.
func (g *Group) Close() {
	for _, p := range g.pubs {
		_ = p.conn.Close()
	}
}

// Expected returns the deliveries that the running phase has caused so far.
func (g *Group) Expected() int64 { return g.expected.Load() }

// Paced publishes rate times a second for d, the publishers taking turns, with
// so many requests together due at the same moment. A publisher whose last
// request is still unanswered sends late; Sent.Lag tells. What is still due
// after twice d, or 2 s after d if that is later, is not sent any more;
// Sent.Unsent tells.
func (g *Group) Paced(ctx context.Context, rate, together int, d time.Duration) (*Sent, error) {
	total := int(d.Seconds() * float64(rate))
	interval := time.Second * time.Duration(together) / time.Duration(rate)
	start := time.Now().Add(5 * time.Millisecond)
	return g.phase(ctx, func(ctx context.Context, i int, p *publisher, sent *Sent) error {
		for k := i; k < total; k += len(g.pubs) {
			due := start.Add(time.Duration(k/together) * interval)
			if err := pause(ctx, time.Until(due)); err != nil {
				return err
			}
			if time.Since(start) > d+max(d, minGrace) {
				sent.Unsent += int64((total - k + len(g.pubs) - 1) / len(g.pubs))
				return nil
			}
			sent.Lag.Add(time.Since(due))
			for {
				done, err := g.once(ctx, p, k/len(g.pubs), sent)
				if err != nil {
					return err
				}
				if done {
					break
				}
			}
		}
		return nil
	})
}

// Closed publishes for d, every publisher sending as soon as its last request
// is answered, but only while fewer than cap deliveries are outstanding, as
// received tells.
func (g *Group) Closed(ctx context.Context, d time.Duration, limit int64, received func() int64) (*Sent, error) {
	end := time.Now().Add(d)
	return g.phase(ctx, func(ctx context.Context, _ int, p *publisher, sent *Sent) error {
		for k := 0; time.Now().Before(end); {
			if g.expected.Load()-received() > limit {
				if err := pause(ctx, 100*time.Microsecond); err != nil {
					return err
				}
				continue
			}
			done, err := g.once(ctx, p, k, sent)
			if err != nil {
				return err
			}
			if done {
				k++
			}
		}
		return nil
	})
}

// phase runs work for every publisher and adds up what they sent.
func (g *Group) phase(ctx context.Context, work func(context.Context, int, *publisher, *Sent) error) (*Sent, error) {
	g.expected.Store(0)
	start := time.Now()
	parts := make([]Sent, len(g.pubs))
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// A publisher waits in a read or a write: only closing its connection frees it.
	stop := context.AfterFunc(ctx, g.Close)
	var wg sync.WaitGroup
	for i, p := range g.pubs {
		wg.Go(func() {
			if err := work(ctx, i, p, &parts[i]); err != nil {
				fail(err)
			}
		})
	}
	wg.Wait()
	if !stop() { // it ran: the phase failed or was cut short, and nothing can be sent any more
		return nil, fmt.Errorf("publish: %w", context.Cause(ctx))
	}
	total := &Sent{Elapsed: time.Since(start)}
	for i := range parts {
		total.add(&parts[i])
	}
	return total, nil
}

// once publishes the k-th request of p and books it; done is false if the
// server refused it.
func (g *Group) once(ctx context.Context, p *publisher, k int, sent *Sent) (done bool, err error) {
	reach := p.requests[k%len(p.requests)].reach
	g.expected.Add(reach) // before sending: the deliveries may outrun the answer
	switch err := p.publish(k); {
	case err == nil:
		sent.Requests++
		sent.Events += int64(g.shape.events())
		sent.Deliveries += reach
		return true, nil
	case errors.Is(err, errRefused):
		g.expected.Add(-reach)
		sent.Refused++
		return false, pause(ctx, retryAfter)
	default:
		return false, err
	}
}

func (s *Sent) add(o *Sent) {
	s.Requests += o.Requests
	s.Events += o.Events
	s.Deliveries += o.Deliveries
	s.Unsent += o.Unsent
	s.Refused += o.Refused
	s.Lag.Merge(&o.Lag)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

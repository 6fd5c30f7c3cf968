package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidewire/channels"
)

const (
	defaultLease = 15 * time.Second
	minLease     = time.Second
	maxLease     = 15 * time.Second
	// leaveTimeout bounds the clean leave at the end of Run.
	leaveTimeout = 5 * time.Second
)

// absent is a node whose lease on a partition has run out.
type absent struct {
	part *part
	node string
}

// run keeps this node's leases, tells Redis again what it has lost, and clears
// up after nodes that died, until ctx ends. Then the node leaves everything.
func (p *Presence) run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errors.New("redis: Run was called before; open a new client")
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.beat(ctx) })
	wg.Go(func() { p.repair(ctx) })
	wg.Go(func() { p.reap(ctx) })
	wg.Wait()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	close(p.gone)
	if err := p.retire(bounded); err != nil {
		p.c.log.Warn("presence not left cleanly, the other nodes will clear up", "after", p.lease, "error", oneLine(err))
	}
	return nil
}

// beat renews the leases on all partitions, three times in a lease.
func (p *Presence) beat(ctx context.Context) {
	for failing := false; ctx.Err() == nil; {
		lost, err := p.renew(ctx)
		if err != nil && !failing {
			p.c.log.Warn("redis lease not renewed, the other nodes will take this one for dead", "after", p.lease, "error", oneLine(err))
		}
		failing = err != nil
		if lost > 0 {
			p.c.log.Warn("redis lease lost, taking it again", "partitions", lost)
			continue
		}
		pause(ctx, p.lease/3)
	}
}

// renew renews every lease, or takes it where there is none, in one round. It
// returns how many turned out to be lost, and an error if some could not be asked for.
func (p *Presence) renew(ctx context.Context) (lost int, failure error) {
	var leases []renewal
	var calls []call
	for i := range p.parts {
		if r, ok := p.parts[i].renewal(); ok {
			leases = append(leases, r)
			calls = append(calls, p.leaseCall(r))
		}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(ioTimeout, p.lease/3))
	defer cancel()
	var dead []absent
	for i, a := range p.c.run(bounded, leaseScript, calls...) {
		held, others, err := p.conclude(leases[i], a)
		switch {
		case err != nil:
			failure = err
		case !held:
			lost++
		}
		dead = append(dead, others...)
		<-leases[i].part.registering
	}
	if len(dead) > 0 {
		select {
		case p.dead <- dead:
		default: // still busy with others; the next round says it again
		}
	}
	return lost, failure
}

// renewal is one step with a lease.
type renewal struct {
	part       *part
	generation uint64
	take       bool // not renew
}

// renewal says what is to be done with the lease, and takes the partition's
// turn; it reports false if somebody else is just at it.
func (pt *part) renewal() (renewal, bool) {
	select {
	case pt.registering <- struct{}{}:
		return pt.next(), true
	default:
		return renewal{}, false
	}
}

// next is called in the turn.
func (pt *part) next() renewal {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.generation != 0 {
		return renewal{part: pt, generation: pt.generation}
	}
	pt.last++
	return renewal{part: pt, generation: pt.last, take: true}
}

func (p *Presence) leaseCall(r renewal) call {
	what := "renew"
	if r.take {
		what = "take"
	}
	return call{
		keys: []string{partitionName(r.part.number, useNodes)},
		args: []any{p.node, r.generation, p.lease.Milliseconds(), what},
	}
}

// conclude takes over what came of a step with a lease: whether the lease is
// held, and the nodes to clear up after. A lease that is not held and no error
// say that it has run out.
func (p *Presence) conclude(r renewal, a answer) (held bool, dead []absent, err error) {
	reply, err := a.list()
	if err != nil || len(reply) == 0 {
		p.giveUp(r.part, r.generation)
		return false, nil, away(err)
	}
	if n, _ := reply[0].(int64); n != 1 {
		p.giveUp(r.part, r.generation)
		if r.take { // by a later generation, and this node has none
			return false, nil, away(errFenced)
		}
		return false, nil, nil
	}
	r.part.mu.Lock()
	if r.take {
		r.part.generation, r.part.since = r.generation, time.Now()
	}
	patient := time.Since(r.part.since) < p.lease
	r.part.mu.Unlock()
	if patient {
		// If Redis was away, everybody's lease has run out. Whoever comes back
		// first gives the others the time to do so too.
		return true, nil, nil
	}
	for _, name := range reply[1:] {
		if node, ok := name.(string); ok && node != p.node {
			dead = append(dead, absent{part: r.part, node: node})
		}
	}
	return true, dead, nil
}

// giveUp ends a generation, if it is still the present one. What was said under
// it has to be said again: Redis may have lost it, or another node cleared it up.
func (p *Presence) giveUp(pt *part, generation uint64) {
	pt.mu.Lock()
	if pt.generation == generation {
		pt.generation = 0
	}
	pt.behind = true
	pt.mu.Unlock()
	p.wakeRepair()
}

func (p *Presence) wakeRepair() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// register returns the generation of this node's lease on the partition, and
// takes one if there is none.
func (p *Presence) register(ctx context.Context, pt *part) (uint64, error) {
	if g := pt.current(); g != 0 {
		return g, p.open()
	}
	select {
	case pt.registering <- struct{}{}:
		defer func() { <-pt.registering }()
	case <-p.gone:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := p.open(); err != nil {
		return 0, err
	}
	r := pt.next()
	if !r.take {
		return r.generation, nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), ioTimeout)
	defer cancel()
	_, _, err := p.conclude(r, p.c.run(bounded, leaseScript, p.leaseCall(r))[0])
	return r.generation, err
}

// open says whether this node may still take part.
func (p *Presence) open() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%w: this node has left", channels.ErrBrokerAway)
	default:
		return nil
	}
}

func (pt *part) current() uint64 {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	return pt.generation
}

// retire ends the leases for good and leaves everything.
func (p *Presence) retire(ctx context.Context) error {
	calls := make([]call, len(p.parts))
	for i := range p.parts {
		pt := &p.parts[i]
		select {
		case pt.registering <- struct{}{}: // never given back: nobody takes a lease again
		case <-ctx.Done():
			return ctx.Err()
		}
		pt.mu.Lock()
		pt.last++
		pt.generation = 0
		calls[i] = p.leaseCall(renewal{part: pt, generation: pt.last})
		pt.mu.Unlock()
		calls[i].args[3] = "retire"
	}
	var errs []error
	for i, a := range p.c.run(ctx, leaseScript, calls...) {
		if _, err := a.list(); err != nil {
			errs = append(errs, err)
			break // the others fail likewise, or their leases end by themselves
		}
		if err := p.clear(ctx, absent{part: &p.parts[i], node: p.node}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

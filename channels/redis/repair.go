package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"tidewire/channels"
)

const (
	// repairers is how many partitions are told again at once.
	repairers = 8
	// reapBatch is how many topics of a dead node are cleared up in one round.
	reapBatch = 100
)

// repair tells Redis again what it may not know, whenever that is the case.
func (p *Presence) repair(ctx context.Context) {
	for failures := 0; ; {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
		if err := p.repairAll(ctx); err == nil {
			failures = 0
			continue
		} else if ctx.Err() == nil {
			p.c.log.Debug("presence not told again yet", "error", oneLine(err))
		}
		pause(ctx, backoff(failures))
		failures++
		p.wakeRepair()
	}
}

// repairAll goes through the partitions that are behind, some at a time.
func (p *Presence) repairAll(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.parts))
	room := make(chan struct{}, repairers)
	for i := range p.parts {
		if pt := &p.parts[i]; pt.takeBehind() {
			room <- struct{}{}
			wg.Go(func() {
				errs[i] = p.repairPart(ctx, pt)
				<-room
			})
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (pt *part) takeBehind() bool {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	behind := pt.behind
	pt.behind = false
	return behind
}

func (p *Presence) repairPart(ctx context.Context, pt *part) error {
	for _, t := range pt.all() {
		if err := p.retell(ctx, pt, t); err != nil {
			pt.mu.Lock()
			pt.behind = true
			pt.mu.Unlock()
			return err
		}
	}
	return nil
}

// retell says again what this node holds of one topic, if Redis may not know.
func (p *Presence) retell(ctx context.Context, pt *part, t channels.Topic) error {
	h, end, err := p.begin(ctx, t)
	if err != nil {
		return err
	}
	defer end()
	generation, err := p.register(ctx, pt)
	if err != nil {
		return err
	}
	before := h.generation
	if err = p.settle(ctx, pt, h, generation); err == nil && h.generation != before {
		p.c.counters.retold.Add(1)
	}
	return err
}

// reap clears up after dead nodes. Every node does, and it is done once: the
// script that takes a node off a topic finds nothing the second time.
func (p *Presence) reap(ctx context.Context) {
	for {
		select {
		case dead := <-p.dead:
			p.reportDead(dead)
			// In an order of its own, so that nodes share the work.
			rand.Shuffle(len(dead), func(i, j int) { dead[i], dead[j] = dead[j], dead[i] })
			for _, a := range dead {
				if err := p.clear(ctx, a); err != nil && ctx.Err() == nil {
					p.c.log.Warn("presence of a dead node not cleared up yet", "node", a.node, "error", oneLine(err))
					break // the next renewal says it again
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// reportDead logs one line for each node.
func (p *Presence) reportDead(dead []absent) {
	partitions := make(map[string]int)
	for _, a := range dead {
		partitions[a.node]++
	}
	for node, n := range partitions {
		p.c.log.Warn("a node has died, clearing up after it", "node", node, "partitions", n)
	}
}

// clear takes a node without a lease off everything in one partition. It ends
// early if the node is back.
func (p *Presence) clear(ctx context.Context, a absent) error {
	index := heldKey(a.part.number, a.node)
	for {
		bounded, cancel := context.WithTimeout(ctx, ioTimeout)
		names, err := p.c.rdb.HRandField(bounded, index, reapBatch).Result()
		if err == nil && len(names) == 0 {
			err = p.forget(bounded, a, index)
			cancel()
			return err
		}
		var done bool
		if err == nil {
			done, err = p.clearTopics(bounded, a, index, names)
		}
		cancel()
		if err != nil || done {
			return err
		}
	}
}

// clearTopics takes a dead node off the topics named, and reports whether it
// turned out to be alive.
func (p *Presence) clearTopics(ctx context.Context, a absent, index string, names []string) (alive bool, err error) {
	calls := make([]call, 0, len(names))
	for _, name := range names {
		t, ok := topicNamed(name, a.part.number)
		if !ok { // not written by us
			if err := p.c.rdb.HDel(ctx, index, name).Err(); err != nil {
				return false, err
			}
			continue
		}
		keys, err := stateKeys(t, a.node)
		if err != nil {
			return false, err
		}
		calls = append(calls, call{keys: keys, args: []any{a.node, "", name}})
	}
	var errs []error
	for _, answer := range p.c.run(ctx, reapScript, calls...) {
		n, err := answer.number()
		switch {
		case err != nil:
			errs = append(errs, err)
		case n == fenced:
			alive = true
		default:
			p.c.counters.reaped.Add(1)
		}
	}
	return alive, errors.Join(errs...)
}

// forget removes the last trace of a node that holds nothing any more.
func (p *Presence) forget(ctx context.Context, a absent, index string) error {
	_, err := p.c.run(ctx, forgetScript, call{
		keys: []string{partitionName(a.part.number, useNodes), index}, args: []any{a.node},
	})[0].number()
	return err
}

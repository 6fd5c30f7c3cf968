package channels

import (
	"context"
	"fmt"
	"time"
)

// forgetEvery is how often kept events whose time has passed are dropped.
const forgetEvery = 10 * time.Second

// keptEvent is the last event of one cache channel.
type keptEvent struct {
	event Event
	until time.Time
}

// keep makes ev the topic's last event. The caller holds the partition's lock.
func (p *memoryPartition) keep(ev *Event) {
	if p.kept == nil {
		p.kept = make(map[Topic]keptEvent)
	}
	e := *ev
	e.Except = "" // it is excluded from the live delivery only
	e.Keep, e.Position = Retention{}, Position{}
	p.kept[ev.Topic] = keptEvent{event: e, until: time.Now().Add(ev.CacheTTL)}
}

// Last implements [LastEvents].
func (b *MemoryBroker) Last(ctx context.Context, t Topic) (*Event, time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("last event: %w", err)
	}
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.kept[t]
	left := time.Until(k.until)
	if !ok || left <= 0 {
		return nil, 0, nil
	}
	return &k.event, left, nil
}

// forgetKept drops, until ctx ends, the kept events whose time has passed.
func (b *MemoryBroker) forgetKept(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for i := range b.parts {
				b.parts[i].forgetBefore(now)
			}
		}
	}
}

func (p *memoryPartition) forgetBefore(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t, k := range p.kept {
		if k.until.Before(now) {
			delete(p.kept, t)
		}
	}
	p.forgetStreams(now)
}

var _ LastEvents = (*MemoryBroker)(nil)

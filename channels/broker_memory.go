package channels

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryBroker is the in-process engine of [Broker], for one node on its own.
//
// It has no queue: Publish calls deliver itself, under the lock of the topic's
// partition. That lock is what gives concurrent publishers one order, and the
// step in which an event is appended to a history.
// deliver is called for several partitions at once, must not call the broker
// back, and may keep an event's Data but not the *Event.
type MemoryBroker struct {
	ran     atomic.Bool
	started chan struct{}
	parts   [Partitions]memoryPartition
	// left, if set, is told of a topic nobody here hears any more, under its
	// partition's lock. Set before Run.
	left    func(Topic)
	weights sync.Map // tenants.AppID → *atomic.Int64: what its histories weigh
}

// memoryPartition is the share of the topics that has one order.
type memoryPartition struct {
	mu      sync.Mutex
	deliver func(*Event) error // nil unless the broker runs
	topics  map[Topic]struct{}
	kept    map[Topic]keptEvent // nil while nothing is kept
	streams map[Topic]*stream   // nil while there is no history
}

// NewMemoryBroker returns a broker that works once its Run is called.
func NewMemoryBroker() *MemoryBroker { return &MemoryBroker{started: make(chan struct{})} }

// Started implements [Broker].
func (b *MemoryBroker) Started() <-chan struct{} { return b.started }

// Publish implements [Broker]. Between start and return it owns evs: it sets
// each Position. An event that this node cannot take now is reported in a
// [*PublishError] that wraps [ErrBusy].
func (b *MemoryBroker) Publish(ctx context.Context, evs []Event) ([]Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	positions := make([]Position, len(evs))
	var failed *PublishError
	for i := range evs {
		pos, err := b.publish(b.part(evs[i].Topic), &evs[i])
		if err == nil {
			positions[i] = pos
			continue
		}
		if failed == nil {
			failed = &PublishError{Err: err}
		}
		failed.Failed = append(failed.Failed, i)
	}
	if failed != nil {
		return positions, failed
	}
	return positions, nil
}

// publish accepts one event: position, delivery and append, as one step that no
// other event of the partition can come between.
func (b *MemoryBroker) publish(p *memoryPartition, ev *Event) (Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deliver == nil {
		return Position{}, ErrBrokerAway
	}
	// Only the broker hands out positions; one that the caller left in the
	// event would be a place in a history that does not exist.
	if !ev.Position.IsZero() {
		ev.Position = Position{}
	}
	if ev.Keep.Max > 0 {
		return b.publishKept(p, ev)
	}
	return Position{}, p.pass(ev)
}

// pass delivers ev, and keeps it if it is to be the topic's last event.
func (p *memoryPartition) pass(ev *Event) error {
	if _, ok := p.topics[ev.Topic]; ok {
		if err := p.deliver(ev); err != nil {
			return err
		}
	}
	if ev.CacheTTL > 0 {
		p.keep(ev)
	}
	return nil
}

// publishKept is publish for a topic with history: an event that this node
// cannot take now has no place in it either.
func (b *MemoryBroker) publishKept(p *memoryPartition, ev *Event) (Position, error) {
	now := time.Now()
	s := b.streamOf(p, ev.Topic, now)
	ev.Position = Position{Epoch: s.head.Epoch, Offset: s.head.Offset + 1}
	if err := p.pass(ev); err != nil {
		s.remember(ev.Keep, now)
		return Position{}, err
	}
	s.append(ev, now)
	p.makeRoom(ev.Topic, MaxMemoryHistoryBytes)
	return ev.Position, nil
}

// Subscribe implements [Broker].
func (b *MemoryBroker) Subscribe(ctx context.Context, t Topic) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deliver == nil {
		return ErrBrokerAway
	}
	p.topics[t] = struct{}{}
	return nil
}

// Unsubscribe implements [Broker]. It is carried out even if ctx has ended.
func (b *MemoryBroker) Unsubscribe(_ context.Context, t Topic) error {
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.topics, t)
	if b.left != nil {
		b.left(t)
	}
	return nil
}

// Run implements [Broker]. It can be called once; a second call is an error.
func (b *MemoryBroker) Run(ctx context.Context, deliver func(*Event) error) error {
	if b.ran.Swap(true) {
		return errors.New("memory broker: Run was called before; make a new broker")
	}
	b.setDeliver(deliver)
	close(b.started)
	b.forgetKept(ctx)
	b.setDeliver(nil) // passes every lock, so every call under way has returned
	return nil
}

// setDeliver opens all partitions, or closes them and forgets their topics. It
// holds all locks at once, taken in the order of the partitions, so that nobody
// sees a broker of which only a part runs.
func (b *MemoryBroker) setDeliver(deliver func(*Event) error) {
	for i := range b.parts {
		b.parts[i].mu.Lock()
	}
	for i := range b.parts {
		p := &b.parts[i]
		p.deliver = deliver
		p.topics = make(map[Topic]struct{})
		p.mu.Unlock()
	}
}

func (b *MemoryBroker) part(t Topic) *memoryPartition { return &b.parts[t.Partition()] }

var _ Broker = (*MemoryBroker)(nil)

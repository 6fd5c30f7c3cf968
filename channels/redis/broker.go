package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidewire/channels"
)

// subscribeTimeout bounds how long Subscribe and Unsubscribe wait for Redis to
// confirm, when their context allows longer.
const subscribeTimeout = 5 * time.Second

// Broker is the Redis engine of [channels.Broker].
//
// It calls deliver from one goroutine per subscription connection: one, or in a
// Cluster one per partition in use. An event that deliver answers with
// channels.ErrBusy is offered again until it is taken, and nothing behind it on
// that connection is read meanwhile: the pressure goes back to Redis.
type Broker struct {
	c     *Client
	lanes []*lane // static: one for all partitions, or one for each

	started chan struct{} // closed by Run

	mu      sync.Mutex
	ran     bool
	stopped chan struct{}               // nil before Run; closed when Run ends
	deliver func(*channels.Event) error // set before the lanes start
}

func newBroker(c *Client) *Broker {
	b := &Broker{c: c, started: make(chan struct{})}
	count := 1
	if c.target.mode == modeCluster {
		count = channels.Partitions
	}
	for range count {
		b.lanes = append(b.lanes, newLane(b))
	}
	return b
}

// away says that Redis could not do it, and keeps the reason for the log.
func away(err error) error {
	if err == nil {
		return channels.ErrBrokerAway
	}
	return fmt.Errorf("%w: %s", channels.ErrBrokerAway, oneLine(err).Error())
}

// Subscribe implements [channels.Broker]. While Redis is away it waits up to
// five seconds and returns channels.ErrBrokerAway. After an error the topic is
// as it was before the call.
func (b *Broker) Subscribe(ctx context.Context, t channels.Topic) error {
	name, stopped, err := b.enter(ctx, t)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	l := b.lane(t)
	confirmed := l.table.want(t, name)
	if confirmed == nil {
		return nil
	}
	if err = l.await(ctx, stopped, confirmed); err != nil && l.table.abandon(name, confirmed) {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// Unsubscribe implements [channels.Broker]. It takes effect even when it
// returns an error; the error only means that Redis has not confirmed it yet.
func (b *Broker) Unsubscribe(ctx context.Context, t channels.Topic) error {
	name, err := shardChannel(t)
	stopped := b.running()
	if err != nil || stopped == nil {
		return nil // such a topic cannot have been subscribed to
	}
	l := b.lane(t)
	if confirmed := l.table.unwant(name); confirmed != nil {
		if err := l.await(ctx, stopped, confirmed); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	return nil
}

// enter checks whether a subscription may begin.
func (b *Broker) enter(ctx context.Context, t channels.Topic) (name string, stopped <-chan struct{}, err error) {
	if err := ctx.Err(); err != nil {
		return "", nil, err
	}
	if stopped = b.running(); stopped == nil {
		return "", nil, channels.ErrBrokerAway
	}
	name, err = shardChannel(t)
	return name, stopped, err
}

// Run implements [channels.Broker]. It can be called once. It returns nil when
// ctx has ended and every connection for subscriptions is closed; losing Redis
// does not end it.
func (b *Broker) Run(ctx context.Context, deliver func(*channels.Event) error) error {
	b.mu.Lock()
	if b.ran {
		b.mu.Unlock()
		return errors.New("redis broker: Run was called before; open a new client")
	}
	b.ran, b.stopped, b.deliver = true, make(chan struct{}), deliver
	b.mu.Unlock()
	close(b.started)
	var wg sync.WaitGroup
	for _, l := range b.lanes {
		wg.Go(func() { l.run(ctx) })
	}
	<-ctx.Done()
	close(b.stopped)
	wg.Wait()
	return nil
}

// Started implements [channels.Broker]. It says nothing of Redis, which may be
// away at any time.
func (b *Broker) Started() <-chan struct{} { return b.started }

// running returns a channel that is closed when Run ends, or nil if the broker
// does not run.
func (b *Broker) running() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.stopped:
		return nil
	default:
		return b.stopped // a nil channel is never ready, so this is right before Run too
	}
}

func (b *Broker) lane(t channels.Topic) *lane {
	if len(b.lanes) == 1 {
		return b.lanes[0]
	}
	return b.lanes[t.Partition()]
}

var _ channels.Broker = (*Broker)(nil)

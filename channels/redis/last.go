package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

// lastScript reads a kept event and its time together.
const lastScript = `return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}`

// Last implements [channels.LastEvents]. Something in its place that is not an
// event is counted and treated as none.
func (b *Broker) Last(ctx context.Context, t channels.Topic) (*channels.Event, time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("last event: %w", err)
	}
	key, err := lastKey(t)
	if err != nil {
		return nil, 0, fmt.Errorf("last event: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	reply, err := b.c.rdb.Eval(bounded, lastScript, []string{key}).Slice()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, 0, fmt.Errorf("last event: %w", ctx.Err())
	case err != nil && !errors.Is(err, goredis.Nil):
		return nil, 0, fmt.Errorf("last event: %w", away(err))
	case len(reply) != 2:
		return nil, 0, nil
	}
	payload, ok := reply[0].(string)
	left, _ := reply[1].(int64)
	if !ok || left <= 0 {
		return nil, 0, nil
	}
	ev, err := decodeEnvelope(payload)
	if err != nil {
		b.c.counters.dropped(err).Add(1)
		return nil, 0, nil
	}
	ev.Topic = t
	return ev, time.Duration(left) * time.Millisecond, nil
}

var _ channels.LastEvents = (*Broker)(nil)

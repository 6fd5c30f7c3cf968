package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

// publishCmd is a command that is sent once: in a Cluster the library would
// send a whole batch again after a lost reply, whatever MaxRetries says.
type publishCmd struct{ *goredis.IntCmd }

// NoRetry implements [goredis.Cmder].
func (publishCmd) NoRetry() bool { return true }

// noReply marks a command that no reply was read for.
const noReply = -1

// keepScript keeps an event as the last of its topic and publishes it, as one
// step: whoever subscribes and then reads the last event misses nothing.
const keepScript = `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('SPUBLISH', KEYS[2], ARGV[3] or ARGV[1])`

// Publish implements [channels.Broker]: one pipelined round, or one per master
// of a Cluster, two seconds at most; another for scripts Redis has forgotten. An
// event that cannot be encoded fails the whole call before anything is sent.
func (b *Broker) Publish(ctx context.Context, evs []channels.Event) ([]channels.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if b.running() == nil {
		return nil, channels.ErrBrokerAway
	}
	positions := make([]channels.Position, len(evs))
	if len(evs) == 0 {
		return positions, nil
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	pipe := b.c.rdb.Pipeline()
	cmds, kept, err := b.queuePublishes(bounded, pipe, evs)
	if err != nil {
		return nil, err
	}
	_, err = pipe.Exec(bounded)
	failed := failedPublishes(cmds, err)
	if kept != nil {
		failed = b.concludeAppends(bounded, kept, positions, failed, err)
	}
	if failed == nil {
		b.c.counters.published.Add(uint64(len(evs)))
		return positions, nil
	}
	b.c.counters.published.Add(uint64(len(evs) - len(failed.Failed)))
	b.c.counters.publishFailed.Add(uint64(len(failed.Failed)))
	if ctx.Err() != nil {
		failed.Err = ctx.Err()
	}
	return positions, failed
}

// queuePublishes puts one command per event into pipe. cmds has nil for the
// events of histories, which are in kept.
func (b *Broker) queuePublishes(ctx context.Context, pipe goredis.Pipeliner, evs []channels.Event) (cmds []*goredis.IntCmd, kept []appending, err error) {
	size := 0
	for i := range evs {
		size += envelopeLen(&evs[i])
	}
	buf := make([]byte, 0, size)
	cmds = make([]*goredis.IntCmd, 0, len(evs))
	for i := range evs {
		if evs[i].Keep.Max > 0 {
			one, rest, err := b.c.newAppending(buf, i, &evs[i])
			if err != nil {
				return nil, nil, fmt.Errorf("publish event %d: %w", i, err)
			}
			buf = rest
			one.queue(ctx, pipe, "evalsha", appendScript.digest)
			kept, cmds = append(kept, one), append(cmds, nil)
			continue
		}
		cmd, rest, err := publishCommand(ctx, buf, &evs[i])
		if err != nil {
			return nil, nil, fmt.Errorf("publish event %d: %w", i, err)
		}
		buf = rest
		cmd.SetVal(noReply)
		cmds = append(cmds, cmd)
		_ = pipe.Process(ctx, publishCmd{cmd})
	}
	return cmds, kept, nil
}

// publishCommand makes the command for one event. Its envelopes are appended to
// buf, of which the command keeps slices.
func publishCommand(ctx context.Context, buf []byte, ev *channels.Event) (*goredis.IntCmd, []byte, error) {
	channel, err := shardChannel(ev.Topic)
	if err != nil {
		return nil, buf, err
	}
	live, buf, err := envelope(buf, ev)
	if err != nil {
		return nil, buf, err
	}
	if ev.CacheTTL <= 0 {
		cmd := goredis.NewIntCmd(ctx, "spublish", channel, live)
		cmd.SetFirstKeyPos(1)
		return cmd, buf, nil
	}
	key, err := lastKey(ev.Topic)
	if err != nil {
		return nil, buf, err
	}
	ttl := millis(ev.CacheTTL)
	args := []any{"eval", keepScript, 2, key, channel, live, ttl}
	if ev.Except != "" {
		kept, rest, err := keptEnvelope(buf, ev)
		if err != nil {
			return nil, buf, err
		}
		buf = rest
		args = []any{"eval", keepScript, 2, key, channel, kept, ttl, live}
	}
	cmd := goredis.NewIntCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	return cmd, buf, nil
}

// keptEnvelope appends the envelope of ev as its topic's last event: it is
// excluded from the live delivery only.
func keptEnvelope(buf []byte, ev *channels.Event) (env, rest []byte, err error) {
	all := *ev
	all.Except = ""
	return envelope(buf, &all)
}

// envelope appends ev's envelope to buf and returns it, and buf.
func envelope(buf []byte, ev *channels.Event) (env, rest []byte, err error) {
	start := len(buf)
	if rest, err = appendEnvelope(buf, ev); err != nil {
		return nil, buf, err
	}
	return rest[start:len(rest):len(rest)], rest, nil
}

// failedPublishes collects the commands without a good reply; nil if there are none.
// The library can fail a batch without saying so on each command, hence noReply.
func failedPublishes(cmds []*goredis.IntCmd, execErr error) *channels.PublishError {
	var failed *channels.PublishError
	for i, cmd := range cmds {
		if cmd == nil {
			continue
		}
		err := cmd.Err()
		if err == nil && cmd.Val() != noReply {
			continue
		}
		if err == nil {
			err = execErr
		}
		if err == nil {
			err = errors.New("no reply")
		}
		if failed == nil {
			failed = &channels.PublishError{Err: away(err)}
		}
		failed.Failed = append(failed.Failed, i)
	}
	return failed
}

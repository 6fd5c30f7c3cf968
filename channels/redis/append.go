package redis

import (
	"context"
	"errors"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

// appending is one event of a call that goes into a history.
type appending struct {
	index int // of the event in the call
	call  call
	cmd   *goredis.Cmd
}

// newAppending makes what is sent for ev; its envelopes are appended to buf.
func (c *Client) newAppending(buf []byte, index int, ev *channels.Event) (appending, []byte, error) {
	keys, err := historyKeys(ev.Topic)
	if err != nil {
		return appending{}, buf, err
	}
	channel, err := shardChannel(ev.Topic)
	if err != nil {
		return appending{}, buf, err
	}
	live, buf, err := envelope(buf, ev)
	if err != nil {
		return appending{}, buf, err
	}
	a := appending{index: index, call: call{keys: append(keys, channel), args: append(c.retentionArgs(ev.Keep), live)}}
	if ev.CacheTTL <= 0 {
		return a, buf, nil
	}
	last, err := lastKey(ev.Topic)
	if err != nil {
		return appending{}, buf, err
	}
	kept, buf, err := keptEnvelope(buf, ev)
	if err != nil {
		return appending{}, buf, err
	}
	a.call.keys = append(a.call.keys, last)
	a.call.args = append(a.call.args, millis(ev.CacheTTL), kept)
	return a, buf, nil
}

// queue puts the command into pipe: the script by its name, or in full.
func (a *appending) queue(ctx context.Context, pipe goredis.Pipeliner, command, body string) {
	args := make([]any, 0, 3+len(a.call.keys)+len(a.call.args))
	args = append(args, command, body, len(a.call.keys))
	for _, k := range a.call.keys {
		args = append(args, k)
	}
	a.cmd = goredis.NewCmd(ctx, append(args, a.call.args...)...)
	a.cmd.SetFirstKeyPos(3)
	_ = pipe.Process(ctx, onceCmd{a.cmd})
}

// concludeAppends fills in the positions of the events of histories and adds to
// failed, which may be nil, those without one. A script that Redis had forgotten
// has not run, and is sent once more in full.
func (b *Broker) concludeAppends(ctx context.Context, kept []appending, positions []channels.Position, failed *channels.PublishError, execErr error) *channels.PublishError {
	var again []int
	for i := range kept {
		if goredis.HasErrorPrefix(kept[i].cmd.Err(), "NOSCRIPT") {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		pipe := b.c.rdb.Pipeline()
		for _, i := range again {
			kept[i].queue(ctx, pipe, "eval", appendScript.source)
		}
		_, execErr = pipe.Exec(ctx)
	}
	for i := range kept {
		list, _ := kept[i].cmd.Val().([]any)
		err := kept[i].cmd.Err()
		if pos, ok := positionOf(list); ok && err == nil {
			positions[kept[i].index] = pos
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
		failed.Failed = append(failed.Failed, kept[i].index)
	}
	if failed != nil {
		slices.Sort(failed.Failed)
	}
	return failed
}

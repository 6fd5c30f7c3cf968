package redis

import (
	"context"
	_ "embed" // the scripts
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tidewire/channels"
)

//go:embed lua/history.lua
var luaHistory string

//go:embed lua/append.lua
var luaAppend string

//go:embed lua/read.lua
var luaRead string

// The scripts of histories. ARGV[1] is an epoch never used before, then what is
// kept: events, their time, and how long the place of the last one is
// remembered. ARGV[5] is "1" if Redis forgets nothing it has acknowledged,
// ARGV[6] what the histories of the app may weigh in the partition.
var (
	appendScript = newScript(luaHistory, luaAppend)

	readScript = newScript(luaHistory, luaRead)

	positionScript = newScript(luaHistory, `
local epoch, offset, at, base = head()
save(epoch, offset, at, base)
return {epoch, number(offset)}`)

	// renewScript: ARGV[7] is the epoch to end.
	renewScript = newScript(luaHistory, `
if head() ~= ARGV[7] then return 0 end
redis.call('DEL', kept)
save(fresh, 0, 0, 0)
return 1`)
)

// placeLen is what stands before the envelope of an event that has a position.
const (
	placedVersion = 2
	placeLen      = 1 + channels.EpochLen + 8 + 8
)

// MaxHistoryBytes is what the histories of one app may weigh in one of the 64
// partitions: 1 GiB over all. Above it the channels of the partition that are
// longest without an event lose theirs, then the channel that is published to
// its oldest.
const MaxHistoryBytes = 16 << 20

// historyKeys are where a topic's history is kept, the keys every script of it names first.
func historyKeys(t channels.Topic) ([]string, error) {
	meta, err := name(t, usePlace)
	if err != nil {
		return nil, err
	}
	kept, err := name(t, useHistory)
	return []string{meta, kept, partitionName(t.Partition(), useWeights) + ":" + string(t.App)}, err
}

// retentionArgs are the first arguments of every script of a history.
func (c *Client) retentionArgs(keep channels.Retention) []any {
	durable := "0"
	if c.durable.Load() {
		durable = "1"
	}
	return []any{channels.NewEpoch(), keep.Max, millis(keep.TTL), millis(keep.Remembered()), durable, c.historyBytes}
}

// millis rounds up: a short time must not become none.
func millis(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// ask runs a script on the history of t and returns its list.
func (b *Broker) ask(ctx context.Context, what string, s *script, t channels.Topic, keep channels.Retention, args ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	keys, err := historyKeys(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	a := b.c.run(bounded, s, call{keys: keys, args: append(b.c.retentionArgs(keep), args...)})[0]
	switch {
	case a.err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", what, ctx.Err())
	case a.err != nil:
		return nil, fmt.Errorf("%s: %w", what, away(a.err))
	}
	list, _ := a.value.([]any)
	return list, nil
}

// Position implements [channels.History].
func (b *Broker) Position(ctx context.Context, t channels.Topic, keep channels.Retention) (channels.Position, error) {
	list, err := b.ask(ctx, "position", positionScript, t, keep)
	if err != nil {
		return channels.Position{}, err
	}
	pos, ok := positionOf(list)
	if !ok {
		return pos, fmt.Errorf("position: %w", errMalformed)
	}
	return pos, nil
}

// positionOf reads the position that an answer begins with. An empty epoch is
// that of no history.
func positionOf(list []any) (channels.Position, bool) {
	if len(list) < 2 {
		return channels.Position{}, false
	}
	epoch, ok := list[0].(string)
	offset, err := numberIn(list[1])
	return channels.Position{Epoch: epoch, Offset: offset}, ok && err == nil
}

// numberIn reads a number that a script gave as an integer or, because it may be
// larger than its integers, as text.
func numberIn(v any) (uint64, error) {
	switch v := v.(type) {
	case int64:
		return uint64(max(v, 0)), nil // #nosec G115 -- not negative
	case string:
		return strconv.ParseUint(v, 10, 53)
	}
	return 0, errMalformed
}

// Read implements [channels.History]. Something in its place that is not an
// event is counted and left out.
func (b *Broker) Read(ctx context.Context, t channels.Topic, keep channels.Retention, q channels.Query) (channels.Run, error) {
	backwards := "0"
	if q.Backwards {
		backwards = "1"
	}
	list, err := b.ask(ctx, "read history", readScript, t, keep,
		backwards, q.After, q.Before, moment(q.Since), moment(q.Until), q.Limit, q.MaxBytes)
	if err != nil {
		return channels.Run{}, err
	}
	head, ok := positionOf(list)
	if !ok || len(list) < 5 {
		return channels.Run{}, fmt.Errorf("read history: %w", errMalformed)
	}
	run := channels.Run{Head: head, More: list[4] == int64(1)}
	var errBase, errOldest error
	run.Base, errBase = numberIn(list[2])
	run.Oldest, errOldest = numberIn(list[3])
	if err := errors.Join(errBase, errOldest); err != nil {
		return channels.Run{}, fmt.Errorf("read history: %w", err)
	}
	for _, v := range list[5:] {
		text, _ := v.(string)
		ev, err := decodeEnvelope(text)
		if err == nil && ev.Position.IsZero() {
			err = errMalformed
		}
		if err != nil {
			b.c.counters.dropped(err).Add(1)
			continue
		}
		ev.Topic = t
		ev.Position.Epoch = head.Epoch // it may have come in an earlier one
		run.Events = append(run.Events, *ev)
	}
	return run, nil
}

// moment is a time as scripts take it; 0 for none.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1)
}

// Renew implements [channels.History].
func (b *Broker) Renew(ctx context.Context, t channels.Topic, keep channels.Retention, epoch string) error {
	_, err := b.ask(ctx, "renew history", renewScript, t, keep, epoch)
	return err
}

// decodePlaced reads an event that has a position; the rest of it is an envelope.
func decodePlaced(s string) (*channels.Event, error) {
	if len(s) < placeLen {
		return nil, errMalformed
	}
	offset := binary.BigEndian.Uint64([]byte(s[placeLen-16 : placeLen-8]))
	at := binary.BigEndian.Uint64([]byte(s[placeLen-8 : placeLen]))
	pos, err := channels.ParsePosition(s[1:1+channels.EpochLen] + ":" + strconv.FormatUint(offset, 10))
	if err != nil || pos.Offset == 0 || at > maxMillis || s[placeLen:] == "" || s[placeLen] == placedVersion {
		return nil, errMalformed
	}
	ev, err := decodeEnvelope(s[placeLen:])
	if err != nil {
		return nil, err
	}
	if ev.Kind != channels.Message {
		return nil, errMalformed
	}
	ev.Position, ev.At = pos, time.UnixMilli(int64(at)) // #nosec G115 -- bounded above
	return ev, nil
}

var _ channels.History = (*Broker)(nil)

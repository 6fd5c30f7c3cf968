package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/tenants"
)

//go:embed share.lua
var shareLua string

//go:embed nodes.lua
var nodesLua string

const (
	nodesKey = "tw:rate:nodes"
	// perRound bounds one pipeline.
	perRound = 500
	// roundTime bounds one exchange: longer than that, and Redis is away.
	roundTime = 2 * time.Second
)

// scripts are the scripts and whether Redis may be expected to know them.
type scripts struct {
	share, nodesAlive *goredis.Script
	unknown           bool
}

func newScripts() scripts {
	return scripts{share: goredis.NewScript(shareLua), nodesAlive: goredis.NewScript(nodesLua), unknown: true}
}

// key is where a bucket is kept. All of a tenant lie in one slot.
func (n name) key() string {
	return "tw:rate:{" + n.tenant + "}:" + string(n.app) + ":" + n.bucket
}

// told is one bucket in an exchange.
type told struct {
	name
	bucket tenants.Bucket
	taken  int
	cmd    *goredis.Cmd
}

// Run exchanges with the other nodes until ctx ends. Losing Redis does not end it.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	var beat time.Time
	for {
		now := time.Now()
		err := l.round(ctx, now)
		if err == nil && now.Sub(beat) >= lazily {
			if err = l.beat(ctx); err == nil {
				beat = now
			}
		}
		if err == nil {
			l.exchange.Store(now.UnixNano())
		}
		l.report(ctx, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// report logs when Redis goes away and when it is back.
func (l *Limiter) report(ctx context.Context, err error) {
	switch {
	case err != nil && !l.failing && ctx.Err() == nil:
		l.log.Warn("rates are not shared with the other nodes: keeping to this one's part", "nodes", l.nodes.Load(), "error", err)
	case err == nil && l.failing:
		l.log.Info("rates are shared with the other nodes again")
	}
	l.failing = err != nil
}

// beat says that this node lives, and learns how many do.
func (l *Limiter) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	n, err := l.nodesAlive.Run(ctx, l.rdb, []string{nodesKey}, l.node, dead.Milliseconds()).Int64()
	if err != nil {
		return fmt.Errorf("count the nodes: %w", err)
	}
	l.nodes.Store(max(n, 1))
	return nil
}

// round tells what is due and learns what the others took.
func (l *Limiter) round(ctx context.Context, now time.Time) error {
	due := l.due(now)
	for len(due) > 0 {
		part := due[:min(perRound, len(due))]
		due = due[len(part):]
		if err := l.tell(ctx, part); err != nil {
			for _, t := range due { // not sent: the next round's
				l.putBack(t)
			}
			return err
		}
	}
	return nil
}

// due collects what is worth telling, and forgets buckets nobody takes from.
func (l *Limiter) due(now time.Time) []told {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []told
	for n, w := range l.watched {
		if w.untold == 0 && now.Sub(w.busy) > idle {
			delete(l.watched, n)
			continue
		}
		burst := w.bucket.Burst
		if burst <= 0 {
			burst = w.bucket.Rate
		}
		if w.state == known && w.untold*telling < burst && now.Sub(w.told) < lazily {
			continue
		}
		list = append(list, told{name: n, bucket: w.bucket, taken: w.untold})
		w.untold, w.told = 0, now
	}
	return list
}

func (l *Limiter) putBack(t told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch(t.name).untold += t.taken
}

// onceCmd is a command the library must not send twice.
type onceCmd struct{ *goredis.Cmd }

// NoRetry implements [goredis.Cmder].
func (onceCmd) NoRetry() bool { return true }

// tell makes one pipelined round. What fails is not told again: it is old news
// by the time Redis is back.
func (l *Limiter) tell(ctx context.Context, list []told) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	command, body := "evalsha", l.share.Hash()
	if l.unknown {
		command, body = "eval", shareLua
	}
	pipe := l.rdb.Pipeline()
	for i := range list {
		t := &list[i]
		t.cmd = goredis.NewCmd(ctx, command, body, 1, t.key(), t.taken, t.bucket.Rate, keep.Milliseconds())
		t.cmd.SetFirstKeyPos(3)
		_ = pipe.Process(ctx, onceCmd{t.cmd})
	}
	_, err := pipe.Exec(ctx)
	l.unknown = false
	var failure error
	for _, t := range list {
		total, before, err := t.answer(err)
		switch {
		case goredis.HasErrorPrefix(err, "NOSCRIPT"): // it has not run
			l.unknown = true
			l.putBack(t)
		case err != nil:
			failure = err
			l.lostTrack(t)
		default:
			l.learn(t, total, before)
		}
	}
	if failure != nil {
		return fmt.Errorf("exchange rates: %w", failure)
	}
	return nil
}

// answer reads the total and the time the bucket was from full before.
func (t *told) answer(round error) (total int64, before time.Duration, err error) {
	numbers, err := t.cmd.Int64Slice()
	switch {
	case err != nil:
		return 0, 0, err
	case len(numbers) == 2:
		return numbers[0], time.Duration(numbers[1]) * time.Microsecond, nil
	case round != nil: // the library can fail a batch without saying so on each command
		return 0, 0, round
	}
	return 0, 0, errors.New("unexpected kind of reply")
}

// lostTrack notes that the outcome is not known: the next answer is where to
// start from.
func (l *Limiter) lostTrack(t told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch(t.name).state = unsure
}

// learn takes from the local bucket what the others took: since the last
// exchange, or, where there was none, what was missing before this one. Where
// Redis may know of something that was taken here, the bucket is only made as
// empty as Redis has it.
func (l *Limiter) learn(t told, total int64, before time.Duration) {
	l.mu.Lock()
	w := l.watch(t.name)
	state, others := w.state, total-int64(t.taken)-w.total
	if state == known && others < 0 {
		state = unsure // Redis has lost it and begun anew
	}
	w.state, w.total = known, total
	l.mu.Unlock()
	switch state {
	case neverAsked:
		l.local.Charge(t.tenant, t.bucket, int(before*time.Duration(t.bucket.Rate)/time.Second))
	case known:
		l.local.Charge(t.tenant, t.bucket, int(min(others, maxCharge)))
	case unsure:
		l.local.Lower(t.tenant, t.bucket, before)
	}
}

// maxCharge bounds what one answer can take from a bucket: an hour of the
// highest rate there is.
const maxCharge = 3600 * 100_000

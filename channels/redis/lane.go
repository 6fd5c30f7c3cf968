package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

const (
	minRetry = 50 * time.Millisecond
	maxRetry = 2 * time.Second
)

// lane is one road for incoming events: the topics that share a subscription
// connection, and the goroutine that keeps one open while there are topics.
type lane struct {
	b     *Broker
	table *table
	// lastErr is why the last connection ended or could not be made, for the
	// error of those who wait; nil while one is in order.
	lastErr atomic.Pointer[error]
}

func newLane(b *Broker) *lane { return &lane{b: b, table: newTable()} }

// run opens one session after the other until ctx ends.
func (l *lane) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		if l.table.empty() {
			select {
			case <-l.table.wake:
			case <-ctx.Done():
			}
			continue
		}
		s := &session{lane: l}
		err := s.run(ctx)
		lost := l.table.lose()
		if ctx.Err() != nil || errors.Is(err, errIdle) {
			continue
		}
		l.report(err, lost)
		if s.useful.Load() {
			failures = 0
		}
		pause(ctx, backoff(failures))
		failures++
	}
}

// report counts and logs the end of a session. A gap is counted when
// subscriptions in force were lost, not for each attempt to get them back.
func (l *lane) report(err error, lost int) {
	c := l.b.c
	l.lastErr.Store(&err)
	c.reload() // the slot may have a new master
	reason := gapOf(err)
	level := slog.LevelDebug
	if lost > 0 {
		c.counters.gaps[reason].Add(1)
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "redis subscriptions interrupted, events may be missed",
		"reason", gapNames[reason], "topics", lost, "error", oneLine(err))
}

// gapOf names the reason for the end of a session.
func gapOf(err error) gap {
	var reply goredis.Error
	switch {
	case errors.Is(err, errMoved):
		return gapMoved
	case errors.Is(err, errSilent):
		return gapSilent
	case errors.As(err, &reply):
		return gapRefused
	}
	return gapConnection
}

// await waits until confirmed is closed.
func (l *lane) await(ctx context.Context, stopped <-chan struct{}, confirmed <-chan struct{}) error {
	timer := time.NewTimer(subscribeTimeout)
	defer timer.Stop()
	select {
	case <-confirmed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-stopped:
		return channels.ErrBrokerAway
	case <-timer.C:
	}
	if err := l.lastErr.Load(); err != nil {
		return away(*err)
	}
	return fmt.Errorf("%w: no confirmation within %s", channels.ErrBrokerAway, subscribeTimeout)
}

// backoff grows from minRetry to maxRetry, with half of it random so that the
// nodes of a cluster do not come back all at once.
func backoff(failures int) time.Duration {
	d := min(minRetry<<min(failures, 10), maxRetry)
	return d/2 + rand.N(d/2)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

const (
	// pingEvery is how often a subscription connection is asked for a sign of
	// life; silence is how long it may go without one before it counts as dead.
	pingEvery = time.Second
	silence   = 4 * time.Second
	// maxCommand is how many topics one command may name, so that Redis is not
	// held up by one node that comes back with all of its own.
	maxCommand = 500

	minBusyWait = time.Millisecond
	maxBusyWait = 50 * time.Millisecond
)

var (
	errIdle        = errors.New("no topics left")
	errMoved       = errors.New("redis ended a subscription")
	errSilent      = errors.New("connection is silent")
	errSessionOver = errors.New("connection is lost")
)

// sessionKey carries the *session in the context of whatever it does, for the dialer.
type sessionKey struct{}

// session is the life of one subscription connection. The library would connect
// again behind our back and subscribe to everything in one command; a session
// has one connection instead, and its end is the one sign of a gap.
type session struct {
	lane      *lane
	ps        *goredis.PubSub
	connected atomic.Bool // from then on the dialer refuses
	useful    atomic.Bool // something was confirmed: the server is in order
}

// run connects, subscribes to all topics of the lane and passes on events until
// the connection or ctx ends, or no topics are left. It always returns an error.
func (s *session) run(parent context.Context) error {
	topics := s.lane.table.begin(maxCommand)
	if len(topics) == 0 {
		return errIdle
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, sessionKey{}, s))
	defer cancel(nil)
	s.ps = s.lane.b.c.rdb.SSubscribe(ctx)
	defer func() { _ = s.ps.Close() }()
	// Naming the topics at the first command also picks the master of a Cluster.
	if err := s.ps.SSubscribe(ctx, topics...); err != nil {
		return err
	}
	s.connected.Store(true)
	defer context.AfterFunc(ctx, func() { _ = s.ps.Close() })()
	var writer sync.WaitGroup
	writer.Go(func() { cancel(s.write(ctx)) })
	cancel(s.read(ctx, parent))
	writer.Wait()
	return context.Cause(ctx)
}

// write sends what the table asks for. Calls that come while a command is being
// written share the next one.
func (s *session) write(ctx context.Context) error {
	t := s.lane.table
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for idle := false; ; {
		open, shut := t.take(maxCommand)
		if len(open) > 0 {
			if err := s.ps.SSubscribe(ctx, open...); err != nil {
				return err
			}
		}
		if len(shut) > 0 {
			if err := s.ps.SUnsubscribe(ctx, shut...); err != nil {
				return err
			}
		}
		if len(open)+len(shut) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
		case <-tick.C:
			// Two ticks without a topic: a passing visitor costs no reconnect.
			was := idle
			if idle = t.empty(); idle && was {
				return errIdle
			}
			if err := s.ps.Ping(ctx); err != nil {
				return err
			}
		}
	}
}

// read handles what Redis sends. Nothing is dropped: while this node is busy,
// nothing is read.
func (s *session) read(ctx, run context.Context) error {
	for {
		msg, err := s.ps.ReceiveTimeout(ctx, silence)
		switch {
		case err != nil && isTimeout(err):
			return errSilent
		case err != nil:
			return err
		}
		switch m := msg.(type) {
		case *goredis.Message:
			s.deliver(run, m)
		case *goredis.Subscription:
			if err := s.confirm(m); err != nil {
				return err
			}
		}
	}
}

// confirm handles the answer to a command, and what looks like one.
func (s *session) confirm(m *goredis.Subscription) error {
	c, l := s.lane.b.c, s.lane
	switch m.Kind {
	case "ssubscribe":
		expected, again, healed := l.table.opened(m.Channel)
		if !expected {
			c.counters.gaps[gapResubscribed].Add(1)
			c.log.Warn("redis confirmed a subscription twice, events may be missed", "reason", gapNames[gapResubscribed])
			again = true
		}
		if again {
			s.tellMissed(m.Channel)
		}
		if !expected {
			return nil
		}
		if !s.useful.Swap(true) {
			l.lastErr.Store(nil)
		}
		if healed > 0 {
			c.log.Info("redis subscriptions restored", "after", healed.Round(time.Millisecond))
		}
	case "sunsubscribe":
		if !l.table.closed(m.Channel) {
			return errMoved
		}
	}
	return nil
}

// tellMissed says in its place among the events of a topic that some may be missing.
func (s *session) tellMissed(channel string) {
	if topic, ok := s.lane.table.topic(channel); ok {
		_ = s.lane.b.deliver(&channels.Event{Kind: channels.Missed, Topic: topic})
	}
}

// deliver passes one message on. It outlives the session: what has been read
// must not be lost because the connection broke meanwhile.
func (s *session) deliver(ctx context.Context, m *goredis.Message) {
	b := s.lane.b
	n := &b.c.counters
	topic, ok := s.lane.table.topic(m.Channel)
	if !ok {
		n.stray.Add(1)
		return
	}
	ev, err := decodeEnvelope(m.Payload)
	if err != nil {
		n.dropped(err).Add(1)
		return
	}
	ev.Topic = topic
	if s.loses(ev) {
		return
	}
	for wait := minBusyWait; ctx.Err() == nil; wait = min(2*wait, maxBusyWait) {
		err := b.deliver(ev)
		switch {
		case err == nil:
			n.received.Add(1)
			return
		case !errors.Is(err, channels.ErrBusy):
			n.refused.Add(1)
			return
		}
		n.busy.Add(1)
		pause(ctx, wait)
	}
}

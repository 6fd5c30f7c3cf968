package channels

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels/fanout"
	"tidewire/tenants"
)

// channel is one topic that this node hears.
type channel struct {
	topic  Topic             // static
	kind   Kind              // static
	group  *fanout.Group     // static
	roster *roster           // static; presence channels only
	cache  *lastEvent        // static; cache channels only
	usage  *tenants.AppUsage // static; nil if nothing is counted
	count  localCount
	hear   func(*Event) // static; not nil: the node itself listens, no client can
	// past is nil until an event of a history, or a client that is told serials, comes.
	past atomic.Pointer[past]

	// guarded by the stripe
	refs    int           // connections in it, and whoever else wants to hear it
	since   time.Time     // when refs became 0
	gone    chan struct{} // not nil while the broker is being unsubscribed; closed when that is done
	ready   chan struct{} // closed when the broker's answer to Subscribe is known
	failure error         // that answer; valid once ready is closed
}

// stripe is the part of the registry that holds one partition's topics.
type stripe struct {
	mu       sync.RWMutex
	channels map[Topic]*channel
	idle     map[*channel]struct{} // refs == 0, waiting out the linger
}

// registry knows the topics with subscribers on this node, and keeps the broker
// subscribed to exactly those: a topic with a local subscriber is subscribed
// before that subscriber is told so, and unsubscribed only when none is left.
// No lock is held while the broker is asked.
type registry struct {
	plane   *fanout.Plane
	broker  Broker
	linger  time.Duration
	load    func(context.Context, *channel) error // makes a channel ready once the broker is subscribed
	meters  *tenants.Meters                       // nil if nothing is counted
	hear    map[Topic]func(*Event)                // static: what the node itself listens to
	stripes [Partitions]stripe
}

func (r *registry) init(plane *fanout.Plane, broker Broker, linger time.Duration, load func(context.Context, *channel) error) {
	r.plane, r.broker, r.linger, r.load = plane, broker, linger, load
	for i := range r.stripes {
		r.stripes[i].channels = make(map[Topic]*channel)
		r.stripes[i].idle = make(map[*channel]struct{})
	}
}

// find returns the topic's channel, or nil if nobody here hears it.
func (r *registry) find(t Topic) *channel {
	st := &r.stripes[t.Partition()]
	st.mu.RLock()
	ch := st.channels[t]
	st.mu.RUnlock()
	return ch
}

// acquire returns the topic's channel with the broker subscribed to it. Each
// success needs one release.
func (r *registry) acquire(ctx context.Context, t Topic) (*channel, error) {
	st := &r.stripes[t.Partition()]
	for {
		st.mu.Lock()
		ch := st.channels[t]
		if ch == nil {
			ch = r.newChannel(t)
			st.channels[t] = ch
			st.mu.Unlock()
			return ch, r.open(ctx, st, ch)
		}
		if gone := ch.gone; gone != nil {
			st.mu.Unlock()
			if err := wait(ctx, gone); err != nil {
				return nil, err
			}
			continue
		}
		ch.refs++
		delete(st.idle, ch)
		st.mu.Unlock()
		if err := wait(ctx, ch.ready); err != nil {
			r.release(ch)
			return nil, err
		}
		if ch.failure != nil {
			r.release(ch)
			return nil, ch.failure
		}
		return ch, nil
	}
}

func (r *registry) newChannel(t Topic) *channel {
	kind, _ := Classify(t.Channel) // an internal topic has no kind
	ch := &channel{topic: t, kind: kind, group: r.plane.NewGroup(), refs: 1, ready: make(chan struct{}), hear: r.hear[t]}
	ch.count.turn = make(chan struct{}, 1)
	ch.usage = r.meters.Find(t.App) // there from the first connection on
	if kind.Presence() {
		ch.roster = newRoster()
	}
	if kind.Cache() {
		ch.cache = &lastEvent{}
	}
	return ch
}

// open subscribes the broker to a channel just made. A failed one leaves the
// registry at once, so that the next subscriber tries again.
func (r *registry) open(ctx context.Context, st *stripe, ch *channel) error {
	err := r.broker.Subscribe(ctx, ch.topic)
	if err == nil {
		err = r.load(ctx, ch)
	}
	if err != nil {
		st.mu.Lock()
		if st.channels[ch.topic] == ch {
			delete(st.channels, ch.topic)
		}
		st.mu.Unlock()
	}
	ch.failure = err
	close(ch.ready)
	return err
}

// hold is one more acquire of a channel the caller has acquired.
func (r *registry) hold(ch *channel) {
	st := &r.stripes[ch.topic.Partition()]
	st.mu.Lock()
	ch.refs++
	st.mu.Unlock()
}

// release gives back one acquire.
func (r *registry) release(ch *channel) {
	st := &r.stripes[ch.topic.Partition()]
	st.mu.Lock()
	ch.refs--
	if ch.refs > 0 || st.channels[ch.topic] != ch {
		st.mu.Unlock()
		return
	}
	if r.linger > 0 {
		ch.since = time.Now()
		st.idle[ch] = struct{}{}
		st.mu.Unlock()
		return
	}
	ch.gone = make(chan struct{})
	st.mu.Unlock()
	r.retire(context.Background(), st, ch)
}

// retire unsubscribes the broker from a channel marked gone, and forgets it.
func (r *registry) retire(ctx context.Context, st *stripe, ch *channel) {
	// An error leaves the broker subscribed to a topic nobody hears: harmless,
	// and it is dropped with the connection that failed.
	_ = r.broker.Unsubscribe(ctx, ch.topic)
	st.mu.Lock()
	delete(st.channels, ch.topic)
	st.mu.Unlock()
	close(ch.gone)
}

// run retires the channels whose linger has passed, until ctx ends.
func (r *registry) run(ctx context.Context) error {
	if r.linger <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(max(r.linger/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for i := range r.stripes {
				r.sweep(ctx, &r.stripes[i], now.Add(-r.linger))
			}
		}
	}
}

func (r *registry) sweep(ctx context.Context, st *stripe, before time.Time) {
	var leaving []*channel
	st.mu.Lock()
	for ch := range st.idle {
		if !ch.since.After(before) {
			ch.gone = make(chan struct{})
			delete(st.idle, ch)
			leaving = append(leaving, ch)
		}
	}
	st.mu.Unlock()
	for _, ch := range leaving {
		r.retire(ctx, st, ch)
	}
}

// count returns how many topics this node is subscribed to for its clients.
func (r *registry) count() int {
	n := 0
	for i := range r.stripes {
		r.stripes[i].mu.RLock()
		n += len(r.stripes[i].channels)
		r.stripes[i].mu.RUnlock()
	}
	for t := range r.hear {
		if r.find(t) != nil {
			n--
		}
	}
	return n
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package redis

import (
	"slices"
	"sync"
	"time"

	"tidewire/channels"
)

// table holds the topics of one lane: what is wanted, and what Redis has
// confirmed on the present connection. It does no I/O. For one topic at most
// one command is under way at a time, so a confirmation is never ambiguous:
//
//	      SSUBSCRIBE sent          confirmed
//	off ───────────────▶ opening ────────────▶ on
//	 ▲                                          │
//	 └──────── closing ◀────────────────────────┘
//	confirmed               SUNSUBSCRIBE sent
//
// Whenever a state is reached that is not the wanted one, the topic is queued
// for the next command. A lost connection puts all topics back to off.
type table struct {
	wake chan struct{} // has a token when there is something to take

	mu      sync.Mutex
	entries map[string]*entry // by shard channel
	queue   []*entry
	missing int       // held topics not yet confirmed again after a gap
	gapAt   time.Time // when that gap began; zero when none is open
}

type state int

const (
	off state = iota
	opening
	on
	closing
)

type entry struct {
	name   string
	topic  channels.Topic
	want   bool
	held   bool // a Subscribe has returned nil since the last Unsubscribe
	queued bool
	lost   bool // counted in table.missing
	state  state
	subs   []chan struct{} // Subscribe calls to release when the topic is on
	unsubs []chan struct{} // Unsubscribe calls to release when it is off
}

func newTable() *table {
	return &table{wake: make(chan struct{}, 1), entries: make(map[string]*entry)}
}

// want asks for a topic. It returns nil if Redis has confirmed it already, else
// a channel that is closed when it has.
func (t *table) want(topic channels.Topic, name string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil {
		e = &entry{name: name, topic: topic}
		t.entries[name] = e
	}
	e.want = true
	if e.state == on {
		// An Unsubscribe that waits for its turn has been overtaken.
		e.held = true
		e.releaseUnsubs()
		return nil
	}
	confirmed := make(chan struct{})
	e.subs = append(e.subs, confirmed)
	t.enqueue(e)
	return confirmed
}

// abandon ends the waiting for want. It reports false if the confirmation won
// the race. A topic that nobody else asked for is no longer wanted.
func (t *table) abandon(name string, confirmed chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-confirmed:
		return false
	default:
	}
	e := t.entries[name]
	if e == nil {
		return true
	}
	e.subs = slices.DeleteFunc(e.subs, func(c chan struct{}) bool { return c == confirmed })
	if !e.held && len(e.subs) == 0 {
		t.giveUp(e)
	}
	return true
}

// unwant ends a topic. It returns nil if nothing is left to confirm.
func (t *table) unwant(name string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil {
		return nil
	}
	t.giveUp(e)
	if e.state == off {
		return nil
	}
	confirmed := make(chan struct{})
	e.unsubs = append(e.unsubs, confirmed)
	return confirmed
}

// giveUp makes a topic unwanted; with no command under way it is gone at once.
// Subscribe calls that still wait have been overtaken: they return as if they
// had been carried out just before, and have no say in what is wanted next.
func (t *table) giveUp(e *entry) {
	e.want, e.held = false, false
	e.releaseSubs()
	t.found(e)
	if e.state == off {
		t.remove(e)
		return
	}
	t.enqueue(e)
}

// begin queues every topic for a new connection and returns the first to open.
func (t *table) begin(limit int) []string {
	t.mu.Lock()
	for _, e := range t.entries {
		t.enqueue(e)
	}
	t.mu.Unlock()
	open, _ := t.take(limit)
	return open
}

// take returns up to limit topics that need a command, and marks it as sent.
func (t *table) take(limit int) (open, shut []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 && len(open)+len(shut) < limit {
		e := t.queue[0]
		t.queue[0] = nil
		t.queue = t.queue[1:]
		e.queued = false
		switch {
		case t.entries[e.name] != e: // given up while it was off
		case e.want && e.state == off:
			e.state = opening
			open = append(open, e.name)
		case !e.want && e.state == on:
			e.state = closing
			shut = append(shut, e.name)
		}
	}
	if len(t.queue) == 0 {
		t.queue = nil
	}
	return open, shut
}

// opened notes that Redis has confirmed a subscription. It reports false if
// none was asked for: Redis had lost it, or somebody subscribed in our name.
// again says that it was in force before, and was interrupted.
func (t *table) opened(name string) (expected, again bool, healed time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil || e.state != opening {
		return false, false, 0
	}
	again = e.lost
	e.state = on
	if len(e.subs) > 0 {
		e.held = true
	}
	e.releaseSubs()
	if e.want {
		e.releaseUnsubs() // overtaken by a later Subscribe
	} else {
		t.enqueue(e)
	}
	return true, again, t.found(e)
}

// found closes the gap of one topic. When it was the last one it returns how
// long the gap has been.
func (t *table) found(e *entry) time.Duration {
	if !e.lost {
		return 0
	}
	e.lost = false
	if t.missing--; t.missing > 0 || t.gapAt.IsZero() {
		return 0
	}
	since := time.Since(t.gapAt)
	t.gapAt = time.Time{}
	return since
}

// closed notes that a subscription has ended. It reports false if nobody asked for that.
func (t *table) closed(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil || e.state != closing {
		return false
	}
	e.state = off
	e.releaseUnsubs()
	if e.want {
		t.enqueue(e)
	} else {
		t.remove(e)
	}
	return true
}

// lose puts every topic back to off because the connection is gone. It returns
// how many subscriptions somebody relies on were in force on it.
func (t *table) lose() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := 0
	for _, e := range t.entries {
		if e.state == on && e.held {
			lost++
			if !e.lost {
				e.lost = true
				t.missing++
			}
		}
		e.state, e.queued = off, false
		e.releaseUnsubs()
		if !e.want {
			t.remove(e)
		}
	}
	t.queue = nil
	if lost > 0 && t.gapAt.IsZero() {
		t.gapAt = time.Now()
	}
	return lost
}

// topic returns the topic of a shard channel, if it is wanted.
func (t *table) topic(name string) (channels.Topic, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[name]; e != nil && e.want {
		return e.topic, true
	}
	return channels.Topic{}, false
}

// count returns how many topics are confirmed, and how many are wanted and not.
func (t *table) count() (confirmed, pending int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		switch {
		case e.state == on:
			confirmed++
		case e.want:
			pending++
		}
	}
	return confirmed, pending
}

func (t *table) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries) == 0
}

func (t *table) enqueue(e *entry) {
	if e.queued {
		return
	}
	e.queued = true
	t.queue = append(t.queue, e)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *table) remove(e *entry) {
	e.releaseUnsubs()
	delete(t.entries, e.name)
}

func (e *entry) releaseSubs() {
	for _, c := range e.subs {
		close(c)
	}
	e.subs = nil
}

func (e *entry) releaseUnsubs() {
	for _, c := range e.unsubs {
		close(c)
	}
	e.unsubs = nil
}

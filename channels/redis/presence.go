package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels"
)

// attempts is how often one statement is tried when the lease turns out to be
// lost: once, again with a new lease, and once more if that was overtaken.
const attempts = 3

// Presence is the Redis engine of [channels.Presence].
//
// Its calls work from [Open] on. They hold while [Client.Run] keeps this node's
// lease alive: without it, what the node said is void after Config.Lease. After
// an error the topic is as it was before the call, as soon as Redis can be told.
type Presence struct {
	c     *Client
	node  string        // static: this node, for as long as the process lives
	lease time.Duration // static
	parts [channels.Partitions]part

	wake chan struct{} // a partition has to be told again
	dead chan []absent // nodes whose lease has run out

	ran  atomic.Bool
	gone chan struct{} // closed when the node has left for good
}

// part is what this node knows of one partition.
type part struct {
	number      int           // static
	registering chan struct{} // whoever is in it may take or renew the lease

	mu         sync.Mutex
	generation uint64    // under which the lease runs; 0 while it has to be taken
	last       uint64    // the highest generation used so far
	since      time.Time // when the generation began
	behind     bool      // Redis may not know all of topics
	topics     map[channels.Topic]*holding
}

// holding is what this node has said of one topic.
type holding struct {
	topic channels.Topic // static

	// guarded by the part's mu
	refs int  // who uses it or waits for it
	keep bool // there is something to remember

	turn chan struct{} // whoever is in it may speak of the topic

	// guarded by the turn
	generation uint64 // under which Redis was told all of it
	unsure     bool   // what Redis has may be something else
	count      int
	announce   bool
	users      map[string][]byte
}

func newPresence(c *Client, lease time.Duration) *Presence {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	p := &Presence{
		c: c, node: hex.EncodeToString(id[:]), lease: lease,
		wake: make(chan struct{}, 1), dead: make(chan []absent, 1), gone: make(chan struct{}),
	}
	for i := range p.parts {
		p.parts[i] = part{number: i, registering: make(chan struct{}, 1), topics: make(map[channels.Topic]*holding)}
	}
	return p
}

// SetCount implements [channels.Presence].
func (p *Presence) SetCount(ctx context.Context, t channels.Topic, local int, announce bool) (int, error) {
	if local < 0 || local > maxCount {
		return 0, fmt.Errorf("set count: %d is out of range", local)
	}
	total, err := p.tell(ctx, t, setCountScript, func(h *holding) {
		h.count, h.announce = local, announce
	}, local, flag(announce))
	if err != nil {
		return 0, fmt.Errorf("set count: %w", err)
	}
	return int(total), nil
}

// Enter implements [channels.Presence].
func (p *Presence) Enter(ctx context.Context, t channels.Topic, m channels.Member, limit int) (uint64, error) {
	change := channels.Event{Kind: channels.MemberAdded, UserID: m.UserID, Data: m.Info}
	if _, err := appendEnvelope(nil, &change); err != nil {
		return 0, fmt.Errorf("enter: %w", err)
	}
	seq, err := p.tell(ctx, t, enterScript, func(h *holding) {
		if h.users == nil {
			h.users = make(map[string][]byte)
		}
		h.users[m.UserID] = m.Info
	}, m.UserID, m.Info, limit)
	switch {
	case errors.Is(err, channels.ErrFull):
		return 0, channels.ErrFull
	case err != nil:
		return 0, fmt.Errorf("enter: %w", err)
	}
	return uint64(seq), nil
}

// Leave implements [channels.Presence].
func (p *Presence) Leave(ctx context.Context, t channels.Topic, userID string) error {
	_, err := p.tell(ctx, t, leaveScript, func(h *holding) { delete(h.users, userID) }, userID)
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// errFenced says that the lease under which a statement was made is not in force.
var errFenced = errors.New("this node's lease is lost")

// tell makes a statement on t. note takes it over into what this node knows it
// has said, once Redis has it.
func (p *Presence) tell(ctx context.Context, t channels.Topic, s *script, note func(*holding), args ...any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	h, end, err := p.begin(ctx, t)
	if err != nil {
		return 0, err
	}
	defer end()
	part := p.part(t)
	for range attempts {
		var generation uint64
		var n int64
		if generation, err = p.register(ctx, part); err != nil {
			return 0, err
		}
		if err = p.settle(ctx, part, h, generation); err == nil {
			n, err = p.say(ctx, part, h, generation, s, args...)
		}
		switch {
		case errors.Is(err, errFenced):
			continue
		case err != nil:
			return 0, err
		case n == full:
			return 0, channels.ErrFull
		}
		note(h)
		h.generation = generation
		return n, nil
	}
	return 0, away(err)
}

// settle makes Redis know all that this node holds of the topic, if it may not.
func (p *Presence) settle(ctx context.Context, part *part, h *holding, generation uint64) error {
	if !h.unsure && (h.empty() || h.generation == generation) {
		return nil
	}
	args := []any{h.count, flag(h.announce)}
	for user, info := range h.users {
		args = append(args, user, info)
	}
	if _, err := p.say(ctx, part, h, generation, assertScript, args...); err != nil {
		return err
	}
	h.generation, h.unsure = generation, false
	return nil
}

// say runs one script on a topic, under a generation. If it cannot be known
// whether it ran, or whether it still will, the generation is given up: a
// script that arrives late is refused then.
func (p *Presence) say(ctx context.Context, part *part, h *holding, generation uint64, s *script, args ...any) (int64, error) {
	keys, err := stateKeys(h.topic, p.node)
	if err != nil {
		return 0, err
	}
	// A caller that goes away must not leave the outcome open.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), ioTimeout)
	defer cancel()
	head := []any{p.node, generation, topicName(h.topic)}
	n, err := p.c.run(bounded, s, call{keys: keys, args: append(head, args...)})[0].number()
	switch {
	case err != nil:
		h.unsure = true
		p.giveUp(part, generation)
		return 0, away(err)
	case n == fenced:
		p.c.counters.fenced.Add(1)
		p.giveUp(part, generation)
		return 0, errFenced
	}
	return n, nil
}

// begin takes the topic's turn; end gives it back.
func (p *Presence) begin(ctx context.Context, t channels.Topic) (h *holding, end func(), err error) {
	if err := checkApp(t.App); err != nil {
		return nil, nil, err
	}
	part := p.part(t)
	part.mu.Lock()
	h = part.topics[t]
	if h == nil {
		h = &holding{topic: t, turn: make(chan struct{}, 1)}
		part.topics[t] = h
	}
	h.refs++
	part.mu.Unlock()
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		part.release(h)
		return nil, nil, ctx.Err()
	}
	return h, func() {
		part.mu.Lock()
		h.keep = h.unsure || !h.empty()
		part.mu.Unlock()
		<-h.turn
		part.release(h)
	}, nil
}

// release gives back one use, and forgets a topic that nothing is said of.
func (pt *part) release(h *holding) {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if h.refs--; h.refs == 0 && !h.keep {
		delete(pt.topics, h.topic)
	}
}

// all lists the topics this node has said something of.
func (pt *part) all() []channels.Topic {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	topics := make([]channels.Topic, 0, len(pt.topics))
	for t := range pt.topics {
		topics = append(topics, t)
	}
	return topics
}

func (h *holding) empty() bool { return h.count == 0 && len(h.users) == 0 }

func (p *Presence) part(t channels.Topic) *part { return &p.parts[t.Partition()] }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

var _ channels.Presence = (*Presence)(nil)

package channels

import (
	"context"
	"fmt"
	"sync"

	"tidewire/channels/wire"
)

// roster is this node's copy of who is on one presence channel. The changes
// arrive through the broker in one order; a connection that joins is given the
// copy as of one moment and put into the group at that same moment, so it sees
// every later change and no earlier one.
type roster struct {
	mu      sync.Mutex
	loaded  bool
	early   []Event // changes that arrived before the copy was loaded
	seq     uint64
	members []wire.Member
	index   map[string]int // user id → place in members
	moved   chan struct{}  // closed at the next change; nil if nobody waits

	// guarded by the channel's turn
	local map[string]*localMember
}

// localMember is what this node has told [Presence] of one user.
type localMember struct {
	sockets int
	info    []byte
}

func newRoster() *roster {
	return &roster{index: make(map[string]int), local: make(map[string]*localMember)}
}

// replace takes over a roster read from the engine and applies what has
// happened since. It returns the changes that turn the old copy into the new one.
func (r *roster) replace(topic Topic, now Roster) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := r.difference(topic, now)
	r.loaded, r.seq = true, now.Seq
	r.members = r.members[:0]
	clear(r.index)
	for _, m := range now.Members {
		r.put(m.UserID, m.Info)
	}
	early := r.early
	r.early = nil
	for i := range early {
		if early[i].Seq > r.seq {
			r.apply(&early[i])
			changes = append(changes, early[i])
		}
	}
	r.wake()
	return changes
}

func (r *roster) difference(topic Topic, now Roster) []Event {
	var changes []Event
	still := make(map[string]struct{}, len(now.Members))
	for _, m := range now.Members {
		still[m.UserID] = struct{}{}
		if _, known := r.index[m.UserID]; !known {
			changes = append(changes, Event{Kind: MemberAdded, Topic: topic, UserID: m.UserID, Data: m.Info})
		}
	}
	for _, m := range r.members {
		if _, there := still[m.ID]; !there {
			changes = append(changes, Event{Kind: MemberRemoved, Topic: topic, UserID: m.ID})
		}
	}
	return changes
}

// change applies one change and calls announce, under the lock, if clients are
// to hear of it. It reports whether a change before it is missing.
func (r *roster) change(ev *Event, announce func()) (missing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded {
		r.early = append(r.early, *ev)
		return false
	}
	if ev.Seq <= r.seq {
		return false
	}
	if ev.Seq != r.seq+1 {
		r.loaded = false
		r.early = append(r.early, *ev)
		return true
	}
	r.apply(ev)
	announce()
	r.wake()
	return false
}

func (r *roster) apply(ev *Event) {
	r.seq = ev.Seq
	if ev.Kind == MemberRemoved {
		r.drop(ev.UserID)
		return
	}
	r.put(ev.UserID, ev.Data)
}

func (r *roster) put(id string, info []byte) {
	if i, known := r.index[id]; known {
		r.members[i].Info = info
		return
	}
	r.index[id] = len(r.members)
	r.members = append(r.members, wire.Member{ID: id, Info: info})
}

func (r *roster) drop(id string) {
	i, known := r.index[id]
	if !known {
		return
	}
	last := len(r.members) - 1
	r.members[i] = r.members[last]
	r.index[r.members[i].ID] = i
	r.members[last] = wire.Member{}
	r.members = r.members[:last]
	delete(r.index, id)
}

func (r *roster) wake() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// reach waits until the copy holds change seq.
func (r *roster) reach(ctx context.Context, seq uint64) error {
	for {
		r.mu.Lock()
		if r.loaded && r.seq >= seq {
			r.mu.Unlock()
			return nil
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		if err := wait(ctx, moved); err != nil {
			return fmt.Errorf("presence change %d not seen: %w", seq, err)
		}
	}
}

// admit calls join with the text that lists the members, at one moment of the
// sequence of changes.
func (r *roster) admit(channel string, join func(list []byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 160 + len(channel)
	for i := range r.members {
		n += 24 + 3*len(r.members[i].ID) + 2*len(r.members[i].Info)
	}
	join(wire.AppendPresenceSucceeded(room(n), channel, r.members))
}

package channels

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"tidewire/tenants"
)

// MemoryPresence is the in-process engine of [Presence], for one node on its
// own. It shares the partition locks of its broker, so that a change and the
// event it causes are one step.
type MemoryPresence struct {
	broker *MemoryBroker
	// observer, if set before Run, is told of the changes in the step that makes them.
	observer Observer
	parts    [Partitions]map[tenants.AppID]map[string]*attendance // guarded by the broker's partition
}

// attendance is who is on one topic.
type attendance struct {
	subscriptions int
	members       map[string][]byte // user id → info
	seq           uint64
}

// NewMemoryPresence returns a presence engine that publishes through broker.
func NewMemoryPresence(broker *MemoryBroker) *MemoryPresence {
	p := &MemoryPresence{broker: broker}
	for i := range p.parts {
		p.parts[i] = make(map[tenants.AppID]map[string]*attendance)
	}
	broker.left = p.forget
	return p
}

// Observe makes o hear of every change. It is called before the broker runs.
func (p *MemoryPresence) Observe(o Observer) { p.observer = o }

// tell hands a change to the observer, if it wants it. The caller holds the
// partition's lock.
func (p *MemoryPresence) tell(c Change) {
	if wanted(p.observer, c.App, c.Kind) {
		p.observer.Observe(c)
	}
}

// forget drops the topic if nobody is on it. While this node hears the topic it
// is kept even when empty, because its sequence must go on. The caller holds
// the partition's lock.
func (p *MemoryPresence) forget(t Topic) {
	apps := p.parts[t.Partition()]
	a := apps[t.App][t.Channel]
	if a == nil || a.subscriptions > 0 || len(a.members) > 0 {
		return
	}
	delete(apps[t.App], t.Channel)
	if len(apps[t.App]) == 0 {
		delete(apps, t.App)
	}
}

// with runs f on the topic's attendance under its partition's lock.
func (p *MemoryPresence) with(ctx context.Context, t Topic, f func(a *attendance, emit func(Event)) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	part := p.broker.part(t)
	part.mu.Lock()
	defer part.mu.Unlock()
	if part.deliver == nil {
		return ErrBrokerAway
	}
	apps := p.parts[t.Partition()]
	a := apps[t.App][t.Channel]
	if a == nil {
		a = &attendance{}
		if apps[t.App] == nil {
			apps[t.App] = make(map[string]*attendance)
		}
		apps[t.App][t.Channel] = a
	}
	err := f(a, func(ev Event) {
		ev.Topic = t
		if _, heard := part.topics[t]; heard {
			_ = part.deliver(&ev) // changes are never refused
		}
	})
	if _, heard := part.topics[t]; !heard {
		p.forget(t)
	}
	return err
}

// SetCount implements [Presence].
func (p *MemoryPresence) SetCount(ctx context.Context, t Topic, local int, announce bool) (int, error) {
	err := p.with(ctx, t, func(a *attendance, emit func(Event)) error {
		was := a.subscriptions
		a.subscriptions = local
		if was != local && (announce || was == 0 || local == 0) {
			emit(Event{Kind: CountChanged, Count: local})
		}
		if (was == 0) != (local == 0) {
			p.tell(OccupancyChange(t, local > 0))
		}
		if was != local && announce {
			p.tell(Change{Kind: SubscriptionsChange, App: t.App, Channel: t.Channel, Count: local})
		}
		return nil
	})
	return local, err
}

// Enter implements [Presence].
func (p *MemoryPresence) Enter(ctx context.Context, t Topic, m Member, limit int) (seq uint64, err error) {
	err = p.with(ctx, t, func(a *attendance, emit func(Event)) error {
		info, here := a.members[m.UserID]
		switch {
		case !here && len(a.members) >= limit:
			return ErrFull
		case !here:
			a.set(m)
			emit(Event{Kind: MemberAdded, UserID: m.UserID, Data: m.Info, Seq: a.seq})
			p.tell(Change{Kind: MemberCame, App: t.App, Channel: t.Channel, UserID: m.UserID})
		case !bytes.Equal(info, m.Info):
			a.set(m)
			emit(Event{Kind: MemberUpdated, UserID: m.UserID, Data: m.Info, Seq: a.seq})
		}
		seq = a.seq
		return nil
	})
	return seq, err
}

func (a *attendance) set(m Member) {
	if a.members == nil {
		a.members = make(map[string][]byte)
	}
	a.members[m.UserID] = m.Info
	a.seq++
}

// Leave implements [Presence].
func (p *MemoryPresence) Leave(ctx context.Context, t Topic, userID string) error {
	return p.with(ctx, t, func(a *attendance, emit func(Event)) error {
		if _, here := a.members[userID]; here {
			delete(a.members, userID)
			a.seq++
			emit(Event{Kind: MemberRemoved, UserID: userID, Seq: a.seq})
			p.tell(Change{Kind: MemberWent, App: t.App, Channel: t.Channel, UserID: userID})
		}
		return nil
	})
}

// Roster implements [Presence].
func (p *MemoryPresence) Roster(ctx context.Context, t Topic) (r Roster, err error) {
	err = p.with(ctx, t, func(a *attendance, _ func(Event)) error {
		r.Seq = a.seq
		r.Members = make([]Member, 0, len(a.members))
		for id, info := range a.members {
			r.Members = append(r.Members, Member{UserID: id, Info: info})
		}
		return nil
	})
	return r, err
}

// Occupancy implements [Presence].
func (p *MemoryPresence) Occupancy(ctx context.Context, ts []Topic) ([]Occupancy, error) {
	counts := make([]Occupancy, len(ts))
	for i, t := range ts {
		err := p.with(ctx, t, func(a *attendance, _ func(Event)) error {
			counts[i] = a.occupancy(t.Channel)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// Occupied implements [Presence].
func (p *MemoryPresence) Occupied(ctx context.Context, app tenants.AppID, prefix string) ([]Occupancy, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	var counts []Occupancy
	for i := range p.parts {
		counts = p.occupiedIn(&p.broker.parts[i].mu, p.parts[i], app, prefix, counts)
	}
	return counts, nil
}

func (p *MemoryPresence) occupiedIn(mu *sync.Mutex, apps map[tenants.AppID]map[string]*attendance, app tenants.AppID, prefix string, dst []Occupancy) []Occupancy {
	mu.Lock()
	defer mu.Unlock()
	for name, a := range apps[app] {
		if a.subscriptions > 0 && strings.HasPrefix(name, prefix) {
			dst = append(dst, a.occupancy(name))
		}
	}
	return dst
}

func (a *attendance) occupancy(channel string) Occupancy {
	return Occupancy{Channel: channel, Subscriptions: a.subscriptions, Users: len(a.members)}
}

var _ Presence = (*MemoryPresence)(nil)

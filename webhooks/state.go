package webhooks

import (
	"time"

	"tidewire/channels"
)

// Grace is how long the going of a channel, member or user waits to be told: who
// comes back within it has not been away, and neither is told (Pusher).
const Grace = 3 * time.Second

const (
	// busyCount and busyCountEvery: counts of busy channels are told at this pace.
	busyCount      = 100
	busyCountEvery = 5 * time.Second

	subjectChannel = "c"
	subjectCount   = "n"
	subjectMember  = "m"
	subjectUser    = "u"
	subjectQuota   = "q"
)

// stateKey is the key of the state that a change is about; false = of none.
func stateKey(c *channels.Change) (StateKey, bool) {
	k := StateKey{App: c.App, Channel: c.Channel}
	switch c.Kind {
	case channels.ChannelOccupied, channels.ChannelVacated:
		k.Subject = subjectChannel
	case channels.SubscriptionsChange:
		k.Subject = subjectCount
	case channels.MemberCame, channels.MemberWent:
		k.Subject = subjectMember + c.UserID
	case channels.UserOnline, channels.UserOffline:
		k.Subject = subjectUser + c.UserID
	default:
		return StateKey{}, false
	}
	return k, true
}

// fold is the state machine of what is told.
//
//	            came: tell                      went
//	(no state) ────────────▶ present ───────────────────▶ leaving (due in 3 s)
//	    ▲                       ▲  came: tell nothing        │
//	    │                       └────────────────────────────┤
//	    └────────────────────────────────────────────────────┘
//	                                             due: tell
//
// A going of which the coming was not told, because nobody wanted to know of it
// then, is told like any other.
type fold struct {
	now    time.Time
	grace  time.Duration
	states map[StateKey]State
	known  map[StateKey]bool // is stored
	told   []channels.Change
}

func newFold(now time.Time, grace time.Duration, known map[StateKey]State) *fold {
	f := &fold{now: now, grace: grace, states: make(map[StateKey]State, len(known)), known: make(map[StateKey]bool, len(known))}
	for k, s := range known {
		f.states[k], f.known[k] = s, true
	}
	return f
}

func (f *fold) change(c *channels.Change) {
	key, ok := stateKey(c)
	if !ok {
		f.told = append(f.told, *c)
		return
	}
	if c.Kind == channels.SubscriptionsChange {
		f.count(key, c)
		return
	}
	s, there := f.states[key]
	_, came, _ := pairOf(c.Kind)
	switch {
	case came && !there:
		f.told = append(f.told, *c)
		f.states[key] = State{StateKey: key, Present: true, Seq: c.Seq, At: f.now}
	case came:
		s.Present, s.DueAt = true, time.Time{}
		f.states[key] = s
	case s.Present || !there:
		f.states[key] = State{StateKey: key, Seq: c.Seq, At: f.now, DueAt: f.now.Add(f.grace)}
	}
}

// count tells a number of subscriptions, of a busy channel when it is time.
func (f *fold) count(key StateKey, c *channels.Change) {
	s, there := f.states[key]
	switch {
	case there && c.Count > busyCount && f.now.Before(s.At.Add(busyCountEvery)):
		s.Value, s.Seq, s.DueAt = c.Count, c.Seq, s.At.Add(busyCountEvery)
		f.states[key] = s
	case c.Count > busyCount:
		f.told = append(f.told, *c)
		f.states[key] = State{StateKey: key, Value: c.Count, Seq: c.Seq, At: f.now}
	default:
		f.told = append(f.told, *c)
		delete(f.states, key)
	}
}

// due tells what was put off.
func (f *fold) due(s State) {
	now, there := f.states[s.StateKey]
	if !there || now.DueAt.IsZero() || now.DueAt.After(f.now) {
		return // a change of this very intake was about it
	}
	c := channels.Change{App: s.App, Channel: s.Channel, Seq: now.Seq, At: f.now}
	switch rest := s.Subject[1:]; s.Subject[:1] {
	case subjectChannel:
		c.Kind = channels.ChannelVacated
	case subjectMember:
		c.Kind, c.UserID = channels.MemberWent, rest
	case subjectUser:
		c.Kind, c.UserID = channels.UserOffline, rest
	case subjectCount:
		c.Kind, c.Count = channels.SubscriptionsChange, now.Value
		now.At, now.DueAt = f.now, time.Time{}
		f.states[s.StateKey] = now
		f.told = append(f.told, c)
		return
	default: // of a day that is over
		delete(f.states, s.StateKey)
		return
	}
	delete(f.states, s.StateKey)
	f.told = append(f.told, c)
}

// result is what has to be stored.
func (f *fold) result() (keep []State, gone []StateKey) {
	for k := range f.known {
		if _, there := f.states[k]; !there {
			gone = append(gone, k)
		}
	}
	for _, s := range f.states {
		keep = append(keep, s)
	}
	return keep, gone
}

package channels

import (
	"strings"
	"time"

	"tidewire/tenants"
)

// ChangeKind says what kind of change the outside may learn of. The values are
// the names webhooks go by.
type ChangeKind string

// The kinds of changes.
const (
	ChannelOccupied     ChangeKind = "channel_occupied"
	ChannelVacated      ChangeKind = "channel_vacated"
	MemberCame          ChangeKind = "member_added"
	MemberWent          ChangeKind = "member_removed"
	UserOnline          ChangeKind = "user_online"
	UserOffline         ChangeKind = "user_offline"
	SubscriptionsChange ChangeKind = "subscription_count"
	ClientEventSent     ChangeKind = "client_event"
	CacheMissed         ChangeKind = "cache_miss"
)

// Change is something that happened once, over all nodes, and that the outside
// may learn.
type Change struct {
	// Place is where the change stands in the log it was read from: higher than
	// every one before it there. 0 if it was observed.
	Place uint64
	Kind  ChangeKind
	App   tenants.AppID
	// Channel is empty for UserOnline and UserOffline.
	Channel string
	UserID  string
	// Event, Data (a JSON string literal) and SocketID are those of a client event.
	Event    string
	Data     []byte
	SocketID SocketID
	Count    int // of SubscriptionsChange
	// Seq grows with every change of a channel; 0 = the observer gives one.
	Seq uint64
	At  time.Time
	// Trace is that of the client event; nil where none is taken.
	Trace *Trace
}

// Observer is told of changes by whoever makes them. Its methods return at once
// and are called under locks: they must not call back.
type Observer interface {
	// Wants reports whether anybody wants to learn of changes of that kind. It is
	// asked for every client event, so it must cost next to nothing.
	Wants(app tenants.AppID, kind ChangeKind) bool
	// Full reports whether too much of the app's is still to be told. What can be
	// refused is refused then, instead of being forgotten.
	Full(app tenants.AppID) bool
	// Observe takes over a change.
	Observe(c Change)
}

// OccupancyChange is the change that lies in a topic becoming occupied or
// vacated: a user's own topic tells of the user.
func OccupancyChange(t Topic, occupied bool) Change {
	c := Change{App: t.App, Channel: t.Channel, Kind: ChannelVacated}
	if occupied {
		c.Kind = ChannelOccupied
	}
	id, isUser := strings.CutPrefix(t.Channel, userTopicPrefix)
	if !isUser {
		return c
	}
	c.Channel, c.UserID, c.Kind = "", id, UserOffline
	if occupied {
		c.Kind = UserOnline
	}
	return c
}

// Topic is where the change happened: the channel, or the user's own topic.
func (c *Change) Topic() Topic {
	if c.Channel == "" {
		return Topic{App: c.App, Channel: userTopicPrefix + c.UserID}
	}
	return Topic{App: c.App, Channel: c.Channel}
}

// ChangeSeq makes a [Change]'s Seq of a time and a number within its
// millisecond. It stays below 2^53, so that every language can read it. A clock
// that was set back makes many of one millisecond; they reach into the next.
func ChangeSeq(milli int64, n uint64) uint64 { return uint64(milli)<<12 + min(n, 1<<30) }

// wanted reports whether o wants the change.
func wanted(o Observer, app tenants.AppID, kind ChangeKind) bool {
	return o != nil && o.Wants(app, kind)
}

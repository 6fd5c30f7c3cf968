package channels

import (
	"strconv"
	"time"
)

// EventKind says what an event is. All but the first are made by the engines
// and never by a publisher.
type EventKind uint8

const (
	// Message is an event of a customer's server or of a client.
	Message EventKind = iota
	// MemberAdded says that UserID came to a presence channel. Data is the raw
	// JSON of user_info or nil, Seq the place among the topic's changes.
	MemberAdded
	// MemberRemoved says that UserID left; Seq as above.
	MemberRemoved
	// MemberUpdated says that UserID's info is now Data. Nodes keep it; clients
	// are not told.
	MemberUpdated
	// CountChanged says that the topic has Count subscriptions over all nodes.
	CountChanged
	// Terminate closes every connection signed in as the user the topic stands for.
	Terminate
	// Missed says that events of the topic may have been lost on the way to this
	// node before now. It is made by a broker for its own node and never sent.
	Missed
)

// Event is one message on one topic.
type Event struct {
	Kind  EventKind
	Topic Topic
	Name  string
	// Data is the payload as the JSON string literal that goes out on the wire,
	// quotes included: what the publisher posted is never decoded and encoded again.
	Data []byte
	// Except is the connection that must not receive the event; empty for none.
	Except SocketID
	// UserID is the sender's user id, on client events of presence channels, or
	// the member concerned; empty otherwise.
	UserID string
	// Seq numbers the member changes of a topic, without gaps; 0 on other kinds.
	Seq uint64
	// Count is the total of a CountChanged.
	Count int
	// CacheTTL, if positive, makes the broker keep this event as the topic's
	// last one for that long ([Broker.Last]).
	CacheTTL time.Duration
	// Keep, if its Max is positive, makes the broker append this event to the
	// topic's history ([History]), in the step that publishes it.
	Keep Retention
	// Position is the event's place in the channel's history; zero where none is kept.
	Position Position
	// Trace is where the event is in a trace; nil where none is taken.
	Trace *Trace
	// At is when a history took the event; set only on what is read from one.
	At time.Time
}

// Retention is how much of its past a topic keeps. The zero value is none.
type Retention struct {
	Max int           // events
	TTL time.Duration // of each event
}

// Position is a place in the history of one channel. Offsets count from 1
// within an epoch and are never reused in it; a new epoch means that data may
// have been lost in between. The zero Position says that no history is kept.
type Position struct {
	Epoch  string
	Offset uint64
}

// IsZero reports whether the event belongs to no history.
func (p Position) IsZero() bool { return p.Epoch == "" && p.Offset == 0 }

// String gives the position as "epoch:offset", the serial of the wire.
func (p Position) String() string { return p.Epoch + ":" + strconv.FormatUint(p.Offset, 10) }

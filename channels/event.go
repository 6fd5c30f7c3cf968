package channels

import "fmt"

// Event is one message on one topic.
type Event struct {
	Topic Topic
	Name  string
	// Data is the payload as the JSON string literal that goes out on the wire,
	// quotes included: what the publisher posted is never decoded and encoded again.
	Data []byte
	// Except is the connection that must not receive the event; empty for none.
	Except SocketID
	// UserID is the sender's user id, set on client events of presence channels only.
	UserID string
	// Position is the event's place in the channel's history; zero where none is kept.
	Position Position
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
func (p Position) String() string { return fmt.Sprintf("%s:%d", p.Epoch, p.Offset) }

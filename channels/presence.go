package channels

import (
	"context"
	"errors"

	"tidewire/tenants"
)

// Presence knows who is on which topic, over all nodes. It has two engines,
// in-process and Redis, held to one suite (channelstest.TestPresence).
//
// A node speaks for itself only, and in absolute terms ("I have 3 subscriptions
// on t", "user 7 is on t through me"): saying the same twice changes nothing,
// and what a node said is void when it dies. The change a call causes is
// published on the topic in the same step, so changes arrive everywhere in the
// order in which they happened. Calls of one node for one topic must not overlap.
type Presence interface {
	// SetCount says that this node has local subscriptions on t; 0 takes the
	// node off the topic. It returns the sum over all nodes. If the sum went from
	// or to zero, or announce is set and it changed, a [CountChanged] event is
	// published on t.
	SetCount(ctx context.Context, t Topic, local int, announce bool) (total int, err error)

	// Enter says that m's user is on t through this node. For a user who was on
	// no node a [MemberAdded] event is published, unless the topic has limit
	// members already: then the error is [ErrFull] and nothing changes. For a
	// user who was there with other Info, the new Info replaces the old and a
	// [MemberUpdated] event is published. The number returned is the topic's
	// Seq after the call.
	Enter(ctx context.Context, t Topic, m Member, limit int) (seq uint64, err error)

	// Leave says that the user is no longer on t through this node. If that was
	// the last node, a [MemberRemoved] event is published. A user who was not
	// there changes nothing.
	Leave(ctx context.Context, t Topic, userID string) error

	// Roster returns the members of t, in no particular order, and the Seq of
	// the last change that is in it.
	Roster(ctx context.Context, t Topic) (Roster, error)

	// Occupancy returns the counts of the topics named, in their order; a topic
	// nobody is on has zeros.
	Occupancy(ctx context.Context, ts []Topic) ([]Occupancy, error)

	// Occupied lists the topics of an app that have subscriptions and whose
	// channel name begins with prefix, in no particular order.
	Occupied(ctx context.Context, app tenants.AppID, prefix string) ([]Occupancy, error)
}

// Member is one user on a presence channel.
type Member struct {
	UserID string
	Info   []byte // user_info as raw JSON; nil if there is none
}

// Roster is who is on a presence channel at one moment of its sequence of changes.
type Roster struct {
	Members []Member
	Seq     uint64
}

// Occupancy is how many are on one channel, over all nodes.
type Occupancy struct {
	Channel       string
	Subscriptions int // connections
	Users         int // distinct users; presence channels only
}

// ErrFull says that a presence channel has as many members as it may.
var ErrFull = errors.New("presence channel is full")

package channels

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Broker carries events between nodes. It has two engines, in-process and
// Redis, held to one suite (channelstest.TestBroker).
//
// Delivery is at most once. The events of one topic published by sequential
// calls arrive in that order; events of concurrent calls arrive in one order,
// the same for every subscriber of a node.
type Broker interface {
	// Publish hands evs to every node subscribed to their topics, this one
	// included, and returns each event's position (zero for a channel without
	// history). nil means that the broker has all of them; a [*PublishError]
	// names the events it does not vouch for. Publish does not wait for
	// delivery. The Data of evs may be kept and must not be changed afterwards.
	Publish(ctx context.Context, evs []Event) ([]Position, error)

	// Subscribe makes this node receive the events of t. When it returns nil,
	// every event published afterwards, on any node, reaches deliver.
	// Subscribing twice is the same as once.
	Subscribe(ctx context.Context, t Topic) error

	// Unsubscribe ends that. Events of t already under way may still arrive.
	Unsubscribe(ctx context.Context, t Topic) error

	// Run passes received events to deliver until ctx ends, and returns when no
	// further call will be made. Publish and Subscribe work only while it runs.
	// deliver does not wait for clients; if this node cannot take more it
	// returns [ErrBusy], and the broker reports that to the publisher
	// (in-process) or offers the event again (Redis).
	Run(ctx context.Context, deliver func(*Event) error) error

	// Started is closed once Run has been called and the others may be.
	Started() <-chan struct{}
}

var (
	// ErrBusy says that this node holds as much undelivered data as it may.
	ErrBusy = errors.New("too much undelivered data on this node")
	// ErrBrokerAway says that the broker cannot be reached.
	ErrBrokerAway = errors.New("broker unreachable")
)

// PublishError says which events of one Publish call failed. The others are
// with the broker; a retry of the whole call may therefore duplicate them.
type PublishError struct {
	Failed []int // indexes into the evs of the call
	Err    error
}

// Error implements error.
func (e *PublishError) Error() string {
	return fmt.Sprintf("publish: %d events not accepted: %v", len(e.Failed), e.Err)
}

// Unwrap gives the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// FailedChannels names the channels of the failed events, for the answer to the publisher.
func (e *PublishError) FailedChannels(evs []Event) string {
	names := make([]string, 0, len(e.Failed))
	for _, i := range e.Failed {
		names = append(names, evs[i].Topic.Channel)
	}
	return strings.Join(names, ", ")
}

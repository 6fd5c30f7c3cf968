package redis

import (
	"errors"
	"sync/atomic"
)

// Stats is a snapshot of the counters since [Open], and of a few levels now.
type Stats struct {
	Published     uint64 // events Redis has accepted
	PublishFailed uint64 // events not vouched for
	Received      uint64 // events handed to this node

	Malformed      uint64 // envelopes dropped: not decodable
	UnknownVersion uint64 // envelopes dropped: of a version this node does not know
	UnknownKind    uint64 // envelopes dropped: of a kind this node does not know
	Stray          uint64 // messages dropped: of a topic this node does not listen to (any more)
	Refused        uint64 // events this node would not take, for another reason than being busy

	Busy uint64 // offers this node answered with channels.ErrBusy

	Fenced uint64 // statements on presence refused because this node's lease was lost
	Retold uint64 // topics Redis was told again, having lost them perhaps
	Reaped uint64 // topics this node took dead nodes off, the attempts that found nothing included

	// Gaps counts, by reason, the times in which events of subscribed topics
	// may have been missed: one per lost connection, however many topics it had.
	Gaps map[string]uint64

	Subscribed  int // topics confirmed by Redis now
	Pending     int // topics wanted and not confirmed now
	Connections int // pooled connections for commands
	Idle        int // of these, not in use
}

// gap is why events may have been missed. The names are metric labels.
type gap int

const (
	gapConnection   gap = iota // the connection broke
	gapSilent                  // nothing came for too long, not even the answer to a ping
	gapRefused                 // Redis answered with an error
	gapMoved                   // Redis ended a subscription: the slot went to another master
	gapResubscribed            // a subscription was confirmed twice: it was lost in between
	gapReasons
)

var gapNames = [gapReasons]string{"connection", "silent", "refused", "moved", "resubscribed"}

type counters struct {
	published, publishFailed, received     atomic.Uint64
	malformed, unknownVersion, unknownKind atomic.Uint64
	stray, refused, busy                   atomic.Uint64
	fenced, retold, reaped                 atomic.Uint64
	gaps                                   [gapReasons]atomic.Uint64
}

// dropped picks the counter for an envelope that did not decode.
func (n *counters) dropped(err error) *atomic.Uint64 {
	switch {
	case errors.Is(err, errVersion):
		return &n.unknownVersion
	case errors.Is(err, errKind):
		return &n.unknownKind
	}
	return &n.malformed
}

// Stats returns a snapshot. Its fields are read one after the other.
func (c *Client) Stats() Stats {
	n := &c.counters
	s := Stats{
		Published: n.published.Load(), PublishFailed: n.publishFailed.Load(), Received: n.received.Load(),
		Malformed: n.malformed.Load(), UnknownVersion: n.unknownVersion.Load(), UnknownKind: n.unknownKind.Load(),
		Stray: n.stray.Load(), Refused: n.refused.Load(), Busy: n.busy.Load(),
		Fenced: n.fenced.Load(), Retold: n.retold.Load(), Reaped: n.reaped.Load(),
		Gaps: make(map[string]uint64, gapReasons),
	}
	for reason, name := range gapNames {
		s.Gaps[name] = n.gaps[reason].Load()
	}
	for _, l := range c.broker.lanes {
		subscribed, pending := l.table.count()
		s.Subscribed += subscribed
		s.Pending += pending
	}
	pool := c.rdb.PoolStats()
	s.Connections, s.Idle = int(pool.TotalConns), int(pool.IdleConns)
	return s
}

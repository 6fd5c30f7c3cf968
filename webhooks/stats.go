package webhooks

import "sync/atomic"

// counters are what a node counts.
type counters struct {
	recorded, delivered, failed, dead, lost, storeFailures, inFlight atomic.Int64
}

// Stats is what this node has done since it started.
type Stats struct {
	Recorded      int64 // deliveries made
	Delivered     int64 // taken by their receivers
	Failed        int64 // attempts that failed
	Dead          int64 // deliveries given up
	Lost          int64 // changes that found no room: the database has been away for too long
	StoreFailures int64 // times the database did not take what was to be stored
	InFlight      int64 // calls under way

	Pending   int     // deliveries that wait, over all nodes
	OldestAge float64 // seconds for which the oldest due delivery has waited
}

func (c *counters) stats() Stats {
	return Stats{
		Recorded: c.recorded.Load(), Delivered: c.delivered.Load(), Failed: c.failed.Load(), Dead: c.dead.Load(),
		Lost: c.lost.Load(), StoreFailures: c.storeFailures.Load(), InFlight: c.inFlight.Load(),
	}
}

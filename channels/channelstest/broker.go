package channelstest

import (
	"testing"

	"tidewire/channels"
)

// Cluster is a set of nodes for one test.
type Cluster struct {
	// Nodes are brokers joined to each other, not yet running: one for an
	// engine that lives in one process, two or more otherwise.
	Nodes []channels.Broker
	// RetriesBusy says that an event refused with [channels.ErrBusy] is offered
	// again until it is taken. Without it the publisher is told.
	RetriesBusy bool
}

// TestBroker holds an engine to the contract of [channels.Broker]. open is
// called once per subtest, from parallel ones, and cleans up through t.
func TestBroker(t *testing.T, open func(t *testing.T) Cluster) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func(*testing.T) Cluster)
	}{
		{"subscribe, then publish", testSubscribeThenPublish},
		{"order of sequential publishes", testSequentialOrder},
		{"one order for concurrent publishers", testConcurrentOrder},
		{"fields and bytes are carried unchanged", testContent},
		{"kinds and numbers are carried unchanged", testKinds},
		{"last events", testLastEvents},
		{"history: positions", testHistory},
		{"history: queries", testHistoryQueries},
		{"history: one order", testHistoryOrder},
		{"history: its end", testHistoryEnds},
		{"history: a new epoch", testHistoryRenew},
		{"batch of 100 topics", testBatch},
		{"topics are strangers to each other", testIsolation},
		{"unsubscribe stops, subscribe resumes", testUnsubscribe},
		{"subscribing twice is the same as once", testSubscribeTwice},
		{"a busy node", testBusy},
		{"contexts that have ended", testCancelled},
		{"subscribe and unsubscribe churn", testChurn},
		{"unordered subscribe and unsubscribe", testUnorderedChurn},
		{"before Run", testBeforeRun},
		{"Run ends", testRunEnds},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

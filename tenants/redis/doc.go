// Package redis is the door through which the nodes of one installation share
// rates: the engine of [tenants.Limiter] over Redis.
//
// Every node decides by itself, from memory, with a bucket of the full rate, and
// tells Redis several times a second what it took. In the same step it learns
// what the others took, and takes that from its own bucket too. So a decision
// costs no round trip, the rate holds over all nodes in the long run, and one
// node alone decides exactly as the in-process engine does. The price is that
// several nodes asked in the same moment may let through what each has left
// before they hear of each other; that is paid off before anything else passes.
//
// While Redis is away, each node keeps to its share: the rate divided by the
// nodes last known, and at least one a second. It is never without a bound.
//
// The package opens no connections: it is given those of the process.
package redis

package fanout

import (
	"sync"
	"sync/atomic"
)

type opKind uint8

const (
	opAttach     opKind = iota
	opSend              // line, frame
	opPublish           // group, frame; line is the one left out
	opJoin              // line, member
	opLeave             // member
	opClose             // line
	opReadEnded         // line
	opHardClose         // line
	opKick              // line
	opDrained           // line, n bytes
	opDrainLost         // line: the drainer's write failed
	opCloseGroup        // group
	opAskQueued         // line, answer
)

// op is one message to a shard.
type op struct {
	kind   opKind
	n      int32
	line   *Line
	member *Member
	group  *Group
	frame  *Frame
	answer chan<- int // with room for one
}

// keptOps is the capacity above which an emptied inbox slice is given back.
const keptOps = 4096

// inbox is what a shard has been asked to do. Posting never waits; the bound is
// on published data and is asked by the publisher before it posts.
type inbox struct {
	wake  chan struct{} // capacity 1
	bytes atomic.Int64  // published bytes not yet taken

	mu   sync.Mutex
	ops  []op
	done bool // the shard has ended: nothing is taken any more
}

func (b *inbox) post(ops ...op) {
	b.mu.Lock()
	if b.done {
		b.mu.Unlock()
		return
	}
	idle := len(b.ops) == 0
	b.ops = append(b.ops, ops...)
	b.mu.Unlock()
	if idle {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// take swaps the waiting ops for the empty slice spare.
func (b *inbox) take(spare []op) []op {
	clear(spare)
	if cap(spare) > keptOps {
		spare = nil
	}
	b.mu.Lock()
	ops := b.ops
	b.ops = spare[:0]
	b.mu.Unlock()
	b.bytes.Store(0)
	return ops
}

func (b *inbox) end() {
	b.mu.Lock()
	b.done, b.ops = true, nil
	b.mu.Unlock()
}

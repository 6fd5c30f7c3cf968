package ws

import (
	"bytes"
	"runtime"
	"sync"
	"time"
)

const (
	// paceFree is how many handshakes a second are answered at once for each
	// processor, a twentieth of its time; paceBurst is how much of a second's may
	// come together.
	paceFree  = 500
	paceBurst = 10
	// paceTick is the time between two batches once more have come; a batch has
	// one for each processor, or more so that nobody waits longer than paceMost.
	// pusher-js gives a server 15 s, our own client 10 s.
	paceTick = 10 * time.Millisecond
	paceMost = 8 * time.Second
	// paceLook is how often to look whether events flow.
	paceLook = 100 * time.Millisecond
)

// pace spreads handshakes over time while events flow: the clients of a node
// that died come all at once, and those who are here would feel it. A server
// that has nothing to deliver answers as fast as it can.
type pace struct {
	published func() int64        // events delivered here so far
	let       func(greeting)      // answers a handshake that has waited; does not wait itself
	gone      func(greeting) bool // whether its client has given up; closes it then
	open      *sync.WaitGroup     // goroutines of the front

	mu     sync.Mutex
	free   float64   // handshakes that may be answered at once
	filled time.Time // when free was last added to
	queue  []greeting
	since  time.Time // when the queue began; zero while there is none
	batch  int       // of the queue, at each tick
	looked time.Time
	seen   int64 // published when last looked
	flows  bool  // it had grown by then
	closed bool
}

// greeting is a new connection, and what it has said once that has been read.
type greeting struct {
	sock *sock
	head []byte // nil before
}

// take reports whether the handshake is to be answered now. If not, it will be
// let in, with a copy of head.
func (p *pace) take(s *sock, head []byte) (now bool) {
	at := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		if p.closed || !p.busy(at) {
			return true
		}
		rate := paceFree * float64(runtime.GOMAXPROCS(0))
		p.free = min(p.free+rate*at.Sub(p.filled).Seconds(), rate/paceBurst)
		p.filled = at
		if p.free >= 1 {
			p.free--
			return true
		}
		p.since, p.batch = at, runtime.GOMAXPROCS(0)
		p.open.Go(p.run)
	}
	p.queue = append(p.queue, greeting{s, bytes.Clone(head)})
	const most = int(paceMost / paceTick)
	p.batch = max(p.batch, (len(p.queue)+most-1)/most)
	return false
}

// busy reports whether events flow.
func (p *pace) busy(at time.Time) bool {
	if at.Sub(p.looked) >= paceLook {
		n := p.published()
		p.flows, p.seen, p.looked = n != p.seen, n, at
	}
	return p.flows
}

// run lets in from the queue until it is empty.
func (p *pace) run() {
	tick := time.NewTicker(paceTick)
	defer tick.Stop()
	for range tick.C {
		batch, more := p.next()
		for _, g := range batch {
			p.let(g)
		}
		if !more {
			return
		}
	}
}

// next takes a batch from the queue, and reports whether there will be another.
// The place of a client that has given up is the next one's.
func (p *pace) next() (batch []greeting, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now()
	all := p.closed || !p.busy(at)
	if at.Sub(p.since) > paceMost { // not a burst: many come all the time
		p.batch++
	}
	taken := 0
	for _, g := range p.queue {
		if !all && len(batch) == p.batch {
			break
		}
		taken++
		if !p.gone(g) {
			batch = append(batch, g)
		}
	}
	clear(p.queue[:taken])
	p.queue = p.queue[taken:]
	if len(p.queue) > 0 {
		return batch, true
	}
	p.queue, p.since = nil, time.Time{}
	return batch, false
}

// waiting is how many handshakes wait.
func (p *pace) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

// close lets in all that wait, and from now on everybody.
func (p *pace) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	readBuffer = 256 << 10
	pollBatch  = 512
	pollWait   = 100 // milliseconds; how late the loop may notice that it is to stop
)

// Stats is what the clients saw since the start or the last [Loop.Reset].
type Stats struct {
	Received int64     // events that arrived
	Gaps     int64     // sequence numbers that were jumped over
	Repeats  int64     // events that came twice or out of order
	Closed   int64     // ready connections that the server ended
	Reads    int64     // reads that brought at least one byte
	Latency  Histogram // from the publish to the read that held the event
	FirstErr error     // what ended the first of the closed connections
}

// Loop is a set of clients on one epoll goroutine. Make one with [NewLoop],
// end it with [Loop.Close].
type Loop struct {
	// static
	addr    netip.AddrPort
	ep      int
	slots   chan struct{}
	failed  chan struct{}
	done    chan struct{}
	closing atomic.Bool

	received atomic.Int64
	ready    atomic.Int64

	// owned by the loop's goroutine
	buf  []byte
	hint int // where the last stamp was found

	mu      sync.Mutex // held by the loop while it handles a batch of reads
	clients map[int]*client
	stats   Stats
	openErr error // why the first client never became ready
}

// NewLoop starts a loop of clients for the server at addr, an IPv4 loopback
// address with a port. At most inFlight clients are between connect and
// subscribed at any time.
func NewLoop(addr string, inFlight int) (*Loop, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("parse the server's address: %w", err)
	}
	if !to.Addr().Is4() || !to.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s is not an IPv4 loopback address: the bench only loads this machine", addr)
	}
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	l := &Loop{
		addr: to, ep: ep,
		slots:   make(chan struct{}, max(inFlight, 1)),
		failed:  make(chan struct{}),
		done:    make(chan struct{}),
		buf:     make([]byte, readBuffer),
		clients: make(map[int]*client),
	}
	go l.run()
	return l, nil
}

// Open connects one client per subscription and returns when all of them are
// subscribed, or with the first failure.
func (l *Loop) Open(ctx context.Context, subs []Subscription) error {
	type asked struct {
		key     string
		serials bool
	}
	requests := map[asked][]byte{}
	for i := range subs {
		if err := l.acquire(ctx); err != nil {
			return err
		}
		key := asked{subs[i].App.Key, subs[i].Serials}
		if requests[key] == nil {
			requests[key] = upgradeRequest(l.addr.String(), key.key, key.serials)
		}
		fd, err := dial(l.addr, i, requests[key])
		if err != nil {
			return err
		}
		if err := l.add(&client{fd: fd, sub: &subs[i]}); err != nil {
			return err
		}
	}
	for range cap(l.slots) { // all slots back means that nobody is on the way any more
		if err := l.acquire(ctx); err != nil {
			return err
		}
	}
	for range cap(l.slots) {
		<-l.slots
	}
	return nil
}

func (l *Loop) acquire(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-l.failed:
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("subscribe: %w", l.openErr)
	case <-ctx.Done():
		return fmt.Errorf("subscribe: %d clients are ready: %w", l.ready.Load(), ctx.Err())
	}
}

func (l *Loop) add(c *client) error {
	l.mu.Lock()
	l.clients[c.fd] = c
	l.mu.Unlock()
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
	if err := syscall.EpollCtl(l.ep, syscall.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// Received returns the events that arrived since the last reset.
func (l *Loop) Received() int64 { return l.received.Load() }

// Ready returns how many clients are subscribed.
func (l *Loop) Ready() int64 { return l.ready.Load() }

// Reset forgets all figures; the clients and their sequences stay.
func (l *Loop) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats = Stats{}
	l.received.Store(0)
}

// Stats returns the figures so far.
func (l *Loop) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Received = l.received.Load()
	return s
}

// Drain waits until want events have arrived, and gives up when none came for
// idle or ctx ends. It reports whether they all came.
func (l *Loop) Drain(ctx context.Context, want int64, idle time.Duration) bool {
	return drain(ctx, l.Received, want, idle)
}

// drain waits until received has reached want, and gives up when it has stood
// still for idle or ctx ends.
func drain(ctx context.Context, received func() int64, want int64, idle time.Duration) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	seen, since := int64(-1), time.Now()
	for {
		got := received()
		if got >= want {
			return true
		}
		if got != seen {
			seen, since = got, time.Now()
		} else if time.Since(since) > idle {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// Close ends the goroutine and hangs up on every connection. Calling it twice is safe.
func (l *Loop) Close() {
	if !l.closing.CompareAndSwap(false, true) {
		<-l.done
		return
	}
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	for fd := range l.clients {
		hangUp(fd)
	}
	clear(l.clients)
	_ = syscall.Close(l.ep)
}

func (l *Loop) run() {
	defer close(l.done)
	events := make([]syscall.EpollEvent, pollBatch)
	for !l.closing.Load() {
		n, err := syscall.EpollWait(l.ep, events, pollWait)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			l.mu.Lock()
			l.giveUp(fmt.Errorf("wait for reads: %w", err))
			l.mu.Unlock()
			return
		}
		l.mu.Lock()
		for _, ev := range events[:max(n, 0)] {
			if c := l.clients[int(ev.Fd)]; c != nil {
				l.read(c)
			}
		}
		l.mu.Unlock()
	}
}

// read takes what one socket holds, at most one buffer of it: epoll is level
// triggered and comes back for the rest, after the others had their turn.
func (l *Loop) read(c *client) {
	held := copy(l.buf, c.rest)
	n, err := receive(c.fd, l.buf[held:])
	if n == 0 && err == nil {
		return
	}
	if err == nil {
		l.stats.Reads++
		var rest []byte
		rest, err = l.consume(c, l.buf[:held+n], now())
		c.rest = append(c.rest[:0], rest...)
	}
	if err == nil && len(c.rest) == len(l.buf) {
		err = errTooLong
	}
	if err != nil {
		l.drop(c, err)
	}
}

// event counts one event of a ready client.
func (l *Loop) event(c *client, s stamp, at int64) {
	l.received.Add(1)
	l.stats.Latency.Add(time.Duration(at - s.sent))
	last := c.last[s.stream]
	switch {
	case s.seq <= last:
		l.stats.Repeats++
		return
	case s.seq > last+1:
		l.stats.Gaps += int64(s.seq - last - 1)
	}
	c.last[s.stream] = s.seq
}

func (l *Loop) becameReady() {
	l.ready.Add(1)
	<-l.slots
}

// drop forgets a connection that ended. One that never became ready fails the run.
func (l *Loop) drop(c *client, err error) {
	delete(l.clients, c.fd)
	hangUp(c.fd)
	if c.state != stateReady {
		l.giveUp(err)
		return
	}
	l.ready.Add(-1)
	l.stats.Closed++
	if l.stats.FirstErr == nil {
		l.stats.FirstErr = err
	}
}

// giveUp makes Open return err. The caller holds mu.
func (l *Loop) giveUp(err error) {
	if l.openErr == nil {
		l.openErr = err
		close(l.failed)
	}
}

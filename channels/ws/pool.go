package ws

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"unicode/utf8"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
)

type jobKind uint8

const (
	jobConnect jobKind = iota
	jobMessage
	jobBinary
	jobClosed
)

// job is one piece of work for a connection.
type job struct {
	door    *Door
	client  *client
	kind    jobKind
	message []byte
	done    chan struct{} // capacity 1
}

// idleWorkers is how many workers stay for the next burst.
const idleWorkers = 64

// pool does the decoding on goroutines of its own while the reading goroutine
// waits: done there, it would grow every connection's stack for good.
type pool struct {
	jobs chan job
	quit chan struct{}
	wg   sync.WaitGroup
	idle chan struct{} // one token for each worker that may stay
	done sync.Pool     // of chan struct{}
}

func newPool() *pool {
	return &pool{
		jobs: make(chan job), quit: make(chan struct{}), idle: make(chan struct{}, idleWorkers),
		done: sync.Pool{New: func() any { return make(chan struct{}, 1) }},
	}
}

// do runs the job on a worker and waits for it.
func (p *pool) do(j job) {
	j.done = p.done.Get().(chan struct{})
	select {
	case p.jobs <- j:
	default:
		p.wg.Add(1)
		go p.work(j)
	}
	<-j.done
	p.done.Put(j.done)
}

// work does j, and then others as long as not too many workers are idle.
func (p *pool) work(j job) {
	defer p.wg.Done()
	for {
		j.run()
		j = job{}
		select {
		case p.idle <- struct{}{}:
		default:
			return
		}
		select {
		case j = <-p.jobs:
			<-p.idle
		case <-p.quit:
			return
		}
	}
}

// stop ends the idle workers. No job may be given any more.
func (p *pool) stop() {
	close(p.quit)
	p.wg.Wait()
}

// run does the job. A panic costs the connection that caused it, not the process.
func (j *job) run() {
	defer func() {
		if v := recover(); v != nil {
			j.door.cfg.Log.Error("panic while serving a client", "panic", v, slog.String("stack", string(debug.Stack())))
			_ = j.client.inner.Close()
		}
		j.done <- struct{}{}
	}()
	c := j.client
	switch j.kind {
	case jobConnect:
		c.connect()
	case jobMessage:
		c.message(j.message)
	case jobBinary:
		if c.conn != nil {
			c.conn.Unsupported(console.BinaryFrame, fanout.NewClose(1003, "Binary WebSocket frames are not supported"))
		}
	case jobClosed:
		if c.conn != nil {
			c.conn.Closed(context.Background())
			c.conn = nil
		}
	}
}

func (c *client) message(b []byte) {
	switch {
	case c.conn == nil: // refused, and on its way out
	case !utf8.Valid(b):
		c.conn.Unsupported(console.NotUTF8, fanout.NewClose(1007, "A text message must be valid UTF-8"))
	default:
		c.conn.Handle(context.Background(), b)
	}
}

// connect greets the client, or refuses it; either way the plane writes from now on.
func (c *client) connect() {
	e := c.arrival.entry
	c.arrival = nil
	if t, ok := c.transport.(sealed); ok {
		t.holdBack(func() {
			if line := c.line.Load(); line != nil {
				line.Kick()
			}
		})
	}
	var line *fanout.Line
	c.conn, line = c.door.hub.Connect(e, c.transport)
	c.line.Store(line)
	if c.conn != nil && e.Serials {
		c.conn.Serials()
	}
	if c.conn != nil && e.Claims != nil {
		c.conn.Authenticate(context.Background(), e.Claims)
	}
}

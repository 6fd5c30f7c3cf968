package fanout

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Config sets up a [Plane]. Zero values are replaced by the defaults given.
type Config struct {
	// Shards is the number of writing goroutines; GOMAXPROCS by default.
	Shards int
	// MaxQueuedBytes is what one line may have waiting before it is cut off as
	// too slow; 1 MiB by default. The socket's own send buffer comes on top.
	MaxQueuedBytes int
	// MaxInboxBytes is how much published data one shard may have accepted but
	// not looked at; above it [Plane.Publish] refuses. 16 MiB by default.
	MaxInboxBytes int
	// Window bounds the pause between the starts of two flushes of a shard, in
	// which publishes gather to share one write; 5 ms by default. The pause is a
	// few times what the last flush took, so a shard with little to do writes at once.
	Window time.Duration
	// NoRing has each line written with a system call of its own even where the
	// kernel offers io_uring.
	NoRing bool
	// Slow is what a line that is cut off for slowness is sent last: frames of
	// which the final one is a close frame.
	Slow []*Frame
	// OnSlow is told of each line that is cut off for slowness, by the shard that
	// cuts it: it must not wait. nil is not told.
	OnSlow func(*Line)
}

func (c Config) withDefaults() Config {
	if c.Shards <= 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	if c.MaxQueuedBytes <= 0 {
		c.MaxQueuedBytes = 1 << 20
	}
	if c.MaxInboxBytes <= 0 {
		c.MaxInboxBytes = 16 << 20
	}
	if c.Window == 0 {
		c.Window = 5 * time.Millisecond
	}
	if len(c.Slow) == 0 {
		c.Slow = []*Frame{NewClose(1013, "too slow")}
	}
	return c
}

// Plane is all the shards of a node.
type Plane struct {
	shards []*shard
	next   atomic.Uint32
}

// New makes a plane. It does nothing until [Plane.Run].
func New(cfg Config) *Plane {
	cfg = cfg.withDefaults()
	p := &Plane{shards: make([]*shard, cfg.Shards)}
	for i := range p.shards {
		p.shards[i] = newShard(i, cfg)
	}
	return p
}

// Run drives the shards until ctx ends, and returns when they and every drainer
// have ended. Lines still open then are left to whoever owns their transports.
func (p *Plane) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range p.shards {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Attach gives a connection its outgoing side. From now on only the plane may write to t.
func (p *Plane) Attach(t Transport) *Line {
	s := p.shards[int(p.next.Add(1))%len(p.shards)]
	l := &Line{shard: s, transport: t}
	s.post(op{kind: opAttach, line: l})
	return l
}

// NewGroup makes an empty group.
func (p *Plane) NewGroup() *Group { return &Group{parts: make([]part, len(p.shards))} }

// Publish queues f for every member of g but except, which may be nil. It
// reports false, and queues nothing, if a shard holds as much as it may.
func (p *Plane) Publish(g *Group, f *Frame, except *Line) bool {
	for i := range g.parts {
		if g.parts[i].joined.Load() != 0 && p.shards[i].full(f.Len()) {
			return false
		}
	}
	p.Announce(g, f, except)
	return true
}

// Target is a frame for the members of a group.
type Target struct {
	Group *Group
	Frame *Frame
}

// PublishAll is [Plane.Publish] to several groups: all or none.
func (p *Plane) PublishAll(except *Line, to ...Target) bool {
	for _, t := range to {
		for i := range t.Group.parts {
			if t.Group.parts[i].joined.Load() != 0 && p.shards[i].full(t.Frame.Len()) {
				return false
			}
		}
	}
	for _, t := range to {
		p.Announce(t.Group, t.Frame, except)
	}
	return true
}

// CloseAll closes the lines of a group as [Line.Close] would.
func (p *Plane) CloseAll(g *Group, last ...*Frame) {
	for i := range g.parts {
		if g.parts[i].joined.Load() == 0 {
			continue
		}
		ops := make([]op, 0, 4)
		for _, f := range last {
			ops = append(ops, op{kind: opPublish, group: g, frame: f})
		}
		p.shards[i].post(append(ops, op{kind: opCloseGroup, group: g})...)
	}
}

// Announce is Publish for frames that must not be refused: what keeps a
// client's view consistent, and is small and rare.
func (p *Plane) Announce(g *Group, f *Frame, except *Line) {
	for i := range g.parts {
		if g.parts[i].joined.Load() != 0 {
			p.shards[i].post(op{kind: opPublish, line: except, group: g, frame: f})
		}
	}
}

// Stats is a snapshot of a plane's counters.
type Stats struct {
	Lines      int64 // attached and not yet closed
	Publishes  int64 // frames for whole groups, one per shard they went to
	Frames     int64 // frames written, one per line they went to
	Bytes      int64 // bytes written
	Writes     int64 // writes that carried them: Frames/Writes is the coalescing
	Stalls     int64 // times a line had to wait for its peer
	SlowCuts   int64 // lines cut off as too slow
	InboxBytes int64 // published data not yet looked at by a shard
}

// Stats adds up the counters of all shards.
func (p *Plane) Stats() Stats {
	var sum Stats
	for _, s := range p.shards {
		sum.Lines += s.stats.lines.Load()
		sum.Publishes += s.stats.publishes.Load()
		sum.Frames += s.stats.frames.Load()
		sum.Bytes += s.stats.bytes.Load()
		sum.Writes += s.stats.writes.Load()
		sum.Stalls += s.stats.stalls.Load()
		sum.SlowCuts += s.stats.slowCuts.Load()
		sum.InboxBytes += s.inbox.bytes.Load()
	}
	return sum
}

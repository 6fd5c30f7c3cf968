package fanout

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// opsPerFlush bounds how much is queued before it is written.
	opsPerFlush = 64
	// bulkLines is the number of lines above which what they are all sent is bulk:
	// others are not to wait until it is written.
	bulkLines = 64
	// bulkChunk is how many lines of bulk are written at a time.
	bulkChunk = 128
	// bulkPerPass bounds what is queued on a line in bulk: this much may wait when
	// a pass begins, and as much may come before the pass is at the line.
	bulkPerPass = opsPerFlush / 2
	// windowFactor ties the pause between two flushes to what the last one cost:
	// a shard with little to write hardly waits, a busy one coalesces more.
	windowFactor = 4
	// minPause is not worth a timer.
	minPause = 100 * time.Microsecond
	// keptNodes bounds the free list of queue nodes.
	keptNodes = 1 << 16
	// opBytes is what an accepted publish weighs beside its frame.
	opBytes = 48
)

type counters struct {
	lines, publishes, frames, bytes, writes, stalls, slowCuts atomic.Int64
}

// shard is the actor that owns some of the lines.
type shard struct {
	index int    // static
	cfg   Config // static
	inbox inbox
	stats counters

	// owned by the goroutine of run
	writer   Writer
	ops      []op // taken from the inbox
	applied  int  // of them
	woken    bool // there may be more in the inbox
	prompt   flow
	bulk     flow
	bulkOps  int     // publishes among what waits in bulk
	pass     []*Line // lines of bulk that are being written
	pause    *time.Timer
	free     *node
	freeN    int
	stalled  map[*Line]struct{}
	drainers sync.WaitGroup
}

// flow is lines that have something to be written, at a pace.
type flow struct {
	dirty []*Line
	begun time.Time // of the last flush
	took  time.Duration
	next  time.Time // not before this is the next flush to begin
}

// rest sets the pause after a flush.
func (f *flow) rest(window time.Duration) {
	f.next = f.begun.Add(min(window, windowFactor*f.took))
}

func (f *flow) resting(now time.Time) bool { return f.next.Sub(now) > minPause }

func newShard(index int, cfg Config) *shard {
	s := &shard{index: index, cfg: cfg, stalled: make(map[*Line]struct{})}
	s.inbox.wake = make(chan struct{}, 1)
	s.writer = newWriter(s)
	return s
}

func (s *shard) post(ops ...op) {
	for i := range ops {
		if ops[i].kind == opPublish {
			s.inbox.bytes.Add(int64(ops[i].frame.Len() + opBytes))
		}
	}
	s.inbox.post(ops...)
}

// full reports whether a publish of n bytes must be refused.
func (s *shard) full(n int) bool {
	held := s.inbox.bytes.Load()
	return held > 0 && held+int64(n) > int64(s.cfg.MaxInboxBytes)
}

// run applies what comes in, and writes at once what goes to few lines. What goes
// to many is bulk: it is written a chunk at a time, and between two chunks what
// goes to few has its turn. So nobody waits for another's thousand sockets.
func (s *shard) run(ctx context.Context) {
	defer s.end()
	s.pause = time.NewTimer(time.Hour)
	defer s.pause.Stop()
	for {
		now := time.Now()
		switch {
		case s.bulkDue(now):
			s.flushBulk(now)
		case s.pending() && !s.prompt.resting(now):
			s.work(now)
		default:
			s.sleep(ctx, now)
		}
		select {
		case <-ctx.Done():
			return
		default:
		}
	}
}

func (s *shard) pending() bool { return s.woken || s.applied < len(s.ops) }

func (s *shard) bulkDue(now time.Time) bool {
	return len(s.bulk.dirty) > 0 && (s.bulkOps >= bulkPerPass || !s.bulk.resting(now))
}

// sleep waits until there is something to do, or ctx ends.
func (s *shard) sleep(ctx context.Context, now time.Time) {
	var until time.Time
	if len(s.bulk.dirty) > 0 {
		until = s.bulk.next
	}
	if s.pending() && (until.IsZero() || s.prompt.next.Before(until)) {
		until = s.prompt.next
	}
	var over <-chan time.Time
	if !until.IsZero() {
		s.pause.Reset(until.Sub(now))
		over = s.pause.C
	}
	wake := s.inbox.wake
	if s.woken {
		wake = nil
	}
	select {
	case <-ctx.Done():
	case <-over:
	case <-wake:
		s.woken = true
	}
}

// work applies some of what was asked for, and writes what of it is not bulk.
func (s *shard) work(now time.Time) {
	if s.applied == len(s.ops) {
		s.ops, s.applied, s.woken = s.inbox.take(s.ops), 0, false
		s.prompt.begun, s.prompt.took = now, 0
	}
	for n := 0; n < opsPerFlush && s.applied < len(s.ops) && s.bulkOps < bulkPerPass; n++ {
		s.apply(&s.ops[s.applied])
		s.applied++
	}
	s.flushPrompt()
	if s.applied == len(s.ops) {
		s.prompt.rest(s.cfg.Window)
	}
}

// flushBulk writes all lines in bulk.
func (s *shard) flushBulk(now time.Time) {
	s.bulk.begun = now
	s.pass, s.bulk.dirty, s.bulkOps = s.bulk.dirty, s.pass[:0], 0
	for at := 0; at < len(s.pass); at += bulkChunk {
		s.writer.Flush(s.pass[at:min(at+bulkChunk, len(s.pass))])
		now = time.Now()
		select {
		case <-s.inbox.wake:
			s.woken = true
		default:
		}
		if s.pending() && s.bulkOps < bulkPerPass && !s.prompt.resting(now) {
			s.work(now)
		}
	}
	clear(s.pass)
	s.bulk.took = time.Since(s.bulk.begun)
	s.bulk.rest(s.cfg.Window)
}

// end closes what a drainer still waits for, and refuses further work.
func (s *shard) end() {
	s.inbox.end()
	for l := range s.stalled {
		_ = l.transport.Close()
	}
	s.drainers.Wait()
	s.writer.Close()
}

func (s *shard) apply(o *op) {
	switch o.kind {
	case opAttach:
		s.stats.lines.Add(1)
	case opSend:
		if s.enqueue(o.line, o.frame, &s.prompt) {
			o.frame.count(1)
		}
	case opPublish:
		s.stats.publishes.Add(1)
		o.frame.count(s.publish(o))
	case opJoin:
		o.member.group.parts[s.index].add(o.member)
	case opLeave:
		p := &o.member.group.parts[s.index]
		p.remove(o.member)
		p.joined.Add(-1)
	case opClose:
		s.beginClose(o.line)
	case opReadEnded:
		o.line.readGone = true
		s.beginClose(o.line)
	case opHardClose:
		s.hardClose(o.line)
	case opCloseGroup:
		for _, m := range o.group.parts[s.index].members {
			s.beginClose(m.line)
		}
	case opAskQueued:
		o.answer <- int(o.line.queued)
	case opKick:
		s.markDirty(o.line, &s.prompt)
	case opDrained:
		s.resume(o.line, o.n)
	case opDrainLost:
		s.resume(o.line, o.n)
		s.hardClose(o.line)
	}
}

// publish queues a frame on the lines of a group and returns how many took it.
func (s *shard) publish(o *op) (lines int) {
	members, to := o.group.parts[s.index].members, &s.prompt
	if len(members) > bulkLines {
		to = &s.bulk
		s.bulkOps++
	}
	for _, m := range members {
		if m.line != o.line && s.enqueue(m.line, o.frame, to) {
			lines++
		}
	}
	return lines
}

func (s *shard) flushPrompt() {
	f := &s.prompt
	if len(f.dirty) == 0 {
		return
	}
	begun := time.Now()
	s.writer.Flush(f.dirty)
	clear(f.dirty)
	f.dirty = f.dirty[:0]
	f.took += time.Since(begun)
}

// markDirty has a line written, with the others of a flow unless it is to be
// written already.
func (s *shard) markDirty(l *Line, with *flow) {
	if !l.dirty && !l.stalled && l.state != lineClosed {
		l.dirty = true
		with.dirty = append(with.dirty, l)
	}
}

// enqueue puts f behind what the line has waiting, and reports whether it is
// there. A line that is closing takes nothing more; one that has too much
// waiting is cut off.
func (s *shard) enqueue(l *Line, f *Frame, with *flow) bool {
	if l.state != lineOpen {
		return false
	}
	l.push(s, f)
	if int(l.queued) > s.cfg.MaxQueuedBytes {
		s.cutSlow(l)
		return false
	}
	s.markDirty(l, with)
	return true
}

// cutSlow gives up on a client that does not keep up: what was not begun is
// dropped, the code that says so is queued, and the client has slowGrace to read it.
func (s *shard) cutSlow(l *Line) {
	s.stats.slowCuts.Add(1)
	l.dropQueue(s)
	for _, f := range s.cfg.Slow {
		l.push(s, f)
	}
	l.slow = true
	if s.cfg.OnSlow != nil {
		s.cfg.OnSlow(l)
	}
	s.beginClose(l)
}

// beginClose lets nothing more into the line. What it has is written yet; a
// line whose drainer waits for its peer is given the grace right away.
func (s *shard) beginClose(l *Line) {
	if l.state == lineClosed {
		return
	}
	l.state = lineClosing
	if l.stalled {
		s.arm(l)
	}
	s.markDirty(l, &s.prompt)
}

// arm makes sure that a closing line is closed even if its peer does nothing.
func (s *shard) arm(l *Line) {
	if l.armed {
		return
	}
	l.armed = true
	grace := closeGrace
	if l.slow || l.readGone {
		grace = slowGrace
	}
	time.AfterFunc(grace, func() { s.post(op{kind: opHardClose, line: l}) })
}

// finishClose is called when a closing line has nothing left to write.
func (s *shard) finishClose(l *Line) {
	if l.readGone {
		s.hardClose(l)
		return
	}
	s.arm(l)
	_ = l.transport.CloseWrite() // the peer may be gone already; the grace timer ends it then
}

func (s *shard) hardClose(l *Line) {
	if l.state == lineClosed {
		return
	}
	l.state = lineClosed
	l.dropQueue(s)
	_ = l.transport.Close() // also ends a drainer's wait
	s.stats.lines.Add(-1)
}

// stall hands the transport to a drainer until the peer has taken rest.
func (s *shard) stall(l *Line, rest []byte) {
	s.stats.stalls.Add(1)
	l.stalled = true
	if l.state == lineClosing {
		s.arm(l)
	}
	s.stalled[l] = struct{}{}
	deadline := time.Now().Add(stallLimit)
	s.drainers.Go(func() {
		result := op{kind: opDrained, line: l, n: int32(len(rest))} // #nosec G115 -- one frame
		if err := l.transport.Drain(rest, deadline); err != nil {
			result.kind = opDrainLost
		}
		s.post(result)
	})
}

func (s *shard) resume(l *Line, drained int32) {
	l.stalled = false
	delete(s.stalled, l)
	l.queued -= drained
	s.markDirty(l, &s.prompt)
}

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
	lines, frames, bytes, writes, stalls, slowCuts atomic.Int64
}

// shard is the actor that owns some of the lines.
type shard struct {
	index int    // static
	cfg   Config // static
	inbox inbox
	stats counters

	// owned by the goroutine of run
	writer   Writer
	dirty    []*Line
	free     *node
	freeN    int
	stalled  map[*Line]struct{}
	drainers sync.WaitGroup
}

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

func (s *shard) run(ctx context.Context) {
	defer s.end()
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	var (
		ops  []op
		next time.Time // not before this is the next flush to begin
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.wake:
		}
		if wait := time.Until(next); wait > minPause {
			pause.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
		}
		begun := time.Now()
		ops = s.inbox.take(ops)
		for done := 0; done < len(ops); done += opsPerFlush {
			for i := done; i < min(done+opsPerFlush, len(ops)); i++ {
				s.apply(&ops[i])
			}
			s.flush()
		}
		next = begun.Add(min(s.cfg.Window, windowFactor*time.Since(begun)))
	}
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
		if s.enqueue(o.line, o.frame) {
			o.frame.count(1)
		}
	case opPublish:
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
		s.markDirty(o.line)
	case opDrained:
		s.resume(o.line, o.n)
	case opDrainLost:
		s.resume(o.line, o.n)
		s.hardClose(o.line)
	}
}

// publish queues a frame on the lines of a group and returns how many took it.
func (s *shard) publish(o *op) (lines int) {
	for _, m := range o.group.parts[s.index].members {
		if m.line != o.line && s.enqueue(m.line, o.frame) {
			lines++
		}
	}
	return lines
}

func (s *shard) flush() {
	if len(s.dirty) == 0 {
		return
	}
	s.writer.Flush(s.dirty)
	clear(s.dirty)
	s.dirty = s.dirty[:0]
}

func (s *shard) markDirty(l *Line) {
	if !l.dirty && !l.stalled && l.state != lineClosed {
		l.dirty = true
		s.dirty = append(s.dirty, l)
	}
}

// enqueue puts f behind what the line has waiting, and reports whether it is
// there. A line that is closing takes nothing more; one that has too much
// waiting is cut off.
func (s *shard) enqueue(l *Line, f *Frame) bool {
	if l.state != lineOpen {
		return false
	}
	l.push(s, f)
	if int(l.queued) > s.cfg.MaxQueuedBytes {
		s.cutSlow(l)
		return false
	}
	s.markDirty(l)
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
	s.markDirty(l)
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
	s.markDirty(l)
}

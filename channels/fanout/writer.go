package fanout

// Writer puts what lines have waiting onto their transports, without waiting
// for any of them. It runs on the shard's goroutine. There are two: one system
// call per line, and one for many lines where the kernel offers io_uring.
type Writer interface {
	Flush(lines []*Line)
	// Close gives back what the writer holds of the system.
	Close()
}

const (
	// maxBatch is how many bytes are joined into one write.
	maxBatch = 64 << 10
	// keptBatch is the capacity above which the scratch buffer is given back.
	keptBatch = 1 << 20
)

// socketWriter is the [Writer] over ordinary writes. Lines that have the same
// frames waiting, as the members of one busy channel do, share one joined copy.
type socketWriter struct {
	shard *shard
	joiner
}

// joiner makes one piece of the frames of a line. Each writer has its own: what
// one has joined may still be on its way while the other joins.
type joiner struct {
	joined []byte   // the frames below, one after the other
	frames []*Frame // what joined holds
}

var _ Writer = (*socketWriter)(nil)

// Flush implements [Writer].
func (w *socketWriter) Flush(lines []*Line) {
	w.frames = w.frames[:0]
	for _, l := range lines {
		l.dirty = false
		if !l.stalled && l.state != lineClosed {
			w.flush(l)
		}
	}
	w.forget()
}

// Close implements [Writer].
func (w *socketWriter) Close() {}

// forget lets go of frames, which would live until the next busy moment.
func (w *joiner) forget() {
	clear(w.frames[:cap(w.frames)])
	w.frames = w.frames[:0]
	if cap(w.joined) > keptBatch {
		w.joined = nil
	}
}

func (w *socketWriter) flush(l *Line) {
	for {
		b := w.gather(l)
		n, blocked, err := l.transport.TryWrite(b)
		if !w.settle(l, n, blocked || n < len(b), err) {
			return
		}
	}
}

// settle does what follows from a write that took n bytes, and reports whether
// there is more to be written now.
func (w *socketWriter) settle(l *Line, n int, short bool, err error) (more bool) {
	rest, popped := w.advance(l, n, short)
	w.count(n, popped)
	switch {
	case err != nil:
		w.shard.hardClose(l)
	case short:
		w.shard.stall(l, rest)
	case l.first != nil:
		return true
	case l.state == lineClosing:
		w.shard.finishClose(l)
	}
	return false
}

// gather returns the bytes of the line's first frames: the shared bytes of the
// frame itself if there is one, a joined copy if there are several.
func (w *joiner) gather(l *Line) []byte {
	if l.first == nil {
		return nil
	}
	if l.head == nil || l.first.Len() >= maxBatch {
		return l.first.wire
	}
	if w.sameAsJoined(l) {
		return w.joined
	}
	w.joined, w.frames = w.joined[:0], w.frames[:0]
	f, rest := l.first, l.head
	for {
		w.joined = append(w.joined, f.wire...)
		w.frames = append(w.frames, f)
		if rest == nil || len(w.joined)+rest.frame.Len() > maxBatch {
			return w.joined
		}
		f, rest = rest.frame, rest.next
	}
}

// sameAsJoined reports whether joined is exactly what gather would build for l.
func (w *joiner) sameAsJoined(l *Line) bool {
	if len(w.frames) == 0 || w.frames[0] != l.first {
		return false
	}
	n := l.head
	for _, f := range w.frames[1:] {
		if n == nil || n.frame != f {
			return false
		}
		n = n.next
	}
	return n == nil || len(w.joined)+n.frame.Len() > maxBatch
}

// advance takes n written bytes off the queue. When the line stalls, the frame
// that was begun, or else the next one, leaves the queue too and its unwritten
// end is returned: it stays counted in queued until a drainer has written it.
func (w *socketWriter) advance(l *Line, n int, stalled bool) (rest []byte, popped int) {
	for l.first != nil && n >= l.first.Len() {
		n -= l.first.Len()
		l.queued -= int32(l.first.Len()) // #nosec G115 -- as in push
		l.pop(w.shard)
		popped++
	}
	if stalled && l.first != nil {
		rest = l.first.wire[n:]
		l.queued -= int32(n) // #nosec G115 -- less than one frame
		l.pop(w.shard)
		popped++
	}
	return rest, popped
}

func (w *socketWriter) count(n, frames int) {
	if n > 0 {
		w.shard.stats.writes.Add(1)
		w.shard.stats.bytes.Add(int64(n))
	}
	w.shard.stats.frames.Add(int64(frames))
}

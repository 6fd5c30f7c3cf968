package fanout

// Writer puts what lines have waiting onto their transports, without waiting
// for any of them. It runs on the shard's goroutine. The one engine writes with
// one system call per line; an io_uring engine would fit behind the same call.
type Writer interface {
	Flush(lines []*Line)
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
	shard  *shard
	sys    Syscall
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
	clear(w.frames[:cap(w.frames)]) // do not keep frames alive until the next busy moment
	w.frames = w.frames[:0]
	if cap(w.joined) > keptBatch {
		w.joined = nil
	}
}

func (w *socketWriter) flush(l *Line) {
	for {
		b := w.gather(l)
		n, blocked, err := l.transport.TryWrite(&w.sys, b)
		rest, popped := w.advance(l, n, blocked || n < len(b))
		w.count(n, popped)
		if err != nil {
			w.shard.hardClose(l)
			return
		}
		if blocked || n < len(b) {
			w.shard.stall(l, rest)
			return
		}
		if l.first == nil {
			if l.state == lineClosing {
				w.shard.finishClose(l)
			}
			return
		}
	}
}

// gather returns the bytes of the line's first frames: the shared bytes of the
// frame itself if there is one, a joined copy if there are several.
func (w *socketWriter) gather(l *Line) []byte {
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
func (w *socketWriter) sameAsJoined(l *Line) bool {
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

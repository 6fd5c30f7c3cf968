package fanout

import "syscall"

const (
	// ringDepth is how many sends one system call carries at most. Deeper rings
	// gained nothing, and what was sent first waits for the last.
	ringDepth = 128
	// ringLeast is below how many lines an ordinary write each is as cheap.
	ringLeast = 4
	// arenaSize is the room for joined frames that sends may refer to at a time.
	arenaSize = 4 * maxBatch
)

// ringWriter is the [Writer] that gives the kernel many sends with one call
// (io_uring). Lines whose transports are not [Direct], as those under TLS, and
// whatever the ring leaves over go through the ordinary writer.
type ringWriter struct {
	plain *socketWriter
	ring  *ring // nil once it has failed
	sends []ringSend
	res   []int32
	joiner
	arena []byte // joined copies the sends of this round refer to, one after the other
}

type ringSend struct {
	line   *Line
	socket Direct
	size   int
}

var _ Writer = (*ringWriter)(nil)

// newWriter returns the best writer there is for a shard.
func newWriter(s *shard) Writer {
	plain := &socketWriter{shard: s}
	if s.cfg.NoRing {
		return plain
	}
	r, err := newRing(ringDepth)
	if err != nil {
		return plain
	}
	return &ringWriter{plain: plain, ring: r, sends: make([]ringSend, 0, ringDepth), res: make([]int32, ringDepth)}
}

// Flush implements [Writer].
func (w *ringWriter) Flush(lines []*Line) {
	if len(lines) < ringLeast || w.ring == nil {
		w.plain.Flush(lines)
		return
	}
	for _, l := range lines {
		l.dirty = false
		if l.stalled || l.state == lineClosed {
			continue
		}
		socket, ok := l.transport.(Direct)
		if !ok || l.first == nil || w.ring == nil {
			w.plain.flush(l)
			continue
		}
		w.add(l, socket)
	}
	w.submit()
	w.forget()
	w.plain.forget()
	w.arena = w.arena[:0]
}

// Close implements [Writer].
func (w *ringWriter) Close() {
	if w.ring != nil {
		w.ring.close()
		w.ring = nil
	}
}

// add writes down the send of what l has waiting.
func (w *ringWriter) add(l *Line, socket Direct) {
	b := w.join(l)
	fd, open := socket.Hold()
	if !open {
		w.plain.shard.hardClose(l)
		return
	}
	w.ring.send(fd, b)
	w.sends = append(w.sends, ringSend{l, socket, len(b)})
	if len(w.sends) == ringDepth {
		w.submit()
	}
}

// join is gather, but a joined copy that a send written down refers to is left
// alone.
func (w *ringWriter) join(l *Line) []byte {
	if l.head == nil || l.first.Len() >= maxBatch || w.sameAsJoined(l) {
		return w.gather(l)
	}
	if w.arena == nil {
		w.arena = make([]byte, 0, arenaSize)
	}
	if cap(w.arena)-len(w.arena) < maxBatch {
		w.submit()
		w.arena = w.arena[:0]
	}
	at := len(w.arena)
	w.joined = w.arena[at:at:cap(w.arena)]
	b := w.gather(l)
	w.arena = w.arena[:at+len(b)]
	return b
}

// submit does the sends written down and settles each line.
func (w *ringWriter) submit() {
	if len(w.sends) == 0 {
		return
	}
	res := w.res[:len(w.sends)]
	broken := w.ring.submit(res) != nil
	for i := range w.sends {
		w.sends[i].socket.Release()
	}
	for i, s := range w.sends {
		if w.settle(s, int(res[i])) {
			w.plain.flush(s.line)
		}
	}
	clear(w.sends)
	w.sends = w.sends[:0]
	if broken {
		w.Close()
	}
}

// settle does what follows from a send's result, and reports whether the line
// has more to be written now.
func (w *ringWriter) settle(s ringSend, res int) (more bool) {
	if res >= 0 {
		return w.plain.settle(s.line, res, res < s.size, nil)
	}
	switch errno := syscall.Errno(-res); errno { // #nosec G115 -- positive
	case syscall.EAGAIN:
		return w.plain.settle(s.line, 0, true, nil)
	case syscall.EINTR, syscall.ECANCELED: // it was not begun
		return true
	default:
		return w.plain.settle(s.line, 0, true, errno)
	}
}

package channels

import (
	"time"

	"tidewire/channels/fanout"
)

// recent is the encoded end of a history, up to the last event delivered. It is
// there only while connections resume, so that thousands that come back at once
// share what is read and encoded, and what is published meanwhile comes behind.
type recent struct {
	first  uint64 // offset of frames[0]
	frames []*fanout.Frame
	bytes  int
	until  time.Time
}

const (
	recentTime  = 5 * time.Second
	recentBytes = 2 << 20 // of one channel
	// recentTotal bounds what all channels of a node hold for resuming. Above it
	// a resume is refused as unavailable.
	recentTotal = 64 << 20
)

// retainFrom makes p retain what is delivered from now on. The caller holds p's lock.
func (h *Hub) retainFrom(p *past) *recent {
	r := p.recent
	if r == nil {
		r = &recent{first: p.seen.Offset + 1}
		p.recent = r
		time.AfterFunc(recentTime, func() { h.endRecent(p, r) })
	}
	r.until = time.Now().Add(recentTime)
	return r
}

// endRecent forgets r when it was not used for a while.
func (h *Hub) endRecent(p *past, r *recent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := time.Until(r.until); p.recent == r && wait > 0 {
		time.AfterFunc(wait, func() { h.endRecent(p, r) })
		return
	}
	if p.recent == r {
		p.recent = nil
	}
	h.recentBytes.Add(-int64(r.bytes))
	r.bytes, r.frames = 0, nil
}

// retain adds the frame of the event just delivered. The caller holds p's lock.
func (h *Hub) retain(p *past, offset uint64, f *fanout.Frame) {
	r := p.recent
	if offset != r.first+uint64(len(r.frames)) {
		h.dropRecent(r, len(r.frames))
		r.first = offset
	}
	r.frames = append(r.frames, f)
	h.weighRecent(r, f.Len())
	n, over := 0, r.bytes-recentBytes
	for n < len(r.frames) && over > 0 {
		over -= r.frames[n].Len()
		n++
	}
	h.dropRecent(r, n)
}

func (h *Hub) weighRecent(r *recent, n int) {
	r.bytes += n
	h.recentBytes.Add(int64(n))
}

func (h *Hub) dropRecent(r *recent, n int) {
	for i := range r.frames[:n] {
		h.weighRecent(r, -r.frames[i].Len())
		r.frames[i] = nil
	}
	r.frames = r.frames[n:]
	r.first += uint64(n) // #nosec G115 -- not negative
}

// covers reports whether p can send every event behind offset up to the last
// one delivered. The caller holds p's lock.
func (p *past) covers(offset uint64) bool {
	r := p.recent
	return offset == p.seen.Offset ||
		r != nil && offset < p.seen.Offset && r.first <= offset+1 && r.first+uint64(len(r.frames)) == p.seen.Offset+1
}

// after returns the frames behind offset. The caller holds p's lock, and p covers offset.
func (p *past) after(offset uint64) []*fanout.Frame {
	if offset >= p.seen.Offset {
		return nil
	}
	return p.recent.frames[offset+1-p.recent.first:]
}

// prepend puts what was read in front of what is retained. The caller holds p's lock.
func (h *Hub) prepend(ch *channel, p *past, run []Event) {
	r := p.recent
	n := 0
	for n < len(run) && run[n].Position.Offset < r.first {
		n++
	}
	if n == 0 || run[n-1].Position.Offset+1 != r.first {
		return
	}
	frames := make([]*fanout.Frame, 0, n+len(r.frames))
	for i := range run[:n] {
		f := countDeliveries(ch.usage, placedFrame(&run[i]))
		frames = append(frames, f)
		h.weighRecent(r, f.Len())
	}
	r.frames, r.first = append(frames, r.frames...), run[0].Position.Offset
}

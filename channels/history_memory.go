package channels

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// stream is the history of one topic.
type stream struct {
	head   Position
	events []Event // ends at head
	bytes  int     // what they weigh
	expiry time.Time
	ttl    time.Duration // of the newest event's rule
	total  *atomic.Int64 // bytes of all streams of the app
	used   time.Time     // of the last append, for the ceiling
}

const (
	// eventWeight is what a kept event weighs beside its texts.
	eventWeight = 256
	// MaxMemoryHistoryBytes is what the histories of one app may weigh in the
	// in-process engine. Above it, appending drops the events of the streams
	// of its partition that were longest without one, then the oldest of its own.
	MaxMemoryHistoryBytes = 256 << 20
)

func weight(ev *Event) int { return eventWeight + len(ev.Data) + len(ev.Name) + len(ev.UserID) }

// streamOf returns the topic's history, beginning one if there is none. The
// caller holds the partition's lock.
func (b *MemoryBroker) streamOf(p *memoryPartition, t Topic, now time.Time) *stream {
	if s := p.streams[t]; s != nil && now.Before(s.expiry) {
		return s
	}
	p.forgetStream(t)
	if p.streams == nil {
		p.streams = make(map[Topic]*stream)
	}
	total, _ := b.weights.LoadOrStore(t.App, new(atomic.Int64))
	s := &stream{head: Position{Epoch: NewEpoch()}, total: total.(*atomic.Int64)}
	p.streams[t] = s
	return s
}

// remember puts off the end of the stream.
func (s *stream) remember(keep Retention, now time.Time) {
	if until := now.Add(keep.Remembered()); until.After(s.expiry) {
		s.expiry = until
	}
}

// append puts ev, whose position is the next one, at the end.
func (s *stream) append(ev *Event, now time.Time) {
	e := *ev
	e.At, e.CacheTTL, e.Keep = now, 0, Retention{}
	s.head = e.Position
	s.events = append(s.events, e)
	s.bytes += weight(&e)
	s.total.Add(int64(weight(&e)))
	s.ttl, s.used = ev.Keep.TTL, now
	s.remember(ev.Keep, now)
	s.drop(max(len(s.events)-ev.Keep.Max, s.expired(now.Add(-ev.Keep.TTL))))
}

// expired is how many events are from before the time given.
func (s *stream) expired(before time.Time) int {
	n := 0
	for n < len(s.events) && s.events[n].At.Before(before) {
		n++
	}
	return n
}

// drop forgets the n oldest events.
func (s *stream) drop(n int) {
	if n <= 0 {
		return
	}
	freed := 0
	for i := range s.events[:n] {
		freed += weight(&s.events[i])
		s.events[i] = Event{}
	}
	s.bytes -= freed
	s.total.Add(int64(-freed))
	if s.events = s.events[n:]; len(s.events) == 0 {
		s.events = nil
	}
}

// makeRoom holds the app to its ceiling after an append to t. It frees more than
// it must, so that the streams are not looked through for each event.
func (p *memoryPartition) makeRoom(t Topic, ceiling int64) {
	own := p.streams[t]
	if own.total.Load() <= ceiling {
		return
	}
	ceiling -= ceiling / 8
	var others []*stream
	for other, s := range p.streams {
		if other.App == t.App && s != own && len(s.events) > 0 {
			others = append(others, s)
		}
	}
	slices.SortFunc(others, func(a, b *stream) int { return a.used.Compare(b.used) })
	for _, s := range others {
		if own.total.Load() <= ceiling {
			return
		}
		s.drop(len(s.events))
	}
	for own.total.Load() > ceiling && len(own.events) > 1 { // what is left then is in other partitions
		own.drop(len(own.events) / 2)
	}
}

func (p *memoryPartition) forgetStream(t Topic) {
	if s := p.streams[t]; s != nil {
		s.drop(len(s.events))
		delete(p.streams, t)
	}
}

// forgetStreams drops what nobody may read any more.
func (p *memoryPartition) forgetStreams(now time.Time) {
	for t, s := range p.streams {
		s.drop(s.expired(now.Add(-s.ttl)))
		if s.expiry.Before(now) {
			p.forgetStream(t)
		}
	}
	if len(p.streams) == 0 {
		p.streams = nil // an emptied map keeps its room
	}
}

// Position implements [History].
func (b *MemoryBroker) Position(ctx context.Context, t Topic, keep Retention) (Position, error) {
	if err := ctx.Err(); err != nil {
		return Position{}, fmt.Errorf("position: %w", err)
	}
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := b.streamOf(p, t, now)
	s.remember(keep, now)
	return s.head, nil
}

// Read implements [History].
func (b *MemoryBroker) Read(ctx context.Context, t Topic, keep Retention, q Query) (Run, error) {
	if err := ctx.Err(); err != nil {
		return Run{}, fmt.Errorf("read history: %w", err)
	}
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := p.streams[t]
	if s == nil || !now.Before(s.expiry) {
		return Run{Oldest: 1}, nil
	}
	s.drop(s.expired(now.Add(-keep.TTL)))
	run := Run{Head: s.head, Oldest: s.head.Offset + 1 - uint64(len(s.events))}
	events := s.between(q, run.Oldest)
	if q.Backwards {
		events = slices.Clone(events)
		slices.Reverse(events)
	}
	n, size := 0, 0
	for n < min(len(events), q.Limit) {
		if size += len(events[n].Data); q.MaxBytes > 0 && size > q.MaxBytes && n > 0 {
			break
		}
		n++
	}
	run.Events, run.More = slices.Clone(events[:n]), n < len(events)
	return run, nil
}

// between returns the events inside of all the bounds.
func (s *stream) between(q Query, oldest uint64) []Event {
	from, to := 0, len(s.events)
	if q.After >= oldest {
		from = int(min(q.After-oldest+1, uint64(to))) // #nosec G115 -- at most a length
	}
	if q.Before > 0 {
		to = int(min(max(q.Before, oldest)-oldest, uint64(to))) // #nosec G115 -- at most a length
	}
	for from < to && !q.Since.IsZero() && s.events[from].At.Before(q.Since) {
		from++
	}
	for from < to && !q.Until.IsZero() && s.events[to-1].At.After(q.Until) {
		to--
	}
	return s.events[from:max(from, to)]
}

// Renew implements [History].
func (b *MemoryBroker) Renew(ctx context.Context, t Topic, _ Retention, epoch string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("renew history: %w", err)
	}
	p := b.part(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.streams[t]; s != nil && s.head.Epoch == epoch {
		s.drop(len(s.events))
		s.head = Position{Epoch: NewEpoch()}
	}
	return nil
}

var _ History = (*MemoryBroker)(nil)

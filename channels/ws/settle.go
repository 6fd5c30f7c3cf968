package ws

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// stir is how many connections must have come or gone for memory to be kept
	// tighter, burst how many for it to be given back.
	stir, burst = 500, 1000
	// lull is how long the burst must have paused for the collector to relax,
	// quiet how much longer for memory to be given back.
	lull, quiet = time.Second, 4 * time.Second
	// atMost is the least time between two givings back.
	atMost = time.Minute
	// tightGC is the collector's percentage during a burst: the garbage of
	// handshakes would otherwise spread the connections over half-empty pages,
	// which stay as long as they do (measured: 0.5 kB per connection).
	tightGC = 75
	// slack is how much garbage a burst may make all the same between two
	// collections, in bytes: a small heap would be collected all the time.
	slack = 24 << 20
	// looseGC bounds the percentage that slack comes to on a very small heap.
	looseGC = 400
)

// settler keeps memory tight during a burst of connections and gives it back
// to the system after it. An idle server would not collect the garbage of the
// handshakes for two minutes.
type settler struct {
	mu     sync.Mutex
	moved  int
	last   time.Time
	timer  *time.Timer
	usual  int // the collector's percentage outside bursts
	tight  int // the percentage in force during a burst; 0 outside
	closed bool
}

// move notes that a connection has come or gone.
func (s *settler) move() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved++
	if s.closed || s.moved%100 != 0 || s.moved < stir {
		return
	}
	s.tighten()
	s.in(lull)
}

// tighten sets the collector for a burst: to tightGC, or to less while the heap
// is small. An operator who wants it tighter is left alone.
func (s *settler) tighten() {
	percent := tightGC
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if live := sample[0].Value.Uint64(); live > 0 {
		percent = max(percent, int(min(slack*100/live, looseGC))) // #nosec G115 -- bounded by looseGC
	}
	if percent == s.tight {
		return
	}
	was := debug.SetGCPercent(percent)
	if s.tight == 0 {
		s.usual = was
	}
	if s.usual >= 0 && s.usual < tightGC {
		debug.SetGCPercent(s.usual)
	}
	s.tight = percent
}

// in makes the next step happen after d.
func (s *settler) in(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.step)
	} else {
		s.timer.Reset(d)
	}
}

// step relaxes the collector, and some time later gives memory back.
func (s *settler) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
	case s.tight != 0:
		s.relax()
		if s.moved >= burst {
			s.in(max(quiet, time.Until(s.last.Add(atMost))))
		} else {
			s.moved = 0
		}
	default:
		s.moved, s.last = 0, time.Now()
		go debug.FreeOSMemory() // some milliseconds; nobody waits for it
	}
}

// relax puts the collector back to its usual percentage.
func (s *settler) relax() {
	if s.tight != 0 {
		s.tight = 0
		debug.SetGCPercent(s.usual)
	}
}

func (s *settler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.relax()
}

package ws

import (
	"runtime/debug"
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
	tightGC = 50
)

// settler keeps memory tight during a burst of connections and gives it back
// to the system after it. An idle server would not collect the garbage of the
// handshakes for two minutes.
type settler struct {
	mu     sync.Mutex
	moved  int
	last   time.Time
	timer  *time.Timer
	usual  int  // the collector's percentage outside bursts
	tight  bool // tightGC is in force
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
	if !s.tight {
		s.tight = true
		if s.usual = debug.SetGCPercent(tightGC); s.usual >= 0 && s.usual < tightGC {
			debug.SetGCPercent(s.usual)
		}
	}
	s.in(lull)
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
	case s.tight:
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
	if s.tight {
		s.tight = false
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

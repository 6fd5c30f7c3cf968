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
	// quiet is how long no further burst may have begun.
	quiet = 5 * time.Second
	// atMost is the least time between two.
	atMost = time.Minute
	// tightGC is the collector's percentage during a burst: the garbage of
	// handshakes would otherwise spread the connections over half-empty pages,
	// which stay as long as they do (measured: 0.5 kB per connection).
	tightGC = 50
)

// settler gives the memory of a connect burst back to the system. An idle
// server would not collect the handshakes' garbage for two minutes.
type settler struct {
	mu     sync.Mutex
	moved  int
	last   time.Time
	timer  *time.Timer
	usual  int  // the collector's percentage outside bursts
	tight  bool // tightGC is in force
	closed bool
}

func (s *settler) connected()    { s.move() }
func (s *settler) disconnected() { s.move() }

func (s *settler) move() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved++
	if s.closed || s.moved < stir {
		return
	}
	if !s.tight {
		s.tight = true
		if s.usual = debug.SetGCPercent(tightGC); s.usual >= 0 && s.usual < tightGC {
			debug.SetGCPercent(s.usual)
		}
	}
	if s.moved == stir || s.moved%burst == 0 {
		s.settleIn(max(quiet, time.Until(s.last.Add(atMost))))
	}
}

func (s *settler) settleIn(delay time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(delay, s.settle)
	} else {
		s.timer.Reset(delay)
	}
}

func (s *settler) settle() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	worth := s.moved >= burst
	s.moved, s.last = 0, time.Now()
	s.relax()
	s.mu.Unlock()
	if worth {
		debug.FreeOSMemory()
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

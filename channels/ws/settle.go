package ws

import (
	"runtime/debug"
	"sync"
	"time"
)

const (
	// burst is how many connections must have come or gone to be worth it.
	burst = 1000
	// quiet is how long no further burst may have begun.
	quiet = 5 * time.Second
	// atMost is the least time between two.
	atMost = time.Minute
)

// settler gives the memory of a connect burst back to the system. An idle
// server would not collect the handshakes' garbage for two minutes.
type settler struct {
	mu    sync.Mutex
	moved int
	last  time.Time
	timer *time.Timer
}

func (s *settler) connected()    { s.move() }
func (s *settler) disconnected() { s.move() }

func (s *settler) move() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved++; s.moved < burst || s.moved%burst != 0 {
		return
	}
	delay := max(quiet, time.Until(s.last.Add(atMost)))
	if s.timer == nil {
		s.timer = time.AfterFunc(delay, s.settle)
	} else {
		s.timer.Reset(delay)
	}
}

func (s *settler) settle() {
	s.mu.Lock()
	s.moved, s.last = 0, time.Now()
	s.mu.Unlock()
	debug.FreeOSMemory()
}

func (s *settler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

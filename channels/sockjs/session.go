package sockjs

import (
	"context"
	"sync"
	"time"

	"tidewire/channels"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

const (
	// boxBytes is what waits for the client's next request before the line's own
	// queue fills.
	boxBytes = 64 << 10
	// remembered is how long an ended session answers with the code it ended with.
	remembered = 5 * time.Second
	// waitingSends is how many requests of one client may be under way at once.
	waitingSends = 256
)

// session is one client: a connection made of requests.
//
//	new ──receive──▶ attached ◀──▶ between requests ──Absence──▶ ended ──remembered──▶ forgotten
//	                     └──────── closed by either side ─────────▲
type session struct {
	door *Door           // static
	id   string          // static
	app  *tenants.App    // static: as it was when the session was opened
	box  *fanout.Mailbox // static
	line *fanout.Line    // static
	conn *channels.Conn  // static; nil if it was refused

	sends chan struct{} // one token per request that sends

	in     sync.Mutex // held while a message is handled, and at the end
	over   bool       // no message is handled any more; guarded by in
	frames channels.Bucket

	mu       sync.Mutex
	receiver *receiver // whoever waits for messages; nil between requests
	opened   bool      // the client was told that the session is open
	answer   bool      // the client asked for a sign of life
	heard    time.Time // when a request of the client came last
	code     int       // why it was closed; 0 if it is not known
	reason   string
	ended    bool
	timer    *time.Timer // ends a session nobody waits for, then forgets it
}

// receiver is one request that waits for messages.
type receiver struct{ replaced chan struct{} }

// newSession opens a session. The door's lock is held, so it must not wait.
func newSession(d *Door, id string, e *channels.Entry) *session {
	s := &session{door: d, id: id, app: e.App, sends: make(chan struct{}, waitingSends), heard: time.Now()}
	s.box = fanout.NewMailbox(boxBytes, s.end)
	s.in.Lock() // nothing is handled before the connection knows its token
	s.conn, s.line = d.cfg.Hub.Connect(e, s.box)
	s.timer = time.AfterFunc(d.cfg.Absence, s.absent)
	d.running.Go(func() {
		defer s.in.Unlock()
		if s.conn != nil && e.Serials {
			s.conn.Serials()
		}
		if s.conn != nil && e.Claims != nil {
			s.conn.Authenticate(context.Background(), e.Claims)
		}
	})
	return s
}

// attach makes a request the one that waits for messages; the one before is
// let go. A client does that when it has given up its last request and the
// server has not noticed yet.
func (s *session) attach() *receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiver != nil {
		close(s.receiver.replaced)
	}
	s.receiver = &receiver{replaced: make(chan struct{})}
	s.heard = time.Now()
	return s.receiver
}

// detach notes that a request does not wait any more.
func (s *session) detach(rcv *receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiver != rcv {
		return
	}
	s.receiver = nil
	if !s.ended {
		s.timer.Reset(s.door.cfg.Absence)
	}
}

// absent ends the session if still nobody waits for messages.
func (s *session) absent() {
	s.mu.Lock()
	gone := s.receiver == nil && !s.ended
	s.mu.Unlock()
	if gone {
		s.end()
	}
}

// pending is what to tell the client now, in lines; last says that it is the
// end. Only the request that is attached gets anything.
func (s *session) pending(rcv *receiver) (lines []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiver != rcv {
		s.box.Wake() // it was meant for the one that took over
		return nil, false
	}
	if !s.opened {
		s.opened = true
		lines = append(lines, "o\n"...)
	}
	frames, last := s.box.Take()
	lines, n := s.appendMessages(lines, frames)
	if s.answer && n == 0 && !last {
		// Any message is a sign of life; an empty one, not a heartbeat, because a
		// streaming client would answer that with another question.
		lines = append(lines, "a[]\n"...)
	}
	s.answer = false
	if last {
		if s.code == 0 {
			s.code, s.reason = channels.CodeOverCapacity, "The session has ended. Reconnect."
		}
		lines = appendClose(lines, s.code, s.reason)
	}
	return lines, last
}

// appendMessages turns frames into one line and notes a close frame.
func (s *session) appendMessages(lines, frames []byte) (_ []byte, n int) {
	code, reason := fanout.EachText(frames, func(payload []byte) {
		if n++; n == 1 {
			lines = append(lines, "a["...)
		} else {
			lines = append(lines, ',')
		}
		lines = wire.QuoteBytes(lines, payload)
	})
	if n > 0 {
		lines = append(lines, "]\n"...)
	}
	if code != 0 {
		s.code, s.reason = code, reason
	}
	return lines, n
}

// alive notes a request of the client, which may ask for a sign of life.
func (s *session) alive(asks bool) {
	s.mu.Lock()
	s.heard = time.Now()
	s.answer = s.answer || asks
	s.mu.Unlock()
	if asks {
		s.box.Wake()
	}
}

// silent reports whether the client has left heartbeats unanswered for too long.
func (s *session) silent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.heard) > s.door.cfg.Silence
}

// end gives back what the session held, once, and has it forgotten later.
func (s *session) end() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.timer.Stop()
	s.timer = time.AfterFunc(remembered, func() { s.door.forget(s) })
	s.mu.Unlock()
	s.line.ReadEnded()
	s.door.running.Go(func() {
		s.in.Lock()
		defer s.in.Unlock()
		s.over = true
		if s.conn != nil {
			s.conn.Closed(context.Background())
		}
	})
}

// bury forgets an ended session now.
func (s *session) bury() {
	s.mu.Lock()
	s.timer.Stop()
	s.mu.Unlock()
	s.door.forget(s)
}

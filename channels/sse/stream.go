package sse

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidewire/channels"
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

// boxBytes is what waits for the client to read before its queue fills.
const boxBytes = 64 << 10

// stream is one client that listens.
type stream struct {
	door *Door
	w    http.ResponseWriter
	flow *http.ResponseController
	box  *fanout.Mailbox
	line *fanout.Line
	conn *channels.Conn
	subs []subscription
}

// open makes the connection, or says why there is none.
func (s *stream) open(r *http.Request) *channels.Refusal {
	e, subs := s.door.check(r)
	if e.Refusal != nil {
		return e.Refusal
	}
	s.subs = subs
	s.box = fanout.NewMailbox(boxBytes, func() {})
	s.conn, s.line = s.door.cfg.Hub.Connect(e, s.box)
	if s.conn == nil {
		return s.why(r.Context())
	}
	if !s.door.enter(s.conn) {
		s.close()
		return channels.Draining()
	}
	if e.Serials {
		s.conn.Serials()
	}
	if e.Claims != nil {
		s.conn.Authenticate(context.WithoutCancel(r.Context()), e.Claims)
	}
	return nil
}

// why waits for the code with which the hub refused the connection.
func (s *stream) why(ctx context.Context) *channels.Refusal {
	defer s.line.ReadEnded()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	for {
		select {
		case <-s.box.Ready():
		case <-ctx.Done():
			return channels.Unknown()
		case <-late.C:
			return channels.Unknown()
		}
		frames, last := s.box.Take()
		if code, reason := fanout.EachText(frames, func([]byte) {}); code != 0 {
			return channels.Refuse(code, "%s", reason)
		}
		if last {
			return channels.Unknown()
		}
	}
}

func (s *stream) close() {
	s.line.ReadEnded()
	s.conn.Closed(context.Background())
	s.door.leave(s.conn)
}

// serve subscribes and passes on what comes, until either side ends.
func (s *stream) serve(r *http.Request) {
	defer s.close()
	for _, sub := range s.subs {
		s.conn.Handle(context.WithoutCancel(r.Context()), sub.message())
	}
	s.begin()
	// A client that is cut off comes back after a moment, not all at once.
	if !s.write(appendRetry(nil, time.Second, 3*time.Second)) {
		return
	}
	beat := time.NewTicker(s.door.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-s.box.Ready():
		case <-r.Context().Done():
			return
		case <-beat.C:
			if !s.write([]byte(": \n\n")) {
				return
			}
			continue
		}
		if !s.pass() {
			return
		}
	}
}

// pass writes what there is and reports whether more may come.
func (s *stream) pass() bool {
	frames, last := s.box.Take()
	var out []byte
	code, _ := fanout.EachText(frames, func(payload []byte) { out = appendEvent(out, payload) })
	if code != 0 {
		out = appendRetryFor(out, code)
	}
	return s.write(out) && !last
}

// begin sends the header and takes off the server's deadlines, which are for
// short answers.
func (s *stream) begin() {
	s.w.Header().Set("Content-Type", "text/event-stream")
	_ = s.flow.SetReadDeadline(time.Time{})
}

// write sends b and reports whether the client took it in time.
func (s *stream) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	_ = s.flow.SetWriteDeadline(time.Now().Add(s.door.cfg.WriteTime))
	if _, err := s.w.Write(b); err != nil {
		return false
	}
	return s.flow.Flush() == nil
}

// refuse answers a client that may not come in. EventSource comes back after a
// stream that ends and never after any other answer, so that is how the two
// kinds of codes are told apart.
func (s *stream) refuse(r *http.Request, why *channels.Refusal) {
	message := wire.AppendError(nil, why.Code, why.Message)
	if why.Code >= 4100 && strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		s.begin()
		s.write(appendRetryFor(appendEvent(nil, message), why.Code))
		return
	}
	s.w.Header().Set("Content-Type", "application/json")
	if why.Code >= 4100 {
		s.w.Header().Set("Retry-After", "2")
	}
	s.w.WriteHeader(statusOf(why.Code))
	_, _ = s.w.Write(append(message, '\n'))
}

func statusOf(code int) int {
	switch code {
	case channels.CodeAppUnknown:
		return http.StatusNotFound
	case channels.CodePathNotFound:
		return http.StatusBadRequest
	case channels.CodeOverQuota:
		return http.StatusTooManyRequests
	}
	if code >= 4100 {
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// appendEvent appends a frame as one event. Frames have no line breaks, since
// the encoders write none; one that got in would end the line and begin a field.
func appendEvent(dst, frame []byte) []byte {
	dst = append(dst, "data: "...)
	for _, c := range frame {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\n\n"...)
}

// appendRetryFor says when to come back after a close code.
func appendRetryFor(dst []byte, code int) []byte {
	if code >= 4200 {
		return appendRetry(dst, 0, time.Second)
	}
	return appendRetry(dst, time.Second, 5*time.Second)
}

// appendRetry says when to come back: somewhere between, so that many who were
// cut off together do not come back together.
func appendRetry(dst []byte, least, most time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, (least + rand.N(most-least)).Milliseconds(), 10)
	return append(dst, "\n\n"...)
}

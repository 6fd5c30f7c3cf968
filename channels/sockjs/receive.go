package sockjs

import (
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"tidewire/channels"
	"tidewire/channels/wire"
)

// streamUnits is how much one streaming response carries, in UTF-16 code units.
// pusher-js gives a longer one up by itself, as soon as it has read all of it,
// and asks again; to a response that ends before that it reacts as to a broken
// connection. So a response ends with the first line that goes beyond.
const streamUnits = 256 << 10

// receive serves a request that waits for messages.
func (d *Door) receive(w http.ResponseWriter, r *http.Request, a address, stream bool) {
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 4<<10)) // it is empty
	s, refusal := d.findOrOpen(r, a)
	if refusal != nil {
		refuse(w, refusal)
		return
	}
	if !d.gate.Passes(s.app, r) {
		http.Error(w, "This session was opened in another way.", http.StatusForbidden)
		return
	}
	rcv := s.attach()
	defer s.detach(rcv)
	out := newWriter(w, d.cfg.WriteTime)
	if stream {
		_ = out.flow.Flush() // the client knows that it is through, before there is something to say
	}
	for out.units <= streamUnits {
		lines, last := s.wait(r, rcv, out.empty(), stream)
		if !out.write(lines) {
			s.end() // what was taken is lost, and a client that misses some must know
			return
		}
		if last {
			s.end() // the client knows; there is no one to wait for
			return
		}
		if lines == nil || !stream {
			return
		}
	}
}

// wait returns the next lines for the client; nil lines mean that the request
// is to end.
func (s *session) wait(r *http.Request, rcv *receiver, first, stream bool) (lines []byte, last bool) {
	if first {
		if lines, last = s.pending(rcv); lines != nil || last {
			return lines, last
		}
	}
	beat := time.NewTimer(s.door.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-s.box.Ready():
		case <-rcv.replaced:
			s.box.Wake()
			return nil, false
		case <-r.Context().Done():
			s.box.Wake()
			return nil, false
		case <-beat.C:
			if stream && s.silent() && s.conn != nil {
				s.conn.PeerDead()
			}
			return []byte("h\n"), false
		}
		if lines, last = s.pending(rcv); lines != nil || last {
			return lines, last
		}
	}
}

// refuse answers a client that may not come in, in words its protocol has: it
// is told that the session is open and at once why it is closed.
func refuse(w http.ResponseWriter, r *channels.Refusal) {
	lines := []byte("o\na[")
	lines = wire.QuoteBytes(lines, wire.AppendError(nil, r.Code, r.Message))
	lines = append(lines, "]\n"...)
	newWriter(w, 10*time.Second).write(appendClose(lines, r.Code, r.Message))
}

func appendClose(lines []byte, code int, reason string) []byte {
	lines = append(lines, "c["...)
	lines = strconv.AppendInt(lines, int64(code), 10)
	lines = append(lines, ',')
	lines = wire.Quote(lines, reason)
	return append(lines, "]\n"...)
}

// writer writes one response and counts it as the client will.
type writer struct {
	w     http.ResponseWriter
	flow  *http.ResponseController
	most  time.Duration
	units int
}

// newWriter takes the server's deadlines, which are for short answers, off the
// request.
func newWriter(w http.ResponseWriter, most time.Duration) *writer {
	h := w.Header()
	h.Set("Content-Type", "application/javascript; charset=UTF-8")
	h.Set("X-Accel-Buffering", "no")
	flow := http.NewResponseController(w)
	// Not every connection can; one that cannot ends when the server's time is up.
	_ = flow.SetReadDeadline(time.Time{})
	return &writer{w: w, flow: flow, most: most}
}

func (o *writer) empty() bool { return o.units == 0 }

// write sends lines to the client and reports whether it took them in time.
func (o *writer) write(lines []byte) bool {
	if len(lines) == 0 {
		return true
	}
	_ = o.flow.SetWriteDeadline(time.Now().Add(o.most))
	if _, err := o.w.Write(lines); err != nil {
		return false
	}
	if o.flow.Flush() != nil {
		return false
	}
	o.units += units(lines)
	return true
}

// units is the length of s in a JavaScript string.
func units(s []byte) int {
	n := utf8.RuneCount(s)
	for _, c := range s {
		if c >= 0xf0 { // the first of four bytes: two units
			n++
		}
	}
	return n
}

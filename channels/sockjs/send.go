package sockjs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"tidewire/channels"
	"tidewire/channels/console"
	"tidewire/channels/fanout"
)

const (
	// A client may send as many messages as over a WebSocket: frameRate a second,
	// frameBurst at once; beyond that it waits.
	frameRate  = 200
	frameBurst = 5000
	// maxMessages is how many messages one request may carry.
	maxMessages = 256
)

// send serves a request that brings messages of the client.
func (d *Door) send(w http.ResponseWriter, r *http.Request, a address) {
	s := d.find(a)
	if s == nil {
		http.Error(w, "There is no such session here.", http.StatusNotFound)
		return
	}
	select {
	case s.sends <- struct{}{}:
		defer func() { <-s.sends }()
	default:
		http.Error(w, "Too many requests of this session are under way.", http.StatusTooManyRequests)
		return
	}
	if !d.gate.Passes(s.app, r) {
		http.Error(w, "This session was opened in another way.", http.StatusForbidden)
		return
	}
	messages, problem, status := d.read(w, r)
	if problem != "" {
		http.Error(w, problem, status)
		return
	}
	s.alive(len(messages) == 0)
	if !s.handle(messages) {
		http.Error(w, "This session has ended.", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// read reads the body: a JSON array of strings, each a message. Escaped, a
// message is at most six times as long; nobody writes that, so the whole body
// gets twice a message and some.
func (d *Door) read(w http.ResponseWriter, r *http.Request) (messages []string, problem string, status int) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(2*d.cfg.MaxFrameBytes+4<<10)))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, "Payload too large. Send fewer messages at once.", http.StatusRequestEntityTooLarge
	}
	switch {
	case err != nil:
		return nil, "Payload cut off.", http.StatusBadRequest
	case len(body) == 0:
		return nil, "Payload expected.", http.StatusBadRequest
	case !utf8.Valid(body):
		return nil, "Payload must be valid UTF-8.", http.StatusBadRequest
	case json.Unmarshal(body, &messages) != nil || messages == nil:
		return nil, "Broken JSON encoding: an array of strings is expected.", http.StatusBadRequest
	case len(messages) > maxMessages:
		return nil, "Too many messages at once.", http.StatusRequestEntityTooLarge
	}
	for _, m := range messages {
		if len(m) > d.cfg.MaxFrameBytes {
			return nil, "A message is too large.", http.StatusRequestEntityTooLarge
		}
	}
	return messages, "", 0
}

// handle acts on messages, one after the other, and reports whether the session
// was there to do so.
func (s *session) handle(messages []string) bool {
	s.in.Lock()
	defer s.in.Unlock()
	if s.over || s.conn == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil { // it costs this client its session, nobody else
			s.conn.Unsupported(console.InternalError, fanout.NewClose(channels.CodeOverCapacity, "internal error"))
			panic(v)
		}
	}()
	for _, m := range messages {
		if now := time.Now().UnixNano(); !s.frames.Spend(now, frameRate, frameBurst) {
			<-time.After(min(s.frames.Debt(now), time.Second))
		}
		s.conn.Handle(context.Background(), []byte(m))
	}
	return true
}

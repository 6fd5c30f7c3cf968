//go:build linux

package load_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/pusher"
)

// server is a small real server: it checks signatures and auths, and misbehaves
// where a test tells it to.
type server struct {
	t    *testing.T
	addr string

	skip, double int // which event, counted from 1, is left out or sent twice
	refuse       atomic.Int64
	stall        atomic.Bool
	gone         chan struct{} // closed at the end of the test

	mu     sync.Mutex
	events int
	conns  map[*websocket.Conn]string // to the channel it listens to
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, conns: map[*websocket.Conn]string{}, gone: make(chan struct{})}
	ts := httptest.NewServer(s)
	s.addr = strings.TrimPrefix(ts.URL, "http://")
	t.Cleanup(func() {
		close(s.gone)
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		ts.Close()
	})
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/app/"+app.Key:
		s.socket(w, r)
	case strings.HasPrefix(r.URL.Path, "/apps/"+app.ID+"/"):
		s.publish(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	greet(c)
	for {
		var in struct {
			Event, Channel string
			Data           struct{ Auth, Channel, Text string }
		}
		if err := c.ReadJSON(&in); err != nil {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			return
		}
		if strings.HasPrefix(in.Event, "client-") {
			s.fanout(pusher.Publish{Name: in.Event, Channel: in.Channel, Data: in.Data.Text}, c)
			continue
		}
		if strings.HasPrefix(in.Data.Channel, "private-") && in.Data.Auth != pusher.ChannelAuth(app, "12.34", in.Data.Channel, "") {
			_ = c.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:error","data":{"code":null,"message":"refused"}}`))
			continue
		}
		s.mu.Lock()
		s.conns[c] = in.Data.Channel
		err := c.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"`+in.Data.Channel+`"}`))
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// greet sends the greeting between control frames, which a client must take in its stride.
func greet(c *websocket.Conn) {
	_ = c.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
	_ = c.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:connection_established","data":"{\"socket_id\":\"12.34\",\"activity_timeout\":120}"}`))
	_ = c.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	if s.stall.Load() {
		<-s.gone
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = pusher.Verify(app, r.Method, r.URL.Path, r.URL.Query(), body, time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if s.refuse.Add(-1) >= 0 {
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	}
	events, err := pusher.ParseEvents(body, strings.HasSuffix(r.URL.Path, "batch_events"))
	if !json.Valid(body) || err != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	for _, e := range events {
		s.fanout(e, nil)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
}

// fanout sends e to all who listen, but not to except.
func (s *server) fanout(e pusher.Publish, except *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events++
	times := 1
	switch s.events {
	case s.skip:
		times = 0
	case s.double:
		times = 2
	}
	for c, channel := range s.conns {
		if channel != e.Targets()[0] || c == except {
			continue
		}
		frame, err := e.Frame(channel)
		require.NoError(s.t, err)
		for range times {
			_ = c.WriteMessage(websocket.TextMessage, frame)
		}
	}
}

func (s *server) closeAll(code int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(time.Second))
	}
}

package sse

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"tidewire/channels"
)

// Prefix is the path under which the door serves.
const Prefix = "/sse/"

// Config sets up a [Door]. Hub and Apps are required.
type Config struct {
	Hub  *channels.Hub
	Apps channels.Apps
	Log  *slog.Logger
	// IsTLS reports whether the client itself speaks TLS; see [channels.Gate].
	IsTLS func(*http.Request) bool
	// Admission and Address are as in [channels.Gate].
	Admission *channels.Admission
	Address   func(*http.Request) netip.Addr
	// Heartbeat is the time between two comments to a client for which there is
	// nothing else; 25 s by default.
	Heartbeat time.Duration
	// WriteTime is how long one write may wait for the client; 30 s by default.
	WriteTime time.Duration
}

// Door serves GET /sse/app/{key}?channels=a,b.
type Door struct {
	cfg  Config
	gate channels.Gate

	mu       sync.Mutex
	conns    map[*channels.Conn]struct{}
	draining bool
}

// New makes a door.
func New(cfg Config) *Door {
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 25 * time.Second
	}
	if cfg.WriteTime <= 0 {
		cfg.WriteTime = 30 * time.Second
	}
	gate := channels.Gate{Hub: cfg.Hub, Apps: cfg.Apps, Log: cfg.Log, IsTLS: cfg.IsTLS, Admission: cfg.Admission, Address: cfg.Address}
	return &Door{cfg: cfg, gate: gate.WithDefaults(), conns: make(map[*channels.Conn]struct{})}
}

// ServeHTTP implements [http.Handler].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// Anybody may read the answers: nothing here is authorized by a cookie, and
	// an app's allowed_origins are refused below.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	switch r.Method {
	case http.MethodGet:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Accept, Cache-Control, Last-Event-ID")
		h.Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, OPTIONS")
		http.Error(w, "Only GET is served here.", http.StatusMethodNotAllowed)
		return
	}
	s := &stream{door: d, w: w, flow: http.NewResponseController(w)}
	if refusal := s.open(r); refusal != nil {
		d.cfg.Hub.CountRefused()
		s.refuse(r, refusal)
		return
	}
	s.serve(r)
}

// check says who comes in and what they want to hear.
func (d *Door) check(r *http.Request) (*channels.Entry, []subscription) {
	key, ok := strings.CutPrefix(r.URL.Path, Prefix+"app/")
	if !ok || key == "" || strings.Contains(key, "/") {
		return &channels.Entry{Refusal: channels.Refuse(channels.CodePathNotFound, "Path not found. Events are at /sse/app/{key}?channels=a,b.")}, nil
	}
	subs, err := subscriptions(r.URL.Query())
	if err != nil {
		return &channels.Entry{Refusal: channels.Refuse(channels.CodePathNotFound, "%v", err)}, nil
	}
	return d.gate.CheckPlain(r, key), subs
}

// enter notes a connection, unless the node is going away.
func (d *Door) enter(c *channels.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.draining {
		d.conns[c] = struct{}{}
	}
	return !d.draining
}

func (d *Door) leave(c *channels.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

// Streams is how many clients are listening.
func (d *Door) Streams() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Drain refuses new clients and ends the streams there are, spread over the
// time given.
func (d *Door) Drain(ctx context.Context, over time.Duration) error {
	d.mu.Lock()
	d.draining = true
	conns := make([]*channels.Conn, 0, len(d.conns))
	for c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	return channels.CloseSpread(ctx, conns, over)
}

package sockjs

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"tidewire/channels"
	"tidewire/channels/console"
)

// Prefix is the path under which the door serves.
const Prefix = "/pusher/"

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
	// MaxFrameBytes caps one inbound message; 32768 by default.
	MaxFrameBytes int
	// Heartbeat is the time between two signs of life to a client that waits
	// while there is nothing to say; 25 s by default.
	Heartbeat time.Duration
	// Absence is how long a session lives while no request of its client waits
	// for messages; 5 s by default.
	Absence time.Duration
	// Silence is how long a streaming client may leave heartbeats unanswered
	// before it counts as dead; 75 s by default.
	Silence time.Duration
	// WriteTime is how long one write may wait for the client; 30 s by default.
	WriteTime time.Duration
	// MaxSessions bounds the sessions of this node; 50000 by default.
	MaxSessions int
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxFrameBytes <= 0 {
		c.MaxFrameBytes = 32 << 10
	}
	if c.MaxSessions <= 0 {
		c.MaxSessions = 50_000
	}
	orElse(&c.Heartbeat, 25*time.Second)
	orElse(&c.Absence, 5*time.Second)
	orElse(&c.Silence, 75*time.Second)
	orElse(&c.WriteTime, 30*time.Second)
	return c
}

func orElse(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}

// Door serves POST /pusher/app/{key}/{server}/{session}/{transport}.
type Door struct {
	cfg     Config
	gate    channels.Gate
	running sync.WaitGroup // ends of sessions under way

	mu       sync.Mutex
	sessions map[string]*session
	draining bool
	closed   bool
}

// New makes a door.
func New(cfg Config) *Door {
	cfg = cfg.withDefaults()
	gate := channels.Gate{Hub: cfg.Hub, Apps: cfg.Apps, Log: cfg.Log, IsTLS: cfg.IsTLS, Admission: cfg.Admission, Address: cfg.Address}
	return &Door{cfg: cfg, gate: gate.WithDefaults(), sessions: make(map[string]*session)}
}

// address is what a request's path says.
type address struct {
	key       string // app key
	session   string // app key, server and session id: what the session is known by
	transport string
}

// parse reads /pusher/app/{key}/{server}/{session}/{transport}.
func parse(path string) (address, bool) {
	rest, ok := strings.CutPrefix(path, Prefix+"app/")
	if !ok {
		return address{}, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 4 || parts[0] == "" || !isID(parts[1], 3) || !isID(parts[2], 64) {
		return address{}, false
	}
	return address{key: parts[0], session: strings.Join(parts[:3], "/"), transport: parts[3]}, true
}

// isID reports whether s is a name that a SockJS client would make up.
func isID(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// ServeHTTP implements [http.Handler].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// Anybody may read the answers: nothing here is authorized by a cookie, and
	// an app's allowed_origins are refused inside the session, with a code.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store, no-transform")
	a, ok := parse(r.URL.Path)
	if !ok {
		http.Error(w, "Path not found. The fallbacks are at /pusher/app/{key}/{server}/{session}/ xhr_streaming, xhr and xhr_send.", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Content-Type")
		h.Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "POST, OPTIONS")
		http.Error(w, "Only POST is served here.", http.StatusMethodNotAllowed)
		return
	}
	switch a.transport {
	case "xhr_streaming":
		d.receive(w, r, a, true)
	case "xhr":
		d.receive(w, r, a, false)
	case "xhr_send":
		d.send(w, r, a)
	default:
		http.Error(w, "Only xhr_streaming, xhr and xhr_send are served here.", http.StatusNotFound)
	}
}

// find returns the session of an address; nil if there is none.
func (d *Door) find(a address) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[a.session]
}

// findOrOpen returns the session of an address, and opens it if there is none
// and the client may come in.
func (d *Door) findOrOpen(r *http.Request, a address) (*session, *channels.Refusal) {
	if s := d.find(a); s != nil {
		return s, nil
	}
	e := d.gate.Check(r, a.key)
	if e.Refusal != nil {
		d.cfg.Hub.CountRefused()
		return nil, e.Refusal
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.sessions[a.session]; s != nil { // two came together
		return s, nil
	}
	switch {
	case d.draining:
		return nil, channels.Draining()
	case len(d.sessions) >= d.cfg.MaxSessions:
		return nil, channels.Refuse(channels.CodeOverCapacity, "This server has %d fallback sessions, the most it takes. Try again, or use WebSockets.", d.cfg.MaxSessions).For(console.SessionsFull)
	}
	s := newSession(d, a.session, e)
	d.sessions[a.session] = s
	return s, nil
}

func (d *Door) forget(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[s.id] == s {
		delete(d.sessions, s.id)
	}
}

// all returns the sessions as of now.
func (d *Door) all() []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*session, 0, len(d.sessions))
	for _, s := range d.sessions {
		list = append(list, s)
	}
	return list
}

// Sessions is how many sessions this node has, those included that have ended
// and are remembered for a moment so that their clients learn why.
func (d *Door) Sessions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sessions)
}

// Drain refuses new sessions and ends those there are, spread over the time
// given, so that the requests which wait for them end too.
func (d *Door) Drain(ctx context.Context, over time.Duration) error {
	d.mu.Lock()
	d.draining = true
	d.mu.Unlock()
	var conns []*channels.Conn
	for _, s := range d.all() {
		if s.conn != nil {
			conns = append(conns, s.conn)
		}
	}
	return channels.CloseSpread(ctx, conns, over)
}

// Close ends what is left at once and returns when everything it held is given
// back. No request may be on its way to the door.
func (d *Door) Close() error {
	d.mu.Lock()
	d.draining, d.closed = true, true
	d.mu.Unlock()
	for _, s := range d.all() {
		s.end()
		s.bury()
	}
	d.running.Wait()
	return nil
}

package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"tidewire/channels"
	"tidewire/channels/console"
)

// Config sets up a [Door]. Hub and Apps are required.
type Config struct {
	Hub  *channels.Hub
	Apps channels.Apps
	Log  *slog.Logger
	// MaxFrameBytes caps one inbound message; 32768 by default.
	MaxFrameBytes int64
	// PingPeriod is the time between the server's WebSocket pings; 55 s by default.
	PingPeriod time.Duration
	// Silence is how long a peer may say nothing before it counts as dead; 75 s by default.
	Silence time.Duration
	// SendBuffer is the socket's send buffer in bytes, 64 KiB by default: without
	// a bound the kernel hides megabytes from the limit on slow clients.
	SendBuffer int
	// IsTLS reports whether the client itself speaks TLS, to us or to a trusted
	// proxy; by default whether the request does.
	IsTLS func(*http.Request) bool
	// Admission and Address are as in [channels.Gate].
	Admission *channels.Admission
	Address   func(*http.Request) netip.Addr
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxFrameBytes <= 0 {
		c.MaxFrameBytes = 32 << 10
	}
	if c.PingPeriod <= 0 {
		c.PingPeriod = 55 * time.Second
	}
	if c.Silence <= 0 {
		c.Silence = 75 * time.Second
	}
	if c.SendBuffer <= 0 {
		c.SendBuffer = 64 << 10
	}
	return c
}

// Door serves GET /app/{key}.
type Door struct {
	cfg     Config
	hub     *channels.Hub
	gate    channels.Gate
	melody  *melody.Melody
	pool    *pool
	settler settler
	open    sync.WaitGroup // connections being served
	fronts  []*front
}

// New makes a door. Its connections must come through [Door.Listen].
func New(cfg Config) *Door {
	cfg = cfg.withDefaults()
	gate := channels.Gate{Hub: cfg.Hub, Apps: cfg.Apps, Log: cfg.Log, IsTLS: cfg.IsTLS, Admission: cfg.Admission, Address: cfg.Address}
	d := &Door{cfg: cfg, hub: cfg.Hub, gate: gate.WithDefaults(), melody: melody.New(), pool: newPool()}
	m := d.melody
	m.Upgrader = &websocket.Upgrader{
		// A larger read buffer would spare a long frame a second read(2) and cost
		// every idle connection its size; a write buffer of 128
		// keeps every control frame one Write, which the plane relies on.
		ReadBufferSize: 128, WriteBufferSize: 128, WriteBufferPool: &sync.Pool{},
		CheckOrigin:  func(*http.Request) bool { return true }, // origins are refused inside the socket, with a code
		Subprotocols: []string{"pusher-channels-protocol-7", "pusher-channels-protocol-6", "pusher-channels-protocol-5"},
	}
	m.Config.MaxMessageSize = cfg.MaxFrameBytes
	m.Config.MessageBufferSize = 1
	m.Config.PingPeriod = cfg.PingPeriod
	m.Config.PongWait = cfg.Silence
	m.HandleConnect(d.connected)
	m.HandleMessage(d.message)
	m.HandleMessageBinary(d.binary)
	m.HandleError(d.failed)
	m.HandleDisconnect(d.disconnected)
	return d
}

// ServeHTTP implements [http.Handler]. A WebSocket upgrade is always accepted:
// whatever is wrong is said inside the socket, where clients can read it.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "This is the WebSocket endpoint. Connect with a Pusher client.", http.StatusUpgradeRequired)
		return
	}
	if r.Method != http.MethodGet || r.Header.Get("Sec-Websocket-Version") != "13" || !isKey(r.Header.Get("Sec-Websocket-Key")) {
		w.Header().Set("Sec-Websocket-Version", "13")
		http.Error(w, "Not a WebSocket handshake of version 13.", http.StatusBadRequest)
		return
	}
	e := d.check(r)
	c, err := d.takeOver(w, e)
	if err != nil {
		d.cfg.Log.ErrorContext(r.Context(), "connection cannot be taken over", "error", err)
		http.Error(w, "This connection cannot be upgraded.", http.StatusInternalServerError)
		return
	}
	d.open.Add(1)
	// The handler returns at once: it would keep the request, its buffers and a
	// large stack alive as long as the connection lives.
	go d.serve(c, r)
}

// isKey reports whether s is 16 bytes in base64 (RFC 6455, 4.2.1). The library
// says nothing to a client whose key it does not take.
func isKey(s string) bool {
	var key [18]byte
	if len(s) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(key[:], []byte(s))
	return err == nil && n == 16
}

// takeOver hijacks the connection and puts the client between it and the library.
func (d *Door) takeOver(w http.ResponseWriter, e *channels.Entry) (*client, error) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return nil, errors.New("not HTTP/1.1")
	}
	conn, rw, err := hijacker.Hijack()
	if err != nil {
		return nil, err
	}
	early := buffered(rw)
	if p, ok := conn.(*passedOn); ok {
		conn, early = p.sock, append(early, p.head...)
	}
	c := &client{inner: conn, door: d, arrival: &arrival{entry: e}}
	switch conn := conn.(type) {
	case *sock:
		c.transport = plain{conn}
		_ = conn.tcp.SetWriteBuffer(d.cfg.SendBuffer)
	case *tls.Conn:
		under, ok := conn.NetConn().(*sock)
		if !ok {
			_ = conn.Close()
			return nil, errors.New("listener not wrapped by Door.Listen")
		}
		c.transport = sealed{under, conn}
		_ = under.tcp.SetWriteBuffer(d.cfg.SendBuffer)
	default:
		_ = conn.Close()
		return nil, errors.New("listener not wrapped by Door.Listen")
	}
	if len(early) > 0 {
		c.early = bytes.NewReader(early)
	}
	return c, nil
}

// serve runs the connection to its end.
func (d *Door) serve(c *client, r *http.Request) {
	defer d.open.Done()
	if err := d.melody.HandleRequest(newResponse(c), r); err != nil {
		_ = c.inner.Close()
	}
	if c.lingers {
		c.linger()
	}
}

func clientOf(s *melody.Session) *client { return (*client)(s.RemoteAddr().(*connAddr)) }

func (d *Door) connected(s *melody.Session) {
	s.Request = nil // nobody needs it any more, and it is large
	c := clientOf(s)
	giveBack(c.arrival.scratch)
	d.pool.do(job{door: d, client: c, kind: jobConnect})
	d.settler.move()
}

func (d *Door) message(s *melody.Session, message []byte) {
	c := clientOf(s)
	d.pool.do(job{door: d, client: c, kind: jobMessage, message: message})
}

func (d *Door) binary(s *melody.Session, _ []byte) {
	d.pool.do(job{door: d, client: clientOf(s), kind: jobBinary})
}

func (d *Door) failed(s *melody.Session, err error) {
	c := clientOf(s)
	if errors.Is(err, errFlood) || errors.Is(err, websocket.ErrReadLimit) {
		c.lingers = true // these come of reading only, so this is the reading goroutine
	}
	if c.conn == nil {
		return
	}
	switch {
	case errors.Is(err, errFlood):
		c.conn.Close(channels.Refuse(channels.CodeOverCapacity, "Too many control frames or fragments, or a message that took too long. Send fewer.").For(console.Flood))
	case isTimeout(err):
		c.conn.PeerDead()
	}
}

func (d *Door) disconnected(s *melody.Session) {
	d.pool.do(job{door: d, client: clientOf(s), kind: jobClosed})
	d.settler.move()
}

// Drain closes every connection, spread over the time given, and returns when
// all are gone or ctx ends.
func (d *Door) Drain(ctx context.Context, over time.Duration) error {
	return d.hub.Drain(ctx, over)
}

// Close ends what is left at once and returns when nothing is served any more.
// The listeners are closed before, and no request of the HTTP server may be on
// its way to the door.
func (d *Door) Close() error {
	for _, f := range d.fronts {
		f.wait()
	}
	sessions, err := d.melody.Sessions()
	for _, s := range sessions {
		_ = clientOf(s).inner.Close()
	}
	d.open.Wait()
	d.settler.stop()
	d.pool.stop()
	return errors.Join(err, d.melody.Close())
}

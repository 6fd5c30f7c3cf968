package ws

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// greetingBytes is how long a handshake may be for the front to read it; a
	// browser's with a large cookie is longer and left to the HTTP server.
	greetingBytes = 4 << 10
	// greetingTime is how long a new connection may say nothing, and take to be
	// told that it is refused.
	greetingTime = 5 * time.Second
	// idleGreeters is how many goroutines stay for the next connections.
	idleGreeters = 8
)

// Waiting is how many handshakes wait their turn while events flow.
func (d *Door) Waiting() int {
	n := 0
	for _, f := range d.fronts {
		n += f.pace.waiting()
	}
	return n
}

// front is a listener that stands before an [http.Server] and answers the
// ordinary handshake itself: one that has come whole when the connection is
// first read. Everything else, and whatever looks odd, goes to the server as if
// it had not been read. The HTTP server gives up 10 kB of buffers and two
// goroutines for each connection that is taken from it; the front uses its own
// again, which made connecting an eighth cheaper.
type front struct {
	listener
	handler http.Handler
	log     *slog.Logger

	pace   pace
	jobs   chan greeting
	idle   chan struct{} // one token for each greeter that waits for a job
	passed chan accepted // to the HTTP server
	quit   chan struct{}
	open   sync.WaitGroup

	mu     sync.Mutex
	silent map[*sock]struct{} // have not said anything yet; nil once closed
}

type accepted struct {
	conn net.Conn
	err  error
}

func newFront(l listener, h http.Handler, published func() int64, log *slog.Logger) *front {
	f := &front{
		listener: l, handler: h, log: log,
		jobs: make(chan greeting), idle: make(chan struct{}, idleGreeters),
		passed: make(chan accepted), quit: make(chan struct{}),
		silent: make(map[*sock]struct{}),
	}
	f.pace = pace{
		published: published, let: f.greetSoon, open: &f.open,
		gone: func(g greeting) bool { return g.sock.gone() && g.sock.Close() == nil },
	}
	f.open.Go(f.run)
	return f
}

// Accept implements [net.Listener] with what is left to the HTTP server.
func (f *front) Accept() (net.Conn, error) {
	select {
	case a := <-f.passed:
		return a.conn, a.err
	case <-f.quit:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. Handshakes that have come are still
// answered; [front.wait] waits for them.
func (f *front) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent == nil {
		return nil
	}
	close(f.quit)
	for s := range f.silent {
		_ = s.SetReadDeadline(time.Unix(1, 0))
	}
	f.silent = nil
	f.pace.close()
	return f.listener.Close()
}

func (f *front) wait() { f.open.Wait() }

func (f *front) run() {
	for {
		c, err := f.listener.Accept()
		s, ok := c.(*sock)
		switch {
		case ok:
			f.greetSoon(greeting{sock: s})
		case !f.pass(c, err):
			return
		}
	}
}

// pass leaves c, or the reason why there is none, to the HTTP server. It reports
// false once the front is closed.
func (f *front) pass(c net.Conn, err error) bool {
	select {
	case f.passed <- accepted{c, err}:
		return true
	case <-f.quit:
		if c != nil {
			_ = c.Close()
		}
		return false
	}
}

func (f *front) greetSoon(g greeting) {
	select {
	case f.jobs <- g:
	default:
		f.open.Go(func() { newGreeter(f).work(g) })
	}
}

// hear reads what a new connection says first. It returns 0 for one that is
// gone.
func (f *front) hear(s *sock, b []byte) int {
	f.mu.Lock()
	closed := f.silent == nil
	if !closed {
		f.silent[s] = struct{}{}
	}
	f.mu.Unlock()
	if closed {
		return 0
	}
	n := 0
	if err := s.SetReadDeadline(time.Now().Add(greetingTime)); err == nil {
		n, _ = s.Read(b)
	}
	f.mu.Lock()
	delete(f.silent, s)
	f.mu.Unlock()
	return n
}

// greeter is a goroutine that reads handshakes, one after the other, with
// buffers and a stack that are large enough by then.
type greeter struct {
	front  *front
	bytes  []byte
	source bytes.Reader
	reader *bufio.Reader
}

func newGreeter(f *front) *greeter {
	g := &greeter{front: f, bytes: make([]byte, greetingBytes)}
	g.reader = bufio.NewReaderSize(&g.source, 512)
	return g
}

func (g *greeter) work(j greeting) {
	for {
		g.greet(j)
		select {
		case g.front.idle <- struct{}{}:
		default:
			return
		}
		select {
		case j = <-g.front.jobs:
			<-g.front.idle
		case <-g.front.quit:
			return
		}
	}
}

func (g *greeter) greet(j greeting) {
	s, head := j.sock, j.head
	if head == nil {
		head = g.bytes[:g.front.hear(s, g.bytes)]
		switch {
		case len(head) == 0:
			_ = s.Close()
			return
		case isLikeHandshake(head) && !g.front.pace.take(s, head):
			return
		}
	}
	r := g.handshake(head)
	if r == nil {
		g.front.pass(&passedOn{sock: s, head: bytes.Clone(head)}, nil)
		return
	}
	r.RemoteAddr = s.RemoteAddr().String()
	g.front.answer(s, r)
}

var (
	handshakeStart = []byte("GET /app/")
	handshakeEnd   = []byte("\r\n\r\n")
)

// isLikeHandshake reports whether b starts and ends as a handshake does.
func isLikeHandshake(b []byte) bool {
	return bytes.HasPrefix(b, handshakeStart) && bytes.HasSuffix(b, handshakeEnd)
}

// handshake returns the request that b is, or nil unless it is one whole
// WebSocket handshake in which nothing is unusual.
func (g *greeter) handshake(b []byte) *http.Request {
	if !isLikeHandshake(b) {
		return nil
	}
	for _, c := range b {
		if c < ' ' && c != '\r' && c != '\n' || c == 0x7f {
			return nil
		}
	}
	g.source.Reset(b)
	g.reader.Reset(&g.source)
	r, err := http.ReadRequest(g.reader)
	switch {
	case err != nil, g.reader.Buffered()+g.source.Len() != 0, r.ContentLength != 0, len(r.TransferEncoding) != 0:
		return nil
	case r.Proto != "HTTP/1.1", r.Host == "", !websocket.IsWebSocketUpgrade(r):
		return nil
	}
	return r
}

// answer has the handler answer a handshake.
func (f *front) answer(s *sock, r *http.Request) {
	a := &answer{sock: s, header: make(http.Header)}
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				f.log.Error("panic while a handshake was answered", "panic", v, "stack", string(debug.Stack()))
			}
		}
		if !a.taken {
			_ = s.Close()
		}
	}()
	f.handler.ServeHTTP(a, r)
	if !a.taken {
		a.send(r)
	}
}

// answer is the [http.ResponseWriter] of a handshake. What is written instead
// of taking the connection over is a short text.
type answer struct {
	sock   *sock
	header http.Header
	status int
	body   bytes.Buffer
	taken  bool
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Hijack implements [http.Hijacker]. There is nothing in the buffers, and
// nobody writes through them.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if a.taken {
		return nil, nil, http.ErrHijacked
	}
	a.taken = true
	return a.sock, nil, nil
}

func (a *answer) send(r *http.Request) {
	a.WriteHeader(http.StatusOK)
	if err := a.sock.SetWriteDeadline(time.Now().Add(greetingTime)); err != nil {
		return
	}
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = (&http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: a.header,
		ContentLength: int64(a.body.Len()), Body: io.NopCloser(&a.body), Close: true,
	}).Write(a.sock)
}

// passedOn is a connection that the HTTP server reads from its start, although
// the front has read head of it.
type passedOn struct {
	*sock
	head []byte
}

// Read implements [net.Conn].
func (p *passedOn) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.sock.Read(b)
	}
	n := copy(b, p.head)
	if p.head = p.head[n:]; len(p.head) == 0 {
		p.head = nil
	}
	return n, nil
}

package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// actAsLoud makes the test binary the clients and servers of a loud tenant:
// another process, so that their work is not done by those who measure.
const actAsLoud = "ACT_AS_LOUD_TENANT"

// axis is one way in which a tenant can be too much: what it does, and how often
// a second it may. Ten times that is the flood.
type axis struct {
	name             string
	limits, settings string
	within           float64
	ready            func(l *loud) // once, before the first time
	do               func(l *loud, n int64) (took bool)
}

var axes = []axis{
	{
		"publishes over REST", `{"max_publishes_per_second":50}`, `{}`, 50, nil,
		func(l *loud, n int64) bool { return l.publish(n, "nobody", 100) },
	},
	{
		"fan-out", `{"max_publishes_per_second":10,"max_connections":2000}`, `{}`, 10,
		func(l *loud) { l.crowd("crowd") },
		func(l *loud, n int64) bool { return l.publish(n, "crowd", 100) },
	},
	{"client events", `{"max_client_events_per_second":10}`, `{"client_events":true}`, 100, (*loud).talkers, (*loud).talk},
	{"reconnect storm", `{"max_connections":40}`, `{}`, 20, nil, (*loud).visit},
	{"presence churn", `{"max_presence_members":50}`, `{}`, 10, (*loud).talkers, (*loud).comeOrGo},
	{
		"stalled readers", `{"max_publishes_per_second":50}`, `{}`, 50,
		func(l *loud) { l.stalled() },
		func(l *loud, n int64) bool { return l.publish(n, "stalled", 10_000) },
	},
	{"failing webhooks", `{"max_client_events_per_second":10}`, `{"client_events":true,"webhook_batching":false}`, 100, (*loud).talkers, (*loud).talk},
}

// loudOrders are what the process is told when it starts.
type loudOrders struct {
	Bases []string
	Apps  map[string]printedApp // by axis
	Hook  string                // address where its failing receiver listens
	Crowd int
}

// loudCount is what came of one flood, a second.
type loudCount struct{ Asked, Took float64 }

// loud is the tenant on one axis.
type loud struct {
	loudOrders
	axis    axis
	app     printedApp
	client  *http.Client
	talking []*talker
	refused atomic.Int64 // by an error frame
	visits  sync.WaitGroup
}

// actLoud reads "axis factor" and "stop" from its input, a line each, and
// answers each with a line.
func actLoud() {
	var orders loudOrders
	if err := json.Unmarshal([]byte(os.Getenv(actAsLoud)), &orders); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", orders.Hook)
	if err != nil {
		panic(err)
	}
	hooks := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	hooks.Listener = listener
	hooks.Start()
	by := map[string]*loud{}
	for _, a := range axes {
		by[a.name] = &loud{loudOrders: orders, axis: a, app: orders.Apps[a.name], client: &http.Client{
			Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: loudWorkers},
		}}
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		name, factor, _ := strings.Cut(lines.Text(), "=")
		l, times := by[name], 0.0
		_, _ = fmt.Sscan(factor, &times)
		if ready := l.axis.ready; ready != nil {
			ready(l)
			l.axis.ready = nil
		}
		fmt.Println("begun")
		ended := make(chan struct{})
		counted := make(chan loudCount)
		go func() { counted <- l.flood(l.axis.within*times, ended) }()
		lines.Scan()
		close(ended)
		_ = json.NewEncoder(os.Stdout).Encode(<-counted)
	}
}

// loudWorkers do what is due at the same time.
const loudWorkers = 32

// flood does it rate times a second until ended is closed.
func (l *loud) flood(rate float64, ended chan struct{}) (c loudCount) {
	var next, took atomic.Int64
	start, refused := time.Now(), l.refused.Load()
	var working sync.WaitGroup
	for range loudWorkers {
		working.Go(func() {
			for {
				n := next.Add(1) - 1
				select {
				case <-ended:
					return
				case <-time.After(time.Until(start.Add(time.Duration(float64(n) / rate * float64(time.Second))))):
				}
				if l.axis.do(l, n) {
					took.Add(1)
				}
			}
		})
	}
	working.Wait()
	seconds := time.Since(start).Seconds()
	l.visits.Wait()
	asked := next.Load() - loudWorkers // each worker took a number that it did not use
	return loudCount{Asked: float64(asked) / seconds, Took: float64(took.Load()-(l.refused.Load()-refused)) / seconds}
}

func (l *loud) base(n int64) string { return l.Bases[n%int64(len(l.Bases))] }

func (l *loud) publish(n int64, channel string, size int) bool {
	body := []byte(`{"name":"e","channels":["` + channel + `"],"data":"` + strings.Repeat("x", size) + `"}`)
	resp, err := l.client.Post(signed(l.base(n), l.app, http.MethodPost, "/events", body), "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// keep has a connection opened and used until it ends, over and over. It returns
// once the first is up, or has failed.
func (l *loud) keep(n int, use func(base string, up func())) {
	done := make(chan struct{})
	up := sync.OnceFunc(func() { close(done) })
	go func() {
		for {
			use(l.base(int64(n)), up)
			up()
			time.Sleep(100 * time.Millisecond) // the pause of a client
		}
	}()
	<-done
}

// crowd are the many subscribers of one channel.
func (l *loud) crowd(channel string) {
	for i := range l.Crowd {
		conn, _ := greeted(l.base(int64(i)), l.app.Key)
		if conn == nil {
			continue
		}
		subscribeTo(conn, channel, "", "")
		_ = conn.SetReadDeadline(time.Time{})
		go func() {
			for _, _, err := conn.NextReader(); err == nil; _, _, err = conn.NextReader() {
			}
		}()
	}
}

func subscribeTo(conn *websocket.Conn, channel, auth, data string) {
	_ = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": channel, "auth": auth, "channel_data": data}})
}

// talker is a connection that sends.
type talker struct {
	mu     sync.Mutex
	conn   *websocket.Conn
	id     string
	user   string
	inside bool
}

// talkers are ten connections on a private channel; presence churn has them too.
func (l *loud) talkers() {
	for i := range 10 {
		t := &talker{user: "user-" + strconv.Itoa(i)}
		l.talking = append(l.talking, t)
		l.keep(i, func(base string, up func()) {
			conn, id := greeted(base, l.app.Key)
			if conn == nil {
				return
			}
			_ = conn.SetReadDeadline(time.Time{})
			subscribeTo(conn, "private-loud", l.sign(id+":private-loud"), "")
			t.mu.Lock()
			t.conn, t.id, t.inside = conn, id, false
			t.mu.Unlock()
			up()
			for {
				_, message, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if bytes.Contains(message, []byte("pusher:error")) {
					l.refused.Add(1)
				}
			}
		})
	}
}

func (l *loud) sign(text string) string {
	m := hmac.New(sha256.New, []byte(l.app.Secret))
	m.Write([]byte(text))
	return l.app.Key + ":" + hex.EncodeToString(m.Sum(nil))
}

// talk sends a client event.
func (l *loud) talk(n int64) bool {
	t := l.talking[n%int64(len(l.talking))]
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conn != nil && t.conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"client-loud","channel":"private-loud","data":{"n":1}}`)) == nil
}

// comeOrGo enters the presence channel, or leaves it, by turns.
func (l *loud) comeOrGo(n int64) bool {
	t := l.talking[n%int64(len(l.talking))]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return false
	}
	const channel = "presence-loud"
	if t.inside = !t.inside; !t.inside {
		return t.conn.WriteJSON(map[string]any{"event": "pusher:unsubscribe", "data": map[string]string{"channel": channel}}) == nil
	}
	data := `{"user_id":` + strconv.Quote(t.user) + `}`
	subscribeTo(t.conn, channel, l.sign(t.id+":"+channel+":"+data), data)
	return true
}

// visit comes, stays for a second if it may, and goes.
func (l *loud) visit(n int64) bool {
	conn, _ := greeted(l.base(n), l.app.Key)
	if conn == nil {
		return false
	}
	l.visits.Add(1)
	time.AfterFunc(time.Second, func() { _ = conn.Close(); l.visits.Done() })
	return true
}

// stalled are 50 connections that subscribe and read nothing more. When they are
// cut off, they come back.
func (l *loud) stalled() {
	dialer := websocket.Dialer{HandshakeTimeout: 2 * time.Second, NetDial: func(network, address string) (net.Conn, error) {
		small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}}
		return small.Dial(network, address)
	}}
	for i := range 50 {
		l.keep(i, func(base string, up func()) {
			conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(base, "http")+"/app/"+l.app.Key+"?protocol=7", nil) //nolint:bodyclose // hijacked
			if err != nil {
				return
			}
			defer conn.Close()
			subscribeTo(conn, "stalled", "", "")
			up()
			// Writing goes on, and fails once the server has cut the connection.
			for conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:ping","data":{}}`)) == nil {
				time.Sleep(200 * time.Millisecond) // the pace of its pings
			}
		})
	}
}

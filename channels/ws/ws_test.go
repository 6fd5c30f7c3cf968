package ws_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/channels"
	"tidewire/channels/fanout"
	"tidewire/channels/ws"
	"tidewire/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const appKey = "278d425bdf160c739803"

// apps is a directory of a few apps, as tenants.Directory would answer.
type apps map[string]*tenants.App

func (a apps) ByKey(_ context.Context, key string) (*tenants.App, error) {
	switch app := a[key]; {
	case key == "away":
		return nil, fmt.Errorf("%w: no database", tenants.ErrUnavailable)
	case app == nil:
		return nil, tenants.ErrNotFound
	default:
		return app, nil
	}
}

func newApp(change func(*tenants.App)) *tenants.App {
	app := &tenants.App{
		ID: "3", TenantStatus: tenants.TenantActive, Name: "test",
		Keys: []tenants.Key{{Key: appKey, Secret: tenants.NewSecret("7ad3773142a6692b25b8"), Status: tenants.KeyActive}},
	}
	if change != nil {
		change(app)
	}
	return app
}

// world is a running server.
type world struct {
	t    testing.TB
	app  *tenants.App
	hub  *channels.Hub
	door *ws.Door
	url  string // ws://… or wss://…, without the path
}

type options struct {
	app    func(*tenants.App)
	fanout fanout.Config
	door   func(*ws.Config)
	front  func(http.Handler) http.Handler // around what answers handshakes without the HTTP server
	tls    bool
}

func setup(t testing.TB, o options) *world {
	t.Helper()
	app := newApp(o.app)
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker), Fanout: o.fanout})
	ctx, cancel := context.WithCancel(context.Background())
	hubDone := make(chan error, 1)
	go func() { hubDone <- hub.Run(ctx) }()

	disabled := newApp(func(a *tenants.App) { a.ID, a.Keys[0].Key, a.Disabled = "4", "disabled", true })
	suspended := newApp(func(a *tenants.App) { a.ID, a.Keys[0].Key, a.TenantStatus = "5", "suspended", tenants.TenantSuspended })
	cfg := ws.Config{Hub: hub, Apps: apps{appKey: app, "disabled": disabled, "suspended": suspended}}
	if o.door != nil {
		o.door(&cfg)
	}
	door := ws.New(cfg)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: door, ReadHeaderTimeout: 5 * time.Second}
	url := "ws://" + inner.Addr().String()
	front := server.Handler
	switch {
	case o.tls:
		url = "wss://" + inner.Addr().String()
		server.TLSConfig, front = testTLS(t), nil
	case o.front != nil:
		front = o.front(front)
	}
	listener := door.Listen(inner, front)
	serverDone := make(chan struct{})
	go func() {
		defer close(serverDone)
		if o.tls {
			_ = server.ServeTLS(listener, "", "")
		} else {
			_ = server.Serve(listener)
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-serverDone
		require.NoError(t, door.Close())
		cancel()
		require.NoError(t, <-hubDone)
	})
	<-hub.Started()
	return &world{t: t, app: app, hub: hub, door: door, url: url}
}

// testTLS borrows the certificate of httptest.
func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

func (w *world) publish(channel, event, data string) error {
	literal, _ := json.Marshal(data)
	_, err := w.hub.Publish(context.Background(), w.app, []channels.Event{{
		Topic: channels.Topic{App: w.app.ID, Channel: channel}, Name: event, Data: literal,
	}})
	return err
}

type frame struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// peer is a test client.
type peer struct {
	*websocket.Conn
	t  testing.TB
	id string
}

// dial opens a socket without looking at what it says.
func (w *world) dial(path string, change func(*websocket.Dialer, http.Header)) *peer {
	w.t.Helper()
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- the test's own certificate
	h := http.Header{}
	if change != nil {
		change(&d, h)
	}
	c, res, err := d.Dial(w.url+path, h)
	require.NoError(w.t, err, "an upgrade must always be accepted")
	require.NoError(w.t, res.Body.Close())
	w.t.Cleanup(func() { _ = c.Close() })
	return &peer{Conn: c, t: w.t}
}

// connect opens a socket and reads the greeting.
func (w *world) connect() *peer {
	w.t.Helper()
	p := w.dial("/app/"+appKey+"?protocol=7&client=test&version=1", nil)
	f := p.next()
	require.Equal(w.t, "pusher:connection_established", f.Event)
	var greeting struct {
		SocketID        string `json:"socket_id"`
		ActivityTimeout int    `json:"activity_timeout"`
	}
	unquote(w.t, f.Data, &greeting)
	require.Regexp(w.t, `^\d+\.\d+$`, greeting.SocketID)
	require.Equal(w.t, 120, greeting.ActivityTimeout)
	p.id = greeting.SocketID
	return p
}

func unquote(t testing.TB, raw json.RawMessage, v any) {
	t.Helper()
	var s string
	require.NoError(t, json.Unmarshal(raw, &s), "data must be a JSON string")
	require.NoError(t, json.Unmarshal([]byte(s), v))
}

func (p *peer) next() frame {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, b, err := p.ReadMessage()
	require.NoError(p.t, err)
	var f frame
	require.NoError(p.t, json.Unmarshal(b, &f), "%s", b)
	return f
}

func (p *peer) send(text string) {
	p.t.Helper()
	require.NoError(p.t, p.WriteMessage(websocket.TextMessage, []byte(text)))
}

func (p *peer) subscribe(channel string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":"","channel":%q}}`, channel))
	f := p.next()
	require.Equal(p.t, "pusher_internal:subscription_succeeded", f.Event)
	require.Equal(p.t, channel, f.Channel)
	require.Equal(p.t, `"{}"`, string(f.Data))
}

// complaint reads a pusher:error that leaves the connection open.
func (p *peer) complaint() (code *int, message string) {
	p.t.Helper()
	f := p.next()
	require.Equal(p.t, "pusher:error", f.Event)
	var e struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	require.NoError(p.t, json.Unmarshal(f.Data, &e), "the data of pusher:error is an object")
	return e.Code, e.Message
}

// closed reads to the end and returns the close code.
func (p *peer) closed() int {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(10*time.Second)))
	for {
		_, _, err := p.ReadMessage()
		if err == nil {
			continue
		}
		var ce *websocket.CloseError
		require.ErrorAs(p.t, err, &ce)
		return ce.Code
	}
}

func TestRefusalsAreSaidInsideTheSocket(t *testing.T) {
	t.Parallel()
	w := setup(t, options{app: func(a *tenants.App) { a.Settings.AllowedOrigins = []string{"https://good.example"} }})
	for _, c := range []struct {
		name, path, origin string
		code               int
	}{
		{"unknown key", "/app/nope?protocol=7", "", 4001},
		{"dependency away", "/app/away?protocol=7", "", 4100},
		{"disabled", "/app/disabled?protocol=7", "", 4003},
		{"suspended", "/app/suspended?protocol=7", "", 4003},
		{"no key", "/app/?protocol=7", "", 4005},
		{"another path", "/application/x?protocol=7", "", 4005},
		{"no protocol", "/app/" + appKey, "", 4008},
		{"protocol of no version", "/app/" + appKey + "?protocol=seven", "", 4006},
		{"protocol 4", "/app/" + appKey + "?protocol=4", "", 4007},
		{"protocol 8", "/app/" + appKey + "?protocol=8", "", 4007},
		{"foreign origin", "/app/" + appKey + "?protocol=7", "https://evil.example", 4009},
		{"lookalike origin", "/app/" + appKey + "?protocol=7", "https://good.example.evil.example", 4009},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.dial(c.path, func(_ *websocket.Dialer, h http.Header) {
				if c.origin != "" {
					h.Set("Origin", c.origin)
				}
			})
			code, message := p.complaint()
			require.NotNil(t, code)
			require.Equal(t, c.code, *code, message)
			require.NotEmpty(t, message)
			require.Equal(t, c.code, p.closed())
		})
	}
	p := w.dial("/app/"+appKey+"?protocol=7", func(_ *websocket.Dialer, h http.Header) { h.Set("Origin", "https://good.example") })
	require.Equal(t, "pusher:connection_established", p.next().Event)
}

func TestForceTLS(t *testing.T) {
	t.Parallel()
	force := func(a *tenants.App) { a.Settings.ForceTLS = true }
	p := setup(t, options{app: force}).dial("/app/"+appKey+"?protocol=7", nil)
	code, _ := p.complaint()
	require.Equal(t, 4000, *code)
	require.Equal(t, 4000, p.closed())
	setup(t, options{app: force, tls: true}).connect()
}

func TestNotAnUpgrade(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	res, err := http.Get(strings.Replace(w.url, "ws://", "http://", 1) + "/app/" + appKey)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusUpgradeRequired, res.StatusCode)
	http.DefaultClient.CloseIdleConnections()
}

func TestProtocolsAndSubprotocol(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	for _, version := range []string{"5", "6", "7"} {
		p := w.dial("/app/"+appKey+"?protocol="+version, func(d *websocket.Dialer, _ http.Header) {
			d.Subprotocols = []string{"pusher-channels-protocol-" + version}
		})
		require.Equal(t, "pusher-channels-protocol-"+version, p.Subprotocol())
		require.Equal(t, "pusher:connection_established", p.next().Event)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	p := setup(t, options{}).connect()
	for _, ping := range []string{
		`{"event":"pusher:ping","data":{}}`, `{"event":"pusher:ping"}`, `{"event":"pusher:ping","data":""}`, `{"event":"pusher:ping","data":null}`,
	} {
		p.send(ping)
		require.Equal(t, frame{Event: "pusher:pong", Data: json.RawMessage(`"{}"`)}, p.next(), ping)
	}
	pong := make(chan string, 1)
	p.SetPongHandler(func(s string) error { pong <- s; return nil })
	require.NoError(t, p.WriteControl(websocket.PingMessage, []byte("hi"), time.Now().Add(time.Second)))
	p.send(`{"event":"pusher:ping"}`)
	p.next() // reading runs the pong handler
	require.Equal(t, "hi", <-pong)
}

func TestServerPingsEveryClient(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *ws.Config) { c.PingPeriod, c.Silence = 50*time.Millisecond, 5*time.Second }})
	p := w.connect()
	pinged := make(chan struct{}, 10)
	p.SetPingHandler(func(string) error { pinged <- struct{}{}; return nil })
	go func() { _, _, _ = p.ReadMessage() }()
	<-pinged
	<-pinged
	require.NoError(t, p.Close())
}

func TestSilentPeerIsClosed(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *ws.Config) { c.PingPeriod, c.Silence = 50*time.Millisecond, 300*time.Millisecond }})
	p := w.connect()
	p.SetPingHandler(func(string) error { return nil }) // never answers
	code, _ := p.complaint()
	require.Equal(t, 4201, *code)
	require.Equal(t, 4201, p.closed())
}

func TestAnyTrafficIsLife(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *ws.Config) { c.PingPeriod, c.Silence = 50*time.Millisecond, 1500*time.Millisecond }})
	p := w.connect()
	p.SetPingHandler(func(string) error { return nil })
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 20 { // 4 s, nearly three times the silence
		<-tick.C
		p.send(`{"event":"pusher:ping"}`)
		require.Equal(t, "pusher:pong", p.next().Event)
	}
}

func TestSubscribeAndReceive(t *testing.T) {
	t.Parallel()
	for _, useTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", useTLS), func(t *testing.T) {
			t.Parallel()
			w := setup(t, options{tls: useTLS})
			a, b := w.connect(), w.connect()
			a.subscribe("orders")
			b.subscribe("orders")
			b.subscribe("other")
			require.NoError(t, w.publish("orders", "created", `{"n":1}`))
			for _, p := range []*peer{a, b} {
				require.Equal(t, frame{"created", "orders", json.RawMessage(`"{\"n\":1}"`)}, p.next())
			}
			_, err := w.hub.Publish(context.Background(), w.app, []channels.Event{{
				Topic: channels.Topic{App: "3", Channel: "orders"}, Name: "x", Data: []byte(`"1"`), Except: channels.SocketID(a.id),
			}})
			require.NoError(t, err)
			require.Equal(t, "x", b.next().Event)
			a.send(`{"event":"pusher:unsubscribe","data":{"channel":"orders"}}`)
			a.send(`{"event":"pusher:ping"}`)
			require.Equal(t, "pusher:pong", a.next().Event, "the excluded connection got the event")
			require.NoError(t, w.publish("orders", "y", "2"))
			require.Equal(t, "y", b.next().Event)
			a.send(`{"event":"pusher:ping"}`)
			require.Equal(t, "pusher:pong", a.next().Event, "an unsubscribed connection got the event")
			require.NoError(t, w.publish("other", "z", "3"))
			require.Equal(t, "z", b.next().Event)
		})
	}
}

func TestMalformedMessagesAreAnsweredAndTheConnectionStays(t *testing.T) {
	t.Parallel()
	p := setup(t, options{}).connect()
	for _, bad := range []string{
		``, `x`, `[]`, `"a"`, `{}`, `{"event":1}`, `{"event":null}`, `{"event":"a","event":"b"}`, `{"event":"a","Event":"b"}`,
		`{"event":"nonsense"}`, `{"event":"pusher:nonsense"}`, `{"event":"pusher_internal:x"}`,
		`{"event":"pusher:subscribe"}`, `{"event":"pusher:subscribe","data":1}`, `{"event":"pusher:subscribe","data":{}}`,
		`{"event":"pusher:subscribe","data":{"channel":""}}`, `{"event":"pusher:subscribe","data":{"channel":"a b"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"#x"}}`, `{"event":"pusher:subscribe","data":{"channel":7}}`,
		`{"event":"pusher:subscribe","data":{"channel":"` + strings.Repeat("a", 165) + `"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"a"}} x`, strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
		`{"event":"client-x","channel":"private-a","data":"1"}`, `{"event":"pusher:unsubscribe","data":{}}`,
	} {
		p.send(bad)
		code, message := p.complaint()
		require.Nil(t, code, "%s: %s", bad, message)
		require.NotEmpty(t, message)
	}
	p.subscribe("still-here")
	p.send(`{"event":"pusher:subscribe","data":{"channel":"still-here"}}`)
	_, message := p.complaint()
	require.Equal(t, "Existing subscription to channel still-here", message)
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	w := setup(t, options{app: func(a *tenants.App) { a.Limits.MaxConnections = 2 }})
	first := w.connect()
	w.connect()
	p := w.dial("/app/"+appKey+"?protocol=7", nil)
	code, _ := p.complaint()
	require.Equal(t, 4004, *code)
	require.Equal(t, 4004, p.closed())
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return w.hub.Stats().Connections == 1 }, 5*time.Second, 5*time.Millisecond)
	w.connect()
}

func TestDisabledAppIsClosed(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	p := w.connect()
	now := *w.app
	now.Disabled = true
	w.hub.AppChanged(w.app, &now)
	code, _ := p.complaint()
	require.Equal(t, 4003, *code)
	require.Equal(t, 4003, p.closed())
}

func TestDrainDeliversWhatWasAcceptedThenCloses(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	peers := make([]*peer, 50)
	for i := range peers {
		peers[i] = w.connect()
		peers[i].subscribe("news")
	}
	for i := range 20 {
		require.NoError(t, w.publish("news", fmt.Sprint(i), "x"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var readers sync.WaitGroup
	for _, p := range peers {
		readers.Go(func() {
			for i := range 20 {
				require.Equal(t, fmt.Sprint(i), p.next().Event)
			}
			code, _ := p.complaint()
			require.Equal(t, 4200, *code)
			require.Equal(t, 4200, p.closed())
			require.NoError(t, p.Close())
		})
	}
	require.NoError(t, w.door.Drain(ctx, 100*time.Millisecond))
	readers.Wait()
	late := w.dial("/app/"+appKey+"?protocol=7", nil)
	require.Equal(t, 4200, late.closed())
}

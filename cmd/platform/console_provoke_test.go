package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// open connects with a query, whatever comes of it.
func (c *try) open(query string, header ...string) *client {
	c.t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	// A small buffer, so that a client that does not read is soon noticed.
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096)
		}
		return conn, err
	}}
	conn, resp, err := dialer.DialContext(c.t.Context(), "ws"+strings.TrimPrefix(c.url, "http")+"/app/"+c.app.Key+"?"+query, h)
	require.NoError(c.t, err)
	require.NoError(c.t, resp.Body.Close())
	c.t.Cleanup(func() { _ = conn.Close() })
	return &client{c.t, conn}
}

// connect opens a connection that is greeted, and returns its socket id.
func (c *try) connect(query ...string) (*client, string) {
	c.t.Helper()
	k := c.open(strings.Join(append([]string{"protocol=7"}, query...), "&"))
	return k, k.established()
}

func (k *client) say(event string, data any, channel ...string) {
	k.t.Helper()
	m := fields{"event": event, "data": data}
	if len(channel) > 0 {
		m["channel"] = channel[0]
	}
	require.NoError(k.t, k.conn.WriteJSON(m))
}

// subscribe subscribes with what is signed for channel and data.
func (c *try) subscribe(k *client, socket, channel, data string) {
	c.t.Helper()
	m := fields{"channel": channel}
	if strings.HasPrefix(channel, "private-") || strings.HasPrefix(channel, "presence-") {
		auth, err := tenants.ChannelAuth(c.key(), socket, channel, data)
		require.NoError(c.t, err)
		m["auth"] = auth
	}
	if data != "" {
		m["channel_data"] = data
	}
	k.say("pusher:subscribe", m)
}

func (c *try) key() tenants.Key {
	return tenants.Key{Key: c.app.Key, Secret: tenants.NewSecret(c.app.Secret)}
}

func (c *try) signIn(k *client, socket, data string) {
	c.t.Helper()
	auth, err := tenants.UserAuth(c.key(), socket, data)
	require.NoError(c.t, err)
	k.say("pusher:signin", fields{"auth": auth, "user_data": data})
}

// token makes one that is good, but for the claims given; nil leaves one out.
func (c *try) token(claims jwt.MapClaims, how ...func(*jwt.Token)) string {
	c.t.Helper()
	now := time.Now()
	all := jwt.MapClaims{"iss": "us", "aud": "app", "sub": "u1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for name, v := range claims {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	for _, change := range how {
		change(t)
	}
	text, err := t.SignedString([]byte(jwtSecret))
	require.NoError(c.t, err)
	return text
}

// withToken connects with a token.
func withToken(claims jwt.MapClaims, how ...func(*jwt.Token)) func(*try) {
	return func(c *try) { c.open("protocol=7&token=" + url.QueryEscape(c.token(claims, how...))) }
}

// withQuery connects with a query.
func withQuery(query string) func(*try) { return func(c *try) { c.open(query) } }

// saying connects and says one thing.
func saying(event string, data any, channel ...string) func(*try) {
	return func(c *try) {
		k, _ := c.connect()
		k.say(event, data, channel...)
	}
}

// joining connects and subscribes, signed.
func joining(channel, data string) func(*try) {
	return func(c *try) {
		k, socket := c.connect()
		c.subscribe(k, socket, channel, data)
	}
}

// onChannel connects, subscribes and says one thing there.
func onChannel(channel, event string, data any) func(*try) {
	return func(c *try) {
		k, socket := c.connect()
		c.subscribe(k, socket, channel, "")
		k.say(event, data, channel)
	}
}

// spoiling publishes with a query that is changed after it was signed.
func spoiling(change func(url.Values)) func(*try) {
	return func(c *try) { c.publish("news", "x", change) }
}

func spoiled(name, value string) func(*try) {
	return spoiling(func(q url.Values) { q.Set(name, value) })
}

func lateBy(d time.Duration) string { return strconv.FormatInt(time.Now().Add(-d).Unix(), 10) }

// hook gives the app an endpoint that answers so, and calls it.
func hook(status int) func(*try) {
	return func(c *try) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		c.t.Cleanup(server.Close)
		c.own(fields{})
		made := call[struct{ ID string }](c.as(c.ada), 201, http.MethodPost, c.path()+"/webhooks", fields{"url": server.URL, "events": []string{"channel_occupied"}})
		call[any](c.as(c.ada), 202, http.MethodPost, "/webhooks/"+made.ID+"/test", nil)
	}
}

// another makes a customer of their own with an app on a plan, and watches it.
func (c *try) another(name string, plan fields) (*person, string) {
	c.t.Helper()
	// From an address of their own: one makes few accounts a day.
	p := (&person{t: c.t, base: c.url, ip: "192.0.2." + strconv.Itoa(len(name))}).signUp(name+"@example.com", name, "")
	call[any](p, 200, http.MethodPost, "/verify", fields{"token": c.link(c.t, name+"@example.com", "Confirm")})
	if plan != nil {
		plan["name"] = name
		raw, err := json.Marshal([]fields{plan})
		require.NoError(c.t, err)
		file := writeFile(c.t, name+".json", string(raw))
		require.Zero(c.t, platform(c.t, c.environ, "plans", "apply", file).code)
		require.Zero(c.t, platform(c.t, c.environ, "tenants", "plan", name, name).code)
	}
	c.app = call[apiApp](p, 201, http.MethodPost, "/tenants/"+name+"/apps", fields{"name": "App", "settings": fields{"client_events": true}})
	c.w = watch(p, c.url, c.app.ID, 1)
	return p, name
}

// usedUp makes an app whose messages of the day are used up.
func (c *try) usedUp() {
	c.own(fields{"settings": fields{"client_events": true}, "limits": fields{"max_messages_per_day": 1}})
	c.until(console.MessagesUsedUp, func() { c.publish("news", "x") })
}

// slowly lets a client hear a lot and read nothing.
func slowly(c *try) {
	c.own(fields{})
	k, socket := c.connect()
	c.subscribe(k, socket, "big", "")
	data := strings.Repeat("x", 10_000)
	c.until(console.SlowConsumer, func() {
		for range 20 {
			c.publish("big", data)
		}
	})
}

func flooding(c *try) {
	k, _ := c.connect()
	for range 300 {
		if k.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) != nil {
			return // cut off
		}
	}
}

// delivering goes beyond what the plan allows to be delivered.
func delivering(c *try, name string) (k *client) {
	c.another(name, fields{"max_deliveries_per_second": 1})
	for range 5 {
		k2, socket := c.connect()
		c.subscribe(k2, socket, "private-news", "")
		k = k2
	}
	c.until(console.DeliveryLimit, func() { c.publish("private-news", "x") })
	return k
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
)

// TestADayIsCountedExactly has clients count by themselves what they are sent in
// a scripted day, over a clean restart, and compares with what the admin API says.
func TestADayIsCountedExactly(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); testDay(t) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); testDay(t, "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t)) })
}

func testDay(t *testing.T, environ ...string) {
	t.Helper()
	environ = append(append(environ, dataDir(t)...), "TIDEWIRE_USAGE_INTERVAL=200ms")
	var d *day
	var reader *person
	for half := range 2 {
		n := startNodeWith(t, extras{}, environ...)
		if half == 0 {
			d = &day{t: t, app: createApp(t, n.environ, "--settings", `{"client_events":true}`)}
			token := printed[printedToken](t, n.environ, "tokens", "create", "--tenant", "acme", "--name", "reader", "--scopes", "stats:read")
			reader = &person{t: t, token: token.Text}
		}
		d.base, reader.base = n.url, n.url
		d.pass()
		d.compare(reader, "/apps/"+string(d.app.ID)+"/usage")
		d.compare(reader, "/tenants/acme/usage?span=day")
		d.leave()
		n.end(t)
	}
	require.Equal(t, d.counted, storedUsage(t, environ, d.app).Counts, "nothing is lost or counted twice when a node stops")
}

// day is what the customer's server and its clients counted so far.
type day struct {
	t       *testing.T
	base    string
	app     printedApp
	clients []*audience
	counted tenants.Counts // by who sent, and by clients that have left
}

// pass is half a day. Of who hears what the script knows only when to go on.
func (d *day) pass() {
	room, hall, all := 4, 6, 6
	for i := range all {
		c := d.enter()
		c.subscribe("news", "")
		if i < room {
			c.subscribe("private-room", "")
		}
		c.subscribe("presence-hall", fmt.Sprintf(`{"user_id":"u%d"}`, i%5)) // the last one is there already
	}
	changes := 0 + 1 + 2 + 3 + 4
	events := 0
	for i := range 10 {
		d.post("/events", 1, fields{"name": "e", "channels": []string{"news"}, "data": strings.Repeat("x", i*40)})
		events += all
	}
	for range 5 {
		d.post("/events", 3, fields{"name": "e", "channels": []string{"news", "private-room", "nobody"}, "data": "1"})
		events += all + room
	}
	d.post("/events", 1, fields{"name": "e", "channel": "news", "data": "1", "socket_id": d.clients[2].id})
	events += all - 1
	d.post("/events", 1, fields{"name": "e", "channel": "presence-hall", "data": "1", "info": "user_count"})
	d.counted.Queries++ // for the info
	events += hall
	for range 3 {
		d.post("/batch_events", 3, fields{"batch": []fields{
			{"name": "e", "channel": "news", "data": "1"}, {"name": "f", "channel": "private-room", "data": "2"}, {"name": "g", "channel": "cache-price", "data": "3"},
		}})
		events += all + room
	}
	for range 4 {
		d.get("/channels")
		d.get("/channels/presence-hall/users")
	}
	d.clients[0].clientEvent("private-room")
	d.clients[1].clientEvent("presence-hall")
	events += room - 1 + hall - 1
	d.clients[3].subscribe("cache-price", "") // hears the last event
	events++
	d.wait(events, changes)
	for _, leaves := range []struct{ client, heardBy int }{{4, 5}, {0, 0}, {1, 3}, {2, 2}, {3, 1}, {5, 0}} { // 0 and 5 are one user
		d.clients[leaves.client].send("pusher:unsubscribe", "", fields{"channel": "presence-hall"})
		changes += leaves.heardBy
		d.wait(events, changes)
	}
}

// sum is what was counted until now.
func (d *day) sum() tenants.Counts {
	sum := d.counted
	for _, c := range d.clients {
		sum = sum.Add(c.heard())
	}
	return sum
}

// wait waits until the open clients have heard what they must, and nothing else.
func (d *day) wait(events, changes int) {
	d.t.Helper()
	eventually(d.t, func() bool {
		heard := d.sum()
		return heard.Deliveries-d.counted.Deliveries >= int64(events) && heard.PresenceChanges-d.counted.PresenceChanges >= int64(changes)
	}, "a client does not hear everything")
	for _, c := range d.clients {
		c.settle()
	}
	heard := d.sum()
	require.EqualValues(d.t, events, heard.Deliveries-d.counted.Deliveries)
	require.EqualValues(d.t, changes, heard.PresenceChanges-d.counted.PresenceChanges)
}

// compare holds the admin API to the count.
func (d *day) compare(reader *person, path string) {
	d.t.Helper()
	type total struct {
		tenants.Counts
		Messages int64
	}
	want := d.sum()
	var got total
	eventually(d.t, func() bool {
		got = call[struct{ Total total }](reader, http.StatusOK, http.MethodGet, path, nil).Total
		return got.Messages >= want.Messages()
	}, "usage stays behind")
	require.Equal(d.t, want, got.Counts, path)
	require.Equal(d.t, want.Messages(), got.Messages)
}

// leave ends the clients, of which nobody is told any more.
func (d *day) leave() {
	for _, c := range d.clients {
		require.NoError(d.t, c.conn.Close())
		<-c.ended
	}
	d.counted, d.clients = d.sum(), nil
}

// post publishes what counts as n.
func (d *day) post(path string, n int64, body fields) {
	d.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(d.t, err)
	d.call(http.MethodPost, path, string(raw))
	d.counted.Publishes += n
}

func (d *day) get(path string) {
	d.t.Helper()
	d.call(http.MethodGet, path, "")
	d.counted.Queries++
}

func (d *day) call(method, path, body string) {
	d.t.Helper()
	path = "/apps/" + string(d.app.ID) + path
	q := tenants.SignRequest(tenants.NewSecret(d.app.Secret), d.app.Key, method, path, url.Values{}, []byte(body), time.Now())
	status, _, answer := request(d.t, method, d.base+path+"?"+q.Encode(), nil, body)
	require.Equal(d.t, http.StatusOK, status, answer)
}

// audience is a client that counts what it is sent.
type audience struct {
	day   *day
	id    string // its socket id
	conn  *websocket.Conn
	calls chan string // confirmations and pongs
	ended chan struct{}

	mu     sync.Mutex
	counts tenants.Counts
}

func (d *day) enter() *audience {
	d.t.Helper()
	conn := dial(d.t, d.base, d.app.Key)
	c := &audience{day: d, id: conn.established(), conn: conn.conn, calls: make(chan string, 16), ended: make(chan struct{})}
	require.NoError(d.t, c.conn.SetReadDeadline(time.Time{}))
	d.clients = append(d.clients, c)
	go c.read()
	return c
}

func (c *audience) read() {
	defer close(c.ended)
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		var f frame
		_ = json.Unmarshal(message, &f)
		size := int64(len(message)) + 2
		if len(message) > 125 {
			size += 2
		}
		c.mu.Lock()
		switch {
		case strings.HasPrefix(f.Event, "pusher_internal:member_"):
			c.counts.PresenceChanges++
			c.counts.BytesOut += size
		case strings.HasPrefix(f.Event, "pusher"):
			select {
			case c.calls <- f.Event:
			default: // nobody has asked
			}
		default:
			c.counts.Deliveries++
			c.counts.BytesOut += size
		}
		c.mu.Unlock()
	}
}

func (c *audience) heard() tenants.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

func (c *audience) send(event, channel string, data any) {
	c.day.t.Helper()
	message := fields{"event": event, "data": data}
	if channel != "" {
		message["channel"] = channel
	}
	require.NoError(c.day.t, c.conn.WriteJSON(message))
}

// answered waits for the answer to what was sent last.
func (c *audience) answered(event string) {
	c.day.t.Helper()
	select {
	case got := <-c.calls:
		require.Equal(c.day.t, event, got)
	case <-time.After(30 * time.Second):
		require.FailNow(c.day.t, "no "+event)
	}
}

// settle waits until everything sent to the client before was heard.
func (c *audience) settle() {
	c.day.t.Helper()
	c.send("pusher:ping", "", fields{})
	c.answered("pusher:pong")
}

func (c *audience) subscribe(channel, channelData string) {
	c.day.t.Helper()
	data := fields{"channel": channel}
	if strings.HasPrefix(channel, "private-") || channelData != "" {
		key := tenants.Key{Key: c.day.app.Key, Secret: tenants.NewSecret(c.day.app.Secret)}
		auth, err := tenants.ChannelAuth(key, c.id, channel, channelData)
		require.NoError(c.day.t, err)
		data["auth"] = auth
	}
	if channelData != "" {
		data["channel_data"] = channelData
	}
	c.send("pusher:subscribe", "", data)
	c.answered("pusher_internal:subscription_succeeded")
}

func (c *audience) clientEvent(channel string) {
	c.day.t.Helper()
	c.send("client-typing", channel, fields{"x": 1})
	c.day.counted.ClientEvents++
}

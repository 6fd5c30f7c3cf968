package channelstest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testClientEvents(t *testing.T, w *world) {
	a, b, same := w.connect(0), w.connect(1), w.connect(2)
	for _, c := range []*Client{a, b, same} {
		c.Join("private-room", "")
	}
	a.Send("client-typing", "private-room", map[string]any{"x": 1})
	for _, c := range []*Client{b, same} {
		f := c.Next()
		require.Equal(t, "client-typing", f.Event)
		require.Equal(t, "private-room", f.Channel)
		require.Equal(t, `{"x":1}`, f.Text(t), "an object is delivered as a string")
		require.Empty(t, f.UserID)
	}
	a.Silent()
	a.Send("client-typing", "private-room", `a "string" <stays> as it is`)
	require.Equal(t, `a "string" <stays> as it is`, b.Next().Text(t))

	a.Attend("presence-room", "a")
	b.Attend("presence-room", "b")
	require.Equal(t, "pusher_internal:member_added", a.Next().Event)
	b.Send("client-hi", "presence-room", "x")
	f := a.Next()
	require.Equal(t, "client-hi", f.Event)
	require.Equal(t, "b", f.UserID, "the sender is named by the server")
	forged, err := json.Marshal(map[string]any{"event": "client-hi", "channel": "presence-room", "data": "x", "user_id": "somebody else"})
	require.NoError(t, err)
	b.conn.Handle(context.Background(), forged)
	require.Equal(t, "b", a.Next().UserID)
}

func testClientEventRefusals(t *testing.T, w *world) {
	a, b := w.connect(0), w.connect(1)
	for _, c := range []*Client{a, b} {
		c.Join("private-room", "")
		c.Join("public", "")
	}
	for _, r := range []struct {
		event, channel string
		data           any
		want           string
	}{
		{"client-x", "public", "1", "private and presence"},
		{"client-x", "private-elsewhere", "1", "Cannot broadcast client event (connection not subscribed to channel private-elsewhere)"},
		{"client-x", "", "1", "Invalid client event (must contain channel and data)"},
		{"pusher_internal:x", "private-room", "1", "Unknown event"},
		{"typing", "private-room", "1", "Unknown event"},
		{"client-" + strings.Repeat("x", 200), "private-room", "1", "200"},
		{"client-x", "private-room", strings.Repeat("x", 10241), "10240"},
	} {
		a.Send(r.event, r.channel, r.data)
		code, message := a.Complaint()
		require.Zero(t, code)
		require.Contains(t, message, r.want)
	}
	b.Silent()
	off := w.with(func(a *tenants.App) { a.Settings.ClientEvents = false }).connect(0)
	off.Join("private-room", "")
	off.Send("client-x", "private-room", "1")
	_, message := off.Complaint()
	require.Contains(t, message, "client_events")
}

func testClientEventRate(t *testing.T, w *world) {
	w = w.with(func(a *tenants.App) { a.Limits.MaxClientEventsPerSecond = 10 })
	a, b := w.connect(0), w.connect(1)
	a.Join("private-room", "")
	b.Join("private-room", "")
	begun := time.Now()
	const sent = 40
	for range sent {
		a.Send("client-x", "private-room", "1")
	}
	a.Send("pusher:ping", "", nil)
	refused := 0
	for {
		f := a.Next()
		if f.Event == "pusher:pong" {
			break
		}
		require.Equal(t, "pusher:error", f.Event)
		require.Contains(t, string(f.Data), "4301")
		refused++
	}
	allowed := 10 + int(time.Since(begun).Seconds()*10) + 1
	require.GreaterOrEqual(t, sent-refused, 10)
	require.LessOrEqual(t, sent-refused, allowed)
	for range sent - refused {
		require.Equal(t, "client-x", b.Next().Event)
	}
	b.Silent()
}

func testCache(t *testing.T, w *world) {
	const channel = "cache-prices"
	a := w.connect(0)
	a.Join(channel, "")
	f := a.Next()
	require.Equal(t, "pusher:cache_miss", f.Event)
	require.Equal(t, channel, f.Channel)
	require.Equal(t, "{}", f.Text(t))
	w.publish(1, channel, "price", "1", "")
	w.publish(1, channel, "price", "2", "")
	require.Equal(t, "1", a.Next().Text(t))
	require.Equal(t, "2", a.Next().Text(t))
	for i := range 3 {
		late := w.connect(i)
		late.Join(channel, "")
		f = late.Next()
		require.Equal(t, Frame{Event: "price", Channel: channel, Data: json.RawMessage(`"2"`)}, f)
		late.Silent()
	}
	a.Disconnect()
	again := w.connect(2)
	again.Join(channel, "")
	require.Equal(t, "2", again.Next().Text(t), "the last event outlives its subscribers")
	event, left, err := w.hubs[0].Last(context.Background(), w.app, channel)
	require.NoError(t, err)
	require.Equal(t, `"2"`, string(event.Data))
	require.InDelta(t, 1800, left.Seconds(), 60)
}

func testPresenceCache(t *testing.T, w *world) {
	const channel = "presence-cache-room"
	w.publish(0, channel, "hello", "1", "")
	a := w.connect(0)
	a.Attend(channel, "a")
	require.Equal(t, "hello", a.Next().Event)
	b := w.connect(1)
	require.ElementsMatch(t, []string{"a", "b"}, b.Attend(channel, "b"))
	require.Equal(t, "hello", b.Next().Event)
	require.Equal(t, "pusher_internal:member_added", a.Next().Event)
	w.publish(1, channel, "again", "2", "")
	require.Equal(t, "again", a.Next().Event)
	require.Equal(t, "again", b.Next().Event)
}

func testCacheKeeps(t *testing.T, w *world) {
	const channel = "private-cache-x"
	a, b := w.connect(0), w.connect(1)
	for _, c := range []*Client{a, b} {
		c.Join(channel, "")
		require.Equal(t, "pusher:cache_miss", c.Next().Event)
	}
	a.Send("client-x", channel, "from a client")
	require.Equal(t, "client-x", b.Next().Event)
	late := w.connect(2)
	late.Join(channel, "")
	require.Equal(t, "pusher:cache_miss", late.Next().Event, "client events are never kept")
	w.publish(0, channel, "excluded", "1", a.ID)
	require.Equal(t, "excluded", b.Next().Event)
	a.Silent()
	a.Send("pusher:unsubscribe", "", map[string]any{"channel": channel})
	a.Join(channel, "")
	require.Equal(t, "excluded", a.Next().Event, "an excluded connection's event is kept all the same")

	short := w.with(func(a *tenants.App) { a.Settings.CacheTTLSeconds = 1 })
	short.publish(0, channel, "brief", "1", "")
	require.Eventually(t, func() bool {
		event, _, err := short.hubs[0].Last(context.Background(), short.app, channel)
		return err == nil && event == nil
	}, patience, 20*time.Millisecond)
	c := short.connect(0)
	c.Join(channel, "")
	require.Equal(t, "pusher:cache_miss", c.Next().Event)
}

package channelstest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// withHistory gives an app in the same world that keeps what rules say.
func (w *world) withHistory(rules ...tenants.HistoryRule) *world {
	return w.with(func(a *tenants.App) { a.Settings.History = rules })
}

var keepsHour = tenants.HistoryRule{Pattern: "*", MaxMessages: 1000, TTLSeconds: 3600}

// connectSerials opens a connection that is told serials.
func (w *world) connectSerials(i int) *Client {
	c := w.connect(i)
	c.conn.Serials()
	return c
}

// Standing is what a confirmation says of the history of a channel.
type Standing struct {
	Serial    string
	Recovered *bool
	Reason    string
}

// enter subscribes with what past asks for, and returns what the confirmation says.
func (c *Client) enter(channel string, past map[string]any) Standing {
	c.t.Helper()
	c.subscribeWith(channel, past)
	f := c.Next()
	require.Equal(c.t, "pusher_internal:subscription_succeeded", f.Event, "%s", f.Data)
	require.NotNil(c.t, f.Tidewire)
	return *f.Tidewire
}

func (c *Client) subscribeWith(channel string, past map[string]any) {
	c.t.Helper()
	data := map[string]any{"channel": channel}
	for k, v := range past {
		data[k] = v
	}
	if kind, _ := channels.Classify(channel); kind.NeedsAuth() {
		channelData, _ := data["channel_data"].(string)
		auth, err := tenants.ChannelAuth(c.app.Keys[0], c.ID, channel, channelData)
		require.NoError(c.t, err)
		data["auth"] = auth
	}
	c.Send("pusher:subscribe", "", data)
}

func resumeAt(serial string) map[string]any { return map[string]any{"resume": serial} }

// hears reads n events and returns their data and the last serial.
func (c *Client) hears(n int) (data []string, serial string) {
	c.t.Helper()
	for range n {
		f := c.Next()
		require.Equal(c.t, "e", f.Event, "%+v", f)
		data, serial = append(data, f.Text(c.t)), f.Serial
	}
	return data, serial
}

func (w *world) publishNumbers(channel string, from, to int) {
	for i := from; i <= to; i++ {
		w.publish(i, channel, "e", fmt.Sprint(i), "")
	}
}

func numbers(from, to int) []string {
	list := []string{}
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// testSerials: those who asked are told serials, nobody else notices anything.
func testSerials(t *testing.T, w *world) {
	w = w.withHistory(tenants.HistoryRule{Pattern: "kept-*", MaxMessages: 10, TTLSeconds: 60})
	told, plain := w.connectSerials(0), w.connect(0)
	begin := told.enter("kept-a", nil)
	require.Nil(t, begin.Recovered, "nothing was resumed")
	require.True(t, strings.HasSuffix(begin.Serial, ":0"), begin.Serial)
	require.Empty(t, told.enter("other", nil).Serial, "a channel without history has none")
	plain.Join("kept-a", "")
	plain.Join("other", "")
	w.publish(1, "kept-a", "e", "1", "")
	f := told.Next()
	require.Equal(t, strings.TrimSuffix(begin.Serial, "0")+"1", f.Serial)
	require.Equal(t, `"1"`, string(f.Data))
	require.Equal(t, Frame{Event: "e", Channel: "kept-a", Data: json.RawMessage(`"1"`)}, plain.Next())
	w.publish(2, "other", "e", "2", "")
	require.Equal(t, Frame{Event: "e", Channel: "other", Data: json.RawMessage(`"2"`)}, told.Next())
	require.Equal(t, Frame{Event: "e", Channel: "other", Data: json.RawMessage(`"2"`)}, plain.Next())
	w.publish(0, "kept-a", "e", "3", told.ID)
	require.Equal(t, `"3"`, string(plain.Next().Data))
	told.Silent()
	late := w.connectSerials(1)
	require.Equal(t, strings.TrimSuffix(begin.Serial, "0")+"2", late.enter("kept-a", nil).Serial)
	late.Silent()
}

// testResume: exactly the missing run, then live events, on any node.
func testResume(t *testing.T, w *world) {
	w = w.withHistory(keepsHour)
	for _, channel := range []string{"room", "private-room", "cache-room", "presence-room"} {
		past := map[string]any{}
		if kind, _ := channels.Classify(channel); kind.Presence() {
			past["channel_data"] = `{"user_id":"u"}`
		}
		a := w.connectSerials(0)
		a.enter(channel, past)
		if strings.HasPrefix(channel, "cache") {
			require.Equal(t, "pusher:cache_miss", a.Next().Event)
		}
		w.publishNumbers(channel, 1, 5)
		data, serial := a.hears(5)
		require.Equal(t, numbers(1, 5), data)
		a.Disconnect()
		w.publishNumbers(channel, 6, 130)
		past["resume"] = serial
		for i := range 3 {
			b := w.connectSerials(i)
			s := b.enter(channel, past)
			require.NotNil(t, s.Recovered)
			require.True(t, *s.Recovered, s.Reason)
			require.Equal(t, serial, s.Serial, "what follows begins right after it")
			w.publish(i+1, channel, "e", "live", "")
			data, last := b.hears(126)
			require.Equal(t, append(numbers(6, 130), "live"), data)
			b.Disconnect()
			again := w.connectSerials(i)
			past["resume"] = last
			s = again.enter(channel, past)
			require.True(t, *s.Recovered)
			again.Silent()
			again.Disconnect()
			past["resume"] = serial
			w.publish(0, channel, "e", "x", "") // one more to miss
			c := w.connectSerials(i + 1)
			require.True(t, *c.enter(channel, past).Recovered)
			data, serial = c.hears(127)
			require.Equal(t, append(numbers(6, 130), "live", "x"), data)
			c.Disconnect()
			past["resume"] = serial
			w.publishNumbers(channel, 6, 130)
		}
	}
}

// testResumeGaps: what cannot be resumed is said, with the reason.
func testResumeGaps(t *testing.T, w *world) {
	w = w.withHistory(tenants.HistoryRule{Pattern: "short", MaxMessages: 5, TTLSeconds: 60}, keepsHour)
	gap := func(channel, serial, reason string) *Client {
		t.Helper()
		c := w.connectSerials(1)
		s := c.enter(channel, resumeAt(serial))
		require.NotNil(t, s.Recovered)
		require.False(t, *s.Recovered)
		require.Equal(t, reason, s.Reason)
		return c
	}
	a := w.connectSerials(0)
	begin := a.enter("short", nil).Serial
	w.publishNumbers("short", 1, 6)
	_, head := a.hears(6)
	gap("short", begin, "expired").Silent()
	gap("short", "0123456789abcdef:3", "epoch_changed").Silent()
	gap("short", head[:len(head)-1]+"9999", "epoch_changed").Silent()
	c := gap("short", begin, "expired")
	w.publish(0, "short", "e", "live", "")
	data, _ := c.hears(1)
	require.Equal(t, []string{"live"}, data)

	without := w.with(nil)
	none := without.connectSerials(0)
	s := none.enter("any", resumeAt(head))
	require.Equal(t, "unavailable", s.Reason)

	big := strings.Repeat("x", 9000)
	far := w.connectSerials(0).enter("far", nil).Serial
	for range 100 {
		w.publish(0, "far", "e", big, "")
	}
	gap("far", far, "too_far")
}

// testRewind: the last events, by number and by age.
func testRewind(t *testing.T, w *world) {
	w = w.withHistory(keepsHour)
	w.publishNumbers("room", 1, 20)
	for _, c := range []struct {
		rewind map[string]any
		want   []string
	}{
		{map[string]any{"count": 3}, numbers(18, 20)},
		{map[string]any{"count": 20}, numbers(1, 20)},
		{map[string]any{"count": 500}, numbers(1, 20)},
		{map[string]any{"seconds": 3000}, numbers(1, 20)},
	} {
		for i := range 2 {
			client := w.connectSerials(i)
			s := client.enter("room", map[string]any{"rewind": c.rewind})
			require.Nil(t, s.Recovered)
			data, _ := client.hears(len(c.want))
			require.Equal(t, c.want, data)
			client.Silent()
			again := w.connectSerials(i)
			require.True(t, *again.enter("room", resumeAt(s.Serial)).Recovered)
			data, _ = again.hears(len(c.want))
			require.Equal(t, c.want, data, "its serial is the one before the first")
		}
	}
	fresh := w.connectSerials(0)
	fresh.enter("empty", map[string]any{"rewind": map[string]any{"count": 3}})
	fresh.Silent()
}

// testPastRefusals: what is asked wrongly is refused, and nothing is subscribed.
func testPastRefusals(t *testing.T, w *world) {
	w = w.withHistory(keepsHour)
	c := w.connectSerials(0)
	serial := c.enter("in", nil).Serial
	for _, past := range []map[string]any{
		{"resume": ""},
		{"resume": 5},
		{"resume": "x"},
		{"resume": "x:"},
		{"resume": ":1"},
		{"resume": "e:-1"},
		{"resume": "e:+1"},
		{"resume": "e:01"},
		{"resume": "E:1"},
		{"resume": "e:1:2"},
		{"resume": "e:99999999999999999"},
		{"resume": strings.Repeat("e", 33) + ":1"},
		{"resume": []string{serial}},
		{"rewind": 5},
		{"rewind": map[string]any{}},
		{"rewind": map[string]any{"count": 0}},
		{"rewind": map[string]any{"count": "5"}},
		{"rewind": map[string]any{"count": 1.5}},
		{"rewind": map[string]any{"count": 10001}},
		{"rewind": map[string]any{"seconds": -1}},
		{"rewind": map[string]any{"count": 1, "seconds": 1}},
		{"rewind": map[string]any{"hours": 1}},
		{"resume": serial, "rewind": map[string]any{"count": 1}},
	} {
		c.subscribeWith("room", past)
		_, message := c.Complaint()
		require.Regexp(t, "resume|rewind", message, "%v", past)
	}
	c.enter("room", map[string]any{"resume": nil, "rewind": nil})
	plain := w.connect(0)
	plain.subscribeWith("room", resumeAt(serial))
	_, message := plain.Complaint()
	require.Contains(t, message, "tidewire=1")
	plain.Join("room", "")
	plain.Send("tidewire:history", "", map[string]any{"channel": "room", "id": "1"})
	_, message = plain.Complaint()
	require.Contains(t, message, "tidewire=1")
	for want, data := range map[string]any{
		"id must":        map[string]any{"channel": "room"},
		"limit must":     map[string]any{"channel": "room", "id": "1", "limit": 101},
		"before and":     map[string]any{"channel": "room", "id": "1", "before": "x"},
		"at most one":    map[string]any{"channel": "room", "id": "1", "before": serial, "after": serial},
		"not subscribed": map[string]any{"channel": "else", "id": "1"},
		"another epoch":  map[string]any{"channel": "room", "id": "1", "after": "e:1"},
		"object":         "nothing",
	} {
		c.Send("tidewire:history", "", data)
		_, message = c.Complaint()
		require.Contains(t, message, want)
	}
	none := w.with(nil).connectSerials(0)
	none.enter("room", nil)
	none.Send("tidewire:history", "", map[string]any{"channel": "room", "id": "1"})
	_, message = none.Complaint()
	require.Contains(t, message, "keeps no history")
}

type pastPage struct {
	ID     string
	Events []struct {
		Name, Data, Serial string
		TimeMS             int64  `json:"time_ms"`
		UserID             string `json:"user_id"`
	}
	Next *string
}

func (c *Client) past(data map[string]any) (page pastPage) {
	c.t.Helper()
	c.Send("tidewire:history", "", data)
	f := c.Next()
	require.Equal(c.t, "tidewire:history", f.Event, "%s", f.Data)
	require.NoError(c.t, json.Unmarshal([]byte(f.Text(c.t)), &page))
	return page
}

// testPastRequests pages through a history both ways.
func testPastRequests(t *testing.T, w *world) {
	w = w.withHistory(keepsHour)
	const channel = "presence-room"
	c := w.connectSerials(0)
	begin := c.enter(channel, map[string]any{"channel_data": `{"user_id":"ü"}`}).Serial
	other := w.connect(1)
	other.Attend(channel, "v")
	require.Equal(t, "pusher_internal:member_added", c.Next().Event)
	c.Send("client-x", channel, "from a client")
	require.Equal(t, "client-x", other.Next().Event)
	w.publishNumbers(channel, 2, 120)
	c.hears(119)
	page := c.past(map[string]any{"channel": channel, "id": `q"1`})
	require.Equal(t, `q"1`, page.ID)
	require.Len(t, page.Events, 50)
	require.Equal(t, "120", page.Events[0].Data, "newest first")
	for _, forwards := range []bool{false, true} {
		var got []string
		ask := map[string]any{"channel": channel, "id": "1", "limit": 30}
		if forwards {
			ask["after"] = begin
		}
		for {
			page = c.past(ask)
			for _, e := range page.Events {
				got = append(got, e.Data)
			}
			if page.Next == nil {
				break
			}
			ask[map[bool]string{true: "after", false: "before"}[forwards]] = *page.Next
		}
		require.Len(t, got, 120, "member changes are not in it")
		at := map[bool]int{true: 0, false: 119}[forwards]
		require.Equal(t, "from a client", got[at])
	}
	first := c.past(map[string]any{"channel": channel, "id": "1", "limit": 1, "after": begin}).Events[0]
	require.Equal(t, "client-x", first.Name)
	require.Equal(t, "ü", first.UserID)
	require.NotZero(t, first.TimeMS)
}

// BenchmarkResume has clients come back to one channel, each of which has missed
// 100 events.
func BenchmarkResume(b *testing.B, e Engines) {
	ctx, cancel := context.WithCancel(context.Background())
	hub := channels.NewHub(channels.HubConfig{Broker: e.Broker, Presence: e.Presence})
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	if e.Run != nil {
		go func() { _ = e.Run(ctx) }()
	}
	app := appWith("77", func(a *tenants.App) { a.Settings.History = []tenants.HistoryRule{keepsHour} })
	connect := func() *Client {
		c := Connect(b, hub, app)
		c.conn.Serials()
		return c
	}
	topic := channels.Topic{App: app.ID, Channel: "room"}
	require.Eventually(b, func() bool { return e.Broker.Subscribe(ctx, topic) == nil }, patience, patience/1000)
	serial := connect().enter("room", nil).Serial
	for range 100 {
		_, err := hub.Publish(ctx, app, []channels.Event{{Topic: topic, Name: "e", Data: []byte(`"some payload of no great size"`)}})
		require.NoError(b, err)
	}
	b.ResetTimer()
	for range b.N {
		c := connect()
		require.True(b, *c.enter("room", resumeAt(serial)).Recovered)
		c.hears(100)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/event")
	cancel()
	require.NoError(b, <-done)
}

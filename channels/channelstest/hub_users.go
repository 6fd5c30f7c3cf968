package channelstest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func testSignIn(t *testing.T, w *world) {
	a, b := w.connect(0), w.connect(1)
	a.SignIn(`{"id":"u1","user_info":{"name":"A"}}`)
	f := a.Next()
	require.Equal(t, "pusher:signin_success", f.Event)
	var success struct {
		UserData string `json:"user_data"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &success))
	require.Equal(t, `{"id":"u1","user_info":{"name":"A"}}`, success.UserData)
	b.SignIn(`{"id":"u1"}`)
	require.Equal(t, "pusher:signin_success", b.Next().Event)
	b.SignIn(`{"id":"u1"}`)
	require.Equal(t, "pusher:signin_success", b.Next().Event, "the same user again succeeds")

	const channel = "#server-to-user-u1"
	require.Equal(t, "{}", a.Join(channel, ""))
	require.Equal(t, "{}", b.Join(channel, ""))
	stranger := w.connect(2)
	stranger.Subscribe(channel, "")
	_, message := stranger.Complaint()
	require.Contains(t, message, "signed in as u1")
	stranger.SignIn(`{"id":"u2"}`)
	require.Equal(t, "pusher:signin_success", stranger.Next().Event)
	stranger.Subscribe(channel, "")
	stranger.Complaint()

	w.publish(2, channel, "note", "for u1", "")
	for _, c := range []*Client{a, b} {
		f := c.Next()
		require.Equal(t, "note", f.Event)
		require.Equal(t, channel, f.Channel)
		require.Equal(t, "for u1", f.Text(t))
	}
	stranger.Silent()
}

func testSignInRefusals(t *testing.T, w *world) {
	c := w.connect(0)
	auth, err := tenants.UserAuth(w.app.Keys[0], c.ID, `{"id":"u"}`)
	require.NoError(t, err)
	channelAuth, err := tenants.ChannelAuth(w.app.Keys[0], c.ID, "private-user", `{"id":"u"}`)
	require.NoError(t, err)
	for _, data := range []map[string]any{
		{},
		{"auth": auth},
		{"user_data": `{"id":"u"}`},
		{"auth": auth, "user_data": `{"id":"v"}`},
		{"auth": "x", "user_data": `{"id":"u"}`},
		{"auth": channelAuth, "user_data": `{"id":"u"}`},
	} {
		c.Send("pusher:signin", "", data)
		_, message := c.Complaint()
		require.NotEmpty(t, message)
	}
	for _, userData := range []string{`{}`, `{"id":""}`, `{"id":1}`, `{"id":"a b"}`, `[]`, `{"id":"u","user_info":1}`, `{"id":"u","watchlist":1}`, `{"id":"u","id":"v"}`} {
		c.SignIn(userData)
		_, message := c.Complaint()
		require.NotEmpty(t, message, userData)
	}
	c.SignIn(`{"id":"u"}`)
	require.Equal(t, "pusher:signin_success", c.Next().Event)
	c.SignIn(`{"id":"v"}`)
	_, message := c.Complaint()
	require.Contains(t, message, "already signed in as user u")
}

func testTerminate(t *testing.T, w *world) {
	a, b, other, presenceOnly := w.connect(0), w.connect(1), w.connect(2), w.connect(0)
	for c, id := range map[*Client]string{a: "u1", b: "u1", other: "u2"} {
		c.SignIn(fmt.Sprintf(`{"id":%q}`, id))
		require.Equal(t, "pusher:signin_success", c.Next().Event)
	}
	presenceOnly.Attend("presence-x", "u1")
	require.NoError(t, w.hubs[len(w.hubs)-1].TerminateUser(context.Background(), w.app, "u1"))
	require.Equal(t, 4009, a.Closed())
	require.Equal(t, 4009, b.Closed())
	other.Silent()
	presenceOnly.Silent()
}

// watchlist reads a watchlist frame as "online: …; offline: …".
func watchlist(t *testing.T, f Frame) string {
	t.Helper()
	require.Equal(t, "pusher_internal:watchlist_events", f.Event)
	var list struct {
		Events []struct {
			Name    string
			UserIDs []string `json:"user_ids"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &list))
	var parts []string
	for _, e := range list.Events {
		parts = append(parts, e.Name+": "+strings.Join(e.UserIDs, " "))
	}
	return strings.Join(parts, "; ")
}

func testWatchlist(t *testing.T, w *world) {
	signIn := func(i int, userData string) *Client {
		c := w.connect(i)
		c.SignIn(userData)
		require.Equal(t, "pusher:signin_success", c.Next().Event)
		return c
	}
	first := signIn(1, `{"id":"here"}`)
	watcher := signIn(0, `{"id":"w","watchlist":["here","away","here",7]}`)
	require.Equal(t, "online: here; offline: away 7", watchlist(t, watcher.Next()))
	second := signIn(2, `{"id":"here"}`)
	watcher.Silent()
	away := signIn(1, `{"id":"away"}`)
	require.Equal(t, "online: away", watchlist(t, watcher.Next()))
	first.Disconnect()
	watcher.Silent()
	second.Disconnect()
	require.Equal(t, "offline: here", watchlist(t, watcher.Next()))
	away.Disconnect()
	require.Equal(t, "offline: away", watchlist(t, watcher.Next()))
	watcher.Silent()

	off := w.with(func(a *tenants.App) { a.Settings.WatchlistEvents = false })
	c := off.connect(0)
	c.SignIn(`{"id":"w","watchlist":["here"]}`)
	require.Equal(t, "pusher:signin_success", c.Next().Event)
	c.Silent()
}

func testWatchlistLimit(t *testing.T, w *world) {
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	list, err := json.Marshal(map[string]any{"id": "w", "watchlist": ids})
	require.NoError(t, err)
	c := w.connect(0)
	c.SignIn(string(list))
	require.Equal(t, "pusher:signin_success", c.Next().Event)
	require.Equal(t, "offline: "+strings.Join(ids[:100], " "), watchlist(t, c.Next()))
	code, _ := c.Complaint()
	require.Equal(t, 4302, code)
	c.Silent()
}

func testRequireAuthorization(t *testing.T, w *world) {
	w = w.with(func(a *tenants.App) {
		a.Settings.RequireAuthorization, a.Settings.AuthorizationTimeoutSeconds = true, 1
	})
	idle, public, private, signed := w.connect(0), w.connect(1), w.connect(2), w.connect(0)
	public.Join("public", "")
	private.Join("private-x", "")
	signed.SignIn(`{"id":"u"}`)
	require.Equal(t, "pusher:signin_success", signed.Next().Event)
	require.Equal(t, 4009, idle.Closed())
	require.Equal(t, 4009, public.Closed())
	private.Silent()
	signed.Silent()
}

func testSubscriptionCount(t *testing.T, w *world) {
	w = w.with(func(a *tenants.App) { a.Settings.SubscriptionCountEvents = true })
	// The newest count must arrive; one overtaken by it may be left out.
	reaches := func(c *Client, want int) {
		t.Helper()
		for {
			f := c.Next()
			require.Equal(t, "pusher_internal:subscription_count", f.Event)
			require.Equal(t, "room", f.Channel)
			var data struct {
				Count int `json:"subscription_count"`
			}
			require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &data))
			if data.Count == want {
				return
			}
		}
	}
	first := w.connect(0)
	first.Join("room", "")
	reaches(first, 1)
	var others []*Client
	for i := range 9 {
		c := w.connect(i)
		c.Join("room", "")
		reaches(c, i+2)
		others = append(others, c)
	}
	reaches(first, 10)
	for _, c := range others {
		c.Disconnect()
	}
	reaches(first, 1)
	first.Silent()
	first.Attend("presence-room", "u")
	first.Silent()

	off := w.with(nil).connect(0)
	off.Join("room", "")
	off.Silent()
}

func testAppsAreStrangers(t *testing.T, w *world) {
	other := w.with(nil)
	open := func(a *tenants.App) { a.Settings.SubscriptionCountEvents = true }
	open(w.app)
	open(other.app)
	mine, theirs := w.connect(0), other.connect(1)
	for _, c := range []*Client{mine, theirs} {
		c.Join("room", "")
		require.Equal(t, `{"subscription_count":1}`, c.Next().Text(t), "counts are an app's own")
		require.Equal(t, []string{"u"}, c.Attend("presence-room", "u"), "members are an app's own")
		c.SignIn(`{"id":"u","watchlist":["friend"]}`)
		require.Equal(t, "pusher:signin_success", c.Next().Event)
		require.Equal(t, "offline: friend", watchlist(t, c.Next()))
		c.Join("private-room", "")
		require.Equal(t, `{"subscription_count":1}`, c.Next().Text(t))
		c.Join("cache-room", "")
		require.Equal(t, "pusher:cache_miss", c.Next().Event)
		require.Equal(t, `{"subscription_count":1}`, c.Next().Text(t))
	}
	w.publish(1, "room", "mine", "1", "")
	w.publish(1, "cache-room", "mine", "1", "")
	require.Equal(t, "mine", mine.Next().Event)
	require.Equal(t, "mine", mine.Next().Event)
	mine.Send("client-x", "private-room", "1")
	friend := w.connect(0)
	friend.SignIn(`{"id":"friend"}`)
	require.Equal(t, "pusher:signin_success", friend.Next().Event)
	require.Equal(t, "online: friend", watchlist(t, mine.Next()))
	require.NoError(t, w.hubs[0].TerminateUser(context.Background(), w.app, "u"))
	require.Equal(t, 4009, mine.Closed())
	theirs.Silent()

	auth, err := tenants.ChannelAuth(w.app.Keys[0], theirs.ID, "private-new", "")
	require.NoError(t, err)
	theirs.Send("pusher:subscribe", "", map[string]any{"channel": "private-new", "auth": auth})
	_, message := theirs.Complaint()
	require.Contains(t, message, "Invalid key")
	list, err := w.hubs[0].Channels(context.Background(), other.app, "")
	require.NoError(t, err)
	require.Len(t, list, 4)
	event, _, err := w.hubs[0].Last(context.Background(), other.app, "cache-room")
	require.NoError(t, err)
	require.Nil(t, event)
}

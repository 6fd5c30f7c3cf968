package channelstest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

func testPrivateAuth(t *testing.T, w *world) {
	c := w.connect(0)
	require.Equal(t, "{}", c.Join("private-a", ""))
	require.Equal(t, "{}", c.Join("private-b", `{"user_id":"x"}`), "channel_data is signed on private channels too")
	require.Equal(t, "{}", c.Join("private-encrypted-c", ""))

	good := func(channel, data string) string {
		auth, err := tenants.ChannelAuth(w.app.Keys[0], c.ID, channel, data)
		require.NoError(t, err)
		return auth
	}
	other := w.with(nil).app
	foreign, err := tenants.ChannelAuth(other.Keys[0], c.ID, "private-x", "")
	require.NoError(t, err)
	for name, r := range map[string]struct {
		data map[string]any
		want string
	}{
		"none":              {map[string]any{"channel": "private-x"}, "Auth info required to subscribe to private-x"},
		"empty":             {map[string]any{"channel": "private-x", "auth": ""}, "Auth info required to subscribe to private-x"},
		"no key":            {map[string]any{"channel": "private-x", "auth": "abc"}, "Invalid format: auth must have the format key:signature"},
		"foreign key":       {map[string]any{"channel": "private-x", "auth": foreign}, "Invalid key in subscription auth data: '" + other.Keys[0].Key + "'"},
		"another channel":   {map[string]any{"channel": "private-x", "auth": good("private-y", "")}, "Invalid signature: Expected HMAC SHA256 hex digest of " + c.ID + ":private-x, but got "},
		"unsigned data":     {map[string]any{"channel": "private-x", "auth": good("private-x", ""), "channel_data": "{}"}, "Invalid signature: Expected HMAC SHA256 hex digest of " + c.ID + ":private-x:{}"},
		"presence, no auth": {map[string]any{"channel": "presence-x"}, "Auth info required to subscribe to presence-x"},
	} {
		c.Send("pusher:subscribe", "", r.data)
		code, message := c.Complaint()
		require.Zero(t, code)
		require.True(t, strings.HasPrefix(message, r.want), "%s: %s", name, message)
	}
	w.publish(0, "private-x", "e", "1", "")
	c.Silent()
}

func testPresence(t *testing.T, w *world) {
	const channel = "presence-room"
	a, b := w.connect(0), w.connect(1)
	require.Equal(t, `{"presence":{"count":1,"ids":["a"],"hash":{"a":{"name":"A"}}}}`, a.Join(channel, `{"user_id":"a","user_info":{"name":"A"}}`))
	require.ElementsMatch(t, []string{"a", "b"}, b.Attend(channel, "b"))
	f := a.Next()
	require.Equal(t, "pusher_internal:member_added", f.Event)
	require.JSONEq(t, `{"user_id":"b"}`, f.Text(t))
	c := w.connect(2)
	require.ElementsMatch(t, []string{"a", "b", "c"}, PresenceIDs(t, c.Join(channel, `{"user_id":"c","user_info":{"n":[1,"2"]}}`)))
	for _, other := range []*Client{a, b} {
		f = other.Next()
		require.Equal(t, "pusher_internal:member_added", f.Event)
		require.Equal(t, channel, f.Channel)
		require.JSONEq(t, `{"user_id":"c","user_info":{"n":[1,"2"]}}`, f.Text(t))
	}
	b.Send("pusher:unsubscribe", "", map[string]any{"channel": channel})
	for _, other := range []*Client{a, c} {
		f = other.Next()
		require.Equal(t, "pusher_internal:member_removed", f.Event)
		require.JSONEq(t, `{"user_id":"b"}`, f.Text(t))
	}
	b.Silent()
	c.Disconnect()
	require.JSONEq(t, `{"user_id":"c"}`, a.Next().Text(t))
	a.Silent()
	members, err := w.hubs[len(w.hubs)-1].Members(context.Background(), w.app, channel)
	require.NoError(t, err)
	require.Len(t, members, 1)
	require.Equal(t, "a", members[0].UserID)
	require.JSONEq(t, `{"name":"A"}`, string(members[0].Info))
}

func testPresenceSameUser(t *testing.T, w *world) {
	const channel = "presence-room"
	watcher := w.connect(0)
	watcher.Attend(channel, "watcher")
	first, second := w.connect(1), w.connect(2)
	first.Join(channel, `{"user_id":"u","user_info":{"v":1}}`)
	require.Equal(t, "pusher_internal:member_added", watcher.Next().Event)
	list := second.Join(channel, `{"user_id":"u","user_info":{"v":2}}`)
	require.ElementsMatch(t, []string{"watcher", "u"}, PresenceIDs(t, list))
	require.Contains(t, list, `"u":{"v":2}`, "the newest info replaces the older one")
	watcher.Silent()
	first.Silent()
	first.Disconnect()
	watcher.Silent()
	second.Disconnect()
	require.Equal(t, "pusher_internal:member_removed", watcher.Next().Event)
	watcher.Silent()
}

func testPresenceIdentity(t *testing.T, w *world) {
	const channel = "presence-room"
	c := w.connect(0)
	require.Equal(t, []string{"9007199254740993"}, PresenceIDs(t, c.Join(channel, `{"user_id":9007199254740993}`)), "a number is an id to its last digit")
	same := w.connect(1)
	require.Len(t, PresenceIDs(t, same.Join(channel, `{"user_id":"9007199254740993"}`)), 1, "10 and \"10\" are one user")
	c.Silent()
	d := w.connect(0)
	d.SignIn(`{"id":"signed-in","user_info":{"name":"S"}}`)
	require.Equal(t, "pusher:signin_success", d.Next().Event)
	require.Contains(t, d.Join(channel, ""), `"signed-in":{"name":"S"}`, "who is signed in needs no channel_data")
	require.Equal(t, "pusher_internal:member_added", same.Next().Event)
	for data, want := range map[string]string{
		``:                              "presence-other is a presence channel and subscription must include channel_data",
		`x`:                             "channel_data",
		`{"user_id":""}`:                "user_id",
		`{"user_id":1.5}`:               "user_id",
		`{"user_id":null}`:              "user_id",
		`{"user_id":{}}`:                "user_id",
		`{}`:                            "user_id",
		`{"user_id":"1","user_info":2}`: "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash",
		`{"user_id":"1","user_id":"2"}`: "channel_data",
		`{"user_id":"` + strings.Repeat("x", 129) + `"}`:                        "user_id",
		`{"user_id":"1","user_info":{"x":"` + strings.Repeat("x", 1100) + `"}}`: "max_presence_info_bytes",
	} {
		same.Subscribe("presence-other", data)
		_, message := same.Complaint()
		require.Contains(t, message, want, data)
	}
}

func testPresenceLimits(t *testing.T, w *world) {
	w = w.with(func(a *tenants.App) { a.Limits.MaxPresenceMembers = 3 })
	for i := range 3 {
		w.connect(i).Attend("presence-small", fmt.Sprint(i))
	}
	again := w.connect(2) // where the last one came: what other nodes know may be older
	require.Len(t, again.Attend("presence-small", "1"), 3, "a user who is in may come in again")
	late := w.connect(1)
	late.Subscribe("presence-small", `{"user_id":"late"}`)
	_, message := late.Complaint()
	require.Contains(t, message, "max_presence_members")
	members, err := w.hubs[0].Members(context.Background(), w.app, "presence-small")
	require.NoError(t, err)
	require.Len(t, members, 3)
}

// churner is one connection of the churn test and what it believes.
type churner struct {
	*Client
	user string
	in   map[string]map[string]bool // channel → the members it knows of
}

// read takes in all frames up to the answer to a ping.
func (c *churner) read(t *testing.T) {
	t.Helper()
	c.Send("pusher:ping", "", map[string]any{})
	c.readTo(t, "pusher:pong")
}

// readTo takes in all frames up to an event, which it returns. Changes of other
// channels may come before an answer at any time.
func (c *churner) readTo(t *testing.T, event string) Frame {
	t.Helper()
	for {
		f := c.Next()
		var who struct {
			UserID string `json:"user_id"`
		}
		known := c.in[f.Channel]
		switch f.Event {
		case event:
			return f
		case "pusher_internal:member_added":
			require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &who))
			require.NotNil(t, known, "a change of a channel that was left or not yet joined")
			require.False(t, known[who.UserID], "%s was added to %s twice", who.UserID, f.Channel)
			known[who.UserID] = true
		case "pusher_internal:member_removed":
			require.NoError(t, json.Unmarshal([]byte(f.Text(t)), &who))
			require.NotNil(t, known, "a change of a channel that was left or not yet joined")
			require.True(t, known[who.UserID], "%s was removed from %s without being there", who.UserID, f.Channel)
			delete(known, who.UserID)
		default:
			require.Fail(t, "unexpected frame", "%+v", f)
		}
	}
}

// Random joins, leaves and reconnects of many users; every client's own view
// must hold at each step, and at rest equal the model.
func testPresenceChurn(t *testing.T, w *world) {
	const users, steps = 200, 10_000
	w = w.with(func(a *tenants.App) { a.Limits.MaxPresenceMembers = users })
	rooms := []string{"presence-1", "presence-2", "presence-3"}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var all []*churner
	model := func(room string) map[string]bool {
		in := make(map[string]bool)
		for _, c := range all {
			if c.in[room] != nil {
				in[c.user] = true
			}
		}
		return in
	}
	settled := func() bool {
		for _, c := range all {
			c.read(t)
		}
		for _, c := range all {
			for room, known := range c.in {
				if !sameSet(known, model(room)) {
					return false
				}
			}
		}
		return true
	}
	for step := range steps {
		switch k := rng.IntN(10); {
		case len(all) < 60 && k < 2 || len(all) == 0:
			all = append(all, &churner{Client: w.connect(rng.IntN(8)), user: fmt.Sprint(rng.IntN(users)), in: make(map[string]map[string]bool)})
		case k == 2:
			i := rng.IntN(len(all))
			all[i].Disconnect()
			all = slices.Delete(all, i, i+1)
		default:
			c, room := all[rng.IntN(len(all))], rooms[rng.IntN(3)]
			if c.in[room] != nil {
				c.Send("pusher:unsubscribe", "", map[string]any{"channel": room})
				c.read(t) // what was under way when it left
				delete(c.in, room)
			} else {
				c.Subscribe(room, `{"user_id":"`+c.user+`"}`)
				list := c.readTo(t, "pusher_internal:subscription_succeeded")
				require.Equal(t, room, list.Channel)
				known := make(map[string]bool)
				for _, id := range PresenceIDs(t, list.Text(t)) {
					known[id] = true
				}
				require.True(t, known[c.user], "the list lacks the subscriber itself")
				c.in[room] = known
			}
		}
		if step%500 == 499 {
			require.Eventually(t, settled, patience, 5*time.Millisecond, "views diverge from the model after %d steps", step+1)
		}
	}
	for _, room := range rooms {
		members, err := w.hubs[0].Members(context.Background(), w.app, room)
		require.NoError(t, err)
		got := make(map[string]bool)
		for _, m := range members {
			got[m.UserID] = true
		}
		require.True(t, sameSet(got, model(room)), "the API's list of %s diverges from the model", room)
	}
}

func sameSet(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

func testOccupied(t *testing.T, w *world) {
	ctx := context.Background()
	a, b := w.connect(0), w.connect(1)
	a.Join("one", "")
	b.Join("one", "")
	a.Join("two", "")
	a.Attend("presence-p", "u")
	b.Attend("presence-p", "u")
	hub := w.hubs[len(w.hubs)-1]
	want := []channels.Occupancy{{Channel: "one", Subscriptions: 2}, {Channel: "presence-p", Subscriptions: 2, Users: 1}, {Channel: "two", Subscriptions: 1}}
	got, err := hub.Channels(ctx, w.app, "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = hub.Channels(ctx, w.app, "presence-")
	require.NoError(t, err)
	require.Equal(t, want[1:2], got)
	got, err = hub.Occupancy(ctx, w.app, "two", "nobody", "one")
	require.NoError(t, err)
	require.Equal(t, []channels.Occupancy{want[2], {Channel: "nobody"}, want[0]}, got)
	a.Disconnect()
	got, err = hub.Channels(ctx, w.app, "")
	require.NoError(t, err)
	require.Equal(t, []channels.Occupancy{{Channel: "one", Subscriptions: 1}, {Channel: "presence-p", Subscriptions: 1, Users: 1}}, got)
	b.Disconnect()
	got, err = hub.Channels(ctx, w.app, "")
	require.NoError(t, err)
	require.Empty(t, got)
}

package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

type standing struct {
	Connections int64
	Channels    int
	Data        []struct {
		Name          string
		Subscriptions int
	}
}

// looker is somebody who is told the figures of an app.
type looker struct {
	*client
	stream tenants.Stream
}

// look has p told a stream of an app by the node at base.
func look(p *person, base string, stream tenants.Stream, app tenants.AppID) *looker {
	p.t.Helper()
	c := dial(p.t, base, tenants.ConsoleKey)
	got := call[ticket](p, 201, http.MethodPost, lookPath(stream, app), fields{"socket_id": c.established()})
	require.NoError(p.t, c.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": got.Channel, "auth": got.Auth}}))
	require.Equal(p.t, "pusher_internal:subscription_succeeded", c.next().Event)
	return &looker{c, stream}
}

func lookPath(stream tenants.Stream, app tenants.AppID) string {
	return "/apps/" + string(app) + "/" + string(stream) + "/watch"
}

// until waits for figures that fit.
func (f *looker) until(fits func(standing) bool, message string) {
	f.t.Helper()
	var last standing
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		frame := f.next()
		require.Equal(f.t, "figures", frame.Event)
		var text string
		require.NoError(f.t, json.Unmarshal(frame.Data, &text))
		last = standing{}
		require.NoError(f.t, json.Unmarshal([]byte(text), &last))
		if fits(last) {
			return
		}
	}
	require.FailNow(f.t, message, "%+v", last)
}

// TestFigures looks at how an app stands while its clients come and go.
func TestFigures(t *testing.T) {
	t.Parallel()
	n, ada, app := consoleWorld(t)
	stats, list := look(ada, n.url, tenants.StreamStats, app.ID), look(ada, n.url, tenants.StreamChannels, app.ID)
	stats.until(func(s standing) bool { return s.Connections == 0 && s.Channels == 0 }, "there is somebody")
	c := subscribed(t, n.url, app.Key, "news")
	stats.until(func(s standing) bool { return s.Connections == 1 && s.Channels == 1 }, "the client is not told")
	list.until(func(s standing) bool {
		return len(s.Data) == 1 && s.Data[0].Name == "news" && s.Data[0].Subscriptions == 1
	}, "the channel is not told")
	require.NoError(t, c.conn.Close())
	stats.until(func(s standing) bool { return s.Connections == 0 && s.Channels == 0 }, "the client is not gone")
	list.until(func(s standing) bool { return len(s.Data) == 0 }, "the channel is not gone")
}

// TestFiguresAreShut tries to look at numbers without the right to.
func TestFiguresAreShut(t *testing.T) {
	t.Parallel()
	n, ada, app := consoleWorld(t)
	eve := signUp(t, n.url, "eve@example.com", "Other", "")
	call[any](ada, 201, http.MethodPost, "/tenants/acme/invitations", fields{"email": "vera@example.com", "role": "viewer"})
	vera := signUp(t, n.url, "vera@example.com", "", n.link(t, "vera@example.com", "invited"))
	for _, stream := range []tenants.Stream{tenants.StreamStats, tenants.StreamChannels} {
		require.Equal(t, "app_not_found", eve.code(404, http.MethodPost, lookPath(stream, app.ID), fields{"socket_id": "1.2"}))
	}
	vera.code(403, http.MethodPost, lookPath(tenants.StreamChannels, app.ID), fields{"socket_id": "1.2"})
	hers := look(vera, n.url, tenants.StreamStats, app.ID)

	first, second := dial(t, n.url, tenants.ConsoleKey), dial(t, n.url, tenants.ConsoleKey)
	got := call[ticket](vera, 201, http.MethodPost, lookPath(tenants.StreamStats, app.ID), fields{"socket_id": first.established()})
	second.established()
	refused := func(c *client, channel string) string {
		require.NoError(t, c.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": channel, "auth": got.Auth}}))
		return string(c.next().Data)
	}
	require.Contains(t, refused(second, got.Channel), "socket_id is not the one", "a ticket is for one connection")
	for _, channel := range []string{
		tenants.StreamStats.Channel(app.ID + "1"), tenants.StreamChannels.Channel(app.ID), tenants.StreamConsole.Channel(app.ID),
	} {
		require.Contains(t, refused(first, channel), "its channel is another one", "and for one thing about one app")
	}

	id := call[struct{ User tenants.User }](vera, 200, http.MethodGet, "/me", nil).User.ID
	call[any](ada, 204, http.MethodDelete, "/tenants/acme/members/"+id, nil)
	hers.ends()
}

// ends waits until no more is told.
func (f *looker) ends() {
	f.t.Helper()
	require.NoError(f.t, f.conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	for {
		if _, _, err := f.conn.ReadMessage(); err != nil {
			require.NotContains(f.t, err.Error(), "timeout", "the figures go on")
			return
		}
	}
}

// TestFiguresOfTwoNodes looks on either node at what is on both.
func TestFiguresOfTwoNodes(t *testing.T) {
	t.Parallel()
	environ := append(inOwnRedis(t, twoNodes(t), 15), "TIDEWIRE_SIGNUP=open", "TIDEWIRE_USAGE_INTERVAL=100ms")
	a, ada, app := consoleWorld(t, environ...)
	b := startNodeWith(t, extras{}, environ...)
	subscribed(t, a.url, app.Key, "news")
	subscribed(t, b.url, app.Key, "news")
	for _, n := range []*node{a, b} {
		look(ada, n.url, tenants.StreamStats, app.ID).until(func(s standing) bool { return s.Connections == 2 && s.Channels == 1 }, "not the sum of both nodes")
		look(ada, n.url, tenants.StreamChannels, app.ID).until(func(s standing) bool { return len(s.Data) == 1 && s.Data[0].Subscriptions == 2 }, "not the sum of both nodes")
	}
}

package main

import (
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// visitor is a client with one socket: a user, a member of a room, and alone on
// channels of its own. It notes what it sees.
type visitor struct {
	w        *hookChaos
	node     int
	user     string
	channels []string // the room first
	returns  bool     // comes back at another node when its connection breaks

	mu    sync.Mutex
	conn  *websocket.Conn
	on    map[string]bool // channels of this connection, and the user
	saw   map[string]bool // the same, of all connections so far
	cuts  int             // connections that ended without its doing
	leave bool
	gone  chan struct{} // closed when the connection has ended
}

func userKey(id string) string { return "user " + id }

// connect opens a connection and asks for everything; false if that does not work now.
func (v *visitor) connect() bool {
	conn, socket := greeted(v.w.nodes[v.node].url, v.w.app.Key)
	if conn == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn, v.on, v.gone = conn, make(map[string]bool), make(chan struct{})
	go v.listen(conn, v.gone)
	data := `{"id":"` + v.user + `"}`
	auth, err := tenants.UserAuth(v.w.key, socket, data)
	require.NoError(v.w.t, err)
	_ = conn.WriteJSON(fields{"event": "pusher:signin", "data": fields{"auth": auth, "user_data": data}})
	for _, channel := range v.channels {
		v.ask(conn, socket, channel)
	}
	return true
}

func (v *visitor) ask(conn *websocket.Conn, socket, channel string) {
	m := fields{"channel": channel}
	if strings.HasPrefix(channel, "presence-") {
		data := `{"user_id":"` + v.user + `"}`
		auth, err := tenants.ChannelAuth(v.w.key, socket, channel, data)
		require.NoError(v.w.t, err)
		m["auth"], m["channel_data"] = auth, data
	}
	_ = conn.WriteJSON(fields{"event": "pusher:subscribe", "data": m})
}

func (v *visitor) listen(conn *websocket.Conn, gone chan struct{}) {
	defer close(gone)
	for {
		var f frame
		if conn.ReadJSON(&f) != nil {
			_ = conn.Close()
			v.mu.Lock()
			if !v.leave {
				v.cuts++
			}
			v.mu.Unlock()
			return
		}
		key := f.Channel
		switch f.Event {
		case "pusher:signin_success":
			key = userKey(v.user)
		case "pusher_internal:subscription_succeeded":
		case "pusher:error", "pusher:subscription_error": // Redis is away: a client begins anew
			_ = conn.Close()
			continue
		default:
			continue
		}
		v.mu.Lock()
		if !v.saw[key] {
			v.w.acked.Add(1)
		}
		v.on[key], v.saw[key] = true, true
		v.mu.Unlock()
	}
}

// arrive is on everything it wants when it returns, or has gone for good.
func (v *visitor) arrive() {
	for end := time.Now().Add(hookPatience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		switch {
		case v.gone == nil:
			v.connect()
		case v.isCut() && !v.returns:
			return
		case v.isCut():
			v.node = (v.node + 1) % severalNodes
			v.connect()
		case v.isThere():
			return
		}
	}
	v.w.t.Errorf("%s does not get onto its channels", v.user)
}

func (v *visitor) isCut() bool {
	select {
	case <-v.gone:
		return true
	default:
		return false
	}
}

func (v *visitor) isThere() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.on) == len(v.channels)+1
}

// depart leaves everything, in one of two ways.
func (v *visitor) depart(politely bool) {
	v.mu.Lock()
	conn := v.conn
	v.leave = true
	v.mu.Unlock()
	if politely {
		for _, channel := range v.channels {
			if conn.WriteJSON(fields{"event": "pusher:unsubscribe", "data": fields{"channel": channel}}) != nil {
				break
			}
		}
	}
	_ = conn.Close()
	<-v.gone
}

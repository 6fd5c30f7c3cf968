package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tidewire/tenants"
)

// attendee is one user with one connection, and what it is told.
type attendee struct {
	user string
	deaf bool // reads, and notes nothing
	node int
	conn *websocket.Conn
	s    *session
	gone chan struct{} // closed when the connection has ended
}

// attend opens a connection to base as a user and joins a presence channel; false
// if that does not work now. What it is told goes into a session, under mu.
func (a *attendee) attend(mu *sync.Mutex, base string, app printedApp, channel string) bool {
	conn, id := greeted(base, app.Key)
	if conn == nil {
		return false
	}
	data := fmt.Sprintf(`{"user_id":%q}`, a.user)
	mac := hmac.New(sha256.New, []byte(app.Secret))
	mac.Write([]byte(id + ":" + channel + ":" + data))
	_ = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{
		"channel": channel, "channel_data": data, "auth": app.Key + ":" + hex.EncodeToString(mac.Sum(nil)),
	}})
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var list frame
	if conn.ReadJSON(&list) != nil || list.Event != "pusher_internal:subscription_succeeded" {
		_ = conn.Close()
		return false
	}
	_ = conn.SetReadDeadline(time.Time{})
	var here struct {
		Presence struct{ IDs []string }
	}
	unquote(list.Data, &here)
	a.conn, a.s, a.gone = conn, &session{name: a.user, members: here.Presence.IDs}, make(chan struct{})
	if a.deaf {
		go func() {
			defer close(a.gone)
			for _, _, err := conn.ReadMessage(); err == nil; _, _, err = conn.ReadMessage() {
			}
		}()
		return true
	}
	go listen(mu, a.conn, a.s, a.gone)
	return true
}

// greeted opens a connection and waits until it is admitted; nil if it is not.
func greeted(base, key string) (conn *websocket.Conn, socketID string) {
	return greetedWith(base, key, "", 2*time.Second)
}

// greetedWith is greeted with something behind the query, and the time a client
// gives the server to answer.
func greetedWith(base, key, query string, patience time.Duration) (conn *websocket.Conn, socketID string) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(base, "http")+"/app/"+key+"?protocol=7"+query, nil)
	if err != nil {
		return nil, ""
	}
	_ = resp.Body.Close()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var hello frame
	if conn.ReadJSON(&hello) != nil || hello.Event != "pusher:connection_established" {
		_ = conn.Close()
		return nil, ""
	}
	var id struct {
		SocketID string `json:"socket_id"`
	}
	unquote(hello.Data, &id)
	return conn, id.SocketID
}

func listen(mu *sync.Mutex, conn *websocket.Conn, s *session, gone chan struct{}) {
	defer close(gone)
	for {
		var f frame
		if conn.ReadJSON(&f) != nil {
			_ = conn.Close()
			return
		}
		e := seen{event: strings.TrimPrefix(f.Event, "pusher_internal:"), at: time.Now()}
		switch e.event {
		case "member_added", "member_removed":
			var who struct {
				UserID string `json:"user_id"`
			}
			unquote(f.Data, &who)
			e.user = who.UserID
		case "e":
			e.n, _ = strconv.Atoi(f.text())
		default:
			continue
		}
		mu.Lock()
		s.told = append(s.told, e)
		mu.Unlock()
	}
}

// isOpen reports whether the connection has not ended.
func (a *attendee) isOpen() bool {
	if a.gone == nil {
		return false
	}
	select {
	case <-a.gone:
		return false
	default:
		return true
	}
}

func (a *attendee) close() {
	if a.gone != nil {
		_ = a.conn.Close()
		<-a.gone
	}
}

// unquote reads JSON inside a JSON string.
func unquote(data json.RawMessage, into any) {
	var text string
	_ = json.Unmarshal(data, &text)
	_ = json.Unmarshal([]byte(text), into)
}

// signed is the URL of a request to the HTTP API of a node.
func signed(base string, app printedApp, method, path string, body []byte) string {
	path = "/apps/" + string(app.ID) + path
	q := tenants.SignRequest(tenants.NewSecret(app.Secret), app.Key, method, path, url.Values{}, body, time.Now())
	return base + path + "?" + q.Encode()
}

// membersAt asks a node who is in a presence channel; nil if it does not say.
func (p *processes) membersAt(node int, app printedApp, channel string) (users []string) {
	status, body := get(p.t, signed(p.nodes[node].url, app, http.MethodGet, "/channels/"+channel+"/users", nil))
	var list struct{ Users []struct{ ID string } }
	if status != http.StatusOK || json.Unmarshal([]byte(body), &list) != nil {
		return nil
	}
	for _, u := range list.Users {
		users = append(users, u.ID)
	}
	slices.Sort(users)
	return users
}

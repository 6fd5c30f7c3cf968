package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gorilla/websocket"

	"tidewire/channels"
	"tidewire/tenants"
)

// tail is a small client of the WebSocket protocol that prints events. It
// keeps no state over a lost connection.
type tail struct {
	base     string // http(s)://host[:port]
	key      tenants.Key
	channels []string
	event    func(receivedEvent) error
	note     func(format string, args ...any)
}

// refusedError says that the server does not want this client, now or later.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// comeBackError is a close that asks the client to return at once.
type comeBackError struct{ text string }

func (e *comeBackError) Error() string { return e.text }

// tailSilence is how long a server may say nothing, its answers to our pings
// included, before the connection counts as dead.
const (
	tailSilence   = 90 * time.Second
	tailPing      = 30 * time.Second
	tailHandshake = 10 * time.Second
	tailMaxFrame  = 4 << 20
)

// session makes one connection and prints what it brings until it ends.
// subscribed tells whether it got as far as hearing events.
func (t *tail) session(ctx context.Context) (subscribed bool, err error) {
	url := "ws" + strings.TrimPrefix(t.base, "http") + "/app/" + t.key.Key + "?protocol=7&client=tidewire-cli&version=1.0.0"
	dialer := websocket.Dialer{HandshakeTimeout: tailHandshake, Proxy: http.ProxyFromEnvironment}
	conn, resp, err := dialer.DialContext(ctx, url, nil)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", t.base, innermost(err))
	}
	defer conn.Close()
	conn.SetReadLimit(tailMaxFrame)

	ending, stop := context.WithCancel(ctx)
	defer stop()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		keepAlive(ending, conn)
	}()
	defer func() { stop(); <-finished }()

	heard := func() { _ = conn.SetReadDeadline(time.Now().Add(tailSilence)) }
	conn.SetPongHandler(func(string) error { heard(); return nil })
	conn.SetPingHandler(func(text string) error {
		heard()
		return conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(time.Second))
	})
	for {
		heard()
		_, message, err := conn.ReadMessage()
		if err != nil {
			if ctx.Err() != nil {
				return subscribed, errInterrupted
			}
			return subscribed, closeError(err)
		}
		ok, err := t.receive(conn, message)
		subscribed = subscribed || ok
		if err != nil {
			return subscribed, err
		}
	}
}

// keepAlive pings until ctx ends, and then says goodbye. It is the only
// goroutine beside the reading one; control messages may be written from both.
func keepAlive(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(tailPing)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			_ = conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
			_ = conn.Close() // wakes the reader
			return
		case <-tick.C:
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		}
	}
}

// frame is one message of the server. Data is a JSON string, but an object in errors.
type frame struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// text is the data as published: the content of the JSON string, or the JSON itself.
func (f frame) text() string {
	var s string
	if json.Unmarshal(f.Data, &s) == nil {
		return s
	}
	return string(f.Data)
}

// receive acts on one message; subscribed is true for a confirmed subscription.
func (t *tail) receive(conn *websocket.Conn, message []byte) (subscribed bool, err error) {
	var f frame
	if err := json.Unmarshal(message, &f); err != nil {
		return false, fmt.Errorf("the server sent no JSON: %w", err)
	}
	switch f.Event {
	case "pusher:connection_established":
		return false, t.subscribe(conn, f)
	case "pusher_internal:subscription_succeeded":
		t.note("subscribed to %s", printableText(f.Channel))
		return true, nil
	case "pusher:ping":
		return false, conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:pong","data":{}}`))
	case "pusher:error":
		return false, t.complaint(f)
	}
	if strings.HasPrefix(f.Event, "pusher:") || strings.HasPrefix(f.Event, "pusher_internal:") {
		return false, nil
	}
	return false, t.event(receivedEvent{Time: time.Now(), Channel: f.Channel, Event: f.Event, Data: f.text()})
}

func (t *tail) subscribe(conn *websocket.Conn, established frame) error {
	var hello struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal([]byte(established.text()), &hello); err != nil {
		return fmt.Errorf("the server sent no socket id: %w", err)
	}
	for _, name := range t.channels {
		data := map[string]string{"channel": name}
		if kind, err := channels.Classify(name); err == nil && kind.NeedsAuth() {
			auth, err := tenants.ChannelAuth(t.key, hello.SocketID, name, "")
			if err != nil {
				return fmt.Errorf("sign the subscription to %s: %w", name, err)
			}
			data["auth"] = auth
		}
		if err := conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": data}); err != nil {
			return fmt.Errorf("subscribe to %s: %w", name, err)
		}
	}
	return nil
}

// complaint handles pusher:error. One with a code precedes a close with the
// same code; one without answers a subscription and is final for this command.
func (t *tail) complaint(f frame) error {
	var e struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(f.Data, &e); err != nil {
		return fmt.Errorf("the server sent an error that cannot be read: %w", err)
	}
	if e.Code == nil {
		return &refusedError{"refused: " + printableText(e.Message)}
	}
	return codeError(*e.Code, e.Message)
}

// closeError turns the end of a connection into what to do about it.
func closeError(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return codeError(closed.Code, closed.Text)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("closed by the server")
	}
	return fmt.Errorf("connection lost: %w", innermost(err))
}

// codeError follows the protocol's ranges: 4000–4099 stay away, 4200–4299 come
// back at once, everything else come back after a pause.
func codeError(code int, text string) error {
	text = fmt.Sprintf("the server said %d: %s", code, printableText(text))
	switch {
	case code >= 4000 && code < 4100:
		return &refusedError{text}
	case code >= 4200 && code < 4300:
		return &comeBackError{text}
	}
	return errors.New(text)
}

// backoff spaces attempts: 1 s, 2 s, 4 s … 30 s, each with jitter.
type backoff struct{ attempts int }

func (b *backoff) next(err error) time.Duration {
	most := min(30*time.Second, time.Second<<min(b.attempts, 5))
	if errors.As(err, new(*comeBackError)) && b.attempts == 0 {
		most = 200 * time.Millisecond // at once, but not all in the same instant
	}
	b.attempts++
	return most/2 + rand.N(most/2)
}

// printableText is s, quoted if it holds anything but text: strangers choose it.
func printableText(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

package channelstest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// Client is a connection without a network: what it sends goes straight to its
// [channels.Conn], what it is sent is kept until the test asks for it.
type Client struct {
	t    testing.TB
	hub  *channels.Hub
	app  *tenants.App
	conn *channels.Conn // nil if it was refused
	// ID is the connection's socket id.
	ID string

	mu     sync.Mutex
	cond   *sync.Cond
	stream []byte
	frames []Frame
	ended  bool
}

// Frame is one frame a client was sent.
type Frame struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  string          `json:"user_id"`
	Serial  string          `json:"serial"`
	// Tidewire is set on confirmations for clients that are told serials.
	Tidewire *Standing `json:"tidewire"`

	CloseCode int `json:"-"` // of a close frame; then nothing else is set
}

// Text returns the frame's data, which must be a string.
func (f Frame) Text(t testing.TB) string {
	t.Helper()
	var s string
	require.NoError(t, json.Unmarshal(f.Data, &s), "the data of %s must be a string", f.Event)
	return s
}

// Connect opens a connection of app and reads the greeting.
func Connect(t testing.TB, hub *channels.Hub, app *tenants.App) *Client {
	t.Helper()
	c := &Client{t: t, hub: hub, app: app}
	c.cond = sync.NewCond(&c.mu)
	c.conn, _ = hub.Connect(&channels.Entry{App: app, Key: app.Keys[0].Key}, (*sink)(c))
	if c.conn == nil {
		return c
	}
	c.ID = string(c.conn.ID())
	t.Cleanup(c.Disconnect)
	require.Equal(t, "pusher:connection_established", c.Next().Event)
	return c
}

// Disconnect is the client going away without a word; again it does nothing.
func (c *Client) Disconnect() {
	if c.conn != nil {
		c.conn.Closed(context.Background())
		c.conn = nil
	}
}

// Send hands a message to the server.
func (c *Client) Send(event, channel string, data any) {
	c.t.Helper()
	m := map[string]any{"event": event, "data": data}
	if channel != "" {
		m["channel"] = channel
	}
	b, err := json.Marshal(m)
	require.NoError(c.t, err)
	c.conn.Handle(context.Background(), b)
}

// Next waits for the next frame.
func (c *Client) Next() Frame {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(patience)
	stop := time.AfterFunc(patience, c.cond.Broadcast)
	defer stop.Stop()
	for len(c.frames) == 0 {
		if c.ended || !time.Now().Before(deadline) {
			require.FailNow(c.t, "no further frame", "connection ended: %v", c.ended)
		}
		c.cond.Wait()
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f
}

// Silent fails if anything is waiting to be read, after a question whose answer
// comes behind it.
func (c *Client) Silent() {
	c.t.Helper()
	c.Send("pusher:ping", "", map[string]any{})
	f := c.Next()
	require.Equal(c.t, "pusher:pong", f.Event, "unexpected: %+v", f)
}

// Complaint reads an error frame that leaves the connection open.
func (c *Client) Complaint() (code int, message string) {
	c.t.Helper()
	f := c.Next()
	require.Equal(c.t, "pusher:error", f.Event, "%+v", f)
	var e struct {
		Code    *int
		Message string
	}
	require.NoError(c.t, json.Unmarshal(f.Data, &e), "the data of pusher:error is an object")
	require.NotEmpty(c.t, e.Message)
	if e.Code != nil {
		code = *e.Code
	}
	return code, e.Message
}

// Closed reads on to the close frame and returns its code.
func (c *Client) Closed() int {
	c.t.Helper()
	for {
		if f := c.Next(); f.CloseCode != 0 {
			return f.CloseCode
		}
	}
}

// Subscribe subscribes with a good authorization where one is needed.
// channelData is empty for none.
func (c *Client) Subscribe(channel, channelData string) {
	c.t.Helper()
	data := map[string]any{"channel": channel}
	if kind, _ := channels.Classify(channel); kind.NeedsAuth() {
		auth, err := tenants.ChannelAuth(c.app.Keys[0], c.ID, channel, channelData)
		require.NoError(c.t, err)
		data["auth"] = auth
	}
	if channelData != "" {
		data["channel_data"] = channelData
	}
	c.Send("pusher:subscribe", "", data)
}

// Join is Subscribe and its confirmation, whose data it returns.
func (c *Client) Join(channel, channelData string) string {
	c.t.Helper()
	c.Subscribe(channel, channelData)
	f := c.Next()
	require.Equal(c.t, "pusher_internal:subscription_succeeded", f.Event, "%s", f.Data)
	require.Equal(c.t, channel, f.Channel)
	return f.Text(c.t)
}

// Attend joins a presence channel as a user without info and returns the ids of the member list.
func (c *Client) Attend(channel, userID string) []string {
	c.t.Helper()
	return PresenceIDs(c.t, c.Join(channel, fmt.Sprintf(`{"user_id":%q}`, userID)))
}

// PresenceIDs reads the data of a presence confirmation, which must agree with itself.
func PresenceIDs(t testing.TB, data string) []string {
	t.Helper()
	var list struct {
		Presence struct {
			Count int
			IDs   []string
			Hash  map[string]json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal([]byte(data), &list))
	p := list.Presence
	require.Len(t, p.IDs, p.Count)
	require.Len(t, p.Hash, p.Count)
	for _, id := range p.IDs {
		require.Contains(t, p.Hash, id)
	}
	return p.IDs
}

// SignIn signs the connection in; userData is the JSON that is signed.
func (c *Client) SignIn(userData string) {
	c.t.Helper()
	auth, err := tenants.UserAuth(c.app.Keys[0], c.ID, userData)
	require.NoError(c.t, err)
	c.Send("pusher:signin", "", map[string]any{"auth": auth, "user_data": userData})
}

// sink is the client's transport.
type sink Client

// TryWrite implements [fanout.Transport].
func (s *sink) TryWrite(b []byte) (int, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = append(s.stream, b...)
	for s.cut() {
	}
	s.cond.Broadcast()
	return len(b), false, nil
}

// cut takes one whole frame off the stream.
func (s *sink) cut() bool {
	b := s.stream
	if len(b) < 2 {
		return false
	}
	n, head := int(b[1]), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, head = int(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		n, head = int(binary.BigEndian.Uint64(b[2:])), 10
	case n > 125:
		return false
	}
	if len(b) < head+n {
		return false
	}
	payload := b[head : head+n]
	var f Frame
	if b[0]&0x0f == 8 {
		f.CloseCode = int(binary.BigEndian.Uint16(payload))
	} else if err := json.Unmarshal(payload, &f); err != nil {
		s.t.Errorf("a frame that is not JSON: %s", payload)
	}
	s.frames = append(s.frames, f)
	s.stream = b[head+n:]
	return true
}

// Drain implements [fanout.Transport].
func (*sink) Drain([]byte, time.Time) error { return nil }

// CloseWrite implements [fanout.Transport].
func (*sink) CloseWrite() error { return nil }

// Close implements [fanout.Transport].
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.cond.Broadcast()
	return nil
}

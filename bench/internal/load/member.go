//go:build linux

package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"tidewire/bench/internal/pusher"
)

// memberTimeout bounds each step of a member that is waited for.
const memberTimeout = 20 * time.Second

// Member is one user's connection to presence channels. It reads on a goroutine
// of its own and counts what it is told of others.
type Member struct {
	app      pusher.App
	user     string
	conn     net.Conn
	socketID string

	changes   atomic.Int64 // member_added and member_removed received
	succeeded chan struct{}
	ended     chan struct{}
}

// NewMember connects the i-th member as user. [Member.Close] ends it.
func NewMember(ctx context.Context, addr string, app pusher.App, i int, user string) (*Member, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%sources))}}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect member %s: %w", user, err)
	}
	m := &Member{app: app, user: user, conn: conn, succeeded: make(chan struct{}, 1), ended: make(chan struct{})}
	r := bufio.NewReaderSize(conn, 16<<10)
	if err := m.greet(addr, r); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("greet member %s: %w", user, err)
	}
	go m.read(r)
	return m, nil
}

func (m *Member) greet(addr string, r *bufio.Reader) error {
	if err := m.conn.SetReadDeadline(time.Now().Add(memberTimeout)); err != nil {
		return err
	}
	if _, err := m.conn.Write(upgradeRequest(addr, m.app.Key, false)); err != nil {
		return err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("answered %s", res.Status)
	}
	_, payload, err := readFrame(r, nil)
	if err != nil {
		return err
	}
	var greeting struct{ Data string }
	var data struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal(payload, &greeting); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(greeting.Data), &data); err != nil {
		return err
	}
	m.socketID = data.SocketID
	return m.conn.SetReadDeadline(time.Time{})
}

// readFrame reads one frame into buf, which it grows as needed.
func readFrame(r *bufio.Reader, buf []byte) (op byte, payload []byte, err error) {
	for n := 2; ; n = min(n+8, 10) {
		b, err := r.Peek(n)
		if err != nil {
			return 0, nil, err
		}
		h, ok, err := parseHeader(b)
		if err != nil {
			return 0, nil, err
		}
		if !ok {
			continue
		}
		if _, err := r.Discard(h.size); err != nil {
			return 0, nil, err
		}
		if cap(buf) < h.payload {
			buf = make([]byte, h.payload)
		}
		_, err = io.ReadFull(r, buf[:h.payload])
		return h.op, buf[:h.payload], err
	}
}

var (
	changePrefix    = []byte(`{"event":"pusher_internal:member_`)
	succeededPrefix = []byte(`{"event":"pusher_internal:subscription_succeeded"`)
)

func (m *Member) read(r *bufio.Reader) {
	defer close(m.ended)
	var buf []byte
	for {
		_, payload, err := readFrame(r, buf)
		if err != nil {
			return
		}
		buf = payload
		switch {
		case bytes.HasPrefix(payload, changePrefix):
			m.changes.Add(1)
		case bytes.HasPrefix(payload, succeededPrefix):
			m.succeeded <- struct{}{}
		}
	}
}

// Changes returns how many joins and leaves of others it was told of.
func (m *Member) Changes() int64 { return m.changes.Load() }

// Join subscribes to channel and waits for the member list.
func (m *Member) Join(ctx context.Context, channel string) error {
	data := fmt.Sprintf(`{"user_id":%q,"user_info":{"name":"Member %s"}}`, m.user, m.user)
	frame, err := json.Marshal(map[string]any{"event": "pusher:subscribe", "data": map[string]string{
		"channel": channel, "channel_data": data, "auth": pusher.ChannelAuth(m.app, m.socketID, channel, data),
	}})
	if err != nil {
		return err
	}
	if _, err := m.conn.Write(appendMasked(nil, opText, frame)); err != nil {
		return err
	}
	timeout := time.NewTimer(memberTimeout)
	defer timeout.Stop()
	select {
	case <-m.succeeded:
		return nil
	case <-m.ended:
		return fmt.Errorf("member %s was closed", m.user)
	case <-timeout.C:
		return fmt.Errorf("member %s is not let in", m.user)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave unsubscribes from channel; nothing answers that.
func (m *Member) Leave(channel string) error {
	_, err := m.conn.Write(appendMasked(nil, opText, fmt.Appendf(nil, `{"event":"pusher:unsubscribe","data":{"channel":%q}}`, channel)))
	return err
}

// Close hangs up and waits for the reader.
func (m *Member) Close() {
	_ = m.conn.Close()
	<-m.ended
}

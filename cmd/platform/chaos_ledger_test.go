package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

const (
	ledgerChannel = "ledger"
	// ledgerKept is more than a round publishes.
	ledgerKept = 10_000
)

// ledger is a channel with history on which numbers are published while things
// break, and readers who resume on any node whenever they lose theirs.
type ledger struct {
	p       *processes
	app     printedApp
	end     chan struct{}
	readers []*reader
	running sync.WaitGroup

	mu      sync.Mutex
	next    int
	acked   []int                     // of this round
	ackedAt time.Time                 // when the last of them was
	said    map[channels.Position]int // what any reader was sent
	heard   map[int]bool              // the same, by number
	wrong   []string
	resume  map[string]int // how resumes of this round ended: recovered, or why not
}

// reader is one client. Its fields are guarded by the ledger's mu.
type reader struct {
	l    *ledger
	at   channels.Position // zero before the first confirmation
	last int               // the newest number it was sent
}

// newLedger makes an app for it and starts n readers, until the test ends.
func newLedger(t *testing.T, p *processes, n int) *ledger {
	l := &ledger{
		p: p, end: make(chan struct{}), said: make(map[channels.Position]int), heard: make(map[int]bool), resume: make(map[string]int),
		app: createApp(t, p.nodes[0].environ, "--settings", fmt.Sprintf(`{"history":[{"pattern":"*","max_messages":%d,"ttl_seconds":3600}]}`, ledgerKept)),
	}
	for range n {
		r := &reader{l: l}
		l.readers = append(l.readers, r)
		l.running.Go(r.live)
	}
	t.Cleanup(func() { close(l.end); l.running.Wait() })
	return l
}

// publish publishes the next number through a node, once.
func (l *ledger) publish(node int, timeout time.Duration) bool {
	l.mu.Lock()
	l.next++
	n := l.next
	l.mu.Unlock()
	body := fmt.Sprintf(`{"name":"e","channel":%q,"data":"%d"}`, ledgerChannel, n)
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(signed(l.p.nodes[node].url, l.app, http.MethodPost, "/events", []byte(body)), "application/json", strings.NewReader(body))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked, l.ackedAt = append(l.acked, n), time.Now()
	return true
}

// level reports whether every reader stands at the number that was acknowledged
// last: it was sent it, and so everything before it, or it was told of a gap that
// ends there. A number that everybody's gap took in is no measure, and another
// one is published.
func (l *ledger) level(lossy bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.acked) == 0 {
		return false
	}
	newest, level := l.acked[len(l.acked)-1], true
	for _, r := range l.readers {
		level = level && (r.last >= newest || l.said[r.at] == newest)
	}
	if lossy && !level && !l.heard[newest] && time.Since(l.ackedAt) > time.Second {
		l.mu.Unlock()
		l.publish(0, 2*time.Second)
		l.mu.Lock()
	}
	return level
}

// close ends a round: what was wrong in it, and how its resumes ended. With
// lossy, acknowledged numbers may be lost and gaps are in order.
func (l *ledger) close(lossy bool) (violations []string, resumes map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	violations = l.wrong
	for _, n := range l.acked {
		if !l.heard[n] && !lossy {
			violations = append(violations, fmt.Sprintf("ledger: %d was acknowledged and no reader was sent it", n))
		}
	}
	resumes = l.resume
	for reason, n := range resumes {
		if reason != "recovered" && !lossy {
			violations = append(violations, fmt.Sprintf("ledger: %d resumes were told %s, and nothing was lost", n, reason))
		}
	}
	l.wrong, l.acked, l.resume = nil, nil, make(map[string]int)
	return violations, resumes
}

func (r *reader) live() {
	for {
		r.session(r.l.p.nodes[rand.IntN(severalNodes)].url)
		select {
		case <-r.l.end:
			return
		case <-time.After(rand.N(200 * time.Millisecond)):
		}
	}
}

// session is one connection, from its greeting to its end.
func (r *reader) session(base string) {
	conn, _ := greetedWith(base, r.l.app.Key, "&tidewire=1", 2*time.Second)
	if conn == nil {
		return
	}
	over := make(chan struct{})
	var closer sync.WaitGroup
	closer.Go(func() {
		select {
		case <-r.l.end:
		case <-over:
		}
		_ = conn.Close()
	})
	defer closer.Wait()
	defer close(over)
	r.l.mu.Lock()
	resumed := r.at
	r.l.mu.Unlock()
	data := map[string]string{"channel": ledgerChannel}
	if !resumed.IsZero() {
		data["resume"] = resumed.String()
	}
	_ = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": data})
	r.read(conn, resumed)
}

// ledgerFrame is what a reader looks at.
type ledgerFrame struct {
	Event    string
	Data     json.RawMessage
	Serial   string
	Tidewire *struct {
		Serial    string
		Recovered bool
		Reason    string
	}
}

func (r *reader) read(conn *websocket.Conn, resumed channels.Position) {
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		var f ledgerFrame
		if conn.ReadJSON(&f) != nil {
			return
		}
		r.l.mu.Lock()
		switch f.Event {
		case "pusher_internal:subscription_succeeded":
			_ = conn.SetReadDeadline(time.Time{})
			r.confirmed(&f, resumed)
		case "e":
			r.event(&f)
		}
		r.l.mu.Unlock()
		if f.Event == "pusher:error" {
			return
		}
	}
}

func (l *ledger) violation(format string, args ...any) {
	l.wrong = append(l.wrong, "ledger: "+fmt.Sprintf(format, args...))
}

func (r *reader) confirmed(f *ledgerFrame, resumed channels.Position) {
	if f.Tidewire == nil {
		r.l.violation("a confirmation does not say where the history stands")
		return
	}
	at, err := channels.ParsePosition(f.Tidewire.Serial)
	switch {
	case resumed.IsZero():
	case f.Tidewire.Recovered && (err != nil || at != resumed):
		r.l.violation("recovered from %s after %s", f.Tidewire.Serial, resumed)
	case f.Tidewire.Recovered:
		r.l.resume["recovered"]++
	default:
		r.l.resume[f.Tidewire.Reason]++
	}
	if err == nil {
		r.at = at
	}
}

func (r *reader) event(f *ledgerFrame) {
	at, err := channels.ParsePosition(f.Serial)
	var text string
	var n int
	_ = json.Unmarshal(f.Data, &text)
	if _, scan := fmt.Sscan(text, &n); scan != nil || err != nil {
		r.l.violation("an event with serial %q and data %s", f.Serial, f.Data)
		return
	}
	if at.Epoch != r.at.Epoch || at.Offset != r.at.Offset+1 {
		r.l.violation("%s comes after %s: lost, doubled or out of order", at, r.at)
	}
	if was, known := r.l.said[at]; known && was != n {
		r.l.violation("%s is both %d and %d", at, was, n)
	}
	r.l.said[at], r.l.heard[n] = n, true
	r.at, r.last = at, max(r.last, n)
}

// What the readers' check is there for, it finds.
func TestLedgerCatches(t *testing.T) {
	t.Parallel()
	event := func(serial string, n int) *ledgerFrame {
		return &ledgerFrame{Event: "e", Serial: serial, Data: json.RawMessage(fmt.Sprintf(`"%d"`, n))}
	}
	stands := func(r *reader, serial string, recovered bool, reason string) {
		f := &ledgerFrame{}
		_ = json.Unmarshal(fmt.Appendf(nil, `{"tidewire":{"serial":%q,"recovered":%t,"reason":%q}}`, serial, recovered, reason), f)
		r.confirmed(f, r.at)
	}
	l := &ledger{acked: []int{2}, said: map[channels.Position]int{{Epoch: "a", Offset: 2}: 2}, heard: map[int]bool{2: true}}
	l.readers = []*reader{{last: 2}, {at: channels.Position{Epoch: "a", Offset: 2}}}
	require.True(t, l.level(true), "one was sent it, the other stands there behind a gap")
	l.readers[1].at.Offset = 1
	require.False(t, l.level(true), "one is behind")
	for name, c := range map[string]struct {
		tell func(r *reader)
		want string
	}{
		"nothing wrong": {func(r *reader) { r.event(event("a:3", 3)); stands(r, "a:3", true, ""); r.event(event("a:4", 4)) }, ""},
		"lost":          {func(r *reader) { r.event(event("a:4", 4)) }, "lost, doubled or out of order"},
		"doubled":       {func(r *reader) { r.event(event("a:2", 2)) }, "lost, doubled or out of order"},
		"another epoch": {func(r *reader) { r.event(event("b:3", 3)) }, "lost, doubled or out of order"},
		"a false recovered": {func(r *reader) {
			stands(r, "b:2", true, "")
		}, "recovered from b:2 after a:2"},
		"a place given out again":        {func(r *reader) { r.at.Offset = 1; r.event(event("a:2", 9)) }, "is both 2 and 9"},
		"a gap for nothing":              {func(r *reader) { stands(r, "b:0", false, "epoch_changed") }, "told epoch_changed"},
		"an acknowledged number is gone": {func(r *reader) { r.l.acked = append(r.l.acked, 7) }, "7 was acknowledged"},
	} {
		l := &ledger{said: make(map[channels.Position]int), heard: make(map[int]bool), resume: make(map[string]int)}
		r := &reader{l: l, at: channels.Position{Epoch: "a", Offset: 1}}
		r.event(event("a:2", 2))
		c.tell(r)
		violations, _ := l.close(false)
		if text := strings.Join(violations, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
			t.Errorf("%s: %q", name, text)
		}
	}
}

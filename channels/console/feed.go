package console

import (
	"strconv"
	"sync"
	"time"

	"tidewire/channels/wire"
)

// What one feed holds between two batches. At ten batches a second that is 3,000
// entries and 1.3 MB a second from each node, whatever the app does.
const (
	maxEntries = 300
	maxBytes   = 128 << 10
	// forRefusals is the part of it that only refusals may use.
	forRefusals = 4
	// MaxData is how much of an event's data is shown.
	MaxData = 4 << 10
	// maxText bounds each other text of an entry.
	maxText = 512
)

// Entry is one thing that happened. Zero values are left out.
type Entry struct {
	Code    Code
	Socket  string
	Channel string
	Event   string
	User    string
	Text    string // what the client or the server was told, or how it went
	Data    []byte // a JSON string literal; its beginning is shown
	From    string // where it came from: a request, a key, an endpoint
	// Claimed says that nothing proves that it is about this app: it finds room as
	// what is no refusal does.
	Claimed bool
}

// Feed is what was noted of one app and has not been taken yet. It is safe for
// concurrent use and never blocks for longer than writing one entry.
type Feed struct {
	until time.Time // guarded by the tap

	mu      sync.Mutex
	entries []byte // JSON objects with commas between
	count   int
	skipped map[Kind]int
}

// Add notes an entry, or counts it if there is no room.
func (f *Feed) Add(e Entry) {
	info := Find(e.Code)
	if info == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.room(info.Refused() && !e.Claimed) {
		if f.skipped == nil {
			f.skipped = make(map[Kind]int)
		}
		f.skipped[info.Kind]++
		return
	}
	if f.count > 0 {
		f.entries = append(f.entries, ',')
	}
	f.entries = e.append(f.entries, info)
	f.count++
}

// room needs mu.
func (f *Feed) room(refusal bool) bool {
	share := forRefusals - 1
	if refusal {
		share = forRefusals
	}
	return f.count < maxEntries*share/forRefusals && len(f.entries) < maxBytes*share/forRefusals
}

// Take returns what was noted since the last time as one JSON object, nil for
// nothing.
func (f *Feed) Take(node string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 && len(f.skipped) == 0 {
		return nil
	}
	b := append(make([]byte, 0, len(f.entries)+128), `{"node":`...)
	b = wire.Quote(b, node)
	b = append(b, `,"entries":[`...)
	b = append(b, f.entries...)
	b = append(b, `],"skipped":{`...)
	n := 0
	for _, kind := range Kinds() {
		if f.skipped[kind] == 0 {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(wire.Quote(b, string(kind)), ':'), int64(f.skipped[kind]), 10)
	}
	f.entries, f.count = f.entries[:0], 0
	if cap(f.entries) > 2*maxBytes {
		f.entries = nil
	}
	clear(f.skipped)
	return append(b, `}}`...)
}

func (e *Entry) append(b []byte, info *Info) []byte {
	b = append(b, `{"time":`...)
	b = strconv.AppendInt(b, time.Now().UnixMilli(), 10)
	b = member(b, "kind", string(info.Kind))
	b = member(b, "code", string(e.Code))
	b = member(b, "socket_id", e.Socket)
	b = member(b, "channel", e.Channel)
	b = member(b, "event", e.Event)
	b = member(b, "user_id", e.User)
	b = member(b, "from", e.From)
	b = member(b, "text", e.Text)
	b = e.appendData(b)
	if info.Wire != 0 {
		b = append(b, `,"wire":`...)
		b = strconv.AppendInt(b, int64(info.Wire), 10)
	}
	if info.Refused() {
		b = append(b, `,"refused":true`...)
		b = append(b, `,"what":`...)
		b = wire.Quote(b, info.What)
		b = append(b, `,"remedy":`...)
		b = wire.Quote(b, info.Remedy)
	}
	return append(b, '}')
}

func member(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	if len(value) > maxText {
		value = cut(value, maxText) + "…"
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return wire.Quote(b, value)
}

func (e *Entry) appendData(b []byte) []byte {
	if len(e.Data) == 0 {
		return b
	}
	size := len(e.Data) - 2
	if size <= MaxData {
		b = append(b, `,"data":`...)
		b = append(b, e.Data...)
	} else {
		text, _ := wire.String(e.Data)
		size = len(text)
		b = append(b, `,"data":`...)
		b = wire.Quote(b, cut(text, MaxData))
		if size > MaxData {
			b = append(b, `,"cut":true`...)
		}
	}
	b = append(b, `,"size":`...)
	return strconv.AppendInt(b, int64(size), 10)
}

// cut is the beginning of s, never ending inside a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most]
}

package wire

import "strconv"

// The bounds of what a subscription may ask of the past.
const (
	MaxRewindCount   = 10_000
	MaxRewindSeconds = 7 * 24 * 3600
	MaxHistoryLimit  = 100
	MaxHistoryID     = 64 // bytes
)

// The ways in which a request for the past can be wrong.
const (
	ErrResume       FormatError = `resume must be a serial, "epoch:offset"`
	ErrRewind       FormatError = `rewind must be {"count":N} with N from 1 to 10000, or {"seconds":T} with T from 1 to 604800`
	ErrResumeRewind FormatError = "resume and rewind exclude each other: send one of them"
	ErrHistoryID    FormatError = "id must be a string of 1 to 64 bytes: the answer carries it"
	ErrHistoryLimit FormatError = "limit must be an integer from 1 to 100"
	ErrHistoryBound FormatError = `before and after must be serials, "epoch:offset"; send at most one of them`
)

// Rewind asks for the last events on subscribing: by number or by age. The zero
// value asks for none.
type Rewind struct{ Count, Seconds int }

// readRewind reads the value of rewind.
func readRewind(raw []byte) (r Rewind, err error) {
	if !IsObject(raw) {
		return r, ErrRewind
	}
	var room [2]Field
	fields, err := ParseObject(raw, room[:0])
	if err != nil || len(fields) != 1 {
		return r, ErrRewind
	}
	switch string(fields[0].Key) {
	case "count":
		r.Count = integer(fields[0].Value, MaxRewindCount)
	case "seconds":
		r.Seconds = integer(fields[0].Value, MaxRewindSeconds)
	}
	if r == (Rewind{}) {
		return r, ErrRewind
	}
	return r, nil
}

// integer reads a number from 1 to most; 0 if it is anything else.
func integer(raw []byte, most int) int {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 1 || n > most || raw[0] == '+' {
		return 0
	}
	return n
}

// readPast reads what a subscription asks of the past.
func (s *Subscribe) readPast(fields []Field) (err error) {
	s.Resume, s.Rewind = "", Rewind{}
	if raw, ok := Get(fields, "resume"); ok && !IsNull(raw) {
		if s.Resume, ok = String(raw); !ok || s.Resume == "" {
			return ErrResume
		}
	}
	if raw, ok := Get(fields, "rewind"); ok && !IsNull(raw) {
		if s.Rewind, err = readRewind(raw); err != nil {
			return err
		}
		if s.Resume != "" {
			return ErrResumeRewind
		}
	}
	return nil
}

// HistoryRequest is the data of a tidewire:history.
type HistoryRequest struct {
	Channel, ID   string
	Limit         int    // 0 if it was left out
	Before, After string // not both
}

// DecodeHistory reads the raw data of a tidewire:history. The error wraps a
// [*SyntaxError] or is a [FormatError], and r is then undefined.
func DecodeHistory(data []byte, r *HistoryRequest) error {
	var room [fieldRoom]Field
	fields, err := dataFields(data, room[:0])
	if err != nil {
		return err
	}
	if r.Channel, err = channelOf(fields); err != nil {
		return err
	}
	var ok bool
	if r.ID, ok = optionalString(fields, "id"); !ok || r.ID == "" || len(r.ID) > MaxHistoryID {
		return ErrHistoryID
	}
	r.Limit = 0
	if raw, given := Get(fields, "limit"); given && !IsNull(raw) {
		if r.Limit = integer(raw, MaxHistoryLimit); r.Limit == 0 {
			return ErrHistoryLimit
		}
	}
	if r.Before, ok = optionalString(fields, "before"); !ok {
		return ErrHistoryBound
	}
	if r.After, ok = optionalString(fields, "after"); !ok || (r.Before != "" && r.After != "") {
		return ErrHistoryBound
	}
	return nil
}

// AppendPlacedEvent is [AppendEvent] with the serial of an event of a history.
func AppendPlacedEvent(dst []byte, event, channel string, data []byte, userID, serial string) []byte {
	dst = AppendEvent(dst, event, channel, data, userID)
	dst = append(dst[:len(dst)-1], `,"serial":`...)
	return append(Quote(dst, serial), '}')
}

// Standing is where a subscription begins in the history of its channel.
type Standing struct {
	Serial    string // empty if it is not known
	Resumed   bool   // a resume was asked for
	Recovered bool   // and nothing is missing
	Reason    string // why not
}

// AppendStanding puts s into the confirmation of a subscription, which dst ends with.
func AppendStanding(dst []byte, s Standing) []byte {
	dst = append(dst[:len(dst)-1], `,"tidewire":{`...)
	if s.Serial != "" {
		dst = Quote(append(dst, `"serial":`...), s.Serial)
	}
	if s.Resumed {
		if s.Serial != "" {
			dst = append(dst, ',')
		}
		dst = strconv.AppendBool(append(dst, `"recovered":`...), s.Recovered)
		if !s.Recovered {
			dst = Quote(append(dst, `,"reason":`...), s.Reason)
		}
	}
	return append(dst, '}', '}')
}

// PastEvent is one event of a history.
type PastEvent struct {
	Name, Serial, UserID string
	Data                 []byte // a JSON string literal
	TimeMillis           int64
}

// AppendPastEvent appends e as an object. An empty user id is left out.
func AppendPastEvent(dst []byte, e *PastEvent) []byte {
	dst = Quote(append(dst, `{"name":`...), e.Name)
	dst = append(append(dst, `,"data":`...), e.Data...)
	dst = Quote(append(dst, `,"serial":`...), e.Serial)
	dst = strconv.AppendInt(append(dst, `,"time_ms":`...), e.TimeMillis, 10)
	if e.UserID != "" {
		dst = Quote(append(dst, `,"user_id":`...), e.UserID)
	}
	return append(dst, '}')
}

// AppendNext appends the position at which a further request goes on, null for the end.
func AppendNext(dst []byte, next string) []byte {
	if next == "" {
		return append(dst, `,"next":null`...)
	}
	return Quote(append(dst, `,"next":`...), next)
}

// AppendHistory appends the answer to a tidewire:history.
func AppendHistory(dst []byte, channel, id string, events []PastEvent, next string) []byte {
	inner := Quote(append(make([]byte, 0, 256), `{"id":`...), id)
	inner = append(inner, `,"events":[`...)
	for i := range events {
		if i > 0 {
			inner = append(inner, ',')
		}
		inner = AppendPastEvent(inner, &events[i])
	}
	inner = append(AppendNext(append(inner, ']'), next), '}')
	dst = Quote(append(dst, `{"event":"tidewire:history","channel":`...), channel)
	return append(QuoteBytes(append(dst, `,"data":`...), inner), '}')
}

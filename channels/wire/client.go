package wire

import "fmt"

// The events of the protocol that clients send.
const (
	EventPing        = "pusher:ping"
	EventPong        = "pusher:pong"
	EventSubscribe   = "pusher:subscribe"
	EventUnsubscribe = "pusher:unsubscribe"
	EventSignin      = "pusher:signin"
)

// ClientFrame is one frame from a client. Keys other than the four of the
// protocol are checked and ignored; a sender's own user_id is one of them.
type ClientFrame struct {
	Event      string
	Channel    string // meaningful only with HasChannel
	HasChannel bool   // false also for null
	// Data is the value as it was sent, any JSON; nil if absent. It is a slice
	// of the frame that was decoded.
	Data []byte
}

// fieldRoom is how many members of a frame are held without allocating.
const fieldRoom = 8

// DecodeClientFrame reads one text frame into f. A reused f keeps the strings
// that come again, so that a client repeating itself costs no allocation. The
// error is a [*SyntaxError] or a [FormatError], and f is then undefined.
func DecodeClientFrame(b []byte, f *ClientFrame) error {
	var room [fieldRoom]Field
	fields, err := ParseObject(b, room[:0])
	if err != nil {
		return err
	}
	event, _ := Get(fields, "event")
	if !IsString(event) {
		return ErrEvent
	}
	f.Event = eventName(f.Event, event)
	f.Data, _ = Get(fields, "data")
	channel, ok := Get(fields, "channel")
	if !ok || IsNull(channel) {
		f.Channel, f.HasChannel = "", false
		return nil
	}
	if !IsString(channel) {
		return ErrChannel
	}
	f.Channel, f.HasChannel = keep(f.Channel, channel), true
	return nil
}

// eventName decodes an event name without allocating for those of the protocol.
func eventName(last string, raw []byte) string {
	switch string(raw[1 : len(raw)-1]) {
	case EventPing:
		return EventPing
	case EventPong:
		return EventPong
	case EventSubscribe:
		return EventSubscribe
	case EventUnsubscribe:
		return EventUnsubscribe
	case EventSignin:
		return EventSignin
	}
	return keep(last, raw)
}

// keep decodes a checked string literal, and returns last if it says the same.
func keep(last string, raw []byte) string {
	text, escaped, _ := unquote(raw)
	if !escaped && string(text) == last {
		return last
	}
	s, _ := String(raw)
	return s
}

// Subscribe is the data of a pusher:subscribe. Clients say that they have no
// auth or no channel data by leaving it out, by null or by ""; the Has field is
// false for all three.
type Subscribe struct {
	Channel        string
	Auth           string
	HasAuth        bool
	ChannelData    string // the exact bytes that were signed
	HasChannelData bool

	Resume string // the serial to go on after; empty for none
	Rewind Rewind // not with Resume
}

// DecodeSubscribe reads the raw data of a pusher:subscribe, an object or, as
// some old clients send it, a string holding one. The error
// wraps a [*SyntaxError] or is a [FormatError], and s is then undefined.
func DecodeSubscribe(data []byte, s *Subscribe) error {
	var room [fieldRoom]Field
	fields, err := dataFields(data, room[:0])
	if err != nil {
		return err
	}
	if s.Channel, err = channelOf(fields); err != nil {
		return err
	}
	var ok bool
	if s.Auth, ok = optionalString(fields, "auth"); !ok {
		return ErrAuth
	}
	if s.ChannelData, ok = optionalString(fields, "channel_data"); !ok {
		return ErrChannelData
	}
	s.HasAuth, s.HasChannelData = s.Auth != "", s.ChannelData != ""
	return s.readPast(fields)
}

// DecodeUnsubscribe reads the raw data of a pusher:unsubscribe and returns the
// channel. The error wraps a [*SyntaxError] or is a [FormatError].
func DecodeUnsubscribe(data []byte) (channel string, err error) {
	var room [fieldRoom]Field
	fields, err := dataFields(data, room[:0])
	if err != nil {
		return "", err
	}
	return channelOf(fields)
}

// Signin is the data of a pusher:signin.
type Signin struct {
	Auth     string
	UserData string // the exact bytes that were signed
}

// DecodeSignin reads the raw data of a pusher:signin, in which both strings
// must be there. The error wraps a [*SyntaxError] or is a [FormatError], and s
// is then undefined.
func DecodeSignin(data []byte, s *Signin) error {
	var room [fieldRoom]Field
	fields, err := dataFields(data, room[:0])
	if err != nil {
		return err
	}
	var ok bool
	if s.Auth, ok = optionalString(fields, "auth"); !ok || s.Auth == "" {
		return ErrSigninAuth
	}
	if s.UserData, ok = optionalString(fields, "user_data"); !ok || s.UserData == "" {
		return ErrSigninUserData
	}
	return nil
}

// dataFields reads the object in a frame's data.
func dataFields(data []byte, dst []Field) ([]Field, error) {
	if IsString(data) {
		text, ok := AppendString(nil, data)
		if !ok {
			return nil, ErrNotObject
		}
		data = text
	} else if !IsObject(data) {
		return nil, ErrNotObject
	}
	fields, err := ParseObject(data, dst)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return fields, nil
}

func channelOf(fields []Field) (string, error) {
	raw, _ := Get(fields, "channel")
	s, ok := String(raw)
	if !ok {
		return "", ErrNoChannel
	}
	return s, nil
}

// optionalString reads a string that may be absent or null, which is "". It is
// false for any other value.
func optionalString(fields []Field, key string) (string, bool) {
	raw, ok := Get(fields, key)
	if !ok || IsNull(raw) {
		return "", true
	}
	return String(raw)
}

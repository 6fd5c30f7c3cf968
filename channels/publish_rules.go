package channels

import (
	"fmt"
	"slices"

	"tidewire/channels/wire"
	"tidewire/tenants"
)

// Bounds of publishing. They hold for every publisher, whatever door it uses.
const (
	// MaxPublishChannels is how many channels one event may be published to at once.
	MaxPublishChannels = 100
	// MaxBatchEvents is how many events one batch may hold.
	MaxBatchEvents = 10
)

// EventBytesLimit returns how many bytes of decoded data an event of app may
// carry: the limit of the app, or the server's ceiling.
func EventBytesLimit(app *tenants.App) int { return app.Limits.Effective().MaxEventBytes }

// DataTooLargeError refuses an event that carries more data than its app may send.
type DataTooLargeError struct {
	Limit int // bytes
}

// Error implements error. The text is the one publishers know.
func (e *DataTooLargeError) Error() string {
	return fmt.Sprintf("The data content of this event exceeds the allowed maximum (%d bytes). See https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info", e.Limit)
}

// PublicationError refuses a publication for its shape. The text is meant for
// the publisher.
type PublicationError string

// Error implements error.
func (e PublicationError) Error() string { return string(e) }

// The reasons for which a publication is refused, besides names and size.
const (
	ErrNoChannels  PublicationError = "Missing required parameter: channel"
	ErrDataString  PublicationError = "Expected data parameter to be a string"
	ErrBadSocketID PublicationError = "Invalid socket_id: it must be the socket_id of a connection, digits.digits"
)

// Publication is what a publisher asks for: one event for one or more channels.
type Publication struct {
	Name string
	// Data is a JSON string literal, quotes included, that package wire has
	// accepted. It is copied, so it may lie in a buffer that is used again.
	Data     []byte
	Channels []string // a name that comes twice counts once
	Except   string   // the socket id that must not receive the event; empty for none
}

// AppendEvents holds p against the rules and the limits of app and appends its
// events to dst, one for each channel, in the order of the channels; they share
// one copy of the data. On an error dst comes back as it was. The error is a
// [NameError], a [PublicationError] or a [*DataTooLargeError].
func (p *Publication) AppendEvents(app *tenants.App, dst []Event) ([]Event, error) {
	if err := p.check(app); err != nil {
		return dst, err
	}
	data := slices.Clone(p.Data)
	dst = slices.Grow(dst, len(p.Channels))
	for i, name := range p.Channels {
		if slices.Contains(p.Channels[:i], name) {
			continue
		}
		dst = append(dst, Event{
			Topic:  Topic{App: app.ID, Channel: name},
			Name:   p.Name,
			Data:   data,
			Except: SocketID(p.Except),
		})
	}
	return dst, nil
}

func (p *Publication) check(app *tenants.App) error {
	if err := ValidEventName(p.Name); err != nil {
		return err
	}
	if err := CheckChannelCount(len(p.Channels)); err != nil {
		return err
	}
	for i, name := range p.Channels {
		if _, err := Classify(name); err != nil {
			return inChannel(err, i, len(p.Channels))
		}
	}
	if p.Except != "" && !ValidSocketID(p.Except) {
		return ErrBadSocketID
	}
	if len(p.Data) < 2 || !wire.IsString(p.Data) {
		return ErrDataString
	}
	// Escapes only ever make a literal longer than what it stands for.
	limit := EventBytesLimit(app)
	if len(p.Data)-2 > limit && wire.DecodedLen(p.Data) > limit {
		return &DataTooLargeError{Limit: limit}
	}
	return nil
}

// CheckChannelCount checks how many channels one event is published to: 1 to
// [MaxPublishChannels]. The error is a [PublicationError].
func CheckChannelCount(n int) error {
	switch {
	case n == 0:
		return ErrNoChannels
	case n > MaxPublishChannels:
		return PublicationError(fmt.Sprintf("Too many channels (%d > %d)", n, MaxPublishChannels))
	}
	return nil
}

// inChannel says which of several channels has the bad name.
func inChannel(err error, i, n int) error {
	if n == 1 {
		return err
	}
	return fmt.Errorf("%w (channels[%d])", err, i)
}

package tenants

import "fmt"

// Limits bound what one app may use. 0 means the server's hard ceiling, which
// [Limits.Effective] fills in; nothing is without a bound.
type Limits struct {
	MaxConnections           int `json:"max_connections"`
	MaxEventBytes            int `json:"max_event_bytes"` // of the data of one event
	MaxPublishesPerSecond    int `json:"max_publishes_per_second"`
	MaxReadsPerSecond        int `json:"max_reads_per_second"`
	MaxClientEventsPerSecond int `json:"max_client_events_per_second"` // per connection
	MaxChannelsPerConnection int `json:"max_channels_per_connection"`
	MaxPresenceMembers       int `json:"max_presence_members"` // per channel
	MaxPresenceInfoBytes     int `json:"max_presence_info_bytes"`
	MaxMessagesPerDay        int `json:"max_messages_per_day"`
}

// Ceilings are the server's hard bounds: what a limit of 0 stands for, and the
// most a limit can be set to.
func Ceilings() Limits {
	return Limits{
		MaxConnections:           1_000_000,
		MaxEventBytes:            64 << 10,
		MaxPublishesPerSecond:    100_000,
		MaxReadsPerSecond:        10_000,
		MaxClientEventsPerSecond: 1_000,
		MaxChannelsPerConnection: 10_000,
		MaxPresenceMembers:       10_000,
		MaxPresenceInfoBytes:     16 << 10,
		MaxMessagesPerDay:        2_000_000_000,
	}
}

// DefaultLimits are those of an app that was given none.
func DefaultLimits() Limits {
	return Limits{
		MaxEventBytes:            10_240,
		MaxClientEventsPerSecond: 10,
		MaxPresenceMembers:       100,
		MaxPresenceInfoBytes:     1024,
	}
}

// ParseLimits reads limits from a JSON object and lays them over the defaults.
// It is as strict as [ParseSettings].
func ParseLimits(raw []byte) (Limits, error) {
	l := DefaultLimits()
	fields := make(map[string]reader)
	for _, f := range l.fields() {
		fields[f.name] = intInto(f.value)
	}
	if err := readObject("limits", raw, fields); err != nil {
		return Limits{}, err
	}
	if err := l.Validate(); err != nil {
		return Limits{}, err
	}
	return l, nil
}

// Validate checks that every limit lies between 0 and its ceiling; the error is
// an [*InvalidError].
func (l Limits) Validate() error {
	ceilings := Ceilings()
	highest := ceilings.fields()
	for i, f := range l.fields() {
		if high := *highest[i].value; *f.value < 0 || *f.value > high {
			return &InvalidError{
				"limits." + f.name,
				fmt.Sprintf("must be from 1 to %d, or 0 for that ceiling, not %d", high, *f.value),
			}
		}
	}
	return nil
}

// Effective returns the limits in force: each 0 replaced by its ceiling.
func (l Limits) Effective() Limits {
	ceilings := Ceilings()
	highest := ceilings.fields()
	for i, f := range l.fields() {
		if high := *highest[i].value; *f.value <= 0 || *f.value > high {
			*f.value = high
		}
	}
	return l
}

type limitField struct {
	name  string
	value *int
}

// fields lists every limit, always in the same order.
func (l *Limits) fields() []limitField {
	return []limitField{
		{"max_connections", &l.MaxConnections},
		{"max_event_bytes", &l.MaxEventBytes},
		{"max_publishes_per_second", &l.MaxPublishesPerSecond},
		{"max_reads_per_second", &l.MaxReadsPerSecond},
		{"max_client_events_per_second", &l.MaxClientEventsPerSecond},
		{"max_channels_per_connection", &l.MaxChannelsPerConnection},
		{"max_presence_members", &l.MaxPresenceMembers},
		{"max_presence_info_bytes", &l.MaxPresenceInfoBytes},
		{"max_messages_per_day", &l.MaxMessagesPerDay},
	}
}

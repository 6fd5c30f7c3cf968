package api

import (
	"log/slog"
	"strconv"
	"strings"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// attributes is a set of what a request asks to be told of channels, with info.
type attributes uint8

const (
	userCount         attributes = 1 << iota // distinct users, presence channels only
	subscriptionCount                        // connections, if the app's settings let them be counted
	lastEvent                                // of a cache channel
)

var attributeNames = [...]string{"user_count", "subscription_count", "cache"}

// parseInfo reads the value of an info parameter: names with commas between.
// One that is not among known is refused, so that a slip of the pen does not
// look like a channel without the attribute.
func parseInfo(text string, known attributes) (attributes, error) {
	var asked attributes
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		a := attributeOf(name) & known
		if a == 0 {
			return 0, badRequest("Invalid info parameter: what can be asked for here is " + known.String())
		}
		asked |= a
	}
	return asked, nil
}

func attributeOf(name string) attributes {
	for i, n := range attributeNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// String lists the attributes for a sentence.
func (a attributes) String() string {
	var names []string
	for i, n := range attributeNames {
		if a&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

// info reads the info parameter of the query.
func (c *call) info(known attributes) (attributes, error) {
	text, _ := c.params.Get("info")
	return parseInfo(text, known)
}

// readInfo reads what an event asks to be told of its channels.
func readInfo(fields []wire.Field) (attributes, error) {
	text, _, err := optionalString(fields, "info")
	if err != nil {
		return 0, err
	}
	return parseInfo(text, userCount|subscriptionCount)
}

// shown is what of asked a publisher is told of a channel. What the channel or
// the app does not have is left out: an event is not refused for it.
func shown(app *tenants.App, channel string, asked attributes) attributes {
	if kind, _ := channels.Classify(channel); !kind.Presence() {
		asked &^= userCount
	}
	if !app.Settings.SubscriptionCountEvents {
		asked &^= subscriptionCount
	}
	return asked
}

// countsAfter counts who is on the channels of events just published. What is
// to be shown of event i comes as show[i]. The events are with the broker, so a
// failure here must not look like theirs: it empties show.
func (d *Door) countsAfter(c *call, evs []channels.Event, show []attributes) []channels.Occupancy {
	names := make([]string, 0, len(evs))
	var some attributes
	for i := range evs {
		names = append(names, evs[i].Topic.Channel)
		some |= show[i]
	}
	if some != 0 {
		d.cfg.Hub.CountQuery(c.app)
		counts, err := d.cfg.Hub.Occupancy(c.ctx, c.app, names...)
		if err == nil {
			return counts
		}
		d.cfg.Log.WarnContext(c.ctx, "published, but channels not counted",
			slog.String("app", string(c.app.ID)), slog.Any("error", err))
		clear(show)
	}
	return make([]channels.Occupancy, len(evs))
}

// appendCounts appends an object with what is shown of a channel.
func appendCounts(dst []byte, show attributes, o channels.Occupancy) []byte {
	return append(appendCountFields(append(dst, '{'), show, o), '}')
}

func appendCountFields(dst []byte, show attributes, o channels.Occupancy) []byte {
	if show&userCount != 0 {
		dst = strconv.AppendInt(appendKey(dst, "user_count"), int64(o.Users), 10)
	}
	if show&subscriptionCount != 0 {
		dst = strconv.AppendInt(appendKey(dst, "subscription_count"), int64(o.Subscriptions), 10)
	}
	return dst
}

// appendKey appends the key of the next member of an object, and the comma
// before it if it is not the first.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(wire.Quote(dst, key), ':')
}

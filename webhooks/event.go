package webhooks

import (
	"slices"
	"strconv"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// event is one thing to be told, as it stands in a request.
type event struct {
	kind    Kind
	app     tenants.AppID
	channel string
	json    []byte
	trace   *channels.Trace
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return wire.QuoteBytes(b, []byte(value))
}

// eventOf encodes a change. The fields and their order are Pusher's; seq, which
// grows with each change of a channel, comes behind them.
func eventOf(c *channels.Change) event {
	ev, _ := appendEvent(nil, c)
	return ev
}

// usualSize is about what an event has beside its data.
const usualSize = 128

// appendEvent is eventOf for many: the JSON stands in all, which it returns longer.
func appendEvent(all []byte, c *channels.Change) (ev event, longer []byte) {
	b := slices.Grow(all, usualSize+len(c.Data))
	begin := len(b)
	b = append(b, `{"name":"`...)
	b = append(b, c.Kind...)
	b = append(b, '"')
	b = appendField(b, "channel", c.Channel)
	switch c.Kind {
	case channels.ClientEventSent:
		b = appendField(b, "event", c.Event)
		b = append(b, `,"data":`...)
		b = append(b, c.Data...)
		b = appendField(b, "socket_id", string(c.SocketID))
	case channels.SubscriptionsChange:
		b = append(b, `,"subscription_count":`...)
		b = appendInt(b, int64(c.Count))
	}
	b = appendField(b, "user_id", c.UserID)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, c.Seq, 10)
	b = append(b, '}')
	return event{kind: c.Kind, app: c.App, channel: c.Channel, json: b[begin:len(b):len(b)], trace: c.Trace}, b
}

// quotaEvent encodes a warning about the messages of the day.
func quotaEvent(app tenants.AppID, n tenants.QuotaNotice, seq uint64) event {
	scope := "app"
	if n.App == "" {
		scope = "tenant"
	}
	b := []byte(`{"name":"quota_warning","scope":"` + scope + `","used":`)
	b = appendInt(b, n.Used)
	b = append(b, `,"limit":`...)
	b = appendInt(b, n.Limit)
	b = append(b, `,"stopped":`...)
	b = strconv.AppendBool(b, n.Stopped())
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	return event{kind: QuotaWarning, app: app, json: append(b, '}')}
}

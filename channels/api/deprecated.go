package api

import (
	"strconv"
	"unicode/utf8"

	"tidewire/channels"
	"tidewire/channels/wire"
)

// showStats serves GET /apps/{id}/channels/{name}/stats, which old library
// versions ask for what showChannel tells now.
func (d *Door) showStats(c *call) ([]byte, error) {
	kind, err := channels.Classify(c.name)
	if err != nil {
		return nil, err
	}
	o, err := d.occupancy(c)
	if err != nil {
		return nil, err
	}
	dst := appendOccupied(nil, o)
	if kind.Presence() {
		dst = appendCountFields(dst, userCount, o)
	}
	dst = strconv.AppendInt(appendKey(dst, "connection_count"), int64(o.Subscriptions), 10)
	return append(dst, '}'), nil
}

// triggerSingle serves POST /apps/{id}/channels/{name}/events, how old library
// versions publish: the query names the event, the whole body is its data.
func (d *Door) triggerSingle(c *call) ([]byte, error) {
	name, ok := c.params.Get("name")
	if !ok {
		return nil, missing("name")
	}
	except, ok := c.params.Get("socket_id")
	if ok && except == "" {
		return nil, channels.ErrBadSocketID
	}
	if !utf8.Valid(c.body) {
		return nil, badRequest("Bad request body: it must be UTF-8")
	}
	p := channels.Publication{
		Name: name, Channels: []string{c.name}, Except: except,
		Data: wire.QuoteBytes(make([]byte, 0, len(c.body)+2), c.body),
	}
	evs, err := p.AppendEvents(c.app, nil)
	if err != nil {
		return nil, err
	}
	if err := d.publish(c, evs); err != nil {
		return nil, err
	}
	return emptyMap, nil
}

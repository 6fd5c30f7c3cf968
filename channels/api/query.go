package api

import (
	"strconv"
	"strings"
	"time"

	"tidewire/channels"
	"tidewire/channels/wire"
)

// listChannels serves GET /apps/{id}/channels: the occupied channels.
func (d *Door) listChannels(c *call) ([]byte, error) {
	asked, err := c.info(userCount)
	if err != nil {
		return nil, err
	}
	prefix, _ := c.params.Get("filter_by_prefix")
	if asked&userCount != 0 && !strings.HasPrefix(prefix, "presence-") {
		return nil, errUserCountPrefix
	}
	list, err := d.cfg.Hub.Channels(c.ctx, c.app, prefix)
	if err != nil {
		return nil, c.unserved(notCounted, err)
	}
	dst := make([]byte, 0, 32+32*len(list))
	dst = append(dst, `{"channels":{`...)
	for _, o := range list {
		dst = appendCounts(appendKey(dst, o.Channel), asked, o)
	}
	return append(dst, "}}"...), nil
}

// showChannel serves GET /apps/{id}/channels/{name}. Every channel there could
// be has an answer; one that nobody is on is not occupied.
func (d *Door) showChannel(c *call) ([]byte, error) {
	kind, err := channels.Classify(c.name)
	if err != nil {
		return nil, err
	}
	asked, err := c.info(userCount | subscriptionCount | lastEvent)
	switch {
	case err != nil:
		return nil, err
	case asked&userCount != 0 && !kind.Presence():
		return nil, errUserCountKind
	case asked&lastEvent != 0 && !kind.Cache():
		return nil, errCacheKind
	case asked&subscriptionCount != 0 && !c.app.Settings.SubscriptionCountEvents:
		return nil, errSubscriptionCountOff
	}
	o, err := d.occupancy(c)
	if err != nil {
		return nil, err
	}
	dst := appendCountFields(appendOccupied(nil, o), asked, o)
	if asked&lastEvent != 0 {
		if dst, err = d.appendLast(c, appendKey(dst, "cache")); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendLast appends the last event of a cache channel, null if it has none.
func (d *Door) appendLast(c *call, dst []byte) ([]byte, error) {
	ev, left, err := d.cfg.Hub.Last(c.ctx, c.app, c.name)
	switch {
	case err != nil:
		return nil, c.unserved(notCounted, err)
	case ev == nil:
		return append(dst, "null"...), nil
	}
	dst = append(append(dst, `{"data":`...), ev.Data...)
	seconds := (left + time.Second - 1) / time.Second // 0 would say that it is gone
	return append(strconv.AppendInt(append(dst, `,"ttl":`...), int64(seconds), 10), '}'), nil
}

// listUsers serves GET /apps/{id}/channels/{name}/users: the ids of the members
// of a presence channel, in order.
func (d *Door) listUsers(c *call) ([]byte, error) {
	kind, err := channels.Classify(c.name)
	switch {
	case err != nil:
		return nil, err
	case !kind.Presence():
		return nil, errUsersKind
	}
	members, err := d.cfg.Hub.Members(c.ctx, c.app, c.name)
	if err != nil {
		return nil, c.unserved(notCounted, err)
	}
	dst := make([]byte, 0, 16+24*len(members))
	dst = append(dst, `{"users":[`...)
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(wire.Quote(append(dst, `{"id":`...), m.UserID), '}')
	}
	return append(dst, "]}"...), nil
}

// occupancy counts who is on the channel of the path.
func (d *Door) occupancy(c *call) (channels.Occupancy, error) {
	counts, err := d.cfg.Hub.Occupancy(c.ctx, c.app, c.name)
	if err != nil {
		return channels.Occupancy{}, c.unserved(notCounted, err)
	}
	return counts[0], nil
}

// appendOccupied begins the description of a channel.
func appendOccupied(dst []byte, o channels.Occupancy) []byte {
	return strconv.AppendBool(append(dst, `{"occupied":`...), o.Subscriptions > 0)
}

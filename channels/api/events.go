package api

import (
	"fmt"
	"slices"

	"tidewire/channels"
	"tidewire/channels/wire"
)

// emptyMap is the answer of success where there is nothing to tell.
var emptyMap = []byte("{}")

// trigger serves POST /apps/{id}/events: one event for up to
// [channels.MaxPublishChannels] channels.
func (d *Door) trigger(c *call) ([]byte, error) {
	var room [8]wire.Field
	fields, err := wire.ParseObject(c.body, room[:0])
	if err != nil {
		return nil, err
	}
	p, err := readPublication(fields)
	if err != nil {
		return nil, err
	}
	if p.Channels, err = readChannels(fields); err != nil {
		return nil, err
	}
	asked, err := readInfo(fields)
	if err != nil {
		return nil, err
	}
	evs, err := p.AppendEvents(c.app, nil)
	if err != nil {
		return nil, err
	}
	if err := d.publish(c, evs); err != nil {
		return nil, err
	}
	return d.describeChannels(c, evs, asked), nil
}

// describeChannels answers what an event asked to be told of its channels.
func (d *Door) describeChannels(c *call, evs []channels.Event, asked attributes) []byte {
	if asked == 0 {
		return emptyMap
	}
	show := make([]attributes, len(evs))
	for i := range evs {
		show[i] = shown(c.app, evs[i].Topic.Channel, asked)
	}
	counts := d.countsAfter(c, evs, show)
	dst := append(make([]byte, 0, 32+64*len(evs)), `{"channels":{`...)
	for i := range evs {
		dst = appendCounts(appendKey(dst, evs[i].Topic.Channel), show[i], counts[i])
	}
	return append(dst, "}}"...)
}

// triggerBatch serves POST /apps/{id}/batch_events: up to
// [channels.MaxBatchEvents] events with one channel each. One bad event refuses
// the whole batch.
func (d *Door) triggerBatch(c *call) ([]byte, error) {
	var room [8]wire.Field
	fields, err := wire.ParseObject(c.body, room[:0])
	if err != nil {
		return nil, err
	}
	raw, ok := optional(fields, "batch")
	switch {
	case !ok:
		return nil, missing("batch")
	case !wire.IsArray(raw):
		return nil, badRequest("Expected batch parameter to be an array")
	}
	var items [channels.MaxBatchEvents][]byte
	batch, err := wire.ParseArray(raw, items[:0])
	if err != nil {
		return nil, err
	}
	if n := len(batch); n > channels.MaxBatchEvents {
		return nil, badRequest(fmt.Sprintf("Batch too large (%d > %d)", n, channels.MaxBatchEvents))
	}
	evs := make([]channels.Event, 0, len(batch))
	asked := make([]attributes, len(batch))
	for i, item := range batch {
		if evs, asked[i], err = appendItem(c, evs, item); err != nil {
			return nil, inBatch(err, i, len(batch))
		}
	}
	if len(evs) == 0 {
		return emptyMap, nil
	}
	if err := d.publish(c, evs); err != nil {
		return nil, err
	}
	return d.describeBatch(c, evs, asked), nil
}

// describeBatch answers what the events of a batch asked to be told of their
// channels: one object for each event, or nothing at all if none asked.
func (d *Door) describeBatch(c *call, evs []channels.Event, asked []attributes) []byte {
	if !slices.ContainsFunc(asked, func(a attributes) bool { return a != 0 }) {
		return emptyMap
	}
	for i := range evs {
		asked[i] = shown(c.app, evs[i].Topic.Channel, asked[i])
	}
	counts := d.countsAfter(c, evs, asked)
	dst := append(make([]byte, 0, 32+64*len(evs)), `{"batch":[`...)
	for i := range evs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCounts(dst, asked[i], counts[i])
	}
	return append(dst, "]}"...)
}

// appendItem reads one event of a batch and appends it to evs.
func appendItem(c *call, evs []channels.Event, item []byte) ([]channels.Event, attributes, error) {
	if !wire.IsObject(item) {
		return evs, 0, badRequest("Expected every element of batch to be an object")
	}
	var room [8]wire.Field
	fields, err := wire.ParseObject(item, room[:0])
	if err != nil {
		return evs, 0, err
	}
	p, err := readPublication(fields)
	if err != nil {
		return evs, 0, err
	}
	name, ok, err := optionalString(fields, "channel")
	switch _, several := optional(fields, "channels"); {
	case err != nil:
		return evs, 0, err
	case !ok:
		return evs, 0, missing("channel")
	case several:
		return evs, 0, badRequest("An event of a batch takes channel, not channels")
	}
	asked, err := readInfo(fields)
	if err != nil {
		return evs, 0, err
	}
	p.Channels = []string{name}
	evs, err = p.AppendEvents(c.app, evs)
	return evs, asked, err
}

// inBatch says which of several events is refused.
func inBatch(err error, i, n int) error {
	if n == 1 {
		return err
	}
	status, text := answerTo(err)
	return &requestError{status, fmt.Sprintf("%s (batch[%d])", text, i)}
}

func (d *Door) publish(c *call, evs []channels.Event) error {
	if _, err := d.cfg.Hub.Publish(c.ctx, c.app, evs); err != nil {
		return &publishFailed{evs, err}
	}
	return nil
}

// readPublication reads what events and batch_events have in common. Data still
// lies in the body; AppendEvents copies it.
func readPublication(fields []wire.Field) (channels.Publication, error) {
	var p channels.Publication
	name, ok := wire.Get(fields, "name")
	if !ok {
		return p, missing("name")
	}
	if p.Name, ok = wire.String(name); !ok {
		return p, notString("name")
	}
	if p.Data, ok = wire.Get(fields, "data"); !ok {
		return p, missing("data")
	}
	if !wire.IsString(p.Data) {
		return p, channels.ErrDataString
	}
	except, ok, err := optionalString(fields, "socket_id")
	if err != nil {
		return p, err
	}
	if ok && except == "" {
		return p, channels.ErrBadSocketID
	}
	p.Except = except
	return p, nil
}

// readChannels reads channel, or channels, but not both.
func readChannels(fields []wire.Field) ([]string, error) {
	raw, several := optional(fields, "channels")
	name, one, err := optionalString(fields, "channel")
	switch {
	case err != nil:
		return nil, err
	case one && several:
		return nil, badRequest("Both channel and channels are given: send only one of them")
	case one:
		return []string{name}, nil
	case !several:
		return nil, missing("channel")
	case !wire.IsArray(raw):
		return nil, badRequest("Expected channels parameter to be an array of strings")
	}
	var room [channels.MaxPublishChannels][]byte
	elements, err := wire.ParseArray(raw, room[:0])
	if err != nil {
		return nil, err
	}
	if err := channels.CheckChannelCount(len(elements)); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(elements))
	for i, e := range elements {
		name, ok := wire.String(e)
		if !ok {
			return nil, badRequest(fmt.Sprintf("Expected channels parameter to be an array of strings (channels[%d])", i))
		}
		names = append(names, name)
	}
	return names, nil
}

// optional returns the value of key; null counts as absent, because some
// libraries send it for what was not given.
func optional(fields []wire.Field, key string) ([]byte, bool) {
	raw, ok := wire.Get(fields, key)
	return raw, ok && !wire.IsNull(raw)
}

func optionalString(fields []wire.Field, key string) (string, bool, error) {
	raw, ok := optional(fields, key)
	if !ok {
		return "", false, nil
	}
	s, ok := wire.String(raw)
	if !ok {
		return "", false, notString(key)
	}
	return s, true, nil
}

func missing(name string) error { return badRequest("Missing required parameter: " + name) }

func notString(name string) error {
	return badRequest("Expected " + name + " parameter to be a string")
}

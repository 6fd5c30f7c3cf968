package adminapi

import (
	"bytes"
	"encoding/json"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

type publishBody struct {
	Name     string          `json:"name" api:"required"`
	Channels []string        `json:"channels" api:"required"`
	Data     json.RawMessage `json:"data" api:"required"` // a text is sent as it is, anything else as the JSON it is
	SocketID string          `json:"socket_id"`           // the connection that must not receive it
}

type publishedView struct {
	Channels []publishedChannelView `json:"channels"`
}

type publishedChannelView struct {
	Name   string `json:"name"`
	Serial string `json:"serial,omitempty"` // its place in the channel's history, where there is one
}

func (d *door) publish(r *adminapi.Request) (*adminapi.Reply, error) {
	var in publishBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	app, err := d.app(r)
	if err != nil {
		return nil, err
	}
	data, err := literal(in.Data)
	if err != nil {
		return nil, err
	}
	p := channels.Publication{Name: in.Name, Data: data, Channels: in.Channels, Except: in.SocketID}
	if in.SocketID != "" && !channels.ValidSocketID(in.SocketID) {
		return nil, &tenants.InvalidError{Field: "socket_id", Reason: "must be the socket_id of a connection, digits.digits"}
	}
	events, err := p.AppendEvents(app, nil)
	if err != nil {
		return nil, refusal(err)
	}
	v := publishedView{Channels: make([]publishedChannelView, len(events))}
	for i := range events {
		v.Channels[i].Name = events[i].Topic.Channel
	}
	if _, err := d.hub.Publish(r.Context(), app, events); err != nil {
		return nil, refusal(err)
	}
	return &adminapi.Reply{Body: v}, nil
}

// literal makes the JSON string that is published: what a client's library gives
// its user is the text of a string, or the value that the text encodes.
func literal(raw json.RawMessage) ([]byte, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, &tenants.InvalidError{Field: "data", Reason: "must be a string, or any other JSON"}
		}
		return wire.Quote(nil, text), nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, &tenants.InvalidError{Field: "data", Reason: "must be a string, or any other JSON"}
	}
	return wire.QuoteBytes(nil, compact.Bytes()), nil
}

// unquoted is the text of a JSON string.
func unquoted(literal []byte) string {
	var text string
	if json.Unmarshal(literal, &text) != nil {
		return string(literal)
	}
	return text
}

// rawJSON shows JSON as it is; nil if there is none.
func rawJSON(raw []byte) any {
	if len(raw) == 0 || !json.Valid(raw) {
		return nil
	}
	return json.RawMessage(raw)
}

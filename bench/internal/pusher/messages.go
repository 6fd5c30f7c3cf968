package pusher

import (
	"encoding/json"
	"errors"
)

// Publish is one event as the HTTP API takes it.
type Publish struct {
	Name     string   `json:"name"`
	Channels []string `json:"channels,omitempty"`
	Channel  string   `json:"channel,omitempty"`
	Data     string   `json:"data"`
}

// Frame encodes the event as a subscriber of channel receives it.
func (p Publish) Frame(channel string) ([]byte, error) {
	return json.Marshal(struct {
		Event   string `json:"event"`
		Channel string `json:"channel"`
		Data    string `json:"data"`
	}{p.Name, channel, p.Data})
}

// Targets returns the channels the event goes to, whichever field names them.
func (p Publish) Targets() []string {
	if p.Channel != "" {
		return []string{p.Channel}
	}
	return p.Channels
}

// ParseEvents reads the body of POST /apps/{id}/events, or of batch_events
// when batch is set. An event without a name or a channel is an error.
func ParseEvents(body []byte, batch bool) ([]Publish, error) {
	var events []Publish
	if batch {
		var in struct {
			Batch []Publish `json:"batch"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		events = in.Batch
	} else {
		events = make([]Publish, 1)
		if err := json.Unmarshal(body, &events[0]); err != nil {
			return nil, err
		}
	}
	for _, e := range events {
		if e.Name == "" || len(e.Targets()) == 0 {
			return nil, errors.New("an event needs a name and a channel")
		}
	}
	return events, nil
}

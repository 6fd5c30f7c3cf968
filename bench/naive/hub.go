package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/olahol/melody"

	"tidewire/bench/internal/pusher"
)

// topic is a channel of one app.
type topic struct{ app, channel string }

// hub knows who listens where.
type hub struct {
	mu     sync.RWMutex
	topics map[topic]map[*melody.Session]struct{}
}

func newHub() *hub {
	return &hub{topics: map[topic]map[*melody.Session]struct{}{}}
}

func (h *hub) connect(s *melody.Session) {
	id := fmt.Sprintf("%d.%d", rand.Uint32(), rand.Uint32())
	s.Set("socket_id", id)
	data, err := json.Marshal(map[string]any{"socket_id": id, "activity_timeout": 120})
	if err == nil {
		write(s, "pusher:connection_established", "", string(data))
	}
}

func (h *hub) message(s *melody.Session, raw []byte) {
	var in struct {
		Event string `json:"event"`
		Data  struct {
			Channel string `json:"channel"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return
	}
	switch in.Event {
	case "pusher:subscribe":
		h.subscribe(s, topic{s.MustGet("app").(string), in.Data.Channel})
		write(s, "pusher_internal:subscription_succeeded", in.Data.Channel, "{}")
	case "pusher:ping":
		write(s, "pusher:pong", "", "{}")
	}
}

func (h *hub) subscribe(s *melody.Session, t topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics[t] == nil {
		h.topics[t] = map[*melody.Session]struct{}{}
	}
	h.topics[t][s] = struct{}{}
	joined, _ := s.Get("topics")
	list, _ := joined.([]topic)
	s.Set("topics", append(list, t))
}

func (h *hub) disconnect(s *melody.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	joined, _ := s.Get("topics")
	list, _ := joined.([]topic)
	for _, t := range list {
		delete(h.topics[t], s)
		if len(h.topics[t]) == 0 {
			delete(h.topics, t)
		}
	}
}

// publish encodes the frame once per channel and writes it to every subscriber.
func (h *hub) publish(app pusher.App, e pusher.Publish) error {
	for _, channel := range e.Targets() {
		frame, err := e.Frame(channel)
		if err != nil {
			return err
		}
		h.mu.RLock()
		for s := range h.topics[topic{app.ID, channel}] {
			_ = s.Write(frame) // an error means a closed session; its disconnect follows
		}
		h.mu.RUnlock()
	}
	return nil
}

func write(s *melody.Session, event, channel, data string) {
	frame, err := json.Marshal(struct {
		Event   string `json:"event"`
		Channel string `json:"channel,omitempty"`
		Data    string `json:"data"`
	}{event, channel, data})
	if err == nil {
		_ = s.Write(frame)
	}
}

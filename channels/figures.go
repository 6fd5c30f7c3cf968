package channels

import (
	"context"
	"time"

	"tidewire/channels/wire"
	"tidewire/tenants"
)

// Beside the console, how an app stands can be watched: a channel of
// tenants.ConsoleAppID carries figures of it. Each node tells them to its own
// connections only, once a second however many there are: the figures are sums
// over all nodes wherever they are asked for. While nobody watches nothing runs.

const (
	// FiguresEvent is the name of the events that carry figures.
	FiguresEvent = "figures"

	figuresEvery = time.Second
	// figuresTime bounds asking for figures; what is not known by then is not told.
	figuresTime = 5 * time.Second
)

// Figures returns what a stream tells of an app now, as JSON.
type Figures func(ctx context.Context, stream tenants.Stream, app tenants.AppID) ([]byte, error)

// TellFigures sets where figures come from. It is called before [Hub.Run].
func (h *Hub) TellFigures(from Figures) { h.consoles.figures = from }

// figuresOpened notes that a connection of this node listens to figures.
func (h *Hub) figuresOpened(channel string) {
	h.consoles.mu.Lock()
	defer h.consoles.mu.Unlock()
	if h.consoles.figures == nil || h.consoles.telling[channel] {
		return
	}
	h.consoles.telling[channel] = true
	h.background(func(ctx context.Context) { h.tellFigures(ctx, channel) })
	h.consoles.stir()
}

// tellFigures tells the figures of a channel until nobody here listens to it.
func (h *Hub) tellFigures(ctx context.Context, channel string) {
	tick := time.NewTicker(figuresEvery)
	defer tick.Stop()
	for h.figuresHeard(channel) {
		h.tellFiguresNow(ctx, channel)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// figuresHeard reports whether a connection of this node listens; if none does,
// the next one starts anew.
func (h *Hub) figuresHeard(channel string) bool {
	h.consoles.mu.Lock()
	defer h.consoles.mu.Unlock()
	ch := h.registry.find(Topic{App: tenants.ConsoleAppID, Channel: channel})
	if ch != nil && ch.count.now.Load() > 0 {
		return true
	}
	delete(h.consoles.telling, channel)
	return false
}

func (h *Hub) tellFiguresNow(ctx context.Context, channel string) {
	ctx, cancel := context.WithTimeout(ctx, figuresTime)
	defer cancel()
	stream, app := tenants.StreamOf(channel)
	figures, err := h.consoles.figures(ctx, stream, app)
	if err != nil {
		h.log.DebugContext(ctx, "figures are not told", "stream", string(stream), "app", string(app), "error", err)
		return
	}
	// Of a watcher with no room the next figures are as good.
	_ = h.deliver(&Event{
		Topic: Topic{App: tenants.ConsoleAppID, Channel: channel},
		Name:  FiguresEvent, Data: wire.QuoteBytes(nil, figures),
	})
}

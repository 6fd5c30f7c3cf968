//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidewire/bench/internal/load"
	"tidewire/bench/internal/pusher"
	"tidewire/bench/internal/report"
)

const (
	// tail is how long a measured phase goes on after its last event: a webhook is
	// told within a fifth of a second, and its outcome is stored behind that.
	tail = 500 * time.Millisecond
	// behind is how long webhooks may stay away.
	behind = 10 * time.Second
	// known is how long a server may take to know a new endpoint.
	known = 10 * time.Second
)

// rooms are private channels whose members send client events to each other, each
// fewer a second than every app may by default.
type rooms struct {
	channels, members int
	rate              int // events a second, of all of them
}

// hooked is a server with two apps: the first has no webhooks, those of the second
// are told to a receiver. The clients of both are connected all the while.
type hooked struct {
	rooms
	receiver *load.Receiver
	loops    [2]*load.Loop
	talks    [2]*load.Talk
}

// The apps of a server that is hooked.
const (
	off = iota
	on
)

func (r rooms) open(ctx context.Context, e Env) (h *hooked, err error) {
	h = &hooked{rooms: r}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.receiver, err = load.NewReceiver(); err != nil {
		return nil, err
	}
	apps := pusher.Apps(len(h.loops))
	if err := e.Server.Hook(ctx, apps[on], h.receiver.URL, "client_event"); err != nil {
		return nil, err
	}
	for i, app := range apps {
		if h.loops[i], err = load.NewLoop(e.Server.Addr, inFlight); err != nil {
			return nil, err
		}
		if err := h.loops[i].Open(ctx, r.subscriptions(app)); err != nil {
			return nil, err
		}
		if h.talks[i], err = h.loops[i].Talk(eventBytes); err != nil {
			return nil, err
		}
	}
	return h, h.warmUp(ctx, e)
}

func (r rooms) subscriptions(app pusher.App) (subs []load.Subscription) {
	for c := range r.channels {
		for range r.members {
			subs = append(subs, load.Subscription{App: app, Channel: fmt.Sprintf("private-room-%d", c)})
		}
	}
	return subs
}

// warmUp talks in both apps until the receiver is told of it.
func (h *hooked) warmUp(ctx context.Context, e Env) error {
	for begun := time.Now(); h.receiver.Events() == 0; {
		if time.Since(begun) > known {
			return errors.New("the receiver is told of nothing")
		}
		for _, t := range h.talks {
			if _, err := t.Paced(ctx, h.rate, e.length()/5); err != nil {
				return fmt.Errorf("warm up: %w", err)
			}
		}
	}
	h.receiver.Drain(ctx, 1<<62, tail) // all that is still to come
	return ctx.Err()
}

func (h *hooked) close() {
	for _, l := range h.loops {
		if l != nil {
			l.Close()
		}
	}
	if h.receiver != nil {
		h.receiver.Close()
	}
}

// side is what was measured of one of the apps.
type side struct {
	cpu    time.Duration
	events int64
	lost   int64         // events that did not arrive at a client, or not as they should
	lag    time.Duration // how late 99 of 100 events were sent at most
	told   load.Told
}

func (s *side) add(o *side) {
	s.cpu += o.cpu
	s.events += o.events
	s.lost += o.lost
	s.lag = max(s.lag, o.lag)
	s.told.Requests += o.told.Requests
	s.told.Repeats += o.told.Repeats
	s.told.Events += o.told.Events
	s.told.Latency.Merge(&o.told.Latency)
}

// measure lets the clients of one app talk for a phase. It ends a moment after the
// last event, or later if the receiver was not told of all of them by then.
func (h *hooked) measure(ctx context.Context, e Env, which int) (s side, err error) {
	loop := h.loops[which]
	loop.Reset()
	h.receiver.Reset()
	m, err := e.meter()
	if err != nil {
		return s, err
	}
	sent, err := h.talks[which].Paced(ctx, h.rate, e.length())
	if err != nil {
		return s, err
	}
	ended := time.NewTimer(tail)
	defer ended.Stop()
	loop.Drain(ctx, sent.Deliveries, patience)
	if which == on {
		h.receiver.Drain(ctx, sent.Events, behind)
	}
	select {
	case <-ended.C:
	case <-ctx.Done():
		return s, ctx.Err()
	}
	if s.cpu, _, err = m.stop(); err != nil {
		return s, err
	}
	got := loop.Stats()
	if got.Received == 0 {
		return s, errors.New("no client event arrived")
	}
	s.events, s.lag, s.told = sent.Events, sent.Lag.Quantile(0.99), h.receiver.Told()
	s.lost = sent.Deliveries - got.Received + got.Gaps + got.Repeats
	return s, nil
}

// figuresOf are the figures of perEvent.
func figuresOf(sides *[2]side) map[string]float64 {
	perEvent := func(s *side) float64 { return s.cpu.Seconds() / float64(s.events) * 1e6 }
	told := &sides[on].told
	return map[string]float64{
		"off_cpu_us_per_event": perEvent(&sides[off]),
		"on_cpu_us_per_event":  perEvent(&sides[on]),
		"events":               float64(sides[on].events),
		"deliveries":           float64(told.Requests),
		"webhook_p95_ms":       ms(told.Latency.Quantile(0.95)),
		"untold":               float64(sides[on].events - told.Events),
		"repeats":              float64(told.Repeats),
		"lost":                 float64(sides[off].lost + sides[on].lost),
		"send_lag_p99_ms":      ms(max(sides[off].lag, sides[on].lag)),
	}
}

// perEvent are the metrics of all scenarios with webhooks.
func perEvent() []report.Metric {
	return []report.Metric{
		{Name: "off_cpu_us_per_event", Unit: "us", Digits: 1},
		{Name: "on_cpu_us_per_event", Unit: "us", Digits: 1},
		{Name: "events", Unit: "events"},
		{Name: "deliveries", Unit: "requests"},
		{Name: "webhook_p95_ms", Unit: "ms"},
		{Name: "untold", Unit: "events"},
		{Name: "repeats", Unit: "requests"},
		{Name: "lost", Unit: "events"},
		{Name: "send_lag_p99_ms", Unit: "ms", Digits: 1},
	}
}

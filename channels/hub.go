package channels

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/tenants"
)

// HubConfig sets up a [Hub]. Broker, which must have [LastEvents] and [History] too, and
// Presence are required.
type HubConfig struct {
	Broker   Broker
	Presence Presence
	Log      *slog.Logger
	// JWT verifies the tokens of clients; nil refuses them all.
	JWT *tenants.JWTVerifier
	// Newest returns an app as it is known now, nil if it is not; it does not wait.
	// Without it a client that comes in while its app changes is judged by what
	// its door knew.
	Newest func(tenants.AppID) *tenants.App
	// Meters count what apps use and hold the bounds that need it; nil counts nothing.
	Meters *tenants.Meters
	// Limiter holds the rates of the apps' servers; nil bounds none.
	Limiter tenants.Limiter
	// Observer is told of client events and cache misses; nil is nobody. Of who
	// came and went the engine of Presence tells it.
	Observer Observer
	// Tracer follows events; nil follows none and costs nothing.
	Tracer Tracer
	// Seats bound the connections over all nodes; nil leaves that to Meters.
	Seats tenants.Seats
	// Console is where live consoles are told from; nil tells none, and none can be
	// opened. The hub carries what every part of the node notes there.
	Console *console.Tap
	// MayWatch says whether somebody with a ticket to watch an app still may do that
	// to it: a [*tenants.Refusal] or [tenants.ErrUnauthenticated] is a no. It is asked
	// every few seconds while somebody watches; nil lets tickets run out.
	MayWatch func(ctx context.Context, who string, app tenants.AppID, act tenants.Action) error
	// ActivityTimeout is the silence after which clients are told to ping; 120 s by default.
	ActivityTimeout time.Duration
	// Linger is how long the broker subscription of a channel outlives its last
	// local subscriber, so that coming and going does not reach the broker; 0 is none.
	Linger time.Duration
	// Handover is how long members and signed-in users of a node that drains stay
	// where they were, so that who comes back through another node within it was
	// never gone; 0 is not at all.
	Handover time.Duration
	// CountInterval is how long the presence engine may not know of subscriptions
	// that came or went on a channel this node is on anyway; 0 tells it of each.
	CountInterval time.Duration
	// Fanout sets up the plane that writes to the sockets.
	Fanout fanout.Config
}

// Hub is the realtime engine of one node: which of its connections hear which
// topics. It has no state that another node needs.
type Hub struct {
	cfg      HubConfig
	broker   Broker
	last     LastEvents
	history  History
	presence Presence
	log      *slog.Logger
	plane    *fanout.Plane
	registry registry
	stats    hubCounters
	untold   untold
	// recentBytes is what all channels hold for resuming.
	recentBytes atomic.Int64
	tasks       tasks
	consoles    consoles

	mu       sync.RWMutex
	spaces   map[tenants.AppID]*space
	draining bool
	handed   []*Conn // closed while draining; they still have to leave
}

// NewHub makes a hub. It does nothing until [Hub.Run].
func NewHub(cfg HubConfig) *Hub {
	if cfg.ActivityTimeout <= 0 {
		cfg.ActivityTimeout = 120 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Fanout.Slow = closing(CodeOverCapacity, messageSlow)
	last, ok := cfg.Broker.(LastEvents)
	if !ok {
		panic("channels: the broker keeps no last events")
	}
	history, ok := cfg.Broker.(History)
	if !ok {
		panic("channels: the broker keeps no history")
	}
	h := &Hub{
		cfg: cfg, broker: cfg.Broker, last: last, history: history, presence: cfg.Presence, log: cfg.Log,
		spaces: make(map[tenants.AppID]*space),
	}
	cfg.Fanout.OnSlow = h.noteSlow
	h.plane = fanout.New(cfg.Fanout)
	h.registry.init(h.plane, cfg.Broker, cfg.Linger, h.loadChannel)
	h.registry.meters = cfg.Meters
	h.openConsoles()
	return h
}

// Run drives the hub until ctx ends, and returns when everything it started has ended.
func (h *Hub) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{
		h.plane.Run,
		h.registry.run,
		h.retell,
		h.tasks.run,
		h.checkPasts,
		h.runConsoles,
		func(ctx context.Context) error { return h.broker.Run(ctx, h.deliver) },
	} {
		wg.Go(func() { cancel(run(ctx)) }) // whoever returns first ends the others
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Started is closed once Run has been called and events flow in this process.
func (h *Hub) Started() <-chan struct{} { return h.broker.Started() }

// Publishes counts what was delivered to the subscribers of channels here.
func (h *Hub) Publishes() int64 { return h.plane.Stats().Publishes }

// publish hands validated events of one app to the broker. The errors are those
// of [Broker.Publish].
func (h *Hub) publish(ctx context.Context, app *tenants.App, evs []Event) ([]Position, error) {
	h.stats.published.Add(int64(len(evs)))
	for i := range evs {
		// What clients send is never kept (Pusher, "Cache channels").
		if kind, _ := Classify(evs[i].Topic.Channel); kind.Cache() && !IsClientEvent(evs[i].Name) {
			evs[i].CacheTTL = time.Duration(app.Settings.CacheTTLSeconds) * time.Second
		}
		evs[i].Keep = retentionOf(&app.Settings, evs[i].Topic.Channel)
	}
	if h.cfg.Tracer == nil || len(evs) == 0 {
		return h.broker.Publish(ctx, evs)
	}
	done := h.cfg.Tracer.Publishing(ctx, evs)
	positions, err := h.broker.Publish(ctx, evs)
	done(err)
	return positions, err
}

// deliver gives one event to this node's subscribers. Only messages are ever
// refused for want of room.
func (h *Hub) deliver(ev *Event) error {
	ch := h.registry.find(ev.Topic)
	if ch == nil {
		return nil
	}
	if ch.hear != nil {
		ch.hear(ev)
		return nil
	}
	switch ev.Kind {
	case Message:
		if ev.Trace == nil || h.cfg.Tracer == nil {
			return h.deliverMessage(ch, ev)
		}
		done := h.cfg.Tracer.Delivering(ev)
		err := h.deliverMessage(ch, ev)
		done(err)
		return err
	case MemberAdded, MemberRemoved, MemberUpdated:
		h.memberChanged(ch, ev)
	case CountChanged:
		if strings.HasPrefix(ev.Topic.Channel, userTopicPrefix) {
			h.userChanged(ev)
		} else {
			h.countChanged(ch, ev.Count)
		}
	case Terminate:
		h.userChanged(ev)
	case Missed:
		h.missed(ch)
	}
	return nil
}

func (h *Hub) deliverMessage(ch *channel, ev *Event) error {
	var except *fanout.Line
	if ev.Except != "" {
		except = h.lineOf(ev.Topic.App, ev.Except)
	}
	if !ev.Position.IsZero() {
		return h.deliverPlaced(ch, ev, except)
	}
	if p := ch.past.Load(); p != nil {
		return h.send(ch, p, ev, except)
	}
	frame := countDeliveries(ch.usage, eventFrame(ev))
	var ok bool
	if ch.cache != nil {
		ok = ch.cache.delivered(ev, frame, func() bool { return h.plane.Publish(ch.group, frame, except) })
	} else {
		ok = h.plane.Publish(ch.group, frame, except)
	}
	if !ok {
		h.stats.busy.Add(1)
		return ErrBusy
	}
	return nil
}

func (h *Hub) lineOf(app tenants.AppID, id SocketID) *fanout.Line {
	h.mu.RLock()
	sp := h.spaces[app]
	h.mu.RUnlock()
	if sp == nil {
		return nil
	}
	if c := sp.conn(id); c != nil {
		return c.line
	}
	return nil
}

// newSocketID makes an id that is never used twice: channel authorizations are
// bound to it and do not expire.
func newSocketID() SocketID {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	id := make([]byte, 0, 32)
	id = strconv.AppendUint(id, uint64(binary.LittleEndian.Uint32(b[:4])), 10)
	id = append(id, '.')
	id = strconv.AppendUint(id, binary.LittleEndian.Uint64(b[4:])>>1, 10)
	return SocketID(id)
}

package channels_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/console"
	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

// metered is a running hub that counts, and what it counts into.
type metered struct {
	hub    *channels.Hub
	meters *tenants.Meters
	store  *tenantstest.UsageStore
	stop   func() // ends the hub, then the meters
}

func startMetered(t testing.TB, limiter tenants.Limiter) *metered {
	t.Helper()
	m := &metered{store: &tenantstest.UsageStore{}}
	m.meters = tenants.NewMeters(m.store, tenants.MetersOptions{Interval: 20 * time.Millisecond, Alone: true})
	broker := channels.NewMemoryBroker()
	m.hub = channels.NewHub(channels.HubConfig{
		Broker: broker, Presence: channels.NewMemoryPresence(broker), Meters: m.meters, Limiter: limiter,
	})
	run := func(run func(context.Context) error) (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		return func() {
			cancel()
			if done == nil {
				return
			}
			require.NoError(t, <-done)
			done = nil
		}
	}
	endMeters, endHub := run(m.meters.Run), run(m.hub.Run)
	m.stop = func() { endHub(); endMeters() }
	t.Cleanup(m.stop)
	probe := channels.Topic{App: "99", Channel: "is-it-running"}
	require.Eventually(t, func() bool { return broker.Subscribe(t.Context(), probe) == nil }, 20*time.Second, time.Millisecond)
	return m
}

func meteredApp(id tenants.AppID, tenant string) *tenants.App {
	return &tenants.App{
		ID: id, TenantID: tenant, TenantStatus: tenants.TenantActive,
		Keys:     []tenants.Key{{Key: "key-" + string(id), Secret: tenants.NewSecret("s"), Status: tenants.KeyActive}},
		Settings: tenants.Settings{ClientEvents: true, CacheTTLSeconds: 1800},
		Limits:   tenants.Limits{MaxClientEventsPerSecond: 1000},
	}
}

func (m *metered) publish(t testing.TB, app *tenants.App, except, name string, to ...string) {
	t.Helper()
	var evs []channels.Event
	for _, channel := range to {
		evs = append(evs, channels.Event{
			Topic: channels.Topic{App: app.ID, Channel: channel}, Name: name, Data: []byte(`"data"`), Except: channels.SocketID(except),
		})
	}
	_, err := m.hub.Publish(t.Context(), app, evs)
	require.NoError(t, err)
}

// observer counts by itself what an app's clients saw and did.
type observer struct {
	counts  tenants.Counts
	clients []*channelstest.Client
}

// settle reads what every client was sent until now.
func (o *observer) settle(t *testing.T) {
	t.Helper()
	for _, c := range o.clients {
		c.Send("pusher:ping", "", map[string]any{})
		for {
			f := c.Next()
			switch {
			case f.Event == "pusher_internal:member_added", f.Event == "pusher_internal:member_removed":
				o.counts.PresenceChanges++
			case !strings.HasPrefix(f.Event, "pusher"):
				o.counts.Deliveries++
			}
			if f.Event == "pusher:pong" {
				break
			}
		}
	}
}

func (o *observer) connect(t *testing.T, m *metered, app *tenants.App) *channelstest.Client {
	t.Helper()
	c := channelstest.Connect(t, m.hub, app)
	o.clients = append(o.clients, c)
	return c
}

func TestAScriptedDayIsCountedExactly(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	one, other := meteredApp("1", "tn_a"), meteredApp("2", "tn_b")
	var o, foreign observer
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 12 {
		c := o.connect(t, m, one)
		c.Subscribe("news", "")
		c.Subscribe("private-room", "")
		c.Subscribe("presence-hall", fmt.Sprintf(`{"user_id":"u%d"}`, i%8))
		if i%2 == 0 {
			c.Subscribe("cache-price", "")
		}
		foreign.connect(t, m, other).Subscribe("news", "")
	}
	for i := range 400 {
		switch c := o.clients[rng.IntN(len(o.clients))]; rng.IntN(6) {
		case 0:
			m.publish(t, one, "", "e", "news", "cache-price", "presence-hall", "nobody-here")
			o.counts.Publishes += 4
		case 1:
			m.publish(t, one, c.ID, "e", "news")
			o.counts.Publishes++
		case 2:
			c.Send("client-typing", "private-room", map[string]int{"i": i})
			o.counts.ClientEvents++
		case 3:
			c.Send("pusher:unsubscribe", "", map[string]string{"channel": "presence-hall"})
			c.Subscribe("presence-hall", fmt.Sprintf(`{"user_id":"u%d"}`, rng.IntN(20)))
		case 4:
			c.Send("pusher:unsubscribe", "", map[string]string{"channel": "cache-price"})
			c.Subscribe("cache-price", "")
		default:
			require.NoError(t, m.hub.AdmitRead(t.Context(), one))
			o.counts.Queries++
		}
	}
	o.settle(t)
	foreign.settle(t)
	require.Positive(t, o.counts.PresenceChanges)
	require.Positive(t, o.counts.Deliveries)
	require.Zero(t, foreign.counts)
	require.Equal(t, o.counts.Messages(), m.meters.App(one).Today(), "the day's sum is exact at once, flushed or not")
	m.stop()

	var got tenants.Counts
	for _, h := range m.store.Hours() {
		if h.App == "2" {
			require.Zero(t, h.Counts, "a stranger pays for nobody")
		} else {
			got = got.Add(h.Counts)
		}
		require.EqualValues(t, 12, h.PeakConnections)
	}
	require.Positive(t, got.BytesOut)
	got.BytesOut = 0
	require.Equal(t, o.counts, got)
}

func TestPublishingStopsAtTheDaysLimit(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	app := meteredApp("1", "tn_a")
	app.Limits.MaxMessagesPerDay = 10
	var o observer
	c := o.connect(t, m, app)
	c.Join("private-room", "")
	o.connect(t, m, app).Join("private-room", "")
	for range 3 { // each one in, two out
		m.publish(t, app, "", "e", "private-room")
	}
	o.settle(t)
	c.Send("client-last", "private-room", "x")
	o.settle(t) // one in, one out: 11
	for range 2 {
		_, err := m.hub.Publish(t.Context(), app, []channels.Event{{Topic: channels.Topic{App: "1", Channel: "c"}, Name: "e", Data: []byte(`""`)}})
		require.Equal(t, &tenants.QuotaError{Limit: 10}, err)
	}
	c.Send("client-more", "private-room", "x")
	code, message := c.Complaint()
	require.Equal(t, channels.CodeClientEventRate, code)
	require.Contains(t, message, "max_messages_per_day")
	o.settle(t)
	require.EqualValues(t, 7, o.counts.Deliveries)
	require.EqualValues(t, 11, m.meters.App(app).Today(), "what is refused is not counted")
}

func TestRatesOfAnApp(t *testing.T) {
	t.Parallel()
	clock := tenantstest.NewClock()
	m := startMetered(t, tenants.NewMemoryLimiter(clock.Now))
	app, sister := meteredApp("1", "tn_a"), meteredApp("2", "tn_a")
	for _, a := range []*tenants.App{app, sister} {
		a.Limits.MaxPublishesPerSecond, a.Plan.MaxPublishesPerSecond = 10, 15
		a.Limits.MaxReadsPerSecond, a.Plan.MaxReadsPerSecond = 2, 3
	}
	three := []string{"a", "b", "c"}
	for range 3 {
		m.publish(t, app, "", "e", three...)
	}
	publish := func(a *tenants.App, n int) error {
		evs := make([]channels.Event, n)
		for i := range evs {
			evs[i] = channels.Event{Topic: channels.Topic{App: a.ID, Channel: three[i%3]}, Name: "e", Data: []byte(`""`)}
		}
		_, err := m.hub.Publish(t.Context(), a, evs)
		return err
	}
	require.Equal(t, &tenants.RateError{Limit: "max_publishes_per_second", PerSecond: 10, RetryAfter: 200 * time.Millisecond}, publish(app, 3),
		"an event counts once for each channel")
	require.NoError(t, publish(app, 1), "the refused call took nothing")
	require.NoError(t, publish(sister, 5))
	err := publish(sister, 1)
	require.ErrorContains(t, err, "all apps of this account together may use 15 a second")
	clock.Advance(time.Second)
	require.NoError(t, publish(app, 10))

	for range 2 {
		require.NoError(t, m.hub.AdmitRead(t.Context(), app))
	}
	require.ErrorContains(t, m.hub.AdmitRead(t.Context(), app), "max_reads_per_second")
	require.NoError(t, m.hub.TerminateUser(t.Context(), sister, "u"))
	require.EqualValues(t, 22, m.meters.App(app).Today(), "20 publishes and 2 reads")

	// Clients have a rate of their own.
	var o observer
	c := o.connect(t, m, app)
	c.Join("private-room", "")
	o.connect(t, m, app).Join("private-room", "")
	for range 40 {
		c.Send("client-e", "private-room", "x")
	}
	o.settle(t)
	require.EqualValues(t, 40, o.counts.Deliveries)
}

func TestDeliveriesOfATenant(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	app, sister, stranger := meteredApp("1", "tn_a"), meteredApp("2", "tn_a"), meteredApp("3", "tn_b")
	for _, a := range []*tenants.App{app, sister, stranger} {
		a.Plan.MaxDeliveriesPerSecond = 20
	}
	var o observer
	for range 10 {
		o.connect(t, m, app).Subscribe("news", "")
	}
	for range 10 {
		m.publish(t, stranger, "", "e", "news")
	}
	event := func(a *tenants.App) error {
		_, err := m.hub.Publish(t.Context(), a, []channels.Event{{Topic: channels.Topic{App: a.ID, Channel: "news"}, Name: "e", Data: []byte(`"x"`)}})
		return err
	}
	var refused *tenants.RateError
	for i := 0; refused == nil; i++ {
		require.Less(t, i, 100, "nothing holds the tenant to 20 deliveries a second")
		if err := event(app); err != nil {
			require.ErrorAs(t, err, &refused)
		}
		o.settle(t)
	}
	require.Equal(t, "max_deliveries_per_second", refused.Limit)
	require.True(t, refused.OfTenant)
	require.Error(t, event(sister), "its other apps wait too")
	require.NoError(t, event(stranger), "others do not")
	require.Eventually(t, func() bool { return event(app) == nil }, 20*time.Second, 10*time.Millisecond, "it is paid off")
}

func TestConnectionsOfATenant(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	app, sister, stranger := meteredApp("1", "tn_a"), meteredApp("2", "tn_a"), meteredApp("3", "tn_b")
	for _, a := range []*tenants.App{app, sister, stranger} {
		a.Plan.MaxConnections = 3
	}
	var o observer
	first := o.connect(t, m, app)
	o.connect(t, m, app)
	o.connect(t, m, sister)
	for range 3 {
		require.Equal(t, channels.CodeOverQuota, o.connect(t, m, sister).Closed())
		require.Equal(t, channels.CodeOverQuota, o.connect(t, m, app).Closed())
	}
	o.connect(t, m, stranger)
	first.Disconnect()
	o.connect(t, m, sister)
	require.EqualValues(t, 1, m.meters.App(app).Connections())
	require.EqualValues(t, 2, m.meters.App(sister).Connections())
	require.EqualValues(t, 4, m.hub.Stats().Connections)
}

func TestFirstConnectionRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	app, sister := meteredApp("1", "tn_a"), meteredApp("2", "tn_a")
	sister.Plan.MaxConnections = 1
	channelstest.Connect(t, m.hub, app)
	require.Equal(t, channels.CodeOverQuota, channelstest.Connect(t, m.hub, sister).Closed())
	require.EqualValues(t, 1, m.hub.Stats().Apps)
}

func BenchmarkPublish(b *testing.B) {
	for name, on := range map[string]bool{"plain": false, "metered and limited": true} {
		b.Run(name, func(b *testing.B) {
			cfg := channels.HubConfig{}
			if on {
				cfg.Meters = tenants.NewMeters(&tenantstest.UsageStore{}, tenants.MetersOptions{})
				at := time.Now() // faster than any app may publish: so it goes by a clock of its own
				cfg.Limiter = tenants.NewMemoryLimiter(func() time.Time { at = at.Add(time.Millisecond); return at })
			}
			broker := channels.NewMemoryBroker()
			cfg.Broker, cfg.Presence = broker, channels.NewMemoryPresence(broker)
			hub := channels.NewHub(cfg)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- hub.Run(ctx) }()
			defer func() {
				cancel()
				require.NoError(b, <-done)
			}()
			app := meteredApp("1", "tn_a")
			evs := []channels.Event{{Topic: channels.Topic{App: "1", Channel: "news"}, Name: "e", Data: []byte(`"data"`)}}
			for hub.TerminateUser(ctx, app, "u") != nil {
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hub.Publish(ctx, app, evs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What is refused is counted by reason, for the app that it was refused to.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	m := startMetered(t, nil)
	app := meteredApp("1", "tn")
	c := channelstest.Connect(t, m.hub, app)
	for range 2 {
		c.Send("pusher:subscribe", "", map[string]string{"channel": "private-orders"})
		require.Equal(t, "pusher:error", c.Next().Event)
	}
	m.hub.Rejected(app, console.PublishRate)
	m.hub.Rejected(app, console.Published)    // is none
	m.hub.Rejected(app, console.NodeDraining) // leads to another node
	c.Disconnect()
	m.stop()
	refused := map[string]int64{}
	for _, h := range m.store.Hours() {
		require.Equal(t, app.ID, h.App)
		for reason, n := range h.Refused {
			refused[reason] += n
		}
	}
	require.Equal(t, map[string]int64{string(console.AuthMissing): 2, string(console.PublishRate): 1}, refused)
}

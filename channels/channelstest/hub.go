package channelstest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// Engines are what one node's hub is built on.
type Engines struct {
	Broker   channels.Broker
	Presence channels.Presence
	// Run drives what the engines need beside Broker.Run, until ctx ends; nil for nothing.
	Run func(ctx context.Context) error
}

// TestHub holds hubs over one kind of engine to what clients of the protocol
// rely on. open gives the engines of one node or of several that are joined; it
// is called once per subtest, from parallel ones, and cleans up through t.
func TestHub(t *testing.T, open func(t *testing.T) []Engines) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *world)
	}{
		{"authorization of private channels", testPrivateAuth},
		{"presence: list, joins and leaves", testPresence},
		{"presence: users with several connections", testPresenceSameUser},
		{"presence: who a member is", testPresenceIdentity},
		{"presence: limits", testPresenceLimits},
		{"presence: churn against a model", testPresenceChurn},
		{"client events", testClientEvents},
		{"client events: what is refused", testClientEventRefusals},
		{"client events: rate", testClientEventRate},
		{"sign-in and server-to-user channels", testSignIn},
		{"sign-in: what is refused", testSignInRefusals},
		{"terminate connections", testTerminate},
		{"watchlist", testWatchlist},
		{"watchlist: too long", testWatchlistLimit},
		{"authorization within the time allowed", testRequireAuthorization},
		{"subscription counts", testSubscriptionCount},
		{"cache channels", testCache},
		{"cache channels with presence", testPresenceCache},
		{"cache channels: what is kept", testCacheKeeps},
		{"history: serials", testSerials},
		{"history: resume", testResume},
		{"history: gaps", testResumeGaps},
		{"history: rewind", testRewind},
		{"history: resume against a model", testResumeModel},
		{"history: requests", testPastRequests},
		{"history: what is refused", testPastRefusals},
		{"apps are strangers to each other", testAppsAreStrangers},
		{"occupied channels", testOccupied},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, newWorld(t, open(t)))
		})
	}
}

// world is one or more running hubs and an app.
type world struct {
	t    *testing.T
	hubs []*channels.Hub
	app  *tenants.App
}

func newWorld(t *testing.T, nodes []Engines) *world {
	t.Helper()
	w := &world{t: t, app: appWith(newApp(t), nil)}
	for _, e := range nodes {
		w.hubs = append(w.hubs, startHub(t, e))
	}
	return w
}

func startHub(t *testing.T, e Engines) *channels.Hub {
	t.Helper()
	hub := channels.NewHub(channels.HubConfig{Broker: e.Broker, Presence: e.Presence})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- hub.Run(ctx) }()
	go func() {
		if e.Run == nil {
			done <- nil
			return
		}
		done <- e.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
	})
	probe := channels.Topic{App: newApp(t), Channel: "is-it-running"}
	require.Eventually(t, func() bool {
		return e.Broker.Subscribe(ctx, probe) == nil
	}, patience, patience/10000, "broker does not start")
	require.NoError(t, e.Broker.Unsubscribe(ctx, probe))
	return hub
}

// appWith is an app that allows everything, changed by change.
func appWith(id tenants.AppID, change func(*tenants.App)) *tenants.App {
	app := &tenants.App{
		ID: id, TenantStatus: tenants.TenantActive,
		Keys: []tenants.Key{{Key: "key-" + string(id), Secret: tenants.NewSecret("secret of " + string(id)), Status: tenants.KeyActive}},
		Settings: tenants.Settings{
			ClientEvents: true, WatchlistEvents: true, CacheTTLSeconds: 1800, AuthorizationTimeoutSeconds: 30,
		},
		Limits: tenants.Limits{MaxPresenceMembers: 100, MaxPresenceInfoBytes: 1024, MaxEventBytes: 10240, MaxClientEventsPerSecond: 1000},
	}
	if change != nil {
		change(app)
	}
	return app
}

// with gives another app in the same world.
func (w *world) with(change func(*tenants.App)) *world {
	w.t.Helper()
	return &world{t: w.t, hubs: w.hubs, app: appWith(newApp(w.t), change)}
}

// connect opens a connection on node i, counted around.
func (w *world) connect(i int) *Client {
	w.t.Helper()
	return Connect(w.t, w.hubs[i%len(w.hubs)], w.app)
}

func (w *world) publish(i int, channel, event, data string, except string) {
	w.t.Helper()
	literal, err := json.Marshal(data)
	require.NoError(w.t, err)
	_, err = w.hubs[i%len(w.hubs)].Publish(context.Background(), w.app, []channels.Event{{
		Topic: channels.Topic{App: w.app.ID, Channel: channel}, Name: event, Data: literal, Except: channels.SocketID(except),
	}})
	require.NoError(w.t, err)
}

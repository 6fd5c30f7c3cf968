package channels_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/console"
	"tidewire/tenants"
)

// consoleHub is a hub that runs, with the tap given.
func consoleHub(t testing.TB, tap *console.Tap) *channels.Hub {
	t.Helper()
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{Broker: broker, Presence: channels.NewMemoryPresence(broker), Console: tap, JWT: tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{})})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool {
		_, err := hub.Publish(ctx, consoleTestApp("1"), oneEvent("1"))
		return err == nil
	}, 20*time.Second, time.Millisecond)
	return hub
}

func consoleTestApp(id tenants.AppID) *tenants.App {
	return &tenants.App{
		ID: id, TenantStatus: tenants.TenantActive, Settings: tenants.DefaultSettings(),
		Keys: []tenants.Key{{Key: "key-" + string(id), Secret: tenants.NewSecret("secret"), Status: tenants.KeyActive}},
	}
}

func oneEvent(id tenants.AppID) []channels.Event {
	return []channels.Event{{Topic: channels.Topic{App: id, Channel: "news"}, Name: "e", Data: []byte(`"{\"price\":12.5}"`)}}
}

// publishing measures how long one Publish to a channel with a subscriber takes.
func publishing(t testing.TB, hub *channels.Hub, app *tenants.App, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	for range n {
		if _, err := hub.Publish(context.Background(), app, oneEvent(app.ID)); err != nil {
			time.Sleep(time.Millisecond) // the plane is behind: both sides wait alike
		}
	}
	return time.Since(begun) / time.Duration(n)
}

// BenchmarkPublishConsoleClosed compares publishing while no console is open with
// publishing on a hub that has no console at all: pairs in turn, the median of
// their ratios and the interval in which it lies with 95 %.
func BenchmarkPublishConsoleClosed(b *testing.B) {
	const pairs, events = 25, 100_000
	app := consoleTestApp("1")
	off, closed := consoleHub(b, nil), consoleHub(b, console.NewTap("n1"))
	publishing(b, off, app, events)
	publishing(b, closed, app, events)
	for b.Loop() {
		ratios := make([]float64, pairs)
		var offs, closeds time.Duration
		for i := range ratios {
			var with, without time.Duration
			if i%2 == 0 {
				without, with = publishing(b, off, app, events), publishing(b, closed, app, events)
			} else {
				with, without = publishing(b, closed, app, events), publishing(b, off, app, events)
			}
			ratios[i] = float64(with) / float64(without)
			offs, closeds = offs+without, closeds+with
		}
		slices.Sort(ratios)
		// Of 25 values the 8th and the 18th enclose the median with 95 %.
		b.Logf("console closed / no console: median %.3f, 95 %% interval %.3f to %.3f, %d pairs; %s and %s for one publish",
			ratios[pairs/2], ratios[7], ratios[17], pairs, closeds/pairs, offs/pairs)
		b.ReportMetric(ratios[pairs/2], "ratio")
		b.ReportMetric(ratios[7], "ratio-low")
		b.ReportMetric(ratios[17], "ratio-high")
	}
}

// openConsole opens the console of an app and returns its client.
func openConsole(t testing.TB, hub *channels.Hub, app tenants.AppID) *channelstest.Client {
	t.Helper()
	return openStream(t, hub, tenants.StreamConsole, app)
}

func openStream(t testing.TB, hub *channels.Hub, stream tenants.Stream, app tenants.AppID) *channelstest.Client {
	t.Helper()
	secret := tenants.NewSecret("0123456789abcdef0123456789abcdef")
	c := channelstest.Connect(t, hub, tenants.ConsoleApp(secret))
	ticket, _, err := tenants.ConsoleTicket(secret, stream.Channel(app), "ada", c.ID, time.Now())
	require.NoError(t, err)
	c.Send("pusher:subscribe", "", map[string]any{"channel": stream.Channel(app), "auth": ticket})
	require.Equal(t, "pusher_internal:subscription_succeeded", c.Next().Event)
	return c
}

type consoleBatch struct {
	Entries []struct{ Code string }
	Skipped map[string]int
}

func nextBatch(t testing.TB, c *channelstest.Client) (b consoleBatch, size int) {
	t.Helper()
	f := c.Next()
	require.Equal(t, channels.EntriesEvent, f.Event)
	text := f.Text(t)
	require.NoError(t, json.Unmarshal([]byte(text), &b))
	return b, len(text)
}

// TestConsoleIsBounded publishes 10,000 events a second to a watched app, and
// looks at what the watcher is sent and how another app fares meanwhile.
func TestConsoleIsBounded(t *testing.T) {
	t.Parallel()
	tap := console.NewTap("n1")
	hub := consoleHub(t, tap)
	busy, other := consoleTestApp("1"), consoleTestApp("2")
	c := openConsole(t, hub, busy.ID)
	first, _ := nextBatch(t, c)
	require.Equal(t, string(console.Watching), first.Entries[0].Code)

	const seconds, rate = 2, 10_000
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range seconds * 100 {
			<-tick.C
			for range rate / 100 {
				if _, err := hub.Publish(context.Background(), busy, oneEvent(busy.ID)); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		}
	}()
	beside := publishing(t, hub, other, 5000)
	begun, shown, skipped, bytes := time.Now(), 0, 0, 0
	for shown+skipped < seconds*rate { // what is not shown is said to be missing
		b, size := nextBatch(t, c)
		require.LessOrEqual(t, len(b.Entries), 300)
		shown, skipped, bytes = shown+len(b.Entries), skipped+b.Skipped["publish"], bytes+size
	}
	took := time.Since(begun).Seconds()
	require.Equal(t, seconds*rate, shown+skipped)
	require.Positive(t, skipped)
	require.LessOrEqual(t, float64(shown), 3000*took+600, "at most 3,000 a second")
	require.NotNil(t, tap.Of(busy.ID))
	require.Nil(t, tap.Of(other.ID), "nothing is noted of an app that nobody watches")
	alone := publishing(t, hub, other, 5000)
	t.Logf("%d events in %.1f s with one watcher: %.0f a second shown, %d kB/s, %d said to be left out; another app publishes in %s meanwhile and in %s after",
		seconds*rate, took, float64(shown)/took, int(float64(bytes)/took/1000), skipped, beside, alone)
}

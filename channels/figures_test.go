package channels_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/console"
	"tidewire/tenants"
)

// asked counts how often figures were asked for, by stream and app.
type asked struct {
	mu    sync.Mutex
	times map[string]int
}

func (a *asked) figures(_ context.Context, stream tenants.Stream, app tenants.AppID) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := fmt.Sprintf("%s %s", stream, app)
	a.times[of]++
	return fmt.Appendf(nil, `{"of":"%s","n":%d}`, of, a.times[of]), nil
}

// take returns what was counted and begins anew.
func (a *asked) take() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.times
	a.times = make(map[string]int)
	return was
}

// Figures are asked for once a second while somebody looks at them, however many
// do, and not at all while nobody does.
func TestFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &asked{times: make(map[string]int)}
		broker := channels.NewMemoryBroker()
		hub := channels.NewHub(channels.HubConfig{
			Broker: broker, Presence: channels.NewMemoryPresence(broker),
			Console: console.NewTap("n1"), JWT: tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{}),
		})
		hub.TellFigures(a.figures)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		synctest.Wait()
		second := func() { time.Sleep(time.Second); synctest.Wait() } // of the test's own clock

		second()
		require.Empty(t, a.take())
		watchers := []*channelstest.Client{openStream(t, hub, tenants.StreamStats, "1"), openStream(t, hub, tenants.StreamStats, "1")}
		other := openStream(t, hub, tenants.StreamChannels, "2")
		synctest.Wait()
		require.Equal(t, map[string]int{"stats 1": 1, "channels 2": 1}, a.take(), "the first is told at once")
		for range 10 {
			second()
		}
		require.Equal(t, map[string]int{"stats 1": 10, "channels 2": 10}, a.take())
		for n, c := range map[string]*channelstest.Client{"stats 1": watchers[0], "channels 2": other} {
			f := c.Next()
			require.Equal(t, channels.FiguresEvent, f.Event)
			require.JSONEq(t, fmt.Sprintf(`{"of":"%s","n":1}`, n), f.Text(t))
		}

		watchers[0].Disconnect()
		second()
		require.Equal(t, map[string]int{"stats 1": 1, "channels 2": 1}, a.take())
		watchers[1].Disconnect()
		other.Disconnect()
		second()
		require.Empty(t, a.take(), "nobody is there any more")
		openStream(t, hub, tenants.StreamStats, "1")
		second()
		require.Equal(t, map[string]int{"stats 1": 2}, a.take())
		cancel()
		require.NoError(t, <-done)
	})
}

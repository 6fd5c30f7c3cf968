//go:build linux

package load_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/bench/internal/load"
	"tidewire/bench/internal/pusher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var app = pusher.Apps(1)[0]

// open connects clients that all listen to channel.
func open(t *testing.T, addr, channel string, clients int) *load.Loop {
	t.Helper()
	l, err := load.NewLoop(addr, 4)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	subs := make([]load.Subscription, clients)
	for i := range subs {
		subs[i] = load.Subscription{App: app, Channel: channel}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, l.Open(ctx, subs))
	require.EqualValues(t, clients, l.Ready())
	return l
}

func group(t *testing.T, addr, channel string, publishers, listeners, batch int) *load.Group {
	t.Helper()
	g, err := load.NewGroup(t.Context(), addr, publishers,
		[]load.Target{{App: app, Channel: channel, Listeners: listeners}}, load.Shape{Bytes: 200, Batch: batch})
	require.NoError(t, err)
	t.Cleanup(g.Close)
	return g
}

func TestEverythingArrives(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{0, 10} {
		s := newServer(t)
		l := open(t, s.addr, "private-room", 20) // the server checks the auth
		g := group(t, s.addr, "private-room", 3, 20, batch)

		sent, err := g.Paced(t.Context(), 300, 1, 200*time.Millisecond)
		require.NoError(t, err)
		events := int64(60 * max(batch, 1))
		require.EqualValues(t, 60, sent.Requests)
		require.Equal(t, events, sent.Events)
		require.Equal(t, events*20, sent.Deliveries)
		require.True(t, l.Drain(t.Context(), sent.Deliveries, 5*time.Second))

		got := l.Stats()
		require.Equal(t, sent.Deliveries, got.Received)
		require.Equal(t, sent.Deliveries, got.Latency.Count())
		require.Zero(t, got.Gaps)
		require.Zero(t, got.Repeats)
		require.Zero(t, got.Closed)
		require.Positive(t, got.Latency.Quantile(0.5))
		require.Less(t, got.Latency.Quantile(1), 10*time.Second)
	}
}

func TestSequencesGoOnAfterReset(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := open(t, s.addr, "room", 2)
	g := group(t, s.addr, "room", 1, 2, 0)
	for range 2 {
		sent, err := g.Paced(t.Context(), 1000, 1, 20*time.Millisecond)
		require.NoError(t, err)
		require.True(t, l.Drain(t.Context(), sent.Deliveries, 5*time.Second))
		got := l.Stats()
		require.Equal(t, sent.Deliveries, got.Received)
		require.Zero(t, got.Gaps+got.Repeats)
		l.Reset()
	}
}

func TestLostAndRepeatedEventsAreSeen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.skip, s.double = 5, 8 // the fifth never leaves, the eighth leaves twice
	l := open(t, s.addr, "room", 3)
	g := group(t, s.addr, "room", 1, 3, 0)
	sent, err := g.Paced(t.Context(), 1000, 1, 20*time.Millisecond)
	require.NoError(t, err)
	require.True(t, l.Drain(t.Context(), sent.Deliveries, 5*time.Second)) // one less and one more
	got := l.Stats()
	require.EqualValues(t, 3, got.Gaps)
	require.EqualValues(t, 3, got.Repeats)
}

func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := open(t, s.addr, "room", 1)
	require.False(t, l.Drain(t.Context(), 1, 10*time.Millisecond))
}

func TestClosedLoopHoldsItsBound(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	g := group(t, s.addr, "room", 2, 10, 0)
	// Nobody listens, so nothing is ever received: above 30 both publishers wait,
	// and each may have been about to send one request of 10 deliveries more.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	waits := atomic.Int64{}
	_, err := g.Closed(ctx, time.Hour, 30, func() int64 {
		if g.Expected() > 30 && waits.Add(1) > 50 {
			cancel()
		}
		return 0
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Greater(t, g.Expected(), int64(30))
	require.LessOrEqual(t, g.Expected(), int64(30+2*10))
}

func TestScheduleThatCannotBeKeptIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.refuse.Store(1 << 40) // as long as the test lasts, then once more
	g := group(t, s.addr, "room", 1, 1, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := 50 * time.Millisecond
	stop := time.AfterFunc(d+2500*time.Millisecond, func() { s.refuse.Store(0) })
	defer stop.Stop()
	sent, err := g.Paced(ctx, 1000, 1, d)
	require.NoError(t, err)
	require.EqualValues(t, 1, sent.Requests, "the one that was refused until too late")
	require.EqualValues(t, 49, sent.Unsent)
}

func TestRefusedRequestsAreSentAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.refuse.Store(3)
	l := open(t, s.addr, "room", 1)
	g := group(t, s.addr, "room", 1, 1, 0)
	sent, err := g.Paced(t.Context(), 1000, 1, 10*time.Millisecond)
	require.NoError(t, err)
	require.EqualValues(t, 3, sent.Refused)
	require.EqualValues(t, 10, sent.Requests)
	require.True(t, l.Drain(t.Context(), 10, 5*time.Second))
	stats := l.Stats()
	require.Zero(t, stats.Gaps)
}

func TestServerClosesAReadyClient(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := open(t, s.addr, "room", 2)
	s.closeAll(4100, "too slow")
	require.Eventually(t, func() bool { stats := l.Stats(); return stats.Closed == 2 }, 5*time.Second, time.Millisecond)
	stats := l.Stats()
	require.ErrorContains(t, stats.FirstErr, "4100 too slow")
	require.Zero(t, l.Ready())
}

func TestOpenTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	unknown := pusher.App{Key: "nobody"}
	l, err := load.NewLoop(s.addr, 4)
	require.NoError(t, err)
	defer l.Close()
	err = l.Open(t.Context(), []load.Subscription{{App: unknown, Channel: "room"}})
	require.ErrorContains(t, err, "404")

	wrong := app
	wrong.Secret = "not the secret"
	l2, err := load.NewLoop(s.addr, 4)
	require.NoError(t, err)
	defer l2.Close()
	err = l2.Open(t.Context(), []load.Subscription{{App: wrong, Channel: "private-room"}})
	require.ErrorContains(t, err, "refused")
}

func TestPublishTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	wrong := app
	wrong.Secret = "not the secret"
	g, err := load.NewGroup(t.Context(), s.addr, 1, []load.Target{{App: wrong, Channel: "room"}}, load.Shape{Bytes: 200})
	require.NoError(t, err)
	defer g.Close()
	_, err = g.Paced(t.Context(), 100, 1, 100*time.Millisecond)
	require.ErrorContains(t, err, "401")
	require.ErrorContains(t, err, pusher.ErrSignature.Error())
}

func TestCancelEndsAPhase(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.stall.Store(true) // the server never answers
	g := group(t, s.addr, "room", 2, 0, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := g.Closed(ctx, time.Hour, 10, func() int64 { return 0 })
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1:80", "[::1]:80", "localhost:80", "127.0.0.1"} {
		_, err := load.NewLoop(addr, 1)
		require.Error(t, err, addr)
	}
}

func TestRaiseFileLimit(t *testing.T) {
	t.Parallel()
	n, err := load.RaiseFileLimit()
	require.NoError(t, err)
	require.Positive(t, n)
}

package channels_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/fanout"
	"tidewire/tenants"
)

// changeWorld is a node and an app that changes.
type changeWorld struct {
	t   *testing.T
	hub *channels.Hub
	app *tenants.App                // as the doors know it
	now atomic.Pointer[tenants.App] // as the directory knows it; nil if it was deleted
}

func newChangeWorld(t *testing.T) *changeWorld {
	t.Helper()
	w := &changeWorld{t: t, app: &tenants.App{
		ID: "7", TenantStatus: tenants.TenantActive, Settings: tenants.DefaultSettings(), Limits: tenants.DefaultLimits(), Version: 1,
		Keys: []tenants.Key{{Key: "one", Status: tenants.KeyActive}, {Key: "two", Status: tenants.KeyActive}},
	}}
	w.now.Store(w.app)
	broker := channels.NewMemoryBroker()
	w.hub = channels.NewHub(channels.HubConfig{
		Broker: broker, Presence: channels.NewMemoryPresence(broker), Newest: func(tenants.AppID) *tenants.App { return w.now.Load() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return w
}

// change makes the directory know a newer app.
func (w *changeWorld) change(change func(*tenants.App)) *tenants.App {
	now := *w.now.Load()
	now.Version++
	change(&now)
	w.now.Store(&now)
	return &now
}

// connect comes in through a door that knows the first version of the app.
func (w *changeWorld) connect(key, origin string) *lastWords {
	w.t.Helper()
	words := &lastWords{ended: make(chan struct{})}
	conn, _ := w.hub.Connect(&channels.Entry{App: w.app, Key: key, Origin: origin}, words)
	if words.in = conn != nil; words.in {
		w.t.Cleanup(func() { conn.Closed(context.Background()) })
	}
	return words
}

// lastWords is a client that reads the code it is closed with.
type lastWords struct {
	in    bool
	ended chan struct{} // closed with the code
	code  int           // after ended
}

// TryWrite implements [fanout.Transport].
func (l *lastWords) TryWrite(b []byte) (int, bool, error) {
	if code, _ := fanout.EachText(b, func([]byte) {}); code != 0 {
		l.code = code
		close(l.ended)
	}
	return len(b), false, nil
}

// Drain implements [fanout.Transport].
func (*lastWords) Drain([]byte, time.Time) error { return nil }

// CloseWrite implements [fanout.Transport].
func (*lastWords) CloseWrite() error { return nil }

// Close implements [fanout.Transport].
func (*lastWords) Close() error { return nil }

func (l *lastWords) requireClosed(t *testing.T, code int) {
	t.Helper()
	select {
	case <-l.ended:
		require.Equal(t, code, l.code)
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it is still open")
	}
}

func (l *lastWords) requireOpen(t *testing.T) {
	t.Helper()
	require.True(t, l.in)
	select {
	case <-l.ended:
		require.FailNow(t, "it was closed", "code %d", l.code)
	default:
	}
}

// A page that is not allowed any more is closed, and nobody else.
func TestOriginsChangeUnderOpenConnections(t *testing.T) {
	t.Parallel()
	w := newChangeWorld(t)
	good, program := w.connect("one", "https://good.example.com"), w.connect("one", "")
	evil, other := w.connect("one", "https://evil.example.com"), w.connect("two", "null")
	was := w.now.Load()
	w.hub.AppChanged(was, w.change(func(a *tenants.App) { a.Name = "renamed" }))
	for _, c := range []*lastWords{good, program, evil, other} {
		c.requireOpen(t)
	}
	was = w.now.Load()
	allowed := []string{"*.example.org", "https://good.example.com"}
	w.hub.AppChanged(was, w.change(func(a *tenants.App) { a.Settings.AllowedOrigins = allowed }))
	evil.requireClosed(t, channels.CodeUnauthorized)
	other.requireClosed(t, channels.CodeUnauthorized)
	good.requireOpen(t)
	program.requireOpen(t)
}

// A client that was judged before a change and is admitted after it was told is
// judged again: nobody would close it later.
func TestAdmittedAfterAChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*tenants.App)
		code   int
	}{
		"key revoked":  {func(a *tenants.App) { a.Keys = a.Keys[1:] }, channels.CodeAppUnknown},
		"disabled":     {func(a *tenants.App) { a.Disabled = true }, channels.CodeAppDisabled},
		"suspended":    {func(a *tenants.App) { a.TenantStatus = tenants.TenantSuspended }, channels.CodeAppDisabled},
		"other origin": {func(a *tenants.App) { a.Settings.AllowedOrigins = []string{"example.org"} }, channels.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newChangeWorld(t)
			was := w.now.Load()
			w.hub.AppChanged(was, w.change(c.change))
			late := w.connect("one", "https://page.example.com")
			require.False(t, late.in)
			late.requireClosed(t, c.code)
			require.Zero(t, w.hub.Stats().Connections)
		})
	}
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		w := newChangeWorld(t)
		w.hub.AppChanged(w.now.Swap(nil), nil)
		w.connect("one", "").requireClosed(t, channels.CodeOverCapacity)
	})
	t.Run("another limit", func(t *testing.T) {
		t.Parallel()
		w := newChangeWorld(t)
		w.hub.AppChanged(w.now.Load(), w.change(func(a *tenants.App) { a.Limits.MaxConnections = 1 }))
		w.connect("one", "").requireOpen(t)
		w.connect("one", "").requireClosed(t, channels.CodeOverQuota)
	})
}

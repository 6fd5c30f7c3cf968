package webhooks_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
	webhookstore "tidewire/webhooks/sqlstore"
)

// apps is a directory with every app there could be.
type apps struct{}

func (apps) ByID(_ context.Context, id tenants.AppID) (*tenants.App, error) {
	return &tenants.App{
		ID: id, TenantID: "tn_" + string(id), TenantStatus: tenants.TenantActive, Settings: tenants.Settings{WebhookBatching: true},
		Keys: []tenants.Key{{Key: "key-" + string(id), Secret: tenants.NewSecret("secret-" + string(id)), Status: tenants.KeyActive}},
	}, nil
}

// hosts answers by the host: "bad" hosts fail, from call patience on only after
// they were waited for.
type hosts struct {
	mu       sync.Mutex
	calls    map[string]int // by URL
	wait     chan struct{}
	patience int
}

func (s *hosts) Check(context.Context, string) error { return nil }

func (s *hosts) Send(_ context.Context, url string, _ http.Header, _ []byte) webhooks.Answer {
	s.mu.Lock()
	s.calls[url]++
	hangs := s.calls[url] >= s.patience
	s.mu.Unlock()
	if !strings.Contains(url, "bad") {
		return webhooks.Answer{Status: 200}
	}
	if hangs {
		<-s.wait
	}
	return webhooks.Answer{Reason: "no complete answer"}
}

func (s *hosts) count(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[url]
}

type world struct {
	t       testing.TB
	store   *webhookstore.Store
	sender  *hosts
	out     webhooks.Sender // the one above, unless a test puts another
	pace    webhooks.Pace
	now     func() time.Time
	stopped func(ctx context.Context, was, is *webhooks.Endpoint)
	manager *webhooks.Manager
	service *webhooks.Service
	stop    func() error
}

// setup opens a store of its own; start runs a service over it.
func setup(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	return setupOver(t, dir, func(o sqlstore.Options) (*sqlstore.Store, error) {
		return sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "test.db"), o)
	})
}

// onEveryStore runs a test over each store there is.
func onEveryStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, setup(t)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, setupOver(t, t.TempDir(), func(o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenPostgres(t.Context(), dbtest.Postgres(t), o)
		}))
	})
}

func setupOver(t testing.TB, dir string, open func(sqlstore.Options) (*sqlstore.Store, error)) *world {
	t.Helper()
	key, err := tenants.LoadMasterKey("", dir)
	require.NoError(t, err)
	sealer, err := tenants.NewSealer(key)
	require.NoError(t, err)
	db, err := open(sqlstore.Options{Sealer: sealer, AutoMigrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	store, err := webhookstore.New(db.DB(), db.Dialect(), sealer, nil)
	require.NoError(t, err)
	s := &hosts{calls: make(map[string]int), wait: make(chan struct{})}
	return &world{t: t, store: store, sender: s, out: s, now: time.Now, manager: &webhooks.Manager{Store: store, Sender: s}}
}

func (w *world) start() {
	w.t.Helper()
	w.service = webhooks.New(webhooks.Config{Store: w.store, Apps: apps{}, Sender: w.out, Node: "n", Pace: w.pace, Now: w.now, Stopped: w.stopped})
	require.NoError(w.t, w.service.Load(w.t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.service.Run(ctx) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-done })
	w.t.Cleanup(func() { require.NoError(w.t, w.stop()) })
}

// endpoint makes one with n deliveries that are due.
func (w *world) endpoint(app, url string, n int) *webhooks.Endpoint {
	w.t.Helper()
	a, err := apps{}.ByID(w.t.Context(), tenants.AppID(app))
	require.NoError(w.t, err)
	e, err := w.manager.Create(w.t.Context(), a, webhooks.Settings{URL: &url})
	require.NoError(w.t, err)
	now := w.now()
	require.NoError(w.t, w.store.Record(w.t.Context(), func(tx webhooks.RecordTx) error {
		_, err := tx.InsertDeliveries(dueFor(e, n, now), webhooks.Claim{})
		return err
	}))
	return e
}

func dueFor(e *webhooks.Endpoint, n int, now time.Time) (list []webhooks.Delivery) {
	for range n {
		list = append(list, webhooks.Delivery{
			EndpointID: e.ID, App: e.App, TenantID: e.TenantID, Status: webhooks.Pending, Events: []byte("[]"),
			NextAt: now, ExpiresAt: now.Add(time.Hour), CreatedAt: now,
		})
	}
	return list
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	require.Eventually(w.t, ok, time.Minute, 10*time.Millisecond, what)
}

// An endpoint that was healthy and hangs costs a few calls at a time, not all
// that waits for it, and stopping waits for these only.
func TestAHangingEndpointHoldsFewCalls(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.endpoint("1", "https://bad.invalid/", 100)
	w.start()
	w.eventually("it is called", func() bool { return w.sender.count("https://bad.invalid/") > 0 })
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	select {
	case err := <-stopped:
		t.Fatal("a call under way is not waited for", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(w.sender.wait)
	require.NoError(t, <-stopped)
	require.LessOrEqual(t, w.sender.count("https://bad.invalid/"), 4)
	left, _, err := w.store.Backlog(t.Context())
	require.NoError(t, err)
	require.Equal(t, 100, left, "what was not delivered waits")
}

// Endpoints of other tenants that have failed and now hang do not delay a healthy
// one, however many they are.
func TestManyFailingEndpointsDelayNobody(t *testing.T) {
	t.Parallel()
	const many = 1000
	w := setup(t)
	w.sender.patience = 2
	for i := range many {
		w.endpoint(strconv.Itoa(i+10), "https://bad.invalid/"+strconv.Itoa(i), 1)
	}
	w.start()
	t.Cleanup(func() { close(w.sender.wait) }) // before the service is stopped
	w.eventually("all have failed once", func() bool {
		w.sender.mu.Lock()
		defer w.sender.mu.Unlock()
		return len(w.sender.calls) == many
	})
	w.endpoint("1", "https://good.invalid/", 50)
	w.eventually("the healthy one gets everything", func() bool { return w.sender.count("https://good.invalid/") == 50 })
}

// Whoever inserts deliveries may take over their lanes: those that are free and
// have nothing else to do, whose endpoint is called and did not fail.
func TestInsertDeliveriesTakesLanesOver(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		ctx, now := t.Context(), time.Now()
		endpoint := func(app string) *webhooks.Endpoint { return w.endpoint(app, "https://good.invalid/"+app, 0) }
		insert := func(most int, list ...webhooks.Delivery) (taken []webhooks.Lane) {
			t.Helper()
			slices.SortStableFunc(list, func(a, b webhooks.Delivery) int { return strings.Compare(a.EndpointID, b.EndpointID) })
			require.NoError(t, w.store.Record(ctx, func(tx webhooks.RecordTx) (err error) {
				taken, err = tx.InsertDeliveries(list, webhooks.Claim{Holder: "n", Now: now, Lease: time.Minute, Most: most})
				return err
			}))
			for _, d := range list {
				require.NotEmpty(t, d.ID)
				ours := slices.ContainsFunc(taken, func(l webhooks.Lane) bool { return l.EndpointID == d.EndpointID })
				require.Equal(t, ours, d.EndpointRevision != 0)
			}
			return taken
		}
		finish := func(lane webhooks.Lane, failures int) {
			t.Helper()
			due, err := w.store.DueDeliveries(ctx, lane.EndpointID, now, 10)
			require.NoError(t, err)
			var done []webhooks.Outcome
			for _, d := range due {
				d.Status, d.NextAt, d.FinishedAt = webhooks.Delivered, time.Time{}, now
				done = append(done, webhooks.Outcome{Delivery: d, Attempt: webhooks.Attempt{DeliveryID: d.ID, Number: 1, App: d.App, At: now}})
			}
			lane.Failures = failures
			require.NoError(t, w.store.FinishAttempts(ctx, &lane, done, time.Time{}))
		}

		free, other := endpoint("1"), endpoint("2")
		require.Empty(t, insert(0, dueFor(free, 1, now)...), "nobody asked for it")
		require.Empty(t, insert(1, dueFor(free, 1, now)...), "something is due in it already")
		taken := insert(1, append(dueFor(free, 1, now), dueFor(other, 3, now)...)...)
		require.Len(t, taken, 1, "one of them has nothing else to do")
		require.Equal(t, other.ID, taken[0].EndpointID)
		require.Equal(t, "n", taken[0].Holder)
		require.Empty(t, insert(1, dueFor(other, 1, now)...), "it is held")
		for range 2 { // the dispatcher's way
			lanes, err := w.store.ClaimLanes(ctx, "m", now, time.Minute, false, 10)
			require.NoError(t, err)
			for _, lane := range lanes {
				require.Equal(t, free.ID, lane.EndpointID)
				finish(lane, 0)
			}
		}
		finish(taken[0], 1)
		require.Empty(t, insert(1, dueFor(other, 1, now)...), "it failed last")

		third, fourth := endpoint("3"), endpoint("4")
		require.Len(t, insert(2, append(append(dueFor(free, 1, now), dueFor(third, 1, now)...), dueFor(fourth, 1, now)...)...), 2, "no more than were asked for")

		paused := endpoint("5")
		paused.Status = webhooks.Paused
		require.NoError(t, w.store.UpdateEndpoint(ctx, paused))
		require.Empty(t, insert(1, dueFor(paused, 1, now)...), "it is not called")

		gone := dueFor(&webhooks.Endpoint{ID: "gone", App: "6"}, 1, now)
		require.NoError(t, w.store.Record(ctx, func(tx webhooks.RecordTx) error {
			taken, err := tx.InsertDeliveries(gone, webhooks.Claim{Holder: "n", Now: now, Lease: time.Minute, Most: 1})
			require.Empty(t, taken)
			return err
		}))
		require.Empty(t, gone[0].ID, "there is no such endpoint")
	})
}

// What is stored of an attempt keeps the events as they were, unless they are not
// to be kept, and says when the lane has something to do next.
func TestFinishAttempts(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		e := w.endpoint("1", "https://good.invalid/", 3)
		now := time.Now().Add(time.Second)
		lanes, err := w.store.ClaimLanes(ctx, "n", now, time.Minute, false, 1)
		require.NoError(t, err)
		require.Len(t, lanes, 1)
		due, err := w.store.DueDeliveries(ctx, e.ID, now, 10)
		require.NoError(t, err)
		require.Len(t, due, 3)

		finish := func(list ...webhooks.Delivery) time.Time {
			var done []webhooks.Outcome
			for _, d := range list {
				d.Attempts, d.Status, d.NextAt, d.FinishedAt = 1, webhooks.Delivered, time.Time{}, now
				done = append(done, webhooks.Outcome{Delivery: d, Attempt: webhooks.Attempt{DeliveryID: d.ID, Number: 1, App: d.App, At: now}})
			}
			require.NoError(t, w.store.FinishAttempts(ctx, &lanes[0], done, now.Add(time.Minute)))
			return lanes[0].NextAt
		}
		require.Equal(t, due[2].NextAt, finish(due[0], due[1]))
		due[2].Events = nil
		require.Zero(t, finish(due[2]))
		for i, events := range []string{"[]", "[]", ""} {
			kept, err := w.store.Delivery(ctx, due[i].ID)
			require.NoError(t, err)
			require.Equal(t, webhooks.Delivered, kept.Status)
			require.Equal(t, events, string(kept.Events))
			attempts, err := w.store.Attempts(ctx, due[i].ID)
			require.NoError(t, err)
			require.Len(t, attempts, 1)
		}
	})
}

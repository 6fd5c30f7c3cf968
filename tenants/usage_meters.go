package tenants

import (
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// MetersOptions tune [Meters]. Every zero value means the default.
type MetersOptions struct {
	// Interval is the time between two flushes: what a process that is killed
	// loses at most, and how late nodes learn of each other. 10 s.
	Interval time.Duration
	// Alone says that there is no other node: what the store knows of other
	// processes' connections is of some that have died.
	Alone bool
	// OnNotice, if set, is told of quotas that are nearly or wholly used up. It
	// must not wait.
	OnNotice func(QuotaNotice)
	// Log receives those too, and trouble with the store; nil discards.
	Log *slog.Logger
}

const (
	// minAlive is the least time for which a silent node's connections count. It
	// is short: they come back on other nodes and must find room there.
	minAlive = 3 * time.Second
	// lastFlush bounds how long a stopping process tries to store the rest.
	lastFlush   = 5 * time.Second
	flushAgain  = 100 * time.Millisecond
	maxTurnTime = time.Second // how late a new hour may be noticed
	// maxPending is the number of records kept for a store that is away, from
	// which on what an app uses is added to its latest record, whatever the hour.
	maxPending = 100_000
)

// Meters count what every app uses on this node and add it to a [UsageStore]
// while [Meters.Run] runs.
//
// The counters of an app only ever grow. What they have grown by since the last
// time is cut off, belongs to the hour of the cut, and goes to the store in
// numbered batches. A batch whose outcome is not known is given again, the same
// and under the same number, until the store vouches for it; so nothing is
// counted twice, and nothing is lost but by a crash. There is one set of
// counters for each app that was used, as there is one entry in a [Directory].
type Meters struct {
	store  UsageStore
	opts   MetersOptions
	log    *slog.Logger
	source string
	wake   chan struct{} // an app was used for the first time

	mu      sync.RWMutex
	apps    map[AppID]*AppUsage
	tenants map[string]*tenantUsage

	// owned by Run
	seq     int64
	hour    time.Time
	flushed time.Time
	pending map[usageKey]*UsageHour
	batch   *UsageBatch         // given to the store, outcome not known; nil for none
	within  map[*AppUsage]int64 // messages of each app that are in the store once batch is
	failing bool
}

type usageKey struct {
	app  AppID
	hour time.Time
}

// NewMeters makes meters that add to store.
func NewMeters(store UsageStore, opts MetersOptions) *Meters {
	if opts.Interval <= 0 {
		opts.Interval = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	now := time.Now().UTC()
	return &Meters{
		store: store, opts: opts, log: opts.Log, source: strings.ToLower(rand.Text()),
		wake: make(chan struct{}, 1),
		apps: make(map[AppID]*AppUsage), tenants: make(map[string]*tenantUsage),
		hour: now.Truncate(time.Hour), flushed: now, pending: make(map[usageKey]*UsageHour),
	}
}

// App returns the counters of an app, the same ones every time. A nil *Meters
// returns nil.
func (m *Meters) App(app *App) *AppUsage {
	if m == nil {
		return nil
	}
	if u := m.Find(app.ID); u != nil {
		return u
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.apps[app.ID]; u != nil {
		return u
	}
	t := m.tenants[app.TenantID]
	if t == nil {
		t = &tenantUsage{id: app.TenantID}
		m.tenants[app.TenantID] = t
	}
	t.apps++
	t.fresh = true
	u := &AppUsage{meters: m, app: app.ID, tenant: t}
	m.apps[app.ID] = u
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return u
}

// Find returns the counters of an app that was used before, nil otherwise.
func (m *Meters) Find(id AppID) *AppUsage {
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.apps[id]
}

// Forget drops the counters of an app that was deleted, once what they hold is
// stored and its connections are gone.
func (m *Meters) Forget(id AppID) {
	if u := m.Find(id); u != nil {
		u.deleted.Store(true)
	}
}

func (m *Meters) notify(n QuotaNotice) {
	message := "messages of the day nearly used up"
	if n.Stopped() {
		message = "messages of the day used up, publishing is refused"
	}
	m.log.Warn(message, "tenant", n.TenantID, "app", n.App, "used", n.Used, "limit", n.Limit)
	if m.opts.OnNotice != nil {
		m.opts.OnNotice(n)
	}
}

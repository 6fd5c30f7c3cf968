package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
)

const (
	recordEvery = 100 * time.Millisecond
	recordBatch = 500
	// maxHeld and maxHeldOfApp bound what waits in memory for the database.
	maxHeld      = 100_000
	maxHeldOfApp = 10_000
	maxBatch     = 20 // events in one request, as with Pusher
	moverLease   = 10 * time.Second
)

// AppSource answers whose app that is, from memory.
type AppSource interface {
	ByID(ctx context.Context, id tenants.AppID) (*tenants.App, error)
}

// RecorderConfig sets up a [Recorder].
type RecorderConfig struct {
	Queue Queue
	Book  *Book
	Apps  AppSource
	// Changes keeps the changes of all nodes until they are recorded; nil = this node
	// is alone, and observes them all itself.
	Changes channels.ChangeLog
	// Presence is asked who of those that were told of is there still; nil = nobody is asked.
	Presence channels.Presence
	Node     string // unique among processes
	Grace    time.Duration
	Life     time.Duration // of a delivery; 24 hours and a bit
	Log      *slog.Logger
	Wake     func() // is called when there is something to send
}

// Recorder takes changes over into the queue: from there on they are not lost.
// What it observes itself waits in memory for a moment; when the process is
// killed in it, client events and cache misses of that moment are not told. Who
// is present is made good: a channel that was told of and is not occupied after
// a restart is told to be vacated.
type Recorder struct {
	cfg RecorderConfig

	mu    sync.Mutex
	held  []channels.Change
	ofApp map[tenants.AppID]int
	milli int64
	n     uint64

	quotas []tenants.QuotaNotice // guarded by mu

	// owned by Run
	lease      *Lease // of the mover; nil = somebody else's
	leasedAt   time.Time
	reconciled time.Time

	recorded atomic.Int64
	dropped  atomic.Int64
}

// NewRecorder makes a recorder. It observes at once, and records while Run runs.
func NewRecorder(cfg RecorderConfig) *Recorder {
	if cfg.Grace <= 0 {
		cfg.Grace = Grace
	}
	if cfg.Life <= 0 {
		cfg.Life = DefaultLife
	}
	return &Recorder{cfg: cfg, ofApp: make(map[tenants.AppID]int)}
}

// Wants implements [channels.Observer].
func (r *Recorder) Wants(app tenants.AppID, kind channels.ChangeKind) bool {
	if p, _, ok := pairOf(kind); ok { // both, or the pair could not be kept
		return r.cfg.Book.Wants(app, p.came) || r.cfg.Book.Wants(app, p.went)
	}
	return r.cfg.Book.Wants(app, kind)
}

// Full implements [channels.Observer].
func (r *Recorder) Full(app tenants.AppID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held) >= maxHeld || r.ofApp[app] >= maxHeldOfApp
}

// Observe implements [channels.Observer]. A cache miss that finds no room is
// counted and not told: unlike a client event it cannot be refused.
func (r *Recorder) Observe(c channels.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Kind == channels.CacheMissed && (len(r.held) >= maxHeld || r.ofApp[c.App] >= maxHeldOfApp) {
		r.dropped.Add(1)
		return
	}
	c.Seq, c.At = r.seq(), time.Now()
	r.held = append(r.held, c)
	r.ofApp[c.App]++
}

// seq needs mu. It grows, also when the clock goes back.
func (r *Recorder) seq() uint64 {
	if now := time.Now().UnixMilli(); now > r.milli {
		r.milli, r.n = now, 0
	} else if r.n++; r.n >= 1<<12 {
		r.milli, r.n = r.milli+1, 0
	}
	return channels.ChangeSeq(r.milli, r.n)
}

// Quota takes over a warning about the messages of the day.
func (r *Recorder) Quota(n tenants.QuotaNotice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.quotas) < maxHeldOfApp {
		r.quotas = append(r.quotas, n)
	}
}

// Run records until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for failing := false; ; {
		err := r.round(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "webhooks not recorded yet, trying again", "error", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := r.local(last); err != nil {
				r.cfg.Log.WarnContext(last, "webhooks of the last moment not recorded", "error", err)
			}
			return nil
		}
	}
}

func (r *Recorder) round(ctx context.Context) error {
	if err := r.local(ctx); err != nil {
		return err
	}
	if r.cfg.Changes == nil {
		if err := r.reconcile(ctx, nil); err != nil {
			return err
		}
		return r.record(ctx, nil, nil, time.Now())
	}
	return r.move(ctx)
}

// local records what this process has observed.
func (r *Recorder) local(ctx context.Context) error {
	for {
		r.mu.Lock()
		batch := r.held[:min(len(r.held), recordBatch)]
		quotas := r.quotas
		r.quotas = nil
		r.mu.Unlock()
		if len(batch) == 0 && len(quotas) == 0 {
			return nil
		}
		err := r.recordWith(ctx, nil, batch, quotas, time.Time{})
		r.mu.Lock()
		if err != nil {
			r.quotas = append(quotas, r.quotas...)
			r.mu.Unlock()
			return err
		}
		for i := range batch {
			if r.ofApp[batch[i].App]--; r.ofApp[batch[i].App] == 0 {
				delete(r.ofApp, batch[i].App)
			}
		}
		r.held = r.held[len(batch):]
		r.mu.Unlock()
	}
}

// move takes changes from the log of all nodes, if it is this one's turn to.
func (r *Recorder) move(ctx context.Context) error {
	for {
		lease, err := r.lead(ctx)
		if err != nil || lease == nil {
			return err
		}
		asked := time.Now()
		all, more, err := r.cfg.Changes.ReadChanges(ctx, recordBatch)
		if err != nil {
			return err
		}
		// What was recorded last and could not be removed is here again.
		done := strings.Split(lease.Batch, ",")
		fresh := slices.DeleteFunc(slices.Clone(all), func(c channels.Change) bool { return slices.Contains(done, c.ID) })
		ids := make([]string, len(all))
		for i := range all {
			ids[i] = all[i].ID
		}
		next := *lease
		next.Batch = strings.Join(ids, ",")
		due := asked
		if more { // somebody's return may be behind what was read
			due = time.Time{}
		}
		if err := r.record(ctx, &next, fresh, due); err != nil {
			r.lease = nil
			return err
		}
		*lease = next
		if err := r.cfg.Changes.ForgetChanges(ctx, all); err != nil {
			return err
		}
		if !more {
			return r.reconcile(ctx, r.lease)
		}
	}
}

// lead returns the mover's lease, or nil while another node has it.
func (r *Recorder) lead(ctx context.Context) (*Lease, error) {
	if wait := moverLease / 3; time.Since(r.leasedAt) < wait && (r.lease != nil || time.Since(r.leasedAt) < time.Second) {
		return r.lease, nil
	}
	r.leasedAt = time.Now()
	lease, err := r.cfg.Queue.Lead(ctx, "mover", r.cfg.Node, r.leasedAt, moverLease)
	r.lease = nil
	if errors.Is(err, ErrFenced) {
		return nil, nil
	}
	if err == nil {
		r.lease = &lease
	}
	return r.lease, err
}

func (r *Recorder) record(ctx context.Context, lease *Lease, cs []channels.Change, due time.Time) error {
	return r.recordWith(ctx, lease, cs, nil, due)
}

func (r *Recorder) recordWith(ctx context.Context, lease *Lease, cs []channels.Change, quotas []tenants.QuotaNotice, due time.Time) error {
	now := time.Now()
	in := Intake{Lease: lease, Changes: len(cs) + len(quotas), Due: due, DueLimit: recordBatch, Now: now}
	for i := range cs {
		if k, ok := stateKey(&cs[i]); ok {
			in.Keys = append(in.Keys, k)
		}
	}
	in.Keys = append(in.Keys, quotaKeys(quotas, now)...)
	apps, err := r.apps(ctx, cs)
	if err != nil {
		return err
	}
	sending := 0
	in.Fold = func(known map[StateKey]State, due []State) Folded {
		f := newFold(now, r.cfg.Grace, known)
		for i := range cs {
			if countable(apps[cs[i].App], &cs[i]) {
				f.change(&cs[i])
			}
		}
		for _, s := range due {
			f.due(s)
		}
		events := make([]event, 0, len(f.told))
		for i := range f.told {
			events = append(events, eventOf(&f.told[i]))
		}
		events = append(events, r.quotaEvents(f, quotas)...)
		out := Folded{Deliveries: r.deliveries(events, apps, now)}
		out.Keep, out.Gone = f.result()
		sending = len(out.Deliveries)
		return out
	}
	if err := r.cfg.Queue.Record(ctx, in); err != nil {
		return err
	}
	r.recorded.Add(int64(len(cs)))
	if sending > 0 && r.cfg.Wake != nil {
		r.cfg.Wake()
	}
	return nil
}

// countable keeps counts away that the app has not asked for.
func countable(app *tenants.App, c *channels.Change) bool {
	if c.Kind != channels.SubscriptionsChange {
		return true
	}
	kind, err := channels.Classify(c.Channel)
	return err == nil && kind.HasSubscriptionCount() && app != nil && app.Settings.SubscriptionCountEvents
}

// apps are those of the changes; one that is gone is nil.
func (r *Recorder) apps(ctx context.Context, cs []channels.Change) (map[tenants.AppID]*tenants.App, error) {
	apps := make(map[tenants.AppID]*tenants.App)
	for i := range cs {
		id := cs[i].App
		if _, known := apps[id]; known {
			continue
		}
		app, err := r.cfg.Apps.ByID(ctx, id)
		if err != nil && !errors.Is(err, tenants.ErrNotFound) {
			return nil, err
		}
		apps[id] = app
	}
	return apps, nil
}

// deliveries packs events into requests, one endpoint's together: never those of
// two apps, and never more than the endpoint may get at once.
func (r *Recorder) deliveries(events []event, apps map[tenants.AppID]*tenants.App, now time.Time) []Delivery {
	var list []Delivery
	open := make(map[string]int) // endpoint → place in list that takes more
	for _, ev := range events {
		for _, e := range r.cfg.Book.OfApp(ev.app) {
			if !e.open() || !e.Wants(ev.kind, ev.channel) {
				continue
			}
			app := apps[ev.app]
			// Some libraries decrypt every event of an encrypted channel, and reject
			// all that came with one they cannot.
			alone := !e.Batching || app != nil && !app.Settings.WebhookBatching || strings.HasPrefix(ev.channel, "private-encrypted-")
			if i, ok := open[e.ID]; ok && !alone && list[i].EventCount < maxBatch {
				list[i].add(ev)
				continue
			}
			d := Delivery{
				EndpointID: e.ID, App: e.App, TenantID: e.TenantID, Status: Pending,
				NextAt: now, CreatedAt: now, ExpiresAt: now.Add(r.cfg.Life),
			}
			d.add(ev)
			if !alone {
				open[e.ID] = len(list)
			}
			list = append(list, d)
		}
	}
	for i := range list {
		list[i].Events = append(list[i].Events, ']')
	}
	return list
}

func (d *Delivery) add(ev event) {
	if d.EventCount == 0 {
		d.Events = append(d.Events, '[')
	} else {
		d.Events = append(d.Events, ',')
	}
	d.Events = append(d.Events, ev.json...)
	d.EventCount++
	if !slices.Contains(d.Kinds, ev.kind) {
		d.Kinds = append(d.Kinds, ev.kind)
	}
}

// DefaultLife is how long a delivery is tried.
const DefaultLife = 25 * time.Hour

func quotaKey(n tenants.QuotaNotice, now time.Time) StateKey {
	level := "near"
	if n.Stopped() {
		level = "over"
	}
	return StateKey{App: n.App, Channel: n.TenantID, Subject: subjectQuota + level + now.UTC().Format(time.DateOnly)}
}

func quotaKeys(ns []tenants.QuotaNotice, now time.Time) (keys []StateKey) {
	for _, n := range ns {
		keys = append(keys, quotaKey(n, now))
	}
	return keys
}

// quotaEvents are the warnings that no node has recorded today.
func (r *Recorder) quotaEvents(f *fold, ns []tenants.QuotaNotice) (events []event) {
	for _, n := range ns {
		key := quotaKey(n, f.now)
		if _, told := f.states[key]; told {
			continue
		}
		f.states[key] = State{StateKey: key, At: f.now, DueAt: f.now.Add(25 * time.Hour)}
		apps := []tenants.AppID{n.App}
		if n.App == "" {
			apps = r.cfg.Book.OfTenant(n.TenantID)
		}
		for _, app := range apps {
			events = append(events, quotaEvent(app, n, channels.ChangeSeq(f.now.UnixMilli(), 0)))
		}
	}
	return events
}

var _ channels.Observer = (*Recorder)(nil)

package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
)

const (
	// Grace is how long a leave waits before it is told: whoever is back by then
	// never left (Pusher, "Webhooks").
	Grace = 3 * time.Second
	// gather is how long changes are collected for one request; twice as long those
	// of an app that has more by then than one request holds.
	gather = 100 * time.Millisecond
	// maxPerApp is how many changes of one app may wait to be stored, maxWaiting
	// how many of all.
	maxPerApp  = 20_000
	maxWaiting = 200_000
	// maxRecorded bounds one transaction.
	maxRecorded = 1000
	// maxBatch is how many events one request has, maxBatchBytes how large they are.
	maxBatch      = 50
	maxBatchBytes = 256 << 10
)

// Apps finds an app, from memory as a rule. [tenants.Directory] is one.
type Apps interface {
	ByID(ctx context.Context, id tenants.AppID) (*tenants.App, error)
}

// Log is a log of changes that a realtime engine keeps, in parts that one node at
// a time reads. Follow hands them over in their order, at least once: what take
// has returned nil for is not kept any longer. log names the part, in which the
// Place of each change is higher than that of the one before. Often there are no
// changes; then as well, all that happened in that part before until has been
// handed over, to this node or to another. Of names the part in which the changes
// of a channel, a member or a user stand.
type Log interface {
	Follow(ctx context.Context, take func(ctx context.Context, log string, changes []channels.Change, until time.Time) error) error
	Of(c *channels.Change) string
}

// Recorder turns changes into deliveries. It is the [channels.Observer] of a
// node. What it was told is in the store within a moment; until then it is lost
// if the process is killed, unless it came from a [Log].
type Recorder struct {
	store Store
	apps  Apps
	dir   *directory
	log   *slog.Logger
	now   func() time.Time
	stats *counters
	wake  func() // there are new deliveries
	serve serving
	logs  Log      // nil = what changes is observed
	heard sync.Map // of logs: name -> until when this node has all of it

	mu      sync.Mutex
	waiting []channels.Change
	perApp  map[tenants.AppID]int
	quota   []quotaChange
	signal  chan struct{}

	seq atomic.Uint64
}

var _ channels.Observer = (*Recorder)(nil)

// serving is how a [Service] takes over new deliveries without looking for them.
type serving struct {
	// claim says what may be taken over, of up to so many lanes; it holds c.Most
	// slots for them.
	claim func(lanes int) (c Claim)
	// begin serves lanes, whose first deliveries are given, and gives back the other
	// slots of the claim.
	begin func(c Claim, lanes []Lane, due []Delivery)
}

type quotaChange struct {
	app    tenants.AppID
	notice tenants.QuotaNotice
}

// Wants implements [channels.Observer].
func (r *Recorder) Wants(app tenants.AppID, kind channels.ChangeKind) bool {
	of := r.dir.of(app)
	return of != nil && of.wanted.has(kind)
}

// Full implements [channels.Observer].
func (r *Recorder) Full(app tenants.AppID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.perApp[app] >= maxPerApp
}

// Observe implements [channels.Observer].
func (r *Recorder) Observe(c channels.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= maxWaiting { // the store has been away for long: say so, and count it
		r.stats.lost.Add(1)
		return
	}
	c.At = r.now()
	c.Seq = r.nextSeq(c.At)
	r.waiting = append(r.waiting, c)
	r.perApp[c.App]++
	r.nudge()
}

// Notice tells of a quota that is nearly or wholly used up.
func (r *Recorder) Notice(app tenants.AppID, n tenants.QuotaNotice) {
	if !r.Wants(app, QuotaWarning) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quota = append(r.quota, quotaChange{app, n})
	r.nudge()
}

func (r *Recorder) nudge() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// nextSeq is higher than every one before.
func (r *Recorder) nextSeq(at time.Time) uint64 {
	for {
		last := r.seq.Load()
		next := max(last+1, channels.ChangeSeq(at.UnixMilli(), 0))
		if r.seq.CompareAndSwap(last, next) {
			return next
		}
	}
}

// run stores what is observed and what falls due, until ctx ends and nothing is
// waiting any more.
func (r *Recorder) run(ctx context.Context) error {
	tick := time.NewTicker(gather)
	defer tick.Stop()
	idle := time.NewTicker(gather * 3)
	defer idle.Stop()
	for both := false; ; {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			for r.flush(last, true) {
			}
			return nil
		case <-r.signal:
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			r.flush(ctx, both)
			both = !both
		case <-idle.C:
			r.flushDue(ctx)
		}
	}
}

// ready puts in front what is to be stored now, and returns how much that is: all,
// or what comes from quiet apps. The caller holds mu.
func (r *Recorder) ready(loud bool) int {
	isLoud := func(n int) bool { return n > maxBatch }
	if loud || !slices.ContainsFunc(slices.Collect(maps.Values(r.perApp)), isLoud) {
		return len(r.waiting)
	}
	quiet, held := make([]channels.Change, 0, len(r.waiting)), []channels.Change(nil)
	for _, c := range r.waiting {
		if isLoud(r.perApp[c.App]) {
			held = append(held, c)
		} else {
			quiet = append(quiet, c)
		}
	}
	r.waiting = append(quiet, held...)
	r.nudge()
	return len(quiet)
}

// flush stores what is waiting now, that of loud apps only if loud is set, and
// reports whether there is more. What cannot be stored waits on.
func (r *Recorder) flush(ctx context.Context, loud bool) (more bool) {
	r.mu.Lock()
	left, quota := r.ready(loud), slices.Clone(r.quota)
	r.mu.Unlock()
	for left > 0 || len(quota) > 0 {
		r.mu.Lock()
		batch := r.waiting[:min(left, maxRecorded)] // stays as it is: others only append
		r.mu.Unlock()
		if err := r.record(ctx, "", batch, quota); err != nil {
			r.log.WarnContext(ctx, "webhook events cannot be stored yet", "waiting", len(batch), "error", err)
			r.stats.storeFailures.Add(1)
			select {
			case <-time.After(time.Second):
				r.nudge()
			case <-ctx.Done():
			}
			return false
		}
		r.mu.Lock()
		for i := range batch {
			if r.perApp[batch[i].App]--; r.perApp[batch[i].App] <= 0 {
				delete(r.perApp, batch[i].App)
			}
		}
		r.waiting = append(r.waiting[:0], r.waiting[len(batch):]...)
		r.quota = append(r.quota[:0], r.quota[len(quota):]...)
		r.mu.Unlock()
		left -= len(batch)
		quota = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) > 0 || len(r.quota) > 0
}

// flushDue tells of leaves whose grace is over.
func (r *Recorder) flushDue(ctx context.Context) {
	next, err := r.store.NextDue(ctx)
	if err != nil || next.IsZero() || next.After(r.now()) {
		return
	}
	if err := r.record(ctx, "", nil, nil); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "webhook events cannot be stored yet", "error", err)
		r.stats.storeFailures.Add(1)
	}
}

// take is what a [Log] hands its changes to.
func (r *Recorder) take(ctx context.Context, log string, changes []channels.Change, until time.Time) error {
	kept := changes[:0:0]
	for i := range changes {
		if r.Wants(changes[i].App, changes[i].Kind) {
			kept = append(kept, changes[i])
		}
	}
	if len(kept) > 0 {
		if err := r.record(ctx, log, kept, nil); err != nil {
			return err
		}
	}
	r.heard.Store(log, until)
	return nil
}

// over reports whether a leave that is due has become final: nothing that could
// take it back is still to be read from a log.
func (r *Recorder) over(l *Leave) bool {
	if r.logs == nil {
		return true
	}
	c := l.change()
	until, ok := r.heard.Load(r.logs.Of(&c))
	return ok && !until.(time.Time).Before(l.Due)
}

// record stores changes in one transaction: those that somebody wants become
// deliveries, those that take each other back become nothing.
func (r *Recorder) record(ctx context.Context, log string, changes []channels.Change, quota []quotaChange) error {
	var (
		made  []Delivery
		claim Claim
		taken []Lane
	)
	changes = without(changes, r.gone(ctx, changes))
	err := r.store.Record(ctx, func(tx RecordTx) error {
		now := r.now()
		if log != "" {
			last, err := tx.Cursor(log)
			if err != nil {
				return err
			}
			changes = slices.DeleteFunc(changes, func(c channels.Change) bool { return c.Place <= last })
			if len(changes) == 0 {
				return nil
			}
			if err := tx.SetCursor(log, changes[len(changes)-1].Place); err != nil {
				return err
			}
		}
		events, err := r.eventsOf(tx, changes, now)
		if err != nil {
			return err
		}
		for _, q := range quota {
			events = append(events, quotaEvent(q.app, q.notice, r.nextSeq(now)))
		}
		made = r.plan(ctx, events, now)
		claim = r.serve.claim(lanesOf(made))
		taken, err = tx.InsertDeliveries(made, claim)
		return err
	})
	if err != nil {
		r.serve.begin(claim, nil, nil)
		return err
	}
	lanes := lanesOf(made)
	r.serve.begin(claim, taken, made)
	r.stats.recorded.Add(int64(len(made)))
	if len(taken) < lanes {
		r.wake()
	}
	return nil
}

// lanesOf counts the endpoints of deliveries that are in their order.
func lanesOf(list []Delivery) (n int) {
	for i := range list {
		if i == 0 || list[i].EndpointID != list[i-1].EndpointID {
			n++
		}
	}
	return n
}

// gone lists the apps that were deleted: nothing of them may be kept any more.
func (r *Recorder) gone(ctx context.Context, changes []channels.Change) (gone []tenants.AppID) {
	seen := make(map[tenants.AppID]bool)
	for i := range changes {
		app := changes[i].App
		if seen[app] {
			continue
		}
		seen[app] = true
		if _, err := r.apps.ByID(ctx, app); errors.Is(err, tenants.ErrNotFound) {
			gone = append(gone, app)
		}
	}
	return gone
}

func without(changes []channels.Change, gone []tenants.AppID) []channels.Change {
	if len(gone) == 0 {
		return changes
	}
	return slices.DeleteFunc(slices.Clone(changes), func(c channels.Change) bool { return slices.Contains(gone, c.App) })
}

// eventsOf applies the grace to changes, and adds the leaves that are due.
func (r *Recorder) eventsOf(tx RecordTx, changes []channels.Change, now time.Time) ([]event, error) {
	events := make([]event, 0, len(changes))
	size := 0
	for i := range changes {
		size += usualSize + len(changes[i].Data)
	}
	all := make([]byte, 0, size)
	tell := func(c *channels.Change) {
		var ev event
		ev, all = appendEvent(all, c)
		events = append(events, ev)
	}
	for i := range changes {
		c := &changes[i]
		_, came, paired := pairOf(c.Kind)
		if !paired {
			tell(c)
			continue
		}
		key := stateKey(c)
		told, known, err := tx.State(key)
		if err != nil {
			return nil, err
		}
		if came && !told.Due.IsZero() && !c.At.Before(told.Due) { // back, but too late: nobody has looked since
			events = append(events, leaveEvent(&Leave{key, told}))
			known = false
		}
		switch {
		case came && !known:
			tell(c)
			told = State{Seq: c.Seq}
		case came: // they never left
			told = State{Seq: told.Seq}
		default:
			told = State{Seq: c.Seq, Due: c.At.Add(Grace)}
		}
		if err := tx.PutState(key, told); err != nil {
			return nil, err
		}
	}
	if len(changes) > 0 && !slices.ContainsFunc(changes, func(c channels.Change) bool { _, _, paired := pairOf(c.Kind); return paired }) {
		return events, nil // the leaves have a look of their own
	}
	due, err := tx.TakeDue(now, maxRecorded, r.over)
	if err != nil {
		return nil, err
	}
	for i := range due {
		events = append(events, leaveEvent(&due[i]))
	}
	return events, nil
}

// leaveEvent tells of a leave as of the moment in which its grace was over:
// behind all that was before, and before all that came later.
func leaveEvent(l *Leave) event {
	c := l.change()
	c.Seq = max(l.Seq, channels.ChangeSeq(l.Due.UnixMilli(), 0)-1)
	return eventOf(&c)
}

// plan makes the deliveries of events: for each endpoint those it wants, several
// in one request where both the app and the endpoint like that.
func (r *Recorder) plan(ctx context.Context, events []event, now time.Time) []Delivery {
	var parcels []parcel
	open := make(map[string]int) // by endpoint: the parcel that takes more
	batched := make(map[tenants.AppID]bool)
	for i := range events {
		ev := &events[i]
		of := r.dir.of(ev.app)
		if of == nil {
			continue
		}
		if _, known := batched[ev.app]; !known {
			app, err := r.apps.ByID(ctx, ev.app)
			batched[ev.app] = err == nil && app.Settings.WebhookBatching
		}
		for j := range of.list {
			e := &of.list[j]
			if !e.open() || !e.Wants(ev.kind, ev.channel) {
				continue
			}
			at, ok := open[e.ID]
			if !ok || !batched[ev.app] || !e.Batching || !parcels[at].roomFor(ev) {
				at = len(parcels)
				parcels = append(parcels, parcel{to: e})
				open[e.ID] = at
			}
			parcels[at].add(ev)
		}
	}
	// In one order everywhere, so that nodes wait for each other's lanes instead of
	// blocking each other.
	slices.SortStableFunc(parcels, func(a, b parcel) int { return strings.Compare(a.to.ID, b.to.ID) })
	deliveries := make([]Delivery, len(parcels))
	for i := range parcels {
		deliveries[i] = parcels[i].delivery(now)
	}
	return deliveries
}

func stateKey(c *channels.Change) StateKey {
	k := StateKey{App: c.App, Channel: c.Channel}
	switch c.Kind {
	case channels.MemberCame, channels.MemberWent:
		k.Subject = subjectMember + toKey.Replace(c.UserID)
	case channels.UserOnline, channels.UserOffline:
		k.Subject = subjectUser + toKey.Replace(c.UserID)
	default:
		k.Subject = subjectChannel
	}
	return k
}

// The beginnings of [StateKey].Subject, in the order of pairs.
const (
	subjectChannel = "channel"
	subjectMember  = "member:"
	subjectUser    = "user:"
)

// toKey writes an id so that every database keeps it: Postgres knows no NUL, which
// an id of a member may hold. fromKey reads it back.
var (
	toKey   = strings.NewReplacer("%", "%25", "\x00", "%00")
	fromKey = strings.NewReplacer("%25", "%", "%00", "\x00")
)

// change is the leave a state has become.
func (l *Leave) change() channels.Change {
	c := channels.Change{App: l.App, Channel: l.Channel}
	if id, ok := strings.CutPrefix(l.Subject, subjectMember); ok {
		c.Kind, c.UserID = channels.MemberWent, fromKey.Replace(id)
	} else if id, ok := strings.CutPrefix(l.Subject, subjectUser); ok {
		c.Kind, c.UserID = channels.UserOffline, fromKey.Replace(id)
	} else {
		c.Kind = channels.ChannelVacated
	}
	return c
}

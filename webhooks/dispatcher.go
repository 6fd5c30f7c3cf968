package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/tenants"
)

// Sender makes one call. It follows no redirect, reads a bounded part of the
// answer, and refuses addresses that no tenant may make us call.
type Sender interface {
	Send(ctx context.Context, r Request) Response
}

// Request is one call to be made.
type Request struct {
	TenantID string // connections are not shared between tenants
	URL      string
	Header   http.Header
	Body     []byte
}

// Response is what came of a call.
type Response struct {
	Status     int    // 0 = there was no answer
	Reason     string // why there was none, or why it does not count; empty = it does
	RetryAfter time.Duration
	Took       time.Duration
	Address    string
	Head       string
	Body       string // its beginning; only of public addresses
}

// DispatcherConfig sets up a [Dispatcher].
type DispatcherConfig struct {
	Queue    Queue
	Book     *Book
	Apps     AppSource
	Sender   Sender
	Manager  *Manager
	Node     string
	Schedule []time.Duration // waits between attempts; [DefaultSchedule]
	Retain   time.Duration   // how long finished deliveries stay in the log; 7 days
	// GiveUp is after how long of nothing but failures an endpoint is paused; 5 days.
	GiveUp time.Duration
	Usage  func(*tenants.App) *tenants.AppUsage // nil counts nothing
	Log    *slog.Logger
}

const (
	pollEvery   = 200 * time.Millisecond
	tendEvery   = 30 * time.Second
	maxLanes    = 512 // served at once
	maxFailing  = 256 // of these, such whose last attempt failed
	perTenant   = 128
	perEndpoint = 4 // calls at once
	laneTurn    = 10 * time.Second
	laneLease   = time.Minute
)

// Dispatcher sends what is due. Each endpoint has a lane of its own, served by
// one node at a time; lanes of all tenants take turns, and those that fail have
// a bounded share of the places.
type Dispatcher struct {
	cfg  DispatcherConfig
	wake chan struct{}

	mu      sync.Mutex
	tenants map[string]int // lanes served now
	healthy int
	failing int

	attempts, delivered, failed, dead atomic.Int64
	backlog                           atomic.Pointer[Backlog]
}

// NewDispatcher makes a dispatcher; it sends while Run runs.
func NewDispatcher(cfg DispatcherConfig) *Dispatcher {
	if len(cfg.Schedule) == 0 {
		cfg.Schedule = DefaultSchedule()
	}
	if cfg.Retain <= 0 {
		cfg.Retain = 7 * 24 * time.Hour
	}
	if cfg.GiveUp <= 0 {
		cfg.GiveUp = 5 * 24 * time.Hour
	}
	return &Dispatcher{cfg: cfg, wake: make(chan struct{}, 1), tenants: make(map[string]int)}
}

// Wake makes the dispatcher look at once.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, and waits for the calls under way.
func (d *Dispatcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var tended time.Time
	for failing := false; ; {
		err := d.serveDue(ctx, &wg)
		if time.Since(tended) > tendEvery && err == nil {
			tended = time.Now()
			err = d.tend(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			d.cfg.Log.WarnContext(ctx, "webhooks not sent for now, trying again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-d.wake:
		}
	}
}

func (d *Dispatcher) tend(ctx context.Context) error {
	now := time.Now()
	n, err := d.cfg.Queue.Tend(ctx, now, now.Add(-d.cfg.Retain))
	d.dead.Add(int64(n))
	if err != nil {
		return err
	}
	b, err := d.cfg.Queue.Backlog(ctx, now)
	if err == nil {
		d.backlog.Store(&b)
	}
	return err
}

func (d *Dispatcher) serveDue(ctx context.Context, wg *sync.WaitGroup) error {
	now := time.Now()
	c := Claim{Holder: d.cfg.Node, Now: now, Until: now.Add(laneLease), PerTenant: perTenant}
	d.mu.Lock()
	c.Healthy, c.Failing = maxLanes-d.healthy-d.failing, maxFailing-d.failing
	for t, n := range d.tenants {
		if n >= perTenant {
			c.Skip = append(c.Skip, t)
		}
	}
	d.mu.Unlock()
	c.Failing = min(c.Failing, c.Healthy)
	lanes, err := d.cfg.Queue.Claim(ctx, c)
	if err != nil {
		return err
	}
	for _, l := range lanes {
		d.count(l, 1)
		wg.Go(func() {
			was := l
			defer d.count(was, -1)
			d.serve(ctx, l)
		})
	}
	return nil
}

func (d *Dispatcher) count(l Lane, by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants[l.TenantID] += by; d.tenants[l.TenantID] == 0 {
		delete(d.tenants, l.TenantID)
	}
	if l.Failures > 0 {
		d.failing += by
	} else {
		d.healthy += by
	}
}

// serve sends one lane's deliveries for one turn, and gives the lane back.
func (d *Dispatcher) serve(ctx context.Context, l Lane) {
	err := d.turn(ctx, &l)
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if back := d.cfg.Queue.Release(free, d.cfg.Node, l); back != nil {
		err = errors.Join(err, back)
	}
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.WarnContext(ctx, "webhook deliveries of an endpoint not dealt with, trying again", "endpoint", l.EndpointID, "error", err)
	}
}

func (d *Dispatcher) turn(ctx context.Context, l *Lane) error {
	end := time.Now().Add(laneTurn)
	for ctx.Err() == nil && time.Now().Before(end) {
		e := d.cfg.Book.Endpoint(l.EndpointID)
		if e == nil || e.Status != Enabled {
			l.NotBefore = time.Now().Add(2 * time.Second) // until it is enabled or its time is over
			return nil
		}
		app, err := d.cfg.Apps.ByID(ctx, e.App)
		if err != nil || app.TenantStatus == tenants.TenantSuspended || app.TenantStatus == tenants.TenantClosing {
			l.NotBefore = time.Now().Add(30 * time.Second)
			return nil
		}
		limit := 4 * perEndpoint
		if l.Failures > 0 {
			limit = 1 // a probe
		}
		batch, err := d.cfg.Queue.Next(ctx, l.EndpointID, time.Now(), limit)
		if err != nil || len(batch) == 0 {
			return err
		}
		outcomes := d.sendAll(ctx, l, e, app, batch)
		if err := d.cfg.Queue.Settle(context.WithoutCancel(ctx), outcomes); err != nil {
			return err
		}
		if l.Failures > 0 && !l.NotBefore.IsZero() && time.Now().Before(l.NotBefore) {
			return nil
		}
	}
	return nil
}

// sendAll sends some at a time; what was replayed goes one after the other, in
// its order.
func (d *Dispatcher) sendAll(ctx context.Context, l *Lane, e *Endpoint, app *tenants.App, batch []Delivery) []Outcome {
	width := perEndpoint
	if slices.ContainsFunc(batch, func(x Delivery) bool { return x.Replays > 0 }) {
		width = 1
	}
	outcomes := make([]Outcome, len(batch))
	responses := make([]Response, len(batch))
	room := make(chan struct{}, width)
	var wg sync.WaitGroup
	for i := range batch {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			outcomes[i], responses[i] = d.attempt(context.WithoutCancel(ctx), e, app, batch[i])
		})
	}
	wg.Wait()
	for i := range outcomes {
		d.judge(ctx, l, e, &outcomes[i], &responses[i])
	}
	return outcomes
}

// attempt makes one call for a delivery.
func (d *Dispatcher) attempt(ctx context.Context, e *Endpoint, app *tenants.App, x Delivery) (Outcome, Response) {
	now := time.Now()
	var res Response
	var head http.Header
	if key := signingKey(app); key == nil {
		res = Response{Reason: errNoKey.Error()}
	} else {
		body := x.body(now)
		head = signed(&x, e, key, body, now)
		res = d.cfg.Sender.Send(ctx, Request{TenantID: e.TenantID, URL: e.URL, Header: head, Body: body})
		d.cfg.countCall(app)
	}
	d.attempts.Add(1)
	return settled(x, e, now, head, res, d.cfg.Schedule), res
}

func (c *DispatcherConfig) countCall(app *tenants.App) {
	if c.Usage != nil {
		c.Usage(app).Webhooks(1)
	}
}

// settled says where a delivery stands after a call.
func settled(x Delivery, e *Endpoint, at time.Time, head http.Header, res Response, schedule []time.Duration) Outcome {
	now := time.Now()
	x.Attempts++
	x.Tries++
	x.HTTPStatus, x.Reason = res.Status, res.Reason
	a := &Attempt{
		DeliveryID: x.ID, Number: x.Attempts, App: x.App, At: at, Took: res.Took, HTTPStatus: res.Status, Reason: res.Reason,
		Address: res.Address, RequestHead: printHead(e, head), ResponseHead: res.Head, ResponseBody: res.Body,
	}
	o := Outcome{Attempt: a}
	switch {
	case res.Reason == "":
		x.Status, x.FinishedAt, o.DropBody = Delivered, now, !e.KeepBodies
	case x.Tries > len(schedule) || x.Test || !now.Before(x.ExpiresAt):
		x.Status, x.FinishedAt = Dead, now
	default:
		x.NextAt = now.Add(max(jitter(schedule[x.Tries-1]), min(res.RetryAfter, 24*time.Hour)))
		if !x.NextAt.Before(x.ExpiresAt) {
			x.NextAt = x.ExpiresAt.Add(-time.Second)
		}
	}
	o.Delivery = x
	return o
}

// judge draws the conclusions for the endpoint.
func (d *Dispatcher) judge(ctx context.Context, l *Lane, e *Endpoint, o *Outcome, res *Response) {
	switch {
	case o.Delivery.Status == Delivered:
		d.delivered.Add(1)
		l.Failures, l.FailingSince, l.NotBefore = 0, time.Time{}, time.Time{}
		return
	case o.Delivery.Status == Dead:
		d.dead.Add(1)
	}
	d.failed.Add(1)
	now := time.Now()
	if l.Failures++; l.Failures == 1 {
		l.FailingSince = now
	}
	l.NotBefore = now.Add(breakerWait(l.Failures))
	if res.RetryAfter > 0 { // it asks for rest, not only for this one
		if until := now.Add(min(res.RetryAfter, time.Hour)); until.After(l.NotBefore) {
			l.NotBefore = until
		}
	}
	switch {
	case res.Status == http.StatusGone:
		o.Delivery.Status, o.Delivery.FinishedAt, o.Delivery.NextAt = Dead, now, time.Time{}
		d.stop(ctx, e, Disabled, "it answered 410 Gone")
	case now.Sub(l.FailingSince) > d.cfg.GiveUp:
		d.stop(ctx, e, Paused, "every attempt has failed since "+l.FailingSince.UTC().Format(time.RFC3339))
	}
}

// stop takes an endpoint out of service, with a notice.
func (d *Dispatcher) stop(ctx context.Context, e *Endpoint, to Status, reason string) {
	d.cfg.Log.WarnContext(ctx, "webhook endpoint taken out of service", "endpoint", e.ID, "app", e.App, "status", to, "reason", reason)
	if err := d.cfg.Manager.stop(context.WithoutCancel(ctx), e, to, reason); err != nil {
		d.cfg.Log.WarnContext(ctx, "webhook endpoint not taken out of service yet", "endpoint", e.ID, "error", err)
	}
}

// Stats is a snapshot of what was sent.
type Stats struct {
	Recorded, Dropped                 int64
	Attempts, Delivered, Failed, Dead int64
	Lanes                             int64 // served now
	Due                               int64
	OldestDue                         time.Duration
}

// Stats returns the counters of this moment; r is the recorder beside it.
func (d *Dispatcher) Stats(r *Recorder) Stats {
	s := Stats{
		Recorded: r.recorded.Load(), Dropped: r.dropped.Load(), Attempts: d.attempts.Load(),
		Delivered: d.delivered.Load(), Failed: d.failed.Load(), Dead: d.dead.Load(),
	}
	d.mu.Lock()
	s.Lanes = int64(d.healthy + d.failing)
	d.mu.Unlock()
	if b := d.backlog.Load(); b != nil {
		s.Due = int64(b.Due)
		if !b.Oldest.IsZero() {
			s.OldestDue = max(0, time.Since(b.Oldest))
		}
	}
	return s
}

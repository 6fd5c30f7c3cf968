package webhooks

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels/console"
)

const (
	// Healthy endpoints and failing ones have slots of their own, so that a
	// thousand that time out do not delay one that does not. One that begins to
	// fail holds a healthy slot for its first call.
	healthySlots, failingSlots = 256, 64
	// atOnce is how many calls to one healthy endpoint are under way at a time; a
	// failing one gets one.
	atOnce = 4
	// perRound is how many deliveries of a lane are read at a time, rounds how
	// often before others get their turn.
	perRound, rounds = 40, 5
	// storeAfter is after how long no further call of a round is begun, so that what
	// was sent is soon known to be: of a node that is killed it is sent again.
	storeAfter = 25 * time.Millisecond
	// laneLease is how long a node may hold a lane without a word: [Pace].Lease.
	laneLease = time.Minute
	// lookEvery is how often the store is asked for what is due.
	lookEvery = 250 * time.Millisecond
)

// dispatch makes the calls that are due until ctx ends. Each lane is served by
// one node at a time; whoever was served longest ago comes first.
func (s *Service) dispatch(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	// Failing endpoints are looked for apart, and not in haste: however many they
	// are, the healthy ones do not wait for that.
	wg.Go(func() { s.serveDue(ctx, newSlots(failingSlots), true, nil) })
	s.serveDue(ctx, s.healthy, false, s.signal)
	return nil
}

// slots bound how many lanes are served at a time.
type slots struct {
	taken chan struct{}
	short atomic.Bool // when they were last asked for, there may have been too few
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// take takes up to so many slots and returns how many.
func (s *slots) take(most int) (n int) {
	for n < most {
		select {
		case s.taken <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

func (s *slots) give(n int) {
	for range n {
		<-s.taken
	}
}

// claimNew takes slots for so many lanes of new deliveries, unless slots are
// scarce: then the lanes that have waited come first.
func (s *Service) claimNew(lanes int) Claim {
	if s.running.Err() != nil {
		return Claim{}
	}
	most := s.healthy.take(min(lanes, cap(s.healthy.taken)/2-len(s.healthy.taken)))
	if most == 0 {
		return Claim{}
	}
	return Claim{Holder: s.cfg.Node, Now: s.cfg.Now(), Lease: s.cfg.Pace.Lease, Most: most}
}

// serveNew begins to serve the lanes that were taken over by a claim. due are new
// deliveries, of these lanes and others, in the order of their endpoints.
func (s *Service) serveNew(c Claim, lanes []Lane, due []Delivery) {
	s.healthy.give(c.Most - len(lanes))
	for i := range lanes {
		lane := &lanes[i]
		for due[0].EndpointID != lane.EndpointID {
			due = due[1:]
		}
		n := 1
		for n < len(due) && due[n].EndpointID == lane.EndpointID {
			n++
		}
		first := due[:min(n, perRound)]
		due = due[n:] // from now on the others are the lane's
		s.begin(s.running, s.healthy, lane, first)
	}
}

// begin serves a lane, for which a slot was taken.
func (s *Service) begin(ctx context.Context, slots *slots, lane *Lane, due []Delivery) {
	s.serving.Go(func() {
		s.serve(ctx, lane, due)
		slots.give(1)
		if next := lane.NextAt; slots.short.Load() || !next.IsZero() && !next.After(s.cfg.Now()) {
			s.recorder.wake() // others may have waited for the slot, or there is more
		}
	})
}

// serveDue serves lanes of one kind, whenever it is woken and every now and then.
func (s *Service) serveDue(ctx context.Context, slots *slots, failing bool, woken <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.claim(ctx, slots, failing)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-woken:
		}
	}
}

// claim takes as many lanes as there are free slots and serves them.
func (s *Service) claim(ctx context.Context, slots *slots, failing bool) {
	if ctx.Err() != nil {
		return
	}
	free := slots.take(cap(slots.taken))
	if free == 0 {
		slots.short.Store(true)
		return
	}
	lanes, err := s.cfg.Store.ClaimLanes(ctx, s.cfg.Node, s.cfg.Now(), s.cfg.Pace.Lease, failing, free)
	slots.give(free - len(lanes))
	slots.short.Store(len(lanes) == free)
	if err != nil {
		if ctx.Err() == nil {
			s.log.WarnContext(ctx, "webhook deliveries cannot be read", "error", err)
		}
		return
	}
	for i := range lanes {
		s.begin(ctx, slots, &lanes[i], nil)
	}
}

// serve works through a lane for a while and gives it back. A call under way when
// running ends is waited for; none is begun after that. due is what is due at
// first; nil = it is still to be read.
func (s *Service) serve(running context.Context, lane *Lane, due []Delivery) {
	for round := 1; s.serveRound(running, lane, round, due); round++ {
		due = nil
	}
}

// serveRound makes some of the calls that are due and reports whether the lane is
// still held for more. It takes less time than the lane is leased for, whatever
// the receiver does.
func (s *Service) serveRound(running context.Context, lane *Lane, round int, due []Delivery) (more bool) {
	lease := s.cfg.Pace.Lease
	ctx, cancel := context.WithTimeout(context.WithoutCancel(running), lease)
	defer cancel()
	limit := perRound
	if lane.Failures > 0 {
		limit = 1
	}
	if due == nil {
		var err error
		if due, err = s.cfg.Store.DueDeliveries(ctx, lane.EndpointID, s.cfg.Now(), limit); err != nil {
			s.log.WarnContext(ctx, "webhook deliveries cannot be read", "error", err)
			return false
		}
	}
	done, end := s.attemptSome(running, ctx, lane, due)
	more = len(done) > 0 && (len(done) == limit || len(done) < len(due)) && round < rounds && lane.Failures == 0 && running.Err() == nil
	keep := time.Time{}
	if more {
		keep = s.cfg.Now().Add(lease)
	}
	// At worst these attempts are made again: at least once, never lost.
	if err := s.cfg.Store.FinishAttempts(ctx, lane, done, keep); err != nil {
		s.log.WarnContext(ctx, "the outcome of webhook attempts cannot be stored; they will be made again", "error", err)
		return false
	}
	if end != (verdict{}) {
		s.stopEndpoint(ctx, lane, end)
	}
	return more
}

// attemptSome makes calls, atOnce at a time, and notes on the lane how they went.
// It ends early when one fails, when they have taken storeAfter, when the endpoint
// is not to be called any more, or when running ends.
func (s *Service) attemptSome(running, ctx context.Context, lane *Lane, due []Delivery) (done []Outcome, end verdict) {
	begun := s.cfg.Now()
	for len(due) > 0 && running.Err() == nil && s.cfg.Now().Sub(begun) < min(storeAfter, s.cfg.Pace.roundTime()) && s.callable(lane) {
		width := atOnce
		if due[0].Replays > 0 {
			width = 1 // what is replayed comes in its order
		}
		some := due[:min(len(due), width)]
		due = due[len(some):]
		outcomes := make([]Outcome, len(some))
		var wg sync.WaitGroup
		for i := range some {
			wg.Go(func() { outcomes[i] = s.attempt(ctx, &some[i]) })
		}
		wg.Wait()
		for i := range outcomes {
			if v := s.judge(lane, &outcomes[i]); v != (verdict{}) {
				end = v
			}
		}
		done = append(done, outcomes...)
		if lane.Failures > 0 {
			break
		}
	}
	return done, end
}

// callable reports whether the endpoint may be called, as far as is known here.
func (s *Service) callable(lane *Lane) bool {
	e := s.dir.find(lane.App, lane.EndpointID)
	return e == nil || e.Status == Enabled
}

// verdict says that an endpoint is not to be called any more; the zero one does not.
type verdict struct {
	status Status
	reason string
}

// judge keeps the books of the circuit breaker.
func (s *Service) judge(lane *Lane, o *Outcome) verdict {
	now := s.cfg.Now()
	if o.Attempt.Reason == "" {
		lane.Failures, lane.FailingSince, lane.RestUntil = 0, time.Time{}, time.Time{}
		return verdict{}
	}
	if lane.Failures++; lane.FailingSince.IsZero() {
		lane.FailingSince = now
	}
	lane.RestUntil = now.Add(s.cfg.Pace.rest(lane.Failures))
	switch {
	case o.Attempt.HTTPStatus == http.StatusGone:
		return verdict{Disabled, "the receiver answered 410 Gone; enable the endpoint when it is there again"}
	case lane.Failures >= pauseFailures && now.Sub(lane.FailingSince) >= pauseAfter:
		return verdict{Paused, "every call has failed for three days; see the deliveries for the reason, repair it, then resume the endpoint"}
	}
	return verdict{}
}

// stopEndpoint ends the calls to an endpoint and says why.
func (s *Service) stopEndpoint(ctx context.Context, lane *Lane, v verdict) {
	e, err := s.cfg.Store.Endpoint(ctx, lane.EndpointID)
	if err != nil || e.Status != Enabled { // somebody was faster
		return
	}
	was := *e
	e.Status, e.StatusReason, e.UpdatedAt = v.status, v.reason, s.cfg.Now()
	if err = s.cfg.Store.UpdateEndpoint(ctx, e); err == nil {
		s.cfg.Stopped(ctx, &was, e)
	}
	s.cfg.Console.Note(lane.App, console.Entry{Code: console.EndpointStopped, From: lane.EndpointID, Text: v.reason})
	s.log.WarnContext(ctx, "webhook endpoint stopped", "app", lane.App, "endpoint", lane.EndpointID, "status", v.status, "error", err)
}

// attempt makes one call and says what has come of it.
func (s *Service) attempt(ctx context.Context, d *Delivery) Outcome {
	now := s.cfg.Now()
	a := Attempt{DeliveryID: d.ID, Number: d.Attempts + 1, App: d.App, At: now}
	e, err := s.endpoint(ctx, d)
	var answer Answer
	if err != nil {
		answer.Reason = "the endpoint cannot be read at the moment"
	} else {
		answer = s.call(ctx, e, d, &a)
	}
	a.Took = max(0, s.cfg.Now().Sub(now))
	a.HTTPStatus, a.Reason, a.Address, a.ResponseHead, a.ResponseBody = answer.Status, answer.Reason, answer.Address, answer.Head, answer.Body
	d.Attempts++
	d.Tries++
	d.HTTPStatus, d.Reason = answer.Status, answer.Reason
	s.settle(d, e, &answer)
	s.tell(d, &a)
	return Outcome{Delivery: *d, Attempt: a}
}

// endpoint finds the endpoint of a delivery, as it was when that was read or newer.
// What is known here may be older: a change holds for all that is sent after it.
func (s *Service) endpoint(ctx context.Context, d *Delivery) (*Endpoint, error) {
	if e := s.dir.find(d.App, d.EndpointID); e != nil && e.Revision >= d.EndpointRevision {
		return e, nil
	}
	return s.cfg.Store.Endpoint(ctx, d.EndpointID)
}

// settle says where the delivery stands after the answer.
func (s *Service) settle(d *Delivery, e *Endpoint, answer *Answer) {
	now := s.cfg.Now()
	if answer.Reason == "" {
		s.stats.delivered.Add(1)
		d.Status, d.FinishedAt, d.NextAt = Delivered, now, time.Time{}
		if e != nil && !e.KeepBodies {
			d.Events = nil
		}
		return
	}
	s.stats.failed.Add(1)
	next, ok := s.cfg.Pace.retryAt(now, d.Tries, answer.RetryAfter)
	if d.Test || answer.Status == http.StatusGone || !ok || next.After(d.ExpiresAt) {
		s.stats.dead.Add(1)
		d.Status, d.FinishedAt, d.NextAt = Dead, now, time.Time{}
		return
	}
	d.NextAt = next
}

// tell tells the app's live console how a call went.
func (s *Service) tell(d *Delivery, a *Attempt) {
	feed := s.cfg.Console.Of(d.App)
	if feed == nil {
		return
	}
	code, text := console.WebhookDelivered, "answered "+strconv.Itoa(a.HTTPStatus)+" after "+a.Took.Round(time.Millisecond).String()
	if a.Reason != "" {
		code, text = console.WebhookFailed, a.Reason
	}
	kinds := make([]string, len(d.Kinds))
	for i, kind := range d.Kinds {
		kinds[i] = string(kind)
	}
	e := console.Entry{Code: code, Event: strings.Join(kinds, ", "), From: d.EndpointID, Text: text + ", attempt " + strconv.Itoa(a.Number)}
	feed.Add(e)
	if d.Status == Dead {
		e.Code, e.Text = console.WebhookDead, "delivery "+d.ID+" was given up: "+a.Reason
		feed.Add(e)
	}
}

func (s *Service) call(ctx context.Context, e *Endpoint, d *Delivery, a *Attempt) Answer {
	app, err := s.cfg.Apps.ByID(ctx, d.App)
	if err != nil {
		return Answer{Reason: "the app cannot be read at the moment"}
	}
	key := signingKey(app)
	if key == nil {
		return Answer{Reason: errNoKey.Error()}
	}
	now := s.cfg.Now()
	body := d.Body(now)
	header := signed(d, e, key, body, now)
	a.RequestHead = requestHead(header)
	s.stats.inFlight.Add(1)
	defer s.stats.inFlight.Add(-1)
	answer := s.send(ctx, e, d, header, body)
	s.cfg.Count(d.App, 1)
	return answer
}

func (s *Service) send(ctx context.Context, e *Endpoint, d *Delivery, header http.Header, body []byte) Answer {
	if s.cfg.Tracer == nil {
		return s.cfg.Sender.Send(ctx, e.URL, header, body)
	}
	done := s.cfg.Tracer.Calling(ctx, d)
	answer := s.cfg.Sender.Send(ctx, e.URL, header, body)
	done(answer)
	return answer
}

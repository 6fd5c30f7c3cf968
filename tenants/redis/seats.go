package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed" // the script
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/tenants"
)

//go:embed seats.lua
var seatsLua string

const (
	// seatsLease is the default of SeatsConfig.Lease.
	seatsLease = 15 * time.Second
	// seatsTime bounds one statement: longer than that, and Redis is away.
	seatsTime = time.Second
	// freedAfter is how long a seat that was freed may go untold.
	freedAfter = 50 * time.Millisecond
	// lookAgain is the time between two attempts while Redis is away.
	lookAgain = time.Second
)

// SeatsConfig sets up [Seats].
type SeatsConfig struct {
	// Lease is how long the seats of a node count that says nothing; 15 s.
	Lease time.Duration
	// Nodes is how many nodes share the seats; nil is one.
	Nodes func() int
	// Log receives when Redis goes away and comes back; nil discards.
	Log *slog.Logger
}

// Seats is the engine of [tenants.Seats] over Redis.
//
// Every node keeps saying how many connections it has of each app, as an
// absolute number, and asks in the same script for those it wants to admit. So
// nothing is counted up and down, the numbers of a node that dies end with its
// lease, and the limits are exact however many nodes ask at once. Connections
// that come while a statement of their tenant is under way share the next one.
//
// While Redis is away a node takes its part of the seats that were free when it
// was last heard of, and none that were not.
type Seats struct {
	rdb    goredis.UniversalClient
	cfg    SeatsConfig
	node   string
	script *goredis.Script
	number atomic.Int64 // of the last statement
	// lost is when Redis was last found to be away, in Unix nanoseconds; 0 = it is there.
	lost atomic.Int64
	// settled is until when others may not have said yet what they have, after
	// Redis was away; in Unix nanoseconds.
	settled atomic.Int64
	freed   chan struct{}

	mu      sync.Mutex
	tenants map[string]*seated
}

// seated is one tenant's connections on this node.
type seated struct {
	id   string
	turn chan struct{} // whoever is in it speaks of the tenant

	// guarded by mu of Seats
	apps    map[tenants.AppID]*seatedApp
	waiting []*seatWanted
	most    int // the tenant's limit
	sum     int // of the apps' open
	room    int // free seats by the last answer, less those taken since, for every node; -1 = never asked
	freed   bool
}

type seatedApp struct {
	open, most, room int // as for seated
	untold           bool
}

// seatWanted is one Take that waits.
type seatWanted struct {
	app             *tenants.App
	ofApp, ofTenant int
	answer          chan error
}

var _ tenants.Seats = (*Seats)(nil)

// NewSeats makes seats over the connections of rdb, which stay the caller's.
func NewSeats(rdb goredis.UniversalClient, cfg SeatsConfig) *Seats {
	cfg.Lease = cmp.Or(cfg.Lease, seatsLease)
	if cfg.Nodes == nil {
		cfg.Nodes = func() int { return 1 }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Seats{
		rdb: rdb, cfg: cfg, node: strings.ToLower(rand.Text()), script: goredis.NewScript(tampered(seatsLua)),
		freed: make(chan struct{}, 1), tenants: make(map[string]*seated),
	}
}

// Take implements [tenants.Seats].
func (s *Seats) Take(ctx context.Context, app *tenants.App) error {
	w := &seatWanted{app: app, answer: make(chan error, 1)}
	w.ofApp, w.ofTenant = app.ConnectionLimits()
	s.mu.Lock()
	t := s.tenants[app.TenantID]
	if t == nil {
		t = &seated{id: app.TenantID, turn: make(chan struct{}, 1), apps: make(map[tenants.AppID]*seatedApp), room: -1}
		s.tenants[app.TenantID] = t
	}
	t.waiting = append(t.waiting, w)
	s.mu.Unlock()
	select {
	case err := <-w.answer:
		return err
	case t.turn <- struct{}{}:
		s.speak(ctx, t, false)
		<-t.turn
		return <-w.answer // speak has answered all who waited
	}
}

// Free implements [tenants.Seats].
func (s *Seats) Free(tenantID string, app tenants.AppID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenantID]
	if t == nil || t.apps[app] == nil || t.apps[app].open == 0 {
		return
	}
	a := t.apps[app]
	a.open--
	t.sum--
	t.freed, a.untold = true, true
	if nodes := s.cfg.Nodes(); s.away() { // it was this node's, and stays so
		a.room += nodes
		t.room += nodes
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// away reports whether decisions are made without Redis.
func (s *Seats) away() bool {
	return s.lost.Load() != 0 || time.Now().UnixNano() < s.settled.Load()
}

// Run keeps saying what this node has, until ctx ends, and once more then.
// Losing Redis does not end it.
func (s *Seats) Run(ctx context.Context) error {
	again := time.NewTicker(min(s.cfg.Lease/3, lookAgain))
	defer again.Stop()
	var told time.Time
	for {
		select {
		case <-ctx.Done():
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), seatsTime)
			s.tellAll(bounded, func(t *seated) bool { return t.room >= 0 })
			cancel()
			return nil
		case <-again.C:
			lost := s.lost.Load() != 0
			if lost || time.Since(told) >= s.cfg.Lease/3 {
				told = time.Now()
				if s.tellAll(ctx, func(*seated) bool { return true }) == 0 && lost {
					s.ask(ctx)
				}
			}
		case <-s.freed:
			pause := time.NewTimer(freedAfter)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
			s.tellAll(ctx, func(t *seated) bool { return t.freed })
		}
	}
}

// Told returns an error while Redis may not know how many connections this node
// has: it was away, and has not been told again.
func (s *Seats) Told() error {
	if s.lost.Load() != 0 {
		return errUntold
	}
	return nil
}

var errUntold = errors.New("connections are not counted over all nodes yet")

// ask finds out whether Redis is back when there is nothing to tell it.
func (s *Seats) ask(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, seatsTime)
	defer cancel()
	s.report(ctx, s.rdb.Ping(bounded).Err())
}

// tellAll speaks of the tenants for which of is true, and forgets those of whom
// there is nothing to say any more. It returns of how many it spoke.
func (s *Seats) tellAll(ctx context.Context, of func(*seated) bool) (spoke int) {
	s.mu.Lock()
	var list []*seated
	for id, t := range s.tenants {
		if len(t.apps) == 0 && len(t.waiting) == 0 && len(t.turn) == 0 {
			delete(s.tenants, id)
		} else if of(t) {
			list = append(list, t)
		}
	}
	s.mu.Unlock()
	for _, t := range list {
		select {
		case t.turn <- struct{}{}:
			s.speak(ctx, t, true)
			<-t.turn
			spoke++
		case <-ctx.Done():
			return spoke
		}
	}
	return spoke
}

// statement is what is said in one call.
type statement struct {
	apps   []tenants.AppID
	wanted map[tenants.AppID][]*seatWanted
	keys   []string
	args   []any
}

// compose makes the next statement: everybody who waits is in it, and every app
// whose number has changed, or all apps.
func (s *Seats) compose(t *seated, all bool) statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := statement{wanted: make(map[tenants.AppID][]*seatWanted)}
	for _, w := range t.waiting {
		a := t.apps[w.app.ID]
		if a == nil {
			a = &seatedApp{room: -1}
			t.apps[w.app.ID] = a
		}
		a.most, t.most = w.ofApp, w.ofTenant
		st.wanted[w.app.ID] = append(st.wanted[w.app.ID], w)
	}
	t.waiting, t.freed = nil, false
	settling := s.lost.Load() == 0 && s.away()
	nodes, left := max(s.cfg.Nodes(), 1), 0
	if settling {
		left = max(t.room, 0) / nodes
	}
	for id, a := range t.apps {
		if all || a.untold || len(st.wanted[id]) > 0 {
			st.apps = append(st.apps, id)
		}
	}
	tag := "tw:seats:{" + t.id + "}"
	st.keys = []string{tag}
	st.args = []any{s.node, s.number.Add(1), s.cfg.Lease.Milliseconds(), t.most, t.sum}
	for _, id := range st.apps {
		a, want := t.apps[id], len(st.wanted[id])
		if settling { // others may not have said what they have: no more than this node's part
			want = min(want, max(a.room, 0)/nodes, left)
			left -= want
		}
		st.keys = append(st.keys, tag+":"+string(id))
		st.args = append(st.args, a.open, want, a.most)
	}
	return st
}

// speak says what this node has of a tenant and answers those who wait. It
// needs the tenant's turn.
func (s *Seats) speak(ctx context.Context, t *seated, all bool) {
	st := s.compose(t, all)
	if len(st.apps) == 0 {
		return
	}
	numbers, err := s.say(ctx, st, all)
	s.report(ctx, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.aloneWith(t, st)
		return
	}
	nodes := max(s.cfg.Nodes(), 1)
	free := func(room *int, now int) {
		if now = max(now, 0); *room < 0 || now < *room || !s.away() {
			*room = now
		}
	}
	free(&t.room, t.most-int(numbers[0]))
	for i, id := range st.apps {
		a, granted := t.apps[id], int(numbers[1+2*i])
		free(&a.room, a.most-int(numbers[2+2*i]))
		a.untold = false
		for j, w := range st.wanted[id] {
			if j < granted {
				a.open++
				t.sum++
				if s.away() {
					a.room -= nodes
					t.room -= nodes
				}
				w.answer <- nil
				continue
			}
			w.answer <- refused(a.most, t.most, int(numbers[2+2*i]) >= a.most)
		}
		if a.open == 0 {
			delete(t.apps, id)
		}
	}
}

func refused(ofApp, ofTenant int, full bool) error {
	if full {
		return &tenants.ConnectionsError{Limit: int64(ofApp)}
	}
	return &tenants.ConnectionsError{Limit: int64(ofTenant), OfTenant: true}
}

var errOvertaken = errors.New("overtaken by a later statement")

// say makes the call. The library must not send it twice, and need not: the
// next one says all of it again.
func (s *Seats) say(ctx context.Context, st statement, all bool) ([]int64, error) {
	if !all && s.lost.Load() != 0 {
		return nil, errAway // nobody who connects waits for a Redis that is known to be away
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), seatsTime)
	defer cancel()
	numbers, err := s.script.Run(ctx, s.rdb, st.keys, st.args...).Int64Slice()
	switch {
	case err != nil:
		return nil, fmt.Errorf("say how many connections there are: %w", err)
	case len(numbers) != 1+2*len(st.apps):
		return nil, errOvertaken
	}
	return numbers, nil
}

var errAway = errors.New("redis is away")

// aloneWith needs mu. It answers those who wait out of this node's part of what
// was free when Redis was last heard of.
func (s *Seats) aloneWith(t *seated, st statement) {
	nodes := max(s.cfg.Nodes(), 1)
	share := func(room *int, most int) int {
		if *room < 0 { // nothing is known: as if all nodes began now
			*room = most
		}
		return *room / nodes
	}
	for _, id := range st.apps {
		a := t.apps[id]
		a.untold = true
		for _, w := range st.wanted[id] {
			if share(&a.room, a.most) > 0 && share(&t.room, t.most) > 0 {
				a.open++
				t.sum++
				a.room -= nodes
				t.room -= nodes
				w.answer <- nil
				continue
			}
			w.answer <- refused(a.most, t.most, share(&a.room, a.most) == 0)
		}
	}
}

// report logs when Redis goes away and when it is back.
func (s *Seats) report(ctx context.Context, err error) {
	switch {
	case errors.Is(err, errAway):
	case err == nil:
		if s.lost.Load() != 0 {
			s.settled.Store(time.Now().Add(s.cfg.Lease/3 + lookAgain + seatsTime).UnixNano())
			s.lost.Store(0)
			s.cfg.Log.Info("connections are counted over all nodes again")
		}
	case s.lost.Swap(time.Now().UnixNano()) == 0 && ctx.Err() == nil:
		s.cfg.Log.Warn("connections are not counted over all nodes: keeping to this one's part of what was free",
			"nodes", s.cfg.Nodes(), "error", err)
	}
}

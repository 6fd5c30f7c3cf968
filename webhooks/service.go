package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// Config sets up a [Service]. Store, Apps and Sender are required.
type Config struct {
	Store  Store
	Apps   Apps
	Sender Sender
	// Log is the realtime engine's log of changes; nil for an engine that tells
	// its observer of each change as it makes it.
	Log Log
	// Node names this process among those on the same store.
	Node string
	// Count is told of calls, for the app's usage; nil counts nothing.
	Count func(app tenants.AppID, calls int)
	// Stopped is told of an endpoint that is not called any more because of how it
	// answered, as it was and as it is: somebody should know. It may take a second;
	// nil tells nobody.
	Stopped func(ctx context.Context, was, is *Endpoint)
	// Tracer follows the calls; nil follows none.
	Tracer Tracer
	// Retention is how long finished deliveries are kept; 7 days by default.
	Retention time.Duration
	Pace      Pace
	Console   *console.Tap     // told how calls went; nil is told nothing
	Logger    *slog.Logger     // nil discards
	Now       func() time.Time // nil = the clock; tests put theirs
}

// Service is a node's part in the webhooks: it records what happens and makes
// the calls.
type Service struct {
	cfg      Config
	log      *slog.Logger
	dir      *directory
	recorder *Recorder
	stats    counters
	backlog  backlog
	signal   chan struct{}
	healthy  *slots
	running  context.Context // of Run
	serving  sync.WaitGroup  // of the lanes
}

// backlog is the last known state of the queue.
type backlog struct {
	mu      sync.Mutex
	pending int
	oldest  time.Time
}

// New makes a service. It does nothing until [Service.Run].
func New(cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Retention <= 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	cfg.Pace = cfg.Pace.withDefaults()
	if cfg.Count == nil {
		cfg.Count = func(tenants.AppID, int) {}
	}
	if cfg.Stopped == nil {
		cfg.Stopped = func(context.Context, *Endpoint, *Endpoint) {}
	}
	s := &Service{cfg: cfg, log: cfg.Logger, dir: newDirectory(cfg.Store, cfg.Logger), signal: make(chan struct{}, 1), healthy: newSlots(healthySlots)}
	s.recorder = &Recorder{
		store: cfg.Store, apps: cfg.Apps, dir: s.dir, log: cfg.Logger, now: cfg.Now, stats: &s.stats, logs: cfg.Log,
		perApp: make(map[tenants.AppID]int), signal: make(chan struct{}, 1),
		wake: func() {
			select {
			case s.signal <- struct{}{}:
			default:
			}
		},
		serve: serving{s.claimNew, s.serveNew},
	}
	return s
}

// Recorder is what has to be told of changes.
func (s *Service) Recorder() *Recorder { return s.recorder }

// Load reads the endpoints; before it, or [Service.Run], nothing is wanted.
func (s *Service) Load(ctx context.Context) error { return s.dir.load(ctx) }

// Run records and delivers until ctx ends. What was observed before that is in
// the store when it returns; calls under way are waited for.
func (s *Service) Run(ctx context.Context) error {
	if s.cfg.Log == nil {
		// Whoever was there when this process ended last is not there now. Those who
		// are back within the grace never left.
		if err := s.cfg.Store.Abandon(ctx, s.cfg.Now().Add(Grace)); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "who was there before the restart is not known", "error", err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.running = ctx
	var wg sync.WaitGroup
	parts := []func(context.Context) error{s.dir.run, s.recorder.run, s.dispatch, s.housekeep}
	if s.cfg.Log != nil {
		parts = append(parts, func(ctx context.Context) error { return s.cfg.Log.Follow(ctx, s.recorder.take) })
	}
	for _, run := range parts {
		wg.Go(func() { cancel(run(ctx)) })
	}
	wg.Wait()
	s.serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Stats are the figures of this node, and of the queue as of some seconds ago.
func (s *Service) Stats() Stats {
	stats := s.stats.stats()
	s.backlog.mu.Lock()
	defer s.backlog.mu.Unlock()
	stats.Pending = s.backlog.pending
	if !s.backlog.oldest.IsZero() {
		stats.OldestAge = max(0, s.cfg.Now().Sub(s.backlog.oldest).Seconds())
	}
	return stats
}

// housekeep ends what has expired, forgets what is old, and looks at the queue.
func (s *Service) housekeep(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.housekeepOnce(ctx, round%60 == 0); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "webhook deliveries cannot be looked after", "error", err)
		}
	}
}

func (s *Service) housekeepOnce(ctx context.Context, prune bool) error {
	now := s.cfg.Now()
	pending, oldest, err := s.cfg.Store.Backlog(ctx)
	if err != nil {
		return err
	}
	s.backlog.mu.Lock()
	s.backlog.pending, s.backlog.oldest = pending, oldest
	s.backlog.mu.Unlock()
	dead, err := s.cfg.Store.Expire(ctx, now)
	s.stats.dead.Add(int64(dead))
	if err != nil || !prune {
		return err
	}
	return s.cfg.Store.Prune(ctx, now.Add(-s.cfg.Retention))
}

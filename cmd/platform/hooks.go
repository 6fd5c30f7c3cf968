package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
	"tidewire/webhooks/sender"
	hookstore "tidewire/webhooks/sqlstore"
)

// hooks is everything that tells the customers' servers.
type hooks struct {
	manager    *webhooks.Manager
	book       *webhooks.Book
	recorder   *webhooks.Recorder
	dispatcher *webhooks.Dispatcher
	sender     *sender.Client
}

// newHookManager is what commands need, beside a server or without one.
func newHookManager(cfg Config, store *sqlstore.Store) (*webhooks.Manager, *hookstore.Store, *sender.Client, error) {
	kept, err := hookstore.New(store.DB(), store.Dialect(), store.Sealer())
	if err != nil {
		return nil, nil, nil, err
	}
	out := sender.New(sender.Options{Timeout: cfg.WebhookTimeout, Allow: cfg.WebhookPrivate})
	return &webhooks.Manager{Store: kept, Sender: out, Reachable: out.Reachable}, kept, out, nil
}

func newHooks(ctx context.Context, cfg Config, store *sqlstore.Store, live *realtime, apps *tenants.Directory, usage func(*tenants.App) *tenants.AppUsage, log *slog.Logger) (*hooks, error) {
	manager, kept, out, err := newHookManager(cfg, store)
	if err != nil {
		return nil, err
	}
	if len(cfg.WebhookPrivate) > 0 {
		log.Warn("webhooks may call addresses inside: everybody who may create one can reach these ranges", "webhook_allow_private", cfg.WebhookPrivate)
	}
	node := nodeName()
	h := &hooks{manager: manager, book: webhooks.NewBook(kept, log), sender: out}
	if err := h.book.Load(ctx, true); err != nil {
		return nil, err
	}
	h.dispatcher = webhooks.NewDispatcher(webhooks.DispatcherConfig{
		Queue: kept, Book: h.book, Apps: apps, Sender: out, Manager: manager, Node: node, Usage: usage, Log: log,
	})
	h.recorder = webhooks.NewRecorder(webhooks.RecorderConfig{
		Queue: kept, Book: h.book, Apps: apps, Changes: live.changes, Presence: live.presence, Node: node, Log: log, Wake: h.dispatcher.Wake,
	})
	if live.observe != nil {
		live.observe(h.recorder)
	}
	return h, nil
}

// run ends when ctx does. What is still to be recorded then is, before it returns.
func (h *hooks) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return runCore(ctx, "webhook endpoints", h.book.Run) })
	group.Go(func() error { return runCore(ctx, "webhook recorder", h.recorder.Run) })
	group.Go(func() error { return runCore(ctx, "webhook dispatcher", h.dispatcher.Run) })
	err := group.Wait()
	_ = h.sender.Close()
	return err
}

// newHooksCollector shows what webhooks count.
func newHooksCollector(take func() webhooks.Stats) prometheus.Collector {
	type S = webhooks.Stats
	return snapshotCollector[S]{take: take, figures: []figure[S]{
		counter("tidewire_webhook_recorded_total", "Changes this node has recorded for webhooks.", func(s S) int64 { return s.Recorded }),
		counter("tidewire_webhook_dropped_total", "Cache misses not told for want of room.", func(s S) int64 { return s.Dropped }),
		counter("tidewire_webhook_attempts_total", "Calls made.", func(s S) int64 { return s.Attempts }),
		counter("tidewire_webhook_delivered_total", "Deliveries taken by their endpoints.", func(s S) int64 { return s.Delivered }),
		counter("tidewire_webhook_failed_total", "Calls that failed.", func(s S) int64 { return s.Failed }),
		counter("tidewire_webhook_dead_total", "Deliveries given up.", func(s S) int64 { return s.Dead }),
		gauge("tidewire_webhook_lanes", "Endpoints this node is sending to.", func(s S) int64 { return s.Lanes }),
		gauge("tidewire_webhook_due", "Endpoints with something due, over all nodes.", func(s S) int64 { return s.Due }),
		gauge("tidewire_webhook_oldest_due_seconds", "Age of the oldest due delivery.", func(s S) int64 { return int64(s.OldestDue.Seconds()) }),
	}}
}

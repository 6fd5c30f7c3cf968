package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tidewire/channels"
	channelsadmin "tidewire/channels/adminapi"
	"tidewire/channels/console"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
	webhooksadmin "tidewire/webhooks/adminapi"
	"tidewire/webhooks/sender"
	webhookstore "tidewire/webhooks/sqlstore"
)

func newSender(cfg Config) webhooks.Sender {
	return sender.New(sender.Options{Allow: cfg.WebhookAllow, Timeout: cfg.WebhookTimeout})
}

// openWebhooks puts the webhooks over the open database and makes the realtime
// engine tell of what happens.
func openWebhooks(ctx context.Context, cfg Config, store *sqlstore.Store, apps *tenants.Directory, accounts *tenants.Accounts, meters *tenants.Meters, live *realtime, out webhooks.Sender, tracer webhooks.Tracer, tap *console.Tap, log *slog.Logger) (webhooks.Store, *webhooks.Service, error) {
	kept, err := newWebhookStore(cfg, store, log)
	if err != nil {
		return nil, nil, err
	}
	if len(cfg.WebhookAllow) > 0 {
		log.WarnContext(ctx, "webhooks of every tenant may call addresses that are not public", "networks", cfg.WebhookAllow)
	}
	hooks := webhooks.New(webhooks.Config{
		Store: kept, Apps: apps, Sender: out, Log: live.log, Node: nodeName(), Tracer: tracer, Console: tap, Logger: log,
		Pace: webhooks.Pace{Lease: 2*cfg.WebhookTimeout + cfg.NodeLease},
		Stopped: func(ctx context.Context, was, is *webhooks.Endpoint) {
			if err := accounts.Notify(ctx, stoppedNotice(ctx, apps, was, is)); err != nil {
				log.ErrorContext(ctx, "nobody is told that a webhook endpoint was stopped", "endpoint", is.ID, "error", err)
			}
		},
		Count: func(app tenants.AppID, calls int) { meters.Find(app).Webhooks(calls) },
	})
	if live.observe != nil {
		live.observe(hooks.Recorder())
	}
	return kept, hooks, hooks.Load(ctx)
}

// stoppedNotice is what the tenant is told of an endpoint that was stopped. The
// address stands on a line of its own: it is the customer's text.
func stoppedNotice(ctx context.Context, apps *tenants.Directory, was, is *webhooks.Endpoint) tenants.Notice {
	name := string(is.App)
	if app, err := apps.ByID(ctx, is.App); err == nil {
		name = app.Name + " (" + name + ")"
	}
	return tenants.Notice{
		TenantID: is.TenantID, Action: "webhook." + string(is.Status), TargetKind: "webhook", TargetID: is.ID,
		Before: webhooksadmin.View(was), After: webhooksadmin.View(is),
		Subject: "A webhook endpoint was " + string(is.Status),
		Text: "A webhook endpoint of the app " + name + " is not called any more:\n\n" + is.URL + "\n\n" +
			"The reason: " + is.StatusReason + ".\n\nWhat could not be delivered is in its log for a week, and can be replayed from there:",
		Page: "apps/" + string(is.App) + "/webhooks/" + is.ID,
	}
}

func newWebhookStore(cfg Config, store *sqlstore.Store, log *slog.Logger) (*webhookstore.Store, error) {
	sealer, err := openSealer(cfg)
	if err != nil {
		return nil, err
	}
	return webhookstore.New(store.DB(), store.Dialect(), sealer, log)
}

// noticeQuota tells an app's webhooks of its quota. One of the whole tenant is
// told by the metrics and the dashboard only: it is of no app.
func noticeQuota(hooks *webhooks.Service, n tenants.QuotaNotice) {
	if hooks != nil && n.App != "" {
		hooks.Recorder().Notice(n.App, n)
	}
}

// moreRoutes are the rows that the higher floors add to the admin API.
func moreRoutes(hub *channels.Hub, apps *tenants.Directory, m *webhooks.Manager, own ownApp) []adminapi.Route {
	consoles := &channelsadmin.Consoles{Hub: hub, Apps: apps, App: own.app, Secret: own.secret}
	return slices.Concat(channelsadmin.Routes(hub, apps), consoles.Routes(), webhooksadmin.Routes(m, apps))
}

// newWebhookCollector shows what the webhooks count.
func newWebhookCollector(take func() webhooks.Stats) prometheus.Collector {
	type S = webhooks.Stats
	return snapshotCollector[S]{
		take: take,
		figures: []figure[S]{
			counter("tidewire_webhook_recorded_total", "Webhook deliveries made on this node.", func(s S) int64 { return s.Recorded }),
			counter("tidewire_webhook_delivered_total", "Webhook deliveries taken by their receivers.", func(s S) int64 { return s.Delivered }),
			counter("tidewire_webhook_attempts_failed_total", "Webhook calls that failed.", func(s S) int64 { return s.Failed }),
			counter("tidewire_webhook_dead_total", "Webhook deliveries given up; they are in the log and can be replayed.", func(s S) int64 { return s.Dead }),
			counter("tidewire_webhook_lost_total", "Changes that found no room because the database was away for too long.", func(s S) int64 { return s.Lost }),
			counter("tidewire_webhook_store_failures_total", "Times the database did not take webhook events at once.", func(s S) int64 { return s.StoreFailures }),
			gauge("tidewire_webhook_in_flight", "Webhook calls under way on this node.", func(s S) int64 { return s.InFlight }),
			gauge("tidewire_webhook_pending", "Webhook deliveries that wait, over all nodes.", func(s S) int64 { return int64(s.Pending) }),
			gauge("tidewire_webhook_oldest_due_seconds", "How long the oldest due webhook delivery has waited.", func(s S) int64 { return int64(s.OldestAge) }),
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"tidewire/channels"
	channelsadmin "tidewire/channels/adminapi"
	"tidewire/channels/api"
	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/channels/sockjs"
	"tidewire/channels/sse"
	"tidewire/channels/ws"
	"tidewire/tenants"
	"tidewire/tenants/jwks"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
)

// extras is what a caller adds to a plain server. The zero value adds nothing.
type extras struct {
	// prepare works on the open database before anything is served.
	prepare func(context.Context, *sqlstore.Store) error
	// accounts works on accounts before anything is served.
	accounts func(context.Context, *tenants.Accounts) error
	// home makes what is served at "/", instead of the way to the dashboard.
	home func(addresses, *channels.Hub, *tenants.Directory) (http.Handler, error)
	// ready is called once everything is served.
	ready func(addresses)
}

// run is the server: it opens everything in order of need, serves until ctx
// ends or a part fails, and stops in reverse. It returns nil after an orderly
// stop asked for by ctx.
func run(ctx context.Context, cfg Config, log *slog.Logger, x extras) error {
	// What can be wrong without a database comes first: then nothing has been
	// opened or written.
	tlsConfig, certificates, err := loadTLS(cfg, log)
	if err != nil {
		return err
	}
	mailer, err := newMailer(cfg, log)
	if err != nil {
		return err
	}
	ports, err := openPorts(ctx, cfg)
	if err != nil {
		return err
	}
	defer ports.close()
	store, err := openDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closePart(log, "database", store.Close)
	if x.prepare != nil {
		if err := x.prepare(ctx, store); err != nil {
			return err
		}
	}
	node := nodeName()
	live, err := openRealtime(ctx, cfg, node, log)
	if err != nil {
		return err
	}
	defer closePart(log, "realtime engine", live.close)
	if err := live.claimFor(ctx, store, log); err != nil {
		return err
	}

	traces, err := startTracing(ctx, cfg, node, log)
	if err != nil {
		return err
	}
	defer closePart(log, "traces", traces.close)
	apps := tenants.NewDirectory(store, log, tenants.DirectoryOptions{})
	var hooks *webhooks.Service
	meters := tenants.NewMeters(store, tenants.MetersOptions{
		Interval: cfg.UsageInterval, Alone: live.run == nil, Log: log,
		OnNotice: func(n tenants.QuotaNotice) { noticeQuota(hooks, n) },
	})
	sender := newSender(cfg)
	tap := console.NewTap(nodeName())
	own, err := newOwnApp(cfg)
	if err != nil {
		return err
	}
	accounts := newAccounts(cfg, ports.addresses().Main, store, log)
	hookStore, hooks, err := openWebhooks(ctx, cfg, store, apps, accounts, meters, live, sender, traces.ofWebhooks(), tap, log)
	if err != nil {
		return err
	}
	revoked := tenants.NewRevocationList(store, log)
	hub := channels.NewHub(channels.HubConfig{
		Broker: live.broker, Presence: live.presence, Linger: live.linger, CountInterval: live.countEvery, Handover: live.handover,
		JWT:    tenants.NewJWTVerifier(jwks.New(jwks.Options{Log: log}), revoked, tenants.JWTOptions{}),
		Newest: apps.Cached, Meters: meters, Limiter: live.limiter, Seats: live.seats, Log: log, Observer: hooks.Recorder(), Console: tap, Tracer: traces.ofChannels(),
		Fanout: fanout.Config{NoRing: !cfg.IOUring}, MayWatch: accounts.StillMay,
	})
	apps.OnChange(hub.AppChanged)
	apps.OnChange(revoked.AppChanged)
	revoked.OnChange(hub.RecheckTokens)
	hub.TellFigures(channelsadmin.Figures(hub, apps))
	isTLS, address := forwardedTLS(cfg.TrustedProxies), clientAddress(cfg.TrustedProxies)
	admission, clients := newAdmission(cfg, hub), channels.WithConsole(apps, own.app)
	door := ws.New(ws.Config{Hub: hub, Apps: clients, Log: log, MaxFrameBytes: int64(cfg.MaxFrameBytes), IsTLS: isTLS, Admission: admission, Address: address})
	admin, err := newAdmin(cfg, accounts, store, hookStore, live, log, moreRoutes(hub, apps, &webhooks.Manager{Store: hookStore, Sender: sender}, own)...)
	if err != nil {
		return err
	}
	parts := routes{
		ws:    door,
		http:  sockjs.New(sockjs.Config{Hub: hub, Apps: clients, Log: log, MaxFrameBytes: cfg.MaxFrameBytes, IsTLS: isTLS, Admission: admission, Address: address}),
		sse:   sse.New(sse.Config{Hub: hub, Apps: apps, Log: log, IsTLS: isTLS, Admission: admission, Address: address}),
		api:   api.New(api.Config{Hub: hub, Apps: apps, Log: log, Console: tap}),
		admin: admin,
		trace: traces.ofRequests(), timing: newRequestTiming(),
		ready: newReadiness(log, readyChecks(store, apps, live, admission)),
	}
	if x.accounts != nil {
		if err := x.accounts(ctx, accounts); err != nil {
			return err
		}
	}
	if x.home != nil {
		if parts.home, err = x.home(ports.addresses(), hub, apps); err != nil {
			return err
		}
	}
	srv, err := newServer(cfg, tlsConfig, log, parts)
	if err != nil {
		return err
	}
	// Requests that wait for events end only when they are told to.
	drainFallbacks(srv, cfg.ShutdownTimeout/8, parts)
	metrics := newMetricsServer(hub, admission, live, hooks, parts.ready, log, newCertificateCollector(certificates), newWaitingCollector(door.Waiting), parts.timing)

	group, running := errgroup.WithContext(ctx)
	cores, stopCores := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCores()
	group.Go(func() error { return runCore(cores, "app directory", apps.Run) })
	// What the hub counts is stored after it has ended.
	counting, endCounting := context.WithCancel(context.WithoutCancel(ctx))
	defer endCounting()
	group.Go(func() error { defer endCounting(); return runCore(cores, "hub", hub.Run) })
	group.Go(func() error { return runCore(counting, "usage", meters.Run) })
	group.Go(func() error { return runCore(cores, "revocations", revoked.Run) })
	// What the hub tells while it ends is recorded after it has ended.
	group.Go(func() error { return runCore(counting, "webhooks", hooks.Run) })
	group.Go(func() error {
		return runCore(cores, "accounts", func(ctx context.Context) error { return accounts.Run(ctx, mailer) })
	})
	if live.run != nil {
		group.Go(func() error { return runCore(cores, "realtime engine", live.run) })
	}
	group.Go(func() error { return runCore(cores, "readiness", parts.ready.run) })
	select { // whoever connects before that waits in the listener's queue
	case <-hub.Started():
	case <-running.Done():
	}
	main := door.Listen(ports.main, straight(srv))
	group.Go(func() error { return serve(srv, main) })
	if ports.metrics != nil {
		group.Go(func() error { return serve(metrics, ports.metrics) })
	}
	group.Go(func() error {
		<-running.Done()
		stop{log: log, timeout: cfg.ShutdownTimeout, delay: min(cfg.DrainDelay, cfg.ShutdownTimeout/4)}.all(hub, parts, srv, door, stopCores, metrics)
		return nil
	})
	log.Info("serving", "listen", ports.main.Addr().String(), "database", store.Dialect(), "realtime", live.engine, "tls", cfg.speaksTLS())
	logSetupLink(ctx, accounts, log)
	if x.ready != nil {
		x.ready(ports.addresses())
	}
	return group.Wait()
}

// runCore runs a part that ends when its context does; ending before is a failure.
func runCore(ctx context.Context, name string, run func(context.Context) error) error {
	err := run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	if err == nil {
		err = errors.New("ended by itself")
	}
	return fmt.Errorf("%s: %w", name, err)
}

// stop ends a running server in order, so that nothing that was accepted is
// lost because a part that carries it is already gone.
type stop struct {
	log     *slog.Logger
	timeout time.Duration // for all of it
	delay   time.Duration // of it, for the balancer to learn of it
}

// all takes the node out of the load balancer, ends the HTTP requests under
// way, sends the clients to another node, and only then stops the cores.
func (s stop) all(hub *channels.Hub, parts routes, srv *http.Server, door *ws.Door, stopCores func(), metrics *http.Server) {
	s.log.Info("stopping", "timeout", s.timeout.String())
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	parts.ready.drain()
	time.Sleep(s.delay)
	hub.Refuse() // before clients of any transport are sent away, so that all are handed over
	s.shutdown(ctx, srv, s.timeout/4)
	if err := door.Drain(ctx, s.timeout/4); err != nil {
		s.log.Warn("connections left at the end of the shutdown timeout are cut", "error", err)
	}
	closePart(s.log, "websocket door", door.Close)
	closePart(s.log, "fallback door", parts.http.Close)
	stopCores()
	s.shutdown(ctx, metrics, time.Second)
	s.log.Info("stopped", "took", time.Since(start).Round(time.Millisecond).String())
}

// shutdown closes the listener and waits for the requests under way, then cuts
// what is left.
func (s stop) shutdown(ctx context.Context, srv *http.Server, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		s.log.Warn("requests left under way are cut", "error", err)
		_ = srv.Close()
	}
}

// drainFallbacks has the clients of the HTTP transports sent away as soon as
// srv stops accepting.
func drainFallbacks(srv *http.Server, over time.Duration, parts routes) {
	for _, drain := range []func(context.Context, time.Duration) error{parts.http.Drain, parts.sse.Drain} {
		srv.RegisterOnShutdown(func() { _ = drain(context.Background(), over) })
	}
}

func closePart(log *slog.Logger, part string, end func() error) {
	if err := end(); err != nil {
		log.Warn("not ended cleanly", "part", part, "error", err)
	}
}

package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidewire/channels"
	"tidewire/webhooks"
)

// newMetricsServer serves /metrics, and profiles to this machine only: a
// profile can show what is in memory.
func newMetricsServer(hub *channels.Hub, admission *channels.Admission, live *realtime, hooks *webhooks.Service, ready *readiness, log *slog.Logger, more ...prometheus.Collector) *http.Server {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newHubCollector(hub.Stats),
		newAdmissionCollector(admission.Stats),
		newWebhookCollector(hooks.Stats),
		newHealthCollector(ready.health),
		buildCollector(),
	)
	registry.MustRegister(slices.Concat(live.collectors, more)...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	// Apps are without number, so theirs is a scrape of its own.
	perApp := prometheus.NewRegistry()
	perApp.MustRegister(appCollector{hub.AppStats})
	mux.Handle("GET /metrics/apps", promhttp.HandlerFor(perApp, promhttp.HandlerOpts{}))
	// This port is open to the end of a stop, the other one is not.
	mux.Handle("GET /readyz", ready)
	mux.Handle("/debug/pprof/", loopbackOnly(http.HandlerFunc(pprof.Index)))
	mux.Handle("/debug/pprof/profile", loopbackOnly(http.HandlerFunc(pprof.Profile)))
	mux.Handle("/debug/pprof/trace", loopbackOnly(http.HandlerFunc(pprof.Trace)))
	mux.Handle("/debug/pprof/symbol", loopbackOnly(http.HandlerFunc(pprof.Symbol)))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "profiles are served to this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func buildCollector() prometheus.Collector {
	b := readBuildInfo()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "tidewire_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": b.Version, "go": b.Go},
	}, func() float64 { return 1 })
}

// figure is one number of a snapshot S, as Prometheus shows it.
type figure[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(S) int64
}

func gauge[S any](name, help string, value func(S) int64) figure[S] {
	return figure[S]{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter[S any](name, help string, value func(S) int64) figure[S] {
	return figure[S]{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, value}
}

// family is a group of numbers of a snapshot S, told apart by one label whose
// values are a short fixed list.
type family[S any] struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType // 0 is a counter
	values func(S) map[string]uint64
}

func gauges[S any](name, help, label string, values func(S) map[string]uint64) family[S] {
	return family[S]{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.GaugeValue, values}
}

// snapshotCollector takes one snapshot per scrape, so that its numbers belong
// together. No label names a tenant: they are without number.
type snapshotCollector[S any] struct {
	take     func() S
	figures  []figure[S]
	families []family[S]
}

// Describe implements [prometheus.Collector].
func (c snapshotCollector[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		ch <- f.desc
	}
	for _, f := range c.families {
		ch <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (c snapshotCollector[S]) Collect(ch chan<- prometheus.Metric) {
	s := c.take()
	for _, f := range c.figures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value(s)))
	}
	for _, f := range c.families {
		for label, n := range f.values(s) {
			ch <- prometheus.MustNewConstMetric(f.desc, max(f.kind, prometheus.CounterValue), float64(n), label)
		}
	}
}

func newHubCollector(take func() channels.Stats) prometheus.Collector {
	type S = channels.Stats
	return snapshotCollector[S]{take: take, figures: []figure[S]{
		gauge("tidewire_connections", "WebSocket connections open on this node.", func(s S) int64 { return s.Connections }),
		gauge("tidewire_channels", "Channels with subscribers on this node.", func(s S) int64 { return s.Channels }),
		gauge("tidewire_apps", "Apps with connections on this node.", func(s S) int64 { return s.Apps }),
		counter("tidewire_connects_total", "Connections accepted.", func(s S) int64 { return s.Connects }),
		counter("tidewire_connects_refused_total", "Connections refused with a code.", func(s S) int64 { return s.Refused }),
		counter("tidewire_frames_received_total", "Frames received from clients.", func(s S) int64 { return s.FramesIn }),
		counter("tidewire_complaints_total", "Error frames sent on connections that stayed open.", func(s S) int64 { return s.Complaints }),
		counter("tidewire_events_published_total", "Events this node handed to the broker.", func(s S) int64 { return s.Published }),
		counter("tidewire_events_busy_total", "Events refused because too much was undelivered.", func(s S) int64 { return s.Busy }),
		counter("tidewire_history_refills_total", "Times events of a history were read that the broker had not brought.", func(s S) int64 { return s.Refills }),
		counter("tidewire_history_gaps_total", "Times missed events of a history were gone, and clients were sent away to resume.", func(s S) int64 { return s.HistoryGaps }),
		counter("tidewire_history_lost_total", "Times the engine turned out to have lost events of a history.", func(s S) int64 { return s.HistoryLost }),
		counter("tidewire_frames_sent_total", "Frames written to clients.", func(s S) int64 { return s.Fanout.Frames }),
		counter("tidewire_bytes_sent_total", "Bytes written to clients.", func(s S) int64 { return s.Fanout.Bytes }),
		counter("tidewire_writes_total", "Writes that carried the frames.", func(s S) int64 { return s.Fanout.Writes }),
		counter("tidewire_write_stalls_total", "Times a connection had to wait for its peer.", func(s S) int64 { return s.Fanout.Stalls }),
		counter("tidewire_slow_consumers_total", "Connections cut off because they read too slowly.", func(s S) int64 { return s.Fanout.SlowCuts }),
		gauge("tidewire_undelivered_bytes", "Published bytes not yet handed to connections.", func(s S) int64 { return s.Fanout.InboxBytes }),
	}}
}

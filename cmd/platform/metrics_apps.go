package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidewire/channels"
)

// appCollector shows what each app with connections on this node does. The only
// label is the app's id, which is made of digits.
type appCollector struct{ take func() []channels.AppStats }

type appFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(channels.AppStats) int64
}

func newAppFigure(name, help string, kind prometheus.ValueType, value func(channels.AppStats) int64) appFigure {
	return appFigure{prometheus.NewDesc(name, help, []string{"app"}, nil), kind, value}
}

var appFigures = []appFigure{
	newAppFigure("tidewire_app_connections", "Connections of the app on this node.", prometheus.GaugeValue, func(s channels.AppStats) int64 { return s.Connections }),
	newAppFigure("tidewire_app_published_total", "Events taken from the app's servers.", prometheus.CounterValue, func(s channels.AppStats) int64 { return s.Used.Publishes }),
	newAppFigure("tidewire_app_queries_total", "Calls that read the state of channels.", prometheus.CounterValue, func(s channels.AppStats) int64 { return s.Used.Queries }),
	newAppFigure("tidewire_app_client_events_total", "Events taken from clients.", prometheus.CounterValue, func(s channels.AppStats) int64 { return s.Used.ClientEvents }),
	newAppFigure("tidewire_app_deliveries_total", "Events queued for clients.", prometheus.CounterValue, func(s channels.AppStats) int64 { return s.Used.Deliveries }),
	newAppFigure("tidewire_app_sent_bytes_total", "Bytes queued for clients.", prometheus.CounterValue, func(s channels.AppStats) int64 { return s.Used.BytesOut }),
}

// Describe implements [prometheus.Collector].
func (c appCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range appFigures {
		ch <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (c appCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.take() {
		for _, f := range appFigures {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value(s)), string(s.App))
		}
	}
}

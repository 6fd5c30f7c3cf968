package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"tidewire/channels"
	"tidewire/webhooks"
)

// tracingEnd bounds the time that what was traced last may take to be sent.
const tracingEnd = 2 * time.Second

// tracing sends what happens to a collector: spans of publishes, of the broker,
// of deliveries and of webhook calls. Names of channels are in them, nothing of
// what is published is.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// startTracing begins to trace if the configuration names a collector, and
// returns nil otherwise. Sampler, batches, headers, resource and the like are
// taken from the standard OTEL_ variables, by the library.
func startTracing(ctx context.Context, cfg Config, node string, log *slog.Logger) (*tracing, error) {
	if cfg.TracesEndpoint == "" {
		return nil, nil
	}
	if p := cfg.TracesProtocol; p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %s, and traces are sent as http/protobuf: set it to that and the endpoint to the collector's port for it, usually 4318; or OTEL_TRACES_EXPORTER=none", p)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.TracesEndpoint))
	if err != nil {
		return nil, fmt.Errorf("traces_endpoint: %w", err)
	}
	of, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "tidewire"), attribute.String("service.version", version),
			attribute.String("service.instance.id", node)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// The library reports here what it cannot send; it keeps some and drops the rest.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces are not sent", "endpoint", maskURL(cfg.TracesEndpoint), "error", err)
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of))
	return &tracing{provider: provider, tracer: provider.Tracer("tidewire")}, nil
}

// close sends what is left. A nil tracing has nothing.
func (t *tracing) close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), tracingEnd)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// ofChannels is what the hub gets: nil, and no nil pointer in disguise, without tracing.
func (t *tracing) ofChannels() channels.Tracer {
	if t == nil {
		return nil
	}
	return t
}

// ofWebhooks is the same for the webhooks.
func (t *tracing) ofWebhooks() webhooks.Tracer {
	if t == nil {
		return nil
	}
	return t
}

// ofRequests is what makes spans of requests; nil without tracing.
func (t *tracing) ofRequests() gin.HandlerFunc {
	if t == nil {
		return nil
	}
	return t.requests
}

var (
	_ channels.Tracer = (*tracing)(nil)
	_ webhooks.Tracer = (*tracing)(nil)
)

// publishPaths are the requests that are traced, by the end of their path.
var publishPaths = []string{"events", "batch_events"}

// requests makes a span of every publish. What a caller says of its own trace
// becomes a link: strangers do not decide what is sampled here.
func (t *tracing) requests(c *gin.Context) {
	parts := strings.Split(c.Request.URL.Path, "/")
	if c.Request.Method != http.MethodPost || len(parts) != 4 || parts[1] != "apps" || !slices.Contains(publishPaths, parts[3]) {
		return
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot()}
	theirs := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(c.Request.Header))
	if link := trace.LinkFromContext(theirs); link.SpanContext.IsValid() {
		options = append(options, trace.WithLinks(link))
	}
	ctx, span := t.tracer.Start(c.Request.Context(), "POST /apps/{app}/"+parts[3], options...)
	defer span.End()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	status := c.Writer.Status()
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
}

// Publishing implements [channels.Tracer].
func (t *tracing) Publishing(ctx context.Context, evs []channels.Event) func(error) {
	_, span := t.tracer.Start(ctx, "publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("tidewire.app", string(evs[0].Topic.App)),
		attribute.StringSlice("tidewire.channels", channelNames(evs)),
		attribute.Bool("tidewire.client_event", channels.IsClientEvent(evs[0].Name))))
	if span.SpanContext().IsSampled() {
		at := placeOf(span.SpanContext())
		for i := range evs {
			evs[i].Trace = at
		}
	}
	return func(err error) { finish(span, err) }
}

// Delivering implements [channels.Tracer].
func (t *tracing) Delivering(ev *channels.Event) func(error) {
	_, span := t.tracer.Start(under(ev.Trace), "deliver", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("tidewire.app", string(ev.Topic.App)),
		attribute.String("tidewire.channel", ev.Topic.Channel)))
	return func(err error) { finish(span, err) }
}

// Calling implements [webhooks.Tracer].
func (t *tracing) Calling(ctx context.Context, d *webhooks.Delivery) func(webhooks.Answer) {
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, contextOf(d.Trace)), "webhook", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("tidewire.app", string(d.App)),
		attribute.String("tidewire.endpoint", d.EndpointID),
		attribute.String("tidewire.delivery", d.ID),
		attribute.Int("tidewire.attempt", d.Attempts+1),
		attribute.Int("tidewire.events", d.EventCount)))
	return func(a webhooks.Answer) {
		if a.Status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", a.Status))
		}
		if a.Reason != "" {
			span.SetStatus(codes.Error, a.Reason)
		}
		span.End()
	}
}

// mostChannels bounds what one span names.
const mostChannels = 10

func channelNames(evs []channels.Event) []string {
	names := make([]string, 0, min(len(evs), mostChannels))
	for i := range evs[:min(len(evs), mostChannels)] {
		names = append(names, evs[i].Topic.Channel)
	}
	return names
}

func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// placeOf is where a span is, for the way.
func placeOf(c trace.SpanContext) *channels.Trace {
	return &channels.Trace{ID: c.TraceID(), Span: c.SpanID(), Flags: byte(c.TraceFlags())}
}

// contextOf is the other way round; nil is no place.
func contextOf(at *channels.Trace) trace.SpanContext {
	if at == nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: at.ID, SpanID: at.Span, TraceFlags: trace.TraceFlags(at.Flags), Remote: true,
	})
}

func under(at *channels.Trace) context.Context {
	return trace.ContextWithRemoteSpanContext(context.Background(), contextOf(at))
}

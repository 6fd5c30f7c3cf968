package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpCollector takes traces over OTLP/HTTP, as a collector does.
type otlpCollector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	raw   []byte
}

func newOTLPCollector(t *testing.T) *otlpCollector {
	t.Helper()
	c := &otlpCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != tracesPath || proto.Unmarshal(body, &req) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, body...)
		for _, of := range req.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// trace gives the spans of the trace that has one with the attribute, by name.
func (c *otlpCollector) trace(name, key, value string) map[string][]*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.spans, func(s *otlp.Span) bool { return s.Name == name && attributeOf(s, key) == value })
	if i < 0 {
		return nil
	}
	found := make(map[string][]*otlp.Span)
	for _, s := range c.spans {
		if string(s.TraceId) == string(c.spans[i].TraceId) {
			found[s.Name] = append(found[s.Name], s)
		}
	}
	return found
}

func attributeOf(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if list := a.Value.GetArrayValue(); list != nil {
				return list.Values[0].GetStringValue()
			}
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// requireChild asserts that one span is the direct successor of another.
func requireChild(t *testing.T, parent, child *otlp.Span) {
	t.Helper()
	require.Equal(t, hex.EncodeToString(parent.SpanId), hex.EncodeToString(child.ParentSpanId), "%s under %s", child.Name, parent.Name)
}

// await waits until a node knows the endpoint: until then nothing is told.
func (r *receiver) await(base string, app printedApp) {
	r.t.Helper()
	probes := 0
	eventually(r.t, func() bool { // a channel that comes and goes within the grace is told of once
		probes++
		_ = subscribed(r.t, base, app.Key, "await-"+strconv.Itoa(probes)).conn.Close()
		return len(r.names()) > 0
	}, "the endpoint is never called")
}

// TestTracing follows events from the request, or from the client, over the
// broker to another node and to the webhook.
func TestTracing(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string]func(*testing.T, ...string) (a, b *node){
		"embedded": func(t *testing.T, environ ...string) (a, b *node) { n := startNode(t, environ...); return n, n },
		"two nodes": func(t *testing.T, environ ...string) (a, b *node) {
			environ = append(inOwnRedis(t, twoNodes(t), 10), environ...)
			return startNodeWith(t, extras{}, environ...), startNodeWith(t, extras{}, environ...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newOTLPCollector(t)
			a, b := nodes(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8")
			hooks := newReceiver(t)
			app := hookedApp(t, a.environ, hooks, "--events", "client_event,channel_occupied")
			hooks.await(a.url, app)
			sub := subscribed(t, b.url, app.Key, "news")
			const theirs = "0af7651916cd43dd8448eb211c80319c"
			header := http.Header{"Traceparent": {"00-" + theirs + "-b7ad6b7169203331-01"}}
			status, _, body := postWith(t, a.url, app, header, "geheimnis", "news")
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "e", sub.next().Event)

			talker, listener := member(t, a.url, app, "presence-room", "ada"), member(t, b.url, app, "presence-room", "bob")
			require.NoError(t, talker.conn.WriteJSON(map[string]any{"event": "client-typing", "channel": "presence-room", "data": "geheimnis"}))
			for listener.next().Event != "client-typing" {
			}
			hooks.expect("client_event presence-room ada")
			a.end(t) // what was traced is sent
			b.end(t)

			spans := c.trace("publish", "tidewire.channels", "news")
			require.Len(t, spans["POST /apps/{app}/events"], 1)
			request := spans["POST /apps/{app}/events"][0]
			require.Empty(t, request.ParentSpanId, "strangers do not choose the trace")
			require.Equal(t, theirs, hex.EncodeToString(request.Links[0].TraceId))
			requireChild(t, request, spans["publish"][0])
			require.Len(t, spans["deliver"], 1)
			requireChild(t, spans["publish"][0], spans["deliver"][0])

			spans = c.trace("publish", "tidewire.channels", "presence-room")
			require.Len(t, spans["publish"], 1)
			require.Len(t, spans["webhook"], 1)
			requireChild(t, spans["publish"][0], spans["webhook"][0])
			require.NotEmpty(t, spans["deliver"])
			for _, secret := range []string{"geheimnis", app.Secret, hooks.secret} {
				require.NotContains(t, string(c.raw), secret)
			}
		})
	}
}

// A collector that is not there costs nobody anything but a line in the log.
func TestTracingWithoutACollector(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_TRACES_ENDPOINT=http://"+freePort(t))
	app := createApp(t, n.environ)
	sub := subscribed(t, n.url, app.Key, "news")
	for range 20 {
		status, _, body := post(t, n.url, app, "news")
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, "e", sub.next().Event)
	}
}

func TestTracesConfiguration(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"":                                       "",
		"TIDEWIRE_TRACES_ENDPOINT=http://h:4318": "http://h:4318/v1/traces",
		"TIDEWIRE_TRACES_ENDPOINT=https://h/otlp":                                            "https://h/otlp",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318/":                                         "http://h:4318/v1/traces",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h:4318/t":                                 "http://h:4318/t",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b/c": "http://b/c",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a TIDEWIRE_TRACES_ENDPOINT=http://b/c":           "http://b/c",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a OTEL_SDK_DISABLED=true":                        "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a OTEL_TRACES_EXPORTER=none":                     "",
	} {
		cfg, _, err := load(t, strings.Fields(environ))
		require.NoError(t, err)
		require.Equal(t, want, cfg.TracesEndpoint, environ)
	}
	for _, bad := range []string{"h:4318", "grpc://h", "http://u:p@h", "http://h?x=1"} {
		_, _, err := load(t, []string{"TIDEWIRE_TRACES_ENDPOINT=" + bad})
		require.ErrorContains(t, err, "TIDEWIRE_TRACES_ENDPOINT", bad)
	}
	r := platform(t, append(dataDir(t), "TIDEWIRE_LISTEN=127.0.0.1:0", "TIDEWIRE_METRICS_LISTEN=off", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "serve")
	require.Contains(t, r.stderr, "http/protobuf")
	require.NotZero(t, r.code)
}

package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/channels"
	"tidewire/channels/api"
	"tidewire/tenants"
)

// taker accepts everything and keeps nothing.
type taker struct{ api.Hub }

func (taker) Publish(context.Context, *tenants.App, []channels.Event) ([]channels.Position, error) {
	return nil, nil
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkTrigger is one signed request through router, signature, JSON, rules
// and answer; reading the request from the socket is not in it.
func BenchmarkTrigger(b *testing.B) {
	for name, body := range map[string]string{
		"200B":        `{"name":"foo","channels":["project-3"],"data":"` + strings.Repeat("x", 200) + `"}`,
		"10KiB":       `{"name":"foo","channels":["project-3"],"data":"` + strings.Repeat("x", 10240) + `"}`,
		"100channels": `{"name":"foo","data":"x","channels":` + list(100, `"project-%d"`) + `}`,
	} {
		b.Run(name, func(b *testing.B) {
			engine := gin.New()
			api.New(api.Config{Hub: taker{}, Apps: directory{activeApp(appID, key, secret)}, Now: func() time.Time { return now }}).Mount(engine)
			r := signed("/apps/3/events", body)
			reader := bytes.NewReader(r.body)
			req := httptest.NewRequest("POST", "http://tidewire.test"+r.path+"?"+r.query, nil)
			req.Body, req.ContentLength = io.NopCloser(reader), int64(len(r.body))
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(r.body)
				engine.ServeHTTP(w, req)
			}
		})
	}
}

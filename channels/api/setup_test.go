package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/channels"
	"tidewire/channels/api"
	"tidewire/tenants"
)

const (
	appID  = "3"
	key    = "278d425bdf160c739803"
	secret = "7ad3773142a6692b25b8"
)

var now = time.Unix(1_353_088_179, 0)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

// directory is a fixed set of apps; the key "away" cannot be looked up.
type directory []*tenants.App

func (d directory) ByKey(_ context.Context, name string) (*tenants.App, error) {
	if name == "away" {
		return nil, errors.Join(errors.New("database is gone"), tenants.ErrUnavailable)
	}
	for _, app := range d {
		for i := range app.Keys {
			if app.Keys[i].Key == name {
				return app, nil
			}
		}
	}
	return nil, tenants.ErrNotFound
}

// publisher takes events like the hub does: those of channels in refused are
// not accepted, and everything fails with down while that is set.
type publisher struct {
	refused map[string]bool
	down    error

	mu  sync.Mutex
	evs []channels.Event
}

func (p *publisher) Publish(ctx context.Context, app *tenants.App, evs []channels.Event) ([]channels.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.down != nil {
		return nil, p.down
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed []int
	for i, ev := range evs {
		switch {
		case ev.Topic.App != app.ID:
			return nil, errors.New("an event of a foreign app")
		case p.refused[ev.Topic.Channel]:
			failed = append(failed, i)
		default:
			p.evs = append(p.evs, ev)
		}
	}
	if failed != nil {
		return nil, &channels.PublishError{Failed: failed, Err: channels.ErrBrokerAway}
	}
	return make([]channels.Position, len(evs)), nil
}

func (p *publisher) taken() []channels.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.evs
}

type fixture struct {
	handler http.Handler
	hub     *publisher
	apps    directory
}

func activeApp(id tenants.AppID, name, secret string) *tenants.App {
	return &tenants.App{
		ID: id, TenantStatus: tenants.TenantActive, Limits: tenants.Limits{MaxEventBytes: 10240},
		Keys: []tenants.Key{{Key: name, Secret: tenants.NewSecret(secret), Status: tenants.KeyActive}},
	}
}

func setup(_ testing.TB) *fixture {
	disabled := activeApp("4", "disabledkey", "s4")
	disabled.Disabled = true
	suspended := activeApp("5", "suspendedkey", "s5")
	suspended.TenantStatus = tenants.TenantSuspended
	rotated := activeApp("6", "newkey", "new")
	rotated.Keys = append(rotated.Keys,
		tenants.Key{Key: "retiringkey", Secret: tenants.NewSecret("retiring"), Status: tenants.KeyRetiring},
		tenants.Key{Key: "revokedkey", Secret: tenants.NewSecret("revoked"), Status: tenants.KeyRevoked})

	f := &fixture{
		hub:  &publisher{refused: map[string]bool{}},
		apps: directory{activeApp(appID, key, secret), disabled, suspended, rotated, activeApp("8", "otherkey", "other")},
	}
	engine := gin.New()
	api.New(api.Config{Hub: f.hub, Apps: f.apps, MaxBodyBytes: 200 << 10, Now: func() time.Time { return now }}).Mount(engine)
	f.handler = engine
	return f
}

// request is a signed request that a test may bend before it is sent.
type request struct {
	method, path, query string
	body                []byte
}

func signed(path, body string) request { return signedBy(key, secret, path, body) }

func signedBy(key, secret, path, body string) request {
	q := tenants.SignRequest(tenants.NewSecret(secret), key, "POST", path, url.Values{}, []byte(body), now)
	return request{"POST", path, q.Encode(), []byte(body)}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(r request) answer {
	target := "http://tidewire.test" + r.path
	if r.query != "" {
		target += "?" + r.query
	}
	return f.send(httptest.NewRequest(r.method, target, bytes.NewReader(r.body)))
}

func (f *fixture) send(req *http.Request) answer {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, req)
	res := w.Result()
	body, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}
}

func (f *fixture) trigger(body string) answer { return f.do(signed("/apps/3/events", body)) }

func (f *fixture) batch(body string) answer { return f.do(signed("/apps/3/batch_events", body)) }

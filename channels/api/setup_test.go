package api_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"tidewire/channels"
	"tidewire/channels/api"
	"tidewire/channels/console"
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
	goleak.VerifyTestMain(m)
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

// hub is a realtime engine as far as the door sees it. Events of channels in
// refused are not accepted; everything fails with down, and everything but
// publishing with away, while that is set.
type hub struct {
	refused    map[string]bool
	down, away error
	counts     map[string]channels.Occupancy
	members    map[string][]channels.Member
	kept       map[string]*channels.Event // for left
	left       time.Duration
	past       *channels.MemoryBroker // nil keeps no history

	mu         sync.Mutex
	evs        []channels.Event
	terminated []string
	queries    int
	over       error // what calls within no limit get
}

func (h *hub) AdmitRead(_ context.Context, app *tenants.App) error {
	if h.over == nil {
		h.CountQuery(app)
	}
	return h.over
}

func (h *hub) Rejected(*tenants.App, console.Code) {}

func (h *hub) CountQuery(*tenants.App) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
}

func (h *hub) Publish(ctx context.Context, app *tenants.App, evs []channels.Event) ([]channels.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := cmp.Or(h.over, h.down); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed []int
	for i, ev := range evs {
		switch {
		case ev.Topic.App != app.ID:
			return nil, errors.New("an event of a foreign app")
		case h.refused[ev.Topic.Channel]:
			failed = append(failed, i)
		default:
			h.evs = append(h.evs, ev)
		}
	}
	if failed != nil {
		return nil, &channels.PublishError{Failed: failed, Err: channels.ErrBrokerAway}
	}
	return make([]channels.Position, len(evs)), nil
}

func (h *hub) Channels(_ context.Context, _ *tenants.App, prefix string) ([]channels.Occupancy, error) {
	var list []channels.Occupancy
	for _, name := range slices.Sorted(maps.Keys(h.counts)) {
		if o := h.counts[name]; strings.HasPrefix(name, prefix) && o.Subscriptions > 0 {
			o.Channel = name
			list = append(list, o)
		}
	}
	return list, h.away
}

// Occupancy counts what is there once the events are published.
func (h *hub) Occupancy(_ context.Context, _ *tenants.App, names ...string) ([]channels.Occupancy, error) {
	if h.away != nil {
		return nil, h.away
	}
	list := make([]channels.Occupancy, 0, len(names))
	for _, name := range names {
		o := h.counts[name]
		o.Channel = name
		list = append(list, o)
	}
	return list, nil
}

func (h *hub) Members(_ context.Context, _ *tenants.App, name string) ([]channels.Member, error) {
	return h.members[name], h.away
}

func (h *hub) Last(_ context.Context, _ *tenants.App, name string) (*channels.Event, time.Duration, error) {
	return h.kept[name], h.left, h.away
}

func (h *hub) TerminateUser(_ context.Context, app *tenants.App, id string) error {
	if h.away != nil {
		return h.away
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.terminated = append(h.terminated, string(app.ID)+"/"+id)
	return nil
}

func (h *hub) taken() []channels.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.evs
}

type fixture struct {
	handler http.Handler
	hub     *hub
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
		hub:  &hub{refused: map[string]bool{}, counts: map[string]channels.Occupancy{}},
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

// get sends a signed request without a body, and reads the parameters of its
// query from text: a=b&c=d.
func (f *fixture) get(path, text string) answer {
	params, err := url.ParseQuery(text)
	if err != nil {
		panic(err)
	}
	q := tenants.SignRequest(tenants.NewSecret(secret), key, "GET", path, params, nil, now)
	return f.do(request{"GET", path, q.Encode(), nil})
}

// app is the one whose key signs by default.
func (f *fixture) app() *tenants.App { return f.apps[0] }

func (f *fixture) trigger(body string) answer { return f.do(signed("/apps/3/events", body)) }

func (f *fixture) batch(body string) answer { return f.do(signed("/apps/3/batch_events", body)) }

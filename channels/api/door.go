package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/channels"
	"tidewire/tenants"
)

// DefaultMaxBodyBytes is the body cap where none is configured. A full batch of
// events at the default limit of 10 KiB fits however it is escaped (six bytes
// for one at worst), and so does one event at the highest limit an app can have.
const DefaultMaxBodyBytes = 1 << 20

// Publisher takes validated events of one app, all or with an error that says
// which not. The events are its own afterwards. [channels.Hub] is one.
type Publisher interface {
	Publish(ctx context.Context, app *tenants.App, evs []channels.Event) ([]channels.Position, error)
}

// Apps finds the app a key belongs to. ByKey answers [tenants.ErrNotFound] for a
// key that does not exist and [tenants.ErrUnavailable] if it cannot know.
type Apps interface {
	ByKey(ctx context.Context, key string) (*tenants.App, error)
}

// Config sets up a [Door]. Hub and Apps are required.
type Config struct {
	Hub          Publisher
	Apps         Apps
	Log          *slog.Logger     // nil is silence
	MaxBodyBytes int              // of one request; 0 is [DefaultMaxBodyBytes]
	Now          func() time.Time // nil is [time.Now]
}

// Door answers the publishers' HTTP API. It is safe for concurrent use.
type Door struct {
	cfg    Config
	bodies bodyPool
}

// New makes a door.
func New(cfg Config) *Door {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxBodyBytes <= 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Door{cfg: cfg}
}

// Mount makes the door answer everything under /apps of r.
//
// It is one catch-all route, because gin routes by the decoded path and the
// signature covers the escaped one: the door routes by the very bytes that were
// signed, so no spelling of a path can be signed as one thing and served as
// another. It also means that nothing is ever redirected, which would lose the body.
func (d *Door) Mount(r gin.IRouter) {
	r.Any("/apps", d.serve)
	r.Any("/apps/*path", d.serve)
}

// call is one request on its way through the door.
type call struct {
	ctx  context.Context
	app  *tenants.App
	body []byte // pooled: nothing may point into it once the call is answered
}

// endpoint does the work of one route and returns the JSON to answer with.
type endpoint func(d *Door, c *call) ([]byte, error)

// route finds the endpoint for an escaped path. All there are take POST.
func route(path string) (app string, run endpoint) {
	rest, ok := strings.CutPrefix(path, "/apps/")
	if !ok {
		return "", nil
	}
	app, rest, _ = strings.Cut(rest, "/")
	if app == "" {
		return "", nil
	}
	switch rest {
	case "events":
		return app, (*Door).trigger
	case "batch_events":
		return app, (*Door).triggerBatch
	}
	return "", nil
}

func (d *Door) serve(g *gin.Context) {
	answer, err := d.handle(g)
	if err != nil {
		d.refuse(g, err)
		return
	}
	g.Writer.Header()["Content-Type"] = jsonType
	g.Writer.WriteHeader(http.StatusOK)
	_, _ = g.Writer.Write(answer) // the publisher has gone: nobody is left to tell
}

var jsonType = []string{"application/json"}

func (d *Door) handle(g *gin.Context) ([]byte, error) {
	r := g.Request
	path := r.URL.EscapedPath()
	id, run := route(path)
	if run == nil {
		return nil, &requestError{http.StatusNotFound, "Not found: there is no such path in the HTTP API"}
	}
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	body, err := d.bodies.read(r, d.cfg.MaxBodyBytes)
	if err != nil {
		return nil, err
	}
	defer d.bodies.free(body)
	app, err := d.authenticate(r, path, *body)
	if err != nil {
		return nil, err
	}
	if err := admit(app, id); err != nil {
		return nil, err
	}
	return run(d, &call{ctx: r.Context(), app: app, body: *body})
}

// authenticate proves that the request comes from the owner of an app.
func (d *Door) authenticate(r *http.Request, path string, body []byte) (*tenants.App, error) {
	var app *tenants.App
	params, err := tenants.VerifyRequest(tenants.SignedRequest{
		Method: r.Method, Path: path, RawQuery: r.URL.RawQuery, Body: body,
	}, d.cfg.Now(), func(name string) (tenants.Secret, error) {
		found, err := d.cfg.Apps.ByKey(r.Context(), name)
		if err != nil {
			return tenants.Secret{}, err
		}
		key := found.Key(name)
		if key == nil { // revoked since the directory learnt of it
			return tenants.Secret{}, tenants.ErrNotFound
		}
		app = found
		return key.Secret, nil
	})
	if err != nil {
		return nil, err
	}
	if extra := params.Extra(); extra != nil {
		return nil, badRequest(fmt.Sprintf("The following query string parameters are extraneous: %s", strings.Join(extra, ", ")))
	}
	return app, nil
}

// admit decides whether the owner of app may use it under this id. An id that
// is another tenant's and one that does not exist get the same answer.
func admit(app *tenants.App, id string) error {
	switch {
	case string(app.ID) != id:
		return &requestError{http.StatusNotFound, "App not found: auth_key does not belong to the app id in the path"}
	case app.Disabled:
		return &requestError{http.StatusForbidden, "App disabled: enable it before using it"}
	case !app.Serving():
		return &requestError{http.StatusForbidden, "Account suspended: its apps cannot be used"}
	}
	return nil
}

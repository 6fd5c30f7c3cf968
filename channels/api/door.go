package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/channels"
	"tidewire/channels/console"
	"tidewire/tenants"
)

// DefaultMaxBodyBytes is the body cap where none is configured. A full batch of
// events at the default limit of 10 KiB fits however it is escaped (six bytes
// for one at worst), and so does one event at the highest limit an app can have.
const DefaultMaxBodyBytes = 1 << 20

// Hub is what the door asks of the realtime engine; each call concerns one app.
// [channels.Hub] is one.
type Hub interface {
	// Publish takes validated events, all or with an error that says which not,
	// a [*tenants.RateError] or a [*tenants.QuotaError]. The events are its own
	// afterwards.
	Publish(ctx context.Context, app *tenants.App, evs []channels.Event) ([]channels.Position, error)
	// Channels lists the occupied channels whose names begin with prefix.
	Channels(ctx context.Context, app *tenants.App, prefix string) ([]channels.Occupancy, error)
	// Occupancy counts who is on the named channels, in the order of names.
	Occupancy(ctx context.Context, app *tenants.App, names ...string) ([]channels.Occupancy, error)
	// Members lists who is on a presence channel, by user id.
	Members(ctx context.Context, app *tenants.App, name string) ([]channels.Member, error)
	// Last returns the last event of a cache channel and how long it is kept still, nil for none.
	Last(ctx context.Context, app *tenants.App, name string) (*channels.Event, time.Duration, error)
	// History reads the past of a channel; kept is false if it keeps none.
	History(ctx context.Context, app *tenants.App, name string, q channels.Query) (run channels.Run, kept bool, err error)
	// Rejected counts that a call was refused.
	Rejected(app *tenants.App, reason console.Code)
	// AdmitRead lets a call pass that reads the state of channels, or gives a
	// [*tenants.RateError].
	AdmitRead(ctx context.Context, app *tenants.App) error
	// CountQuery notes that the state of channels was asked for along with a publish.
	CountQuery(app *tenants.App)
	// TerminateUser closes every connection signed in as the user.
	TerminateUser(ctx context.Context, app *tenants.App, id string) error
}

// Apps finds the app a key belongs to. ByKey answers [tenants.ErrNotFound] for a
// key that does not exist and [tenants.ErrUnavailable] if it cannot know.
type Apps interface {
	ByKey(ctx context.Context, key string) (*tenants.App, error)
}

// Config sets up a [Door]. Hub and Apps are required.
type Config struct {
	Hub          Hub
	Apps         Apps
	Log          *slog.Logger     // nil is silence
	Console      *console.Tap     // told of refusals; nil is told nothing
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

// Mount makes the door answer everything under /apps and /users of r.
//
// They are catch-all routes, because gin routes by the decoded path and the
// signature covers the escaped one: the door routes by the very bytes that were
// signed, so no spelling of a path can be signed as one thing and served as
// another. It also means that nothing is ever redirected, which would lose the body.
func (d *Door) Mount(r gin.IRouter) {
	r.Any("/apps", d.serve)
	r.Any("/apps/*path", d.serve)
	r.Any("/users/*path", d.serve)
}

// call is one request on its way through the door.
type call struct {
	ctx    context.Context
	app    *tenants.App
	params tenants.Params
	name   string // the channel or user in the path, decoded
	body   []byte // pooled: nothing may point into it once the call is answered
}

func (d *Door) serve(g *gin.Context) {
	status, answer, err := d.handle(g)
	if err != nil {
		d.refuse(g, err)
		return
	}
	g.Writer.Header()["Content-Type"] = jsonType
	g.Writer.WriteHeader(status)
	_, _ = g.Writer.Write(answer) // the publisher has gone: nobody is left to tell
}

var jsonType = []string{"application/json"}

func (d *Door) handle(g *gin.Context) (status int, answer []byte, err error) {
	r := g.Request
	path := r.URL.EscapedPath()
	to, route := find(path)
	if route == nil {
		return 0, nil, errNoPath
	}
	if r.Method != route.method {
		return 0, nil, methodError(route.method)
	}
	body, err := d.bodies.read(r, d.cfg.MaxBodyBytes)
	if err != nil {
		return 0, nil, err
	}
	defer d.bodies.free(body)
	app, params, err := d.authenticate(r, path, *body)
	defer func() { d.note(app, to.app, r, err) }()
	if err != nil {
		return 0, nil, err
	}
	if err := route.check(params); err != nil {
		return 0, nil, err
	}
	if err := admit(app, to.app); err != nil {
		return 0, nil, err
	}
	if route.method == http.MethodGet {
		if err := d.cfg.Hub.AdmitRead(r.Context(), app); err != nil {
			return 0, nil, err
		}
	}
	answer, err = route.run(d, &call{ctx: r.Context(), app: app, params: params, name: to.name, body: *body})
	return route.status, answer, err
}

// authenticate proves that the request comes from the owner of an app. On an
// error the app is the one whose key was named, nil if that is nobody's.
func (d *Door) authenticate(r *http.Request, path string, body []byte) (*tenants.App, tenants.Params, error) {
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
	return app, params, err
}

// admit decides whether the owner of app may use it under this id, which is
// empty for a path without one. An id that is another tenant's and one that does
// not exist get the same answer.
func admit(app *tenants.App, id string) error {
	switch {
	case id != "" && string(app.ID) != id:
		return errAppMismatch
	case app.Disabled:
		return errAppDisabled
	case !app.Serving():
		return errSuspended
	}
	return nil
}

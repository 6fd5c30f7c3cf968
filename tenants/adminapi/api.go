package adminapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/tenants"
)

// Prefix is below which everything of this door is served.
const Prefix = "/api/"

// UsageStore tells what was used.
type UsageStore interface {
	// Usage returns the steps of the range in which there was anything, oldest
	// first. It checks the query; its error may be a [*tenants.InvalidError].
	Usage(ctx context.Context, q tenants.UsageQuery) ([]tenants.UsageStep, error)
	// Refusals returns what was refused in the range, the most frequent first.
	Refusals(ctx context.Context, q tenants.UsageQuery) ([]tenants.Refusals, error)
	// TenantsUsage tells what each tenant used that used anything, the most first.
	TenantsUsage(ctx context.Context, from, to time.Time, limit int) ([]tenants.TenantUsage, error)
	// Nodes lists the processes that are alive, by name.
	Nodes(ctx context.Context) ([]tenants.Node, error)
}

// RevocationStore keeps revoked tokens of an app's users.
type RevocationStore interface {
	tenants.RevocationSource
	// Revoke takes tokens back on every node within seconds.
	Revoke(ctx context.Context, app tenants.AppID, r tenants.Revocation) error
}

// Installation is what anybody may know of this installation: what a page for
// signing up has to show.
type Installation struct {
	Brand        string             `json:"brand"`
	SignUp       tenants.SignUpMode `json:"signup"`
	TermsVersion string             `json:"terms_version,omitempty"` // what a sign-up must accept; empty = there are no terms
	TermsURL     string             `json:"terms_url,omitempty"`
	SupportURL   string             `json:"support_url,omitempty"`
	MinPassword  int                `json:"min_password"` // characters
}

// Config is what the door needs. Accounts, Usage and Revocations are required.
type Config struct {
	Accounts    *tenants.Accounts
	Usage       UsageStore
	Revocations RevocationStore
	Limiter     tenants.Limiter      // nil = no rate limit
	More        []Route              // of the doors of higher floors
	Export      []tenants.ExportPart // what the doors of higher floors add to an export

	Installation Installation

	PublicURL      string                   // pages of this origin may use the session cookie; empty = the request's own host only
	TrustedProxies []string                 // whose X-Forwarded-For is believed; empty = nobody's
	IsTLS          func(*http.Request) bool // whether the client speaks TLS, to us or to a trusted proxy; nil = to us
	Log            *slog.Logger             // nil discards
}

// API is the admin API as an [http.Handler] for everything below [Prefix]. It is
// safe for concurrent use.
type API struct {
	cfg           Config
	log           *slog.Logger
	routes        []Route
	openAPI, docs []byte
	engine        *gin.Engine
	cross         *http.CrossOriginProtection
}

var _ http.Handler = (*API)(nil)

// New builds the door. The error is about the configuration: a public URL or a
// proxy that cannot be read, or a route that is not fit to be served.
func New(cfg Config) (*API, error) {
	if cfg.Accounts == nil || cfg.Usage == nil || cfg.Revocations == nil {
		return nil, errors.New("admin api: accounts, usage and revocations are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.IsTLS == nil {
		cfg.IsTLS = func(r *http.Request) bool { return r.TLS != nil }
	}
	a := &API{cfg: cfg, log: cfg.Log, cross: http.NewCrossOriginProtection()}
	if err := a.trustOrigin(cfg.PublicURL); err != nil {
		return nil, err
	}
	a.routes = append(a.table(), cfg.More...)
	if err := a.addDocuments(); err != nil {
		return nil, err
	}
	if err := checkRoutes(a.routes); err != nil {
		return nil, err
	}
	return a, a.buildEngine()
}

// trustOrigin lets the dashboard's own pages through when a proxy in front
// changes the Host header.
func (a *API) trustOrigin(public string) error {
	if public == "" {
		return nil
	}
	u, err := url.Parse(public)
	if err != nil || u.Host == "" {
		return fmt.Errorf("public_url %q: want something like https://rt.example.com", public)
	}
	if err := a.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	return nil
}

func (a *API) buildEngine() error {
	gin.SetMode(gin.ReleaseMode)
	a.engine = gin.New()
	a.engine.RedirectTrailingSlash = false
	a.engine.HandleMethodNotAllowed = true
	// Always set: gin's own default believes X-Forwarded-For from anyone.
	if err := a.engine.SetTrustedProxies(a.cfg.TrustedProxies); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	for i := range a.routes {
		route := &a.routes[i]
		a.engine.Handle(route.Method, ginPath(route.Path), func(c *gin.Context) { a.handle(c, route) })
	}
	a.engine.NoRoute(func(c *gin.Context) { a.refuse(c, errNoRoute) })
	a.engine.NoMethod(func(c *gin.Context) { a.refuse(c, errNoMethod) })
	return nil
}

// ginPath writes "/apps/{app}" as gin wants it: "/apps/:app".
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// Routes lists everything that can be reached, in the order of the table.
func (a *API) Routes() []Route { return append([]Route(nil), a.routes...) }

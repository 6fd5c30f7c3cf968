package channels

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// tokenTime bounds how long a client that comes in waits for its token to be
// checked, which may mean fetching keys. The look-up of the app has a bound of
// its own, which costs nothing while the app is in memory.
const tokenTime = 5 * time.Second

// Apps is what the doors for clients ask of the tenants' floor.
type Apps interface {
	// ByKey returns the app a key belongs to; tenants.ErrNotFound if there is
	// none, another error if the answer is not known.
	ByKey(ctx context.Context, key string) (*tenants.App, error)
}

// Gate is the one check of clients that come in, whatever the transport. Hub
// and Apps are required.
type Gate struct {
	Hub  *Hub
	Apps Apps
	Log  *slog.Logger // nil logs nothing
	// IsTLS reports whether the client itself speaks TLS, to us or to a trusted
	// proxy; by default whether the request does.
	IsTLS func(*http.Request) bool
	// Admission turns clients away while too many come; nil lets everybody in.
	Admission *Admission
	// Address is where the client itself is, for Admission; by default the peer.
	Address func(*http.Request) netip.Addr
}

// WithDefaults fills in what was left out.
func (g Gate) WithDefaults() Gate {
	if g.Log == nil {
		g.Log = slog.New(slog.DiscardHandler)
	}
	if g.IsTLS == nil {
		g.IsTLS = func(r *http.Request) bool { return r.TLS != nil }
	}
	if g.Address == nil {
		g.Address = peerAddress
	}
	return g
}

// Entry is who is coming in, and whether they may.
type Entry struct {
	App     *tenants.App // nil if it is not known
	Key     string
	Origin  string             // of the page; empty for a program, and where no app's settings speak of it
	Claims  *tenants.JWTClaims // of the token it came with; nil for none
	Serials bool               // it asks to be told serials, with tidewire=1
	Refusal *Refusal           // nil if they may
}

// Check finds the app of key, and the reason to refuse if there is one. What it
// reads of the request is the query's protocol, token and tidewire, the Origin and
// whether it came over TLS.
func (g *Gate) Check(r *http.Request, key string) *Entry {
	query := r.URL.Query()
	return g.check(r, key, query, checkProtocol(query.Get("protocol")))
}

// CheckPlain is [Gate.Check] for transports that have no protocol version.
func (g *Gate) CheckPlain(r *http.Request, key string) *Entry {
	return g.check(r, key, r.URL.Query(), nil)
}

func (g *Gate) check(r *http.Request, key string, query url.Values, version *Refusal) *Entry {
	if refusal := g.Admission.Admit(g.Address(r)); refusal != nil { // before anything that costs
		return &Entry{Key: key, Refusal: refusal}
	}
	ctx := r.Context()
	app, err := g.Apps.ByKey(ctx, key)
	e := &Entry{App: app, Key: key, Serials: query.Get("tidewire") == "1"}
	switch {
	case errors.Is(err, tenants.ErrNotFound):
		e.Refusal = Refuse(CodeAppUnknown, "App key %.64s does not exist. Check the key, and that the app was created on this server.", key)
	case err != nil:
		g.Log.WarnContext(ctx, "app look-up", "error", err)
		e.Refusal = Unknown()
	default:
		if e.Refusal = Servable(app, key); e.Refusal == nil {
			e.Refusal = g.travelled(app, r, version)
		}
		if app.ID != tenants.ConsoleAppID {
			origin := r.Header.Get("Origin")
			e.Origin = origin[:min(len(origin), tenants.MaxOriginBytes+1)] // a longer one is allowed nowhere, cut or whole
		}
		if e.Refusal == nil {
			e.checkToken(ctx, g.Hub, query["token"])
		}
	}
	return e
}

// peerAddress is the address of the peer; the zero one if it has none.
func peerAddress(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr()
}

// travelled judges how the client got here.
func (g *Gate) travelled(app *tenants.App, r *http.Request, version *Refusal) *Refusal {
	if app.Settings.ForceTLS && !g.IsTLS(r) {
		return Refuse(CodeTLSOnly, "Application only accepts SSL connections, reconnect using wss://")
	}
	if version != nil {
		return version
	}
	if origin := r.Header.Get("Origin"); !g.allowed(app, r, origin) {
		return originRefused(origin)
	}
	return nil
}

// allowed judges the page a client runs in. Consoles are opened by our own pages.
func (g *Gate) allowed(app *tenants.App, r *http.Request, origin string) bool {
	if app.ID != tenants.ConsoleAppID {
		return app.Settings.OriginAllowed(origin)
	}
	if origin == "" { // a program: browsers always send one
		return true
	}
	ours := "https://" + r.Host
	return strings.EqualFold(origin, ours) || !g.IsTLS(r) && strings.EqualFold(origin, "http://"+r.Host) ||
		len(app.Settings.AllowedOrigins) > 0 && app.Settings.OriginAllowed(origin)
}

func originRefused(origin string) *Refusal {
	return Refuse(CodeUnauthorized, "Origin %.100q is not in this app's allowed_origins", origin).For(console.OriginRefused)
}

// WithConsole adds the app of the live consoles to those that clients find.
func WithConsole(apps Apps, app *tenants.App) Apps { return withConsole{apps, app} }

type withConsole struct {
	Apps
	console *tenants.App
}

// ByKey implements [Apps].
func (w withConsole) ByKey(ctx context.Context, key string) (*tenants.App, error) {
	if key == tenants.ConsoleKey {
		return w.console, nil
	}
	return w.Apps.ByKey(ctx, key)
}

// Passes reports whether a later request of a client that is in already came
// by a way its app allows.
func (g *Gate) Passes(app *tenants.App, r *http.Request) bool { return g.travelled(app, r, nil) == nil }

// checkToken verifies the token in the query, if there is one: the last thing
// that is looked at, since it costs the most.
func (e *Entry) checkToken(ctx context.Context, hub *Hub, given []string) {
	switch len(given) {
	case 0:
	case 1:
		ctx, cancel := context.WithTimeout(ctx, tokenTime)
		defer cancel()
		e.Claims, e.Refusal = hub.VerifyConnectToken(ctx, e.App, given[0])
	default:
		e.Refusal = Refuse(CodeUnauthorized, "Invalid token: it is given several times in the query. Send one.").For(console.TokenTwice)
	}
}

func checkProtocol(version string) *Refusal {
	if version == "" {
		return Refuse(CodeProtocolMissing, "No protocol version supplied. Add ?protocol=7.")
	}
	n, err := strconv.Atoi(version)
	if err != nil {
		return Refuse(CodeProtocolInvalid, "Invalid protocol version %.20q. Use ?protocol=7.", version)
	}
	if n < 5 || n > 7 {
		return Refuse(CodeProtocolUnsupport, "Unsupported protocol version %d. This server speaks 5, 6 and 7.", n)
	}
	return nil
}

// CountRefused counts a client that a door refused without a connection.
func (h *Hub) CountRefused() { h.stats.refused.Add(1) }

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"tidewire/channels/sockjs"
	"tidewire/channels/sse"
	"tidewire/dashboard"
)

// routes are the parts that answer requests on the main port.
type routes struct {
	ws     http.Handler                    // GET /app/{key}
	http   *sockjs.Door                    // POST /pusher/app/{key}/…
	sse    *sse.Door                       // GET /sse/app/{key}
	api    interface{ Mount(gin.IRouter) } // /apps/{id}/…
	admin  http.Handler                    // /api/…
	trace  gin.HandlerFunc                 // of publishes; nil = they are not traced
	timing *prometheus.HistogramVec        // of requests to the APIs; nil = they are not timed
	ready  *readiness
	home   http.Handler // "/" and the playground's folder; nil = "/" leads to the dashboard
}

// newServer makes the HTTP server of the main port; without tlsConfig it speaks
// plain HTTP.
func newServer(cfg Config, tlsConfig *tls.Config, log *slog.Logger, parts routes) (*http.Server, error) {
	handler, err := newRouter(cfg, log, parts)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Handler: handler,
		// A peer that sends slowly is cut off here. Connections that became
		// WebSockets are no longer the server's and have time-outs of their own.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// WebSocket upgrades are HTTP/1.1.
		Protocols: new(http.Protocols),
		TLSConfig: tlsConfig,
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(tlsConfig != nil) // browsers open a connection of their own for an upgrade
	return srv, nil
}

// straight is the handler that handshakes may reach without srv; nil if srv
// speaks TLS, which a handshake comes in then.
func straight(srv *http.Server) http.Handler {
	if srv.TLSConfig != nil {
		return nil
	}
	return srv.Handler
}

// serve runs srv on l until it is shut down.
func serve(srv *http.Server, l net.Listener) (err error) {
	if srv.TLSConfig != nil {
		err = srv.ServeTLS(l, "", "")
	} else {
		err = srv.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

func newRouter(cfg Config, log *slog.Logger, parts routes) (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.RedirectTrailingSlash = false
	// Always set: gin's own default believes X-Forwarded-For from anyone.
	if err := r.SetTrustedProxies(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	// Before the log: these are asked every few seconds, and readiness has its own lines.
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.GET("/readyz", gin.WrapH(parts.ready))

	if parts.timing != nil {
		r.Use(timeRequests(parts.timing))
	}
	r.Use(parts.ready.endConnections, logRequests(log), recoverPanics(log), secureHeaders, allowOrigins)
	if parts.trace != nil {
		r.Use(parts.trace)
	}
	// The door refuses what is no key, inside the socket with a code.
	r.Any("/app/*key", gin.WrapH(parts.ws))
	r.Any(sockjs.Prefix+"*path", gin.WrapH(parts.http))
	r.Any(sse.Prefix+"*path", gin.WrapH(parts.sse))
	parts.api.Mount(r)
	r.Any("/api/*path", gin.WrapH(parts.admin))

	r.GET(dashboard.SDKPath+"*file", gin.WrapH(dashboard.SDK()))
	const app = "/dashboard/"
	r.GET(app+"*page", gin.WrapH(dashboard.New(app)))
	toDashboard := func(c *gin.Context) { c.Redirect(http.StatusFound, app) }
	r.GET("/dashboard", toDashboard)
	if parts.home == nil {
		r.GET("/", toDashboard)
		return r, nil
	}
	r.GET("/", gin.WrapH(parts.home))
	r.Any(dashboard.PlaygroundPath+"*file", gin.WrapH(parts.home))
	return r, nil
}

// allowOrigins lets pages of any site read the answers of the HTTP API. That
// gives nothing away: every request there is signed and none carries a cookie.
func allowOrigins(c *gin.Context) {
	if !strings.HasPrefix(c.Request.URL.Path, "/apps/") {
		return
	}
	h := c.Writer.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if c.Request.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Max-Age", "7200")
	c.AbortWithStatus(http.StatusNoContent)
}

// forwardedTLS reports whether a client itself speaks TLS: to us, or to a
// proxy that is trusted to say so.
func forwardedTLS(trusted []string) func(*http.Request) bool {
	ranges := trustedRanges(trusted)
	return func(r *http.Request) bool {
		if r.TLS != nil {
			return true
		}
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return false
		}
		if within(ranges, from.Addr()) {
			// The last proxy speaks last; what stands before it came from outside.
			said := strings.Split(r.Header.Get("X-Forwarded-Proto"), ",")
			return strings.TrimSpace(said[len(said)-1]) == "https"
		}
		return false
	}
}

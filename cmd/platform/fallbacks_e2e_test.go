package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// The fallbacks of pusher-js in a browser, on one node and on two: the browser
// is on one, whoever it talks to on the other.
func TestClientsFallbacks(t *testing.T) {
	t.Parallel()
	needClients(t)
	browser := needChromium(t)
	for name, environ := range map[string]func(*testing.T) []string{"embedded": dataDir, "two nodes": twoNodes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vars := environ(t)
			a := startProcess(t, vars)
			b := a
			if name != "embedded" {
				b = startProcess(t, vars)
			}
			cfg := a.config(t, b, nil)
			cfg.Sockets = []string{b.url}
			startScript(t, "fallbacks.mjs", map[string]any{
				"api": cfg.API, "sockets": cfg.Sockets, "apps": cfg.Apps,
				"chromium": browser, "proxy": refuseUpgrades(t, a.url),
			}).succeed(t)
		})
	}
}

// refuseUpgrades is a proxy as some companies have it: no WebSockets.
func refuseUpgrades(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			http.Error(w, "no upgrades here", http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

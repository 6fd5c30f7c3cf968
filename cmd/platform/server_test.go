package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func TestForwardedTLS(t *testing.T) {
	t.Parallel()
	isTLS := forwardedTLS([]string{"10.0.0.0/8", "192.168.0.1", "::1"})
	for name, test := range map[string]struct {
		remote, proto string
		want          bool
	}{
		"trusted range":                {"10.1.2.3:1", "https", true},
		"trusted address":              {"192.168.0.1:1", "https", true},
		"trusted IPv6":                 {"[::1]:1", "https", true},
		"trusted, mapped":              {"[::ffff:10.1.2.3]:1", "https", true},
		"trusted but plain":            {"10.1.2.3:1", "http", false},
		"trusted and silent":           {"10.1.2.3:1", "", false},
		"stranger":                     {"192.168.0.2:1", "https", false},
		"stranger's word before proxy": {"10.1.2.3:1", "https, http", false},
		"proxy's word after stranger":  {"10.1.2.3:1", "http, https", true},
		"no address":                   {"@", "https", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.remote
		r.Header.Set("X-Forwarded-Proto", test.proto)
		require.Equal(t, test.want, isTLS(r), name)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = &tls.ConnectionState{}
	require.True(t, forwardedTLS(nil)(r), "our own TLS needs no proxy's word")
}

// panicky is an API door that panics.
type panicky struct{ with any }

func (p panicky) Mount(r gin.IRouter) {
	r.POST("/apps/:id/events", func(*gin.Context) { panic(p.with) })
}

func TestPanicsAreContained(t *testing.T) {
	t.Parallel()
	var log buffer
	router := func(with any) http.Handler {
		h, err := newRouter(Config{}, slog.New(slog.NewTextHandler(&log, nil)), routes{
			ws: http.NotFoundHandler(), api: panicky{with}, ready: newReadiness(slog.New(slog.DiscardHandler), nil),
		})
		require.NoError(t, err)
		return h
	}
	w := httptest.NewRecorder()
	router("a bug").ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/apps/1/events", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "a bug")
	require.Contains(t, log.String(), "a bug")
	require.Contains(t, log.String(), "server_test.go", "the log says where")

	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() {
		router(http.ErrAbortHandler).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/apps/1/events", nil))
	}, "net/http ends such a connection itself")
}

// clientIP asks the router who it thinks is calling.
func TestForwardedForIsBelievedFromProxiesOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trusted []string
		want    string
	}{
		"nobody trusted": {nil, "10.0.0.1"},
		"proxy trusted":  {[]string{"10.0.0.0/8"}, "203.0.113.9"},
	} {
		var log buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		h, err := newRouter(Config{TrustedProxies: test.trusted}, logger, routes{
			ws: http.NotFoundHandler(), api: panicky{}, ready: newReadiness(logger, nil),
		})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/dashboard/", nil)
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Contains(t, log.String(), "client="+test.want, name)
	}
}

// certificate writes a self-signed certificate for 127.0.0.1 that ends then.
func certificate(t *testing.T, until time.Time) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(leaf)
	return certFile, keyFile, pool
}

func TestTLS(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(365 * 24 * time.Hour)
	certFile, keyFile, pool := certificate(t, until)
	// The harness asks without TLS, so this server is started by hand.
	environ := append(dataDir(t), "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN="+freePort(t),
		"TIDEWIRE_TLS_CERT="+certFile, "TIDEWIRE_TLS_KEY="+keyFile)
	start(t, environ, "serve")
	eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")

	app := createApp(t, environ, "--settings", `{"force_tls":true}`)
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}
	conn, resp, err := dialer.DialContext(t.Context(), "wss://"+environ[1][len("TIDEWIRE_LISTEN="):]+"/app/"+app.Key+"?protocol=7", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	defer conn.Close()
	c := &client{t, conn}
	require.Equal(t, "pusher:connection_established", c.next().Event)

	// The APIs speak HTTP/2; a client that wants a WebSocket does not ask for it.
	h2 := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer h2.CloseIdleConnections()
	answer, err := h2.Get("https://" + environ[1][len("TIDEWIRE_LISTEN="):] + "/dashboard/")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 2, answer.ProtoMajor)
	require.Equal(t, "max-age=31536000", answer.Header.Get("Strict-Transport-Security"))
	require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))

	// A new certificate is taken up without a restart, a bad one is not, and
	// sockets that are open do not notice.
	nextUntil := until.Add(24 * time.Hour)
	nextCert, nextKey, nextPool := certificate(t, nextUntil)
	expires := func() float64 {
		_, page := get(t, "http://"+strings.TrimPrefix(environ[2], "TIDEWIRE_METRICS_LISTEN=")+"/metrics")
		value := regexp.MustCompile(`(?m)^tidewire_certificate_expires_timestamp_seconds (.*)$`).FindStringSubmatch(page)
		require.NotNil(t, value)
		at, err := strconv.ParseFloat(value[1], 64)
		require.NoError(t, err)
		return at
	}
	require.EqualValues(t, until.Unix(), expires())
	replace(t, certFile, nextCert) // as between the two writes of a renewal: they do not belong together
	served := func(pool *x509.CertPool) bool {
		raw, err := tls.Dial("tcp", environ[1][len("TIDEWIRE_LISTEN="):], &tls.Config{RootCAs: pool})
		if err == nil {
			_ = raw.Close()
		}
		return err == nil
	}
	for begun := time.Now(); time.Since(begun) < 2*certEvery; time.Sleep(100 * time.Millisecond) {
		require.True(t, served(pool), "the old certificate stays")
	}
	replace(t, keyFile, nextKey)
	eventually(t, func() bool { return served(nextPool) }, "the new certificate is never served")
	require.False(t, served(pool))
	require.EqualValues(t, nextUntil.Unix(), expires())
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:ping","data":{}}`)))
	require.Equal(t, "pusher:pong", c.next().Event)
}

// replace puts the content of one file into another at once.
func replace(t *testing.T, name, with string) {
	t.Helper()
	b, err := os.ReadFile(with)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name+".new", b, 0o600))
	require.NoError(t, os.Rename(name+".new", name))
}

func TestAnExpiredCertificateIsNotTakenUp(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := certificate(t, time.Now().Add(time.Hour))
	log := &buffer{}
	files, err := newCertFiles(Config{TLSCert: certFile, TLSKey: keyFile}, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	first, err := files.get(nil)
	require.NoError(t, err)
	expiredCert, expiredKey, _ := certificate(t, time.Now().Add(-time.Minute))
	replace(t, certFile, expiredCert)
	replace(t, keyFile, expiredKey)
	files.checked = time.Time{}
	still, err := files.get(nil)
	require.NoError(t, err)
	require.Same(t, first, still)
	require.Contains(t, log.String(), "expired")
	require.NotContains(t, log.String(), "PRIVATE")
}

func TestAutocertDomains(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"*.example.com", "example", "https://a.example.com", "a.example.com:443", "a.example.com/x"} {
		require.Error(t, applyAutocertDomains(&Config{}, bad), bad)
	}
	var cfg Config
	require.NoError(t, applyAutocertDomains(&cfg, " B.example.com, a.example.com,a.example.com"))
	require.Equal(t, []string{"a.example.com", "b.example.com"}, cfg.AutocertDomains)
	require.Equal(t, "https://127.0.0.1:1", cfg.localURL(":1"))
}

func TestTLSMistakes(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := certificate(t, time.Now().Add(time.Hour))
	_, otherKey, _ := certificate(t, time.Now().Add(time.Hour))
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"no such file": {"--tls-cert", "/nowhere.pem", "--tls-key", keyFile},
		"another key":  {"--tls-cert", certFile, "--tls-key", otherKey},
		"swapped":      {"--tls-cert", keyFile, "--tls-key", certFile},
	} {
		r := platform(t, []string{"TIDEWIRE_DATA_DIR=" + dir}, append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"}, args...)...)
		requireOneLine(t, r, "tls_cert", "tls_key", "belong together")
		require.Empty(t, namesIn(t, dir), "%s: nothing may have been written", name)
	}
}

func TestLocalURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		":6001": "http://127.0.0.1:6001", "0.0.0.0:1": "http://127.0.0.1:1", "[::]:1": "http://127.0.0.1:1",
		"10.0.0.1:1": "http://10.0.0.1:1", "[fe80::1]:1": "http://[fe80::1]:1", "host:1": "http://host:1",
	} {
		require.Equal(t, want, Config{}.localURL(address))
	}
	require.Equal(t, "https://127.0.0.1:1", Config{TLSCert: "x"}.localURL(":1"))
	require.Equal(t, "https://rt.example.com", Config{PublicURL: "https://rt.example.com"}.baseURL(":1"))
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.9.9.9:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.168.0.1:1": false, "x": false,
	} {
		require.Equal(t, want, isLoopback(address), address)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "errors: one; two", oneLine("errors:\n  one\r\n\n  two\n"))
	require.Equal(t, "plain", oneLine(errors.New("plain").Error()))
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// certEvery is how often, at most, a handshake looks whether the files changed.
const certEvery = time.Second

// loadTLS makes the TLS settings of the main port, nil for none, and says until
// when the certificates are good.
func loadTLS(cfg Config, log *slog.Logger) (*tls.Config, *validity, error) {
	good := &validity{until: map[string]time.Time{}}
	if len(cfg.AutocertDomains) > 0 {
		config, err := automatic(cfg, good, log)
		return config, good, err
	}
	if cfg.TLSCert == "" {
		return nil, good, nil
	}
	files, err := newCertFiles(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	good.note("", files.pair)
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := files.get(hello)
		good.note("", pair)
		return pair, err
	}}, good, nil
}

// validity knows until when the certificates are good that are served here.
type validity struct {
	mu    sync.Mutex
	until map[string]time.Time // by domain; empty for one that serves all
}

func (v *validity) note(domain string, c *tls.Certificate) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.until[domain] = c.Leaf.NotAfter
}

// earliest is when the first of them ends, in seconds since 1970; 0 for none.
func (v *validity) earliest() float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.until) == 0 {
		return 0
	}
	return float64(slices.MinFunc(slices.Collect(maps.Values(v.until)), time.Time.Compare).Unix())
}

func newCertificateCollector(v *validity) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tidewire_certificate_expires_timestamp_seconds",
		Help: "When the first of the certificates served here ends, in seconds since 1970; 0 while none was served.",
	}, v.earliest)
}

func (c Config) speaksTLS() bool { return c.TLSCert != "" || len(c.AutocertDomains) > 0 }

// automatic gets certificates by ACME when a client first asks for one of the
// domains, and renews them. What it gets it keeps in the data folder.
//
// A client that names no host, as a health check that asks by address, gets a
// certificate that proves nothing: no authority is asked for its sake.
func automatic(cfg Config, good *validity, log *slog.Logger) (*tls.Config, error) {
	m := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(cfg.AutocertDomains...),
		Cache:      autocert.DirCache(filepath.Join(cfg.DataDir, "certificates")),
	}
	if cfg.AutocertDirectory != "" {
		m.Client = &acme.Client{DirectoryURL: cfg.AutocertDirectory}
	}
	nameless, err := selfSigned()
	if err != nil {
		return nil, err
	}
	complain := complaints(log)
	t := m.TLSConfig()
	t.MinVersion = tls.VersionTLS12
	t.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			return nameless, nil
		}
		cert, err := m.GetCertificate(hello)
		switch {
		case !slices.Contains(cfg.AutocertDomains, hello.ServerName):
		case err != nil:
			complain(hello.ServerName, err)
		case !slices.Contains(hello.SupportedProtos, acme.ALPNProto): // the authority, which asks for proof
			good.note(hello.ServerName, cert)
		}
		return cert, err
	}
	return t, nil
}

// complainEvery is how often a domain's lack of a certificate is told.
const complainEvery = time.Minute

// complaints tells of the domains that get no certificate, now and then: every
// client that comes would be a line.
func complaints(log *slog.Logger) func(domain string, err error) {
	var mu sync.Mutex
	last := map[string]time.Time{}
	return func(domain string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last[domain]) >= complainEvery {
			last[domain] = now
			log.Error("no certificate for a domain: clients cannot connect by it", "domain", domain, "error", err)
		}
	}
}

// selfSigned makes a certificate that nobody believes.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func loadCertificate(cfg Config) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls_cert %s and tls_key %s: %w: both must be readable PEM files that belong together", cfg.TLSCert, cfg.TLSKey, err)
	}
	return pair, nil
}

// certFiles serves the certificate in two files and follows their changes. Files
// that make no certificate, as between the two writes of a renewal, leave the
// one in use where it is.
type certFiles struct {
	cfg Config       // static
	log *slog.Logger // static

	mu      sync.Mutex
	pair    *tls.Certificate
	state   [2]fileState // of what was last tried
	checked time.Time
}

// fileState tells versions of a file apart.
type fileState struct {
	changed time.Time
	size    int64
}

func newCertFiles(cfg Config, log *slog.Logger) (*certFiles, error) {
	f := &certFiles{cfg: cfg, log: log, state: stateOf(cfg), checked: time.Now()}
	pair, err := loadCertificate(cfg)
	if err != nil {
		return nil, err
	}
	f.pair = &pair
	return f, nil
}

func stateOf(cfg Config) (s [2]fileState) {
	for i, name := range []string{cfg.TLSCert, cfg.TLSKey} {
		if info, err := os.Stat(name); err == nil {
			s[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return s
}

// get implements [tls.Config.GetCertificate].
func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) >= certEvery {
		f.checked = now
		f.follow()
	}
	return f.pair, nil
}

func (f *certFiles) follow() {
	state := stateOf(f.cfg)
	if state == f.state {
		return
	}
	f.state = state
	pair, err := loadCertificate(f.cfg)
	if err == nil && time.Now().After(pair.Leaf.NotAfter) {
		err = errors.New("it has expired")
	}
	if err != nil {
		f.log.Error("new certificate is not usable, the old one stays", "error", err)
		return
	}
	f.pair = &pair
	f.log.Info("certificate replaced", "valid_until", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// secureHeaders has browsers take answers for what they say they are, and come
// back by TLS only where this server speaks it itself.
func secureHeaders(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if c.Request.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// applyAutocertDomains accepts the names of hosts, which is what certificates
// are for.
func applyAutocertDomains(c *Config, v string) error {
	c.AutocertDomains = nil
	for name := range strings.SplitSeq(v, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if strings.ContainsAny(name, "*/: ") || !strings.Contains(name, ".") {
			return fmt.Errorf("%q is not the full name of a host such as rt.example.com", name)
		}
		c.AutocertDomains = append(c.AutocertDomains, name)
	}
	slices.Sort(c.AutocertDomains)
	c.AutocertDomains = slices.Compact(c.AutocertDomains)
	return nil
}

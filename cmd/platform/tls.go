package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// certEvery is how often, at most, a handshake looks whether the files changed.
const certEvery = time.Second

// loadTLS makes the TLS settings of the main port; nil for none.
func loadTLS(cfg Config, log *slog.Logger) (*tls.Config, error) {
	if len(cfg.AutocertDomains) > 0 {
		return automatic(cfg), nil
	}
	if cfg.TLSCert == "" {
		return nil, nil //nolint:nilnil // no TLS is no mistake
	}
	files, err := newCertFiles(cfg, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get}, nil
}

func (c Config) speaksTLS() bool { return c.TLSCert != "" || len(c.AutocertDomains) > 0 }

// automatic gets certificates by ACME when a client first asks for one of the
// domains, and renews them. What it gets it keeps in the data folder.
func automatic(cfg Config) *tls.Config {
	m := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(cfg.AutocertDomains...),
		Cache:      autocert.DirCache(filepath.Join(cfg.DataDir, "certificates")),
	}
	if cfg.AutocertDirectory != "" {
		m.Client = &acme.Client{DirectoryURL: cfg.AutocertDirectory}
	}
	t := m.TLSConfig()
	t.MinVersion = tls.VersionTLS12
	return t
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

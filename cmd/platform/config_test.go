package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// load reads a configuration from flags as typed and an environment. The
// default file is not looked for where the tests run.
func load(t *testing.T, environ []string, args ...string) (Config, map[string]effective, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addSettingFlags(flags)
	require.NoError(t, flags.Parse(args))
	cfg, list, err := loadConfig(flags, environ, nil)
	byName := make(map[string]effective)
	for _, e := range list {
		byName[e.Name] = e
	}
	return cfg, byName, err
}

func configFileWith(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidewire.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg, list, err := load(t, nil)
	require.NoError(t, err)
	require.Equal(t, Config{
		Listen: ":6001", MetricsListen: "127.0.0.1:9601", DataDir: "./data", AutoMigrate: true, IOUring: true,
		LogFormat: "auto", ShutdownTimeout: 30 * time.Second, NodeLease: 15 * time.Second, MaxFrameBytes: 32768,
		HandshakesPerSecond: 5000, HandshakesPerAddress: 100,
		SignUp: tenants.SignUpClosed, BrandName: "Tidewire", UsageInterval: 10 * time.Second, WebhookTimeout: 4 * time.Second,
	}, cfg)
	require.Len(t, list, len(settings))
	require.Equal(t, "default", list["listen"].Source)
}

func TestConfigPrecedence(t *testing.T) {
	t.Parallel()
	file := configFileWith(t, "listen: :1\nlog_level: warn\nmax_frame_bytes: 2048\nauto_migrate: false\ntrusted_proxies: [10.0.0.0/8, 192.168.0.1]\n")
	environ := []string{"TIDEWIRE_CONFIG=" + file, "TIDEWIRE_LISTEN=:2", "TIDEWIRE_LOG_LEVEL=error", "TIDEWIRE_NODE_LEASE=", "OTHER=1"}
	cfg, list, err := load(t, environ, "--listen", ":3")
	require.NoError(t, err)

	require.Equal(t, ":3", cfg.Listen, "a flag wins over all")
	require.Equal(t, "flag", list["listen"].Source)
	require.Equal(t, "ERROR", cfg.LogLevel.String(), "the environment wins over the file")
	require.Equal(t, "environment", list["log_level"].Source)
	require.Equal(t, 2048, cfg.MaxFrameBytes, "the file wins over the default")
	require.Equal(t, "file "+file, list["max_frame_bytes"].Source)
	require.False(t, cfg.AutoMigrate)
	require.Equal(t, []string{"10.0.0.0/8", "192.168.0.1"}, cfg.TrustedProxies)
	require.Equal(t, 15*time.Second, cfg.NodeLease, "an empty variable is not set")
}

func TestConfigRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		args    []string
		file    string
		want    []string
	}{
		"unknown variable":          {environ: []string{"TIDEWIRE_LISTENN=:1"}, want: []string{"TIDEWIRE_LISTENN", "unknown", "did you mean TIDEWIRE_LISTEN?"}},
		"variable in another case":  {environ: []string{"TIDEWIRE_Listen=:1"}, want: []string{"TIDEWIRE_Listen", "did you mean TIDEWIRE_LISTEN?"}},
		"variable like nothing":     {environ: []string{"TIDEWIRE_XYZZYPLUGH=1"}, want: []string{"TIDEWIRE_XYZZYPLUGH", "platform serve --help"}},
		"webhook timeout":           {environ: []string{"TIDEWIRE_WEBHOOK_TIMEOUT=1h"}, want: []string{"TIDEWIRE_WEBHOOK_TIMEOUT", "30s"}},
		"the port as a number":      {environ: []string{"TIDEWIRE_PORT=8080"}, want: []string{"TIDEWIRE_PORT", "TIDEWIRE_LISTEN"}},
		"unknown key":               {file: "data_dri: x\n", want: []string{"data_dri", "did you mean data_dir?"}},
		"nested key":                {file: "tls:\n  cert: x\n", want: []string{"tls.cert", "did you mean tls_cert?"}},
		"webhook range":             {file: "webhook_allow_private: 10.0.0.1/8\n", want: []string{"webhook_allow_private", "10.1.0.0/16"}},
		"a file that names a file":  {file: "config: other.yaml\n", want: []string{"config", "remove it"}},
		"not YAML":                  {file: "listen: [\n", want: []string{"tidewire.yaml"}},
		"a key twice":               {file: "listen: :1\nlisten: :2\n", want: []string{"tidewire.yaml", "listen"}},
		"a list of settings":        {file: "- listen\n", want: []string{"tidewire.yaml"}},
		"file not there":            {args: []string{"--config", "/nowhere/tidewire.yaml"}, want: []string{"/nowhere/tidewire.yaml", "no such file"}},
		"listen without a port":     {args: []string{"--listen", "localhost"}, want: []string{"--listen", "host:port", `"localhost"`}},
		"listen with a named port":  {args: []string{"--listen", ":http"}, want: []string{"--listen", "0 to 65535"}},
		"listen with a huge port":   {args: []string{"--listen", ":65536"}, want: []string{"--listen", "0 to 65535"}},
		"metrics listen":            {args: []string{"--metrics-listen", "9601"}, want: []string{"--metrics-listen", "host:port"}},
		"empty data folder":         {args: []string{"--data-dir", ""}, want: []string{"--data-dir", "./data"}},
		"database of another kind":  {args: []string{"--database-url", "mysql://u:geheim@h/db"}, want: []string{"--database-url", "postgres://"}},
		"redis of another kind":     {args: []string{"--redis-url", "memcached://h"}, want: []string{"--redis-url", "redis://"}},
		"public URL with a path":    {args: []string{"--public-url", "https://h/prefix"}, want: []string{"--public-url", "only scheme, host and port"}},
		"public URL without scheme": {args: []string{"--public-url", "h:6001"}, want: []string{"--public-url", "https://"}},
		"short master key":          {environ: []string{"TIDEWIRE_MASTER_KEY=Z2VoZWlt"}, want: []string{"TIDEWIRE_MASTER_KEY", "openssl rand -base64 32"}},
		"auto_migrate":              {args: []string{"--auto-migrate", "maybe"}, want: []string{"true or false"}},
		"half of TLS":               {args: []string{"--tls-cert", "c.pem"}, want: []string{"tls_cert", "tls_key", "both"}},
		"trusted proxy":             {args: []string{"--trusted-proxies", "10.0.0.0/8,proxy"}, want: []string{`"proxy"`, "10.0.0.0/8"}},
		"log level":                 {args: []string{"--log-level", "verbose"}, want: []string{"debug, info, warn or error"}},
		"log format":                {args: []string{"--log-format", "xml"}, want: []string{"auto, text or json"}},
		"duration without unit":     {args: []string{"--shutdown-timeout", "30"}, want: []string{"unit", "15s"}},
		"lease beyond its bound":    {args: []string{"--node-lease", "16s"}, want: []string{"1s to 15s"}},
		"frame below its bound":     {args: []string{"--max-frame-bytes", "1"}, want: []string{"1024 to 1048576"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.file != "" {
				test.environ = append(test.environ, "TIDEWIRE_CONFIG="+configFileWith(t, test.file))
			}
			_, _, err := load(t, test.environ, test.args...)
			require.Error(t, err)
			require.ErrorAs(t, err, new(usageError))
			for _, part := range test.want {
				require.Contains(t, err.Error(), part)
			}
			require.NotContains(t, err.Error(), "geheim", "a password must not be printed")
			require.NotContains(t, err.Error(), "Z2VoZWlt", "a key must not be printed")
		})
	}
}

func TestKubernetesVariablesAreLeftAlone(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, []string{
		"TIDEWIRE_SERVICE_HOST=10.0.0.7", "TIDEWIRE_SERVICE_PORT=6001", "TIDEWIRE_SERVICE_PORT_HTTP=6001",
		"TIDEWIRE_PORT=tcp://10.0.0.7:6001", "TIDEWIRE_PORT_6001_TCP=tcp://10.0.0.7:6001",
		"TIDEWIRE_PORT_6001_TCP_PROTO=tcp", "TIDEWIRE_PORT_6001_TCP_PORT=6001", "TIDEWIRE_PORT_6001_TCP_ADDR=10.0.0.7",
		"TIDEWIRE_REDIS_SERVICE_HOST=10.0.0.8", "TIDEWIRE_REDIS_PORT_6379_TCP_ADDR=10.0.0.8",
	})
	require.NoError(t, err)
}

func TestMasking(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                      "",
		"postgres://u:p@h:5432/db":              "postgres://u:***@h:5432/db",
		"postgres://u@h/db":                     "postgres://u@h/db",
		"redis://:p@h":                          "redis://:***@h",
		"redis+sentinel://u:p@h1:1,h2:2/main/0": "redis+sentinel://u:***@h1:1,h2:2/main/0",
		"postgres://u:a/b@c:d@h/db":             "postgres://u:***@h/db",
		"postgres://h/db?user=u&password=p&x=1": "postgres://h/db?user=u&password=***&x=1",
		"postgres://h/db?sslpassword=p":         "postgres://h/db?sslpassword=***",
		"no url at all":                         "***",
	} {
		require.Equal(t, want, maskURL(in))
	}
}

func TestPrintConfigMasksSecrets(t *testing.T) {
	t.Parallel()
	environ := []string{
		"TIDEWIRE_DATABASE_URL=postgres://tide:geheim1@db/tide", "TIDEWIRE_REDIS_URL=redis://:geheim2@r",
		"TIDEWIRE_MASTER_KEY=" + strings.Repeat("A", 43) + "=",
	}
	for _, args := range [][]string{{"doctor", "--print-config"}, {"doctor", "--print-config", "--json"}} {
		r := platform(t, environ, args...)
		require.Zero(t, r.code, r.stderr)
		require.NotContains(t, r.stdout, "geheim")
		require.NotContains(t, r.stdout, "AAAA")
		require.Contains(t, r.stdout, "tide:***@db")
		for _, s := range settings {
			require.Contains(t, r.stdout, s.name)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"listen", "metrics_listen", "log_level", "log_format"}
	for in, want := range map[string]string{
		"lisen": "listen", "LISTEN": "listen", "loglevel": "log_level", "metric_listen": "metrics_listen", "zzzzzz": "", "": "",
	} {
		require.Equal(t, want, nearest(in, known), "nearest to %q", in)
	}
	require.Equal(t, 3, distance("kitten", "sitting"))
	require.Equal(t, 4, distance("", "four"))
}

// The names of the documentation are a promise: none may get lost or change.
func TestSettingNamesAreThePromisedOnes(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	require.Equal(t, []string{
		"listen", "metrics_listen", "data_dir", "database_url", "redis_url", "public_url", "master_key", "auto_migrate",
		"tls_cert", "tls_key", "autocert_domains", "autocert_directory", "trusted_proxies", "log_level", "log_format", "shutdown_timeout", "drain_delay", "node_lease", "max_frame_bytes", "handshakes_per_second", "handshakes_per_address",
		"signup", "brand_name", "mail_from", "smtp_url", "support_url", "terms_url", "terms_version", "denied_mail_domains", "webhook_allow_private", "webhook_timeout", "io_uring", "traces_endpoint", "usage_interval",
	}, names)
}

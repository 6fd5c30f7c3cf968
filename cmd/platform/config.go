package main

import (
	"log/slog"
	"net/netip"
	"time"

	"tidewire/tenants"
)

// Config is everything an operator may set, parsed and checked. It is made in
// one place, [loadConfig]; everything below receives plain values from it.
type Config struct {
	Listen               string         // host:port of everything clients and servers use; port 0 picks a free one
	MetricsListen        string         // host:port of metrics and profiles; empty = none
	DataDir              string         // folder of the embedded database and the master key
	DatabaseURL          string         // empty = SQLite in DataDir
	RedisURL             string         // empty = the in-process broker, for one node
	PublicURL            string         // how the outside reaches Listen; empty = derived from Listen
	MasterKey            tenants.Secret // base64 of 32 bytes; zero = a file in DataDir
	AutoMigrate          bool           // whether opening the database brings its schema up
	TLSCert              string         // PEM file; empty = no TLS here
	TLSKey               string         // PEM file
	AutocertDomains      []string       // hosts to get certificates for; empty = none
	AutocertDirectory    string         // ACME server; empty = Let's Encrypt
	TrustedProxies       []string       // addresses or CIDR ranges whose X-Forwarded-For is believed
	LogLevel             slog.Level
	LogFormat            string             // auto, text or json
	ShutdownTimeout      time.Duration      // for the whole of an orderly stop
	DrainDelay           time.Duration      // of it, how long the node goes on serving while it says that it stops
	NodeLease            time.Duration      // after which a silent node counts as dead
	MaxFrameBytes        int                // largest message taken from a socket
	HandshakesPerSecond  int                // clients that may come in a second; 0 = no bound
	HandshakesPerAddress int                // the same from one public address
	WebhookAllow         []netip.Prefix     // networks webhooks may call although they are not public
	WebhookTimeout       time.Duration      // for a receiver's whole answer
	SignUp               tenants.SignUpMode // who may make an account
	BrandName            string             // the name in mails and on pages
	MailFrom             string             // the sender of mails
	SMTPURL              tenants.Secret     // where mails are handed over; zero = they are written to the log
	SupportURL           string             // where suspended customers are sent; empty = nowhere
	TermsURL             string             // what a sign-up accepts; empty = nothing
	TermsVersion         string             // which version of it
	DeniedMailDomains    []string           // no account for addresses at or below these

	IOUring        bool   // whether sockets may be written to through io_uring
	TracesEndpoint string // URL of an OTLP collector; empty = no traces
	TracesProtocol string // what the environment wants spoken to it; empty = nothing said

	UsageInterval time.Duration // between two writes of what apps use; what a killed process loses at most
}

// setting is one thing an operator may set: by flag, environment, file or default.
type setting struct {
	name  string // as in the file, and in doctor's output: max_frame_bytes
	def   string
	help  string
	show  func(string) string // what may be printed of the value; nil = all of it
	apply func(*Config, string) error
}

// settings is the one list of names. Flags, environment, file and the doctor
// are all derived from it.
var settings = []setting{
	{name: "listen", def: ":6001", help: "host:port for WebSocket, HTTP API and dashboard", apply: applyListen},
	{name: "metrics_listen", def: "127.0.0.1:9601", help: "host:port for /metrics and profiles, or off", apply: applyMetricsListen},
	{name: "data_dir", def: "./data", help: "folder of the embedded database and the master key", apply: applyDataDir},
	{name: "database_url", help: "postgres://… ; empty = SQLite in the data folder", show: maskURL, apply: applyDatabaseURL},
	{name: "redis_url", help: "redis://, rediss://, redis+sentinel:// or redis+cluster:// ; empty = one node, in-process", show: maskURL, apply: applyRedisURL},
	{name: "public_url", help: "http(s)://host[:port] the outside uses; empty = derived from listen", apply: applyPublicURL},
	{name: "master_key", help: "32 bytes in base64 that seal secrets at rest; empty = a file in the data folder (prefer the environment over the flag)", show: maskAll, apply: applyMasterKey},
	{name: "auto_migrate", def: "true", help: "bring the database schema up when opening it", apply: func(c *Config, v string) error { return applyBool(&c.AutoMigrate, v) }},
	{name: "tls_cert", help: "PEM certificate chain; empty = plain HTTP", apply: func(c *Config, v string) error { c.TLSCert = v; return nil }},
	{name: "tls_key", help: "PEM private key of tls_cert", apply: func(c *Config, v string) error { c.TLSKey = v; return nil }},
	{name: "autocert_domains", help: "comma-separated hosts to get certificates for by ACME; the listen port must be reached as port 443", apply: applyAutocertDomains},
	{name: "autocert_directory", help: "directory URL of the ACME server; empty = Let's Encrypt", apply: func(c *Config, v string) error { c.AutocertDirectory = v; return nil }},
	{name: "trusted_proxies", help: "comma-separated addresses or CIDR ranges whose X-Forwarded-For is believed; empty = none", apply: applyTrustedProxies},
	{name: "log_level", def: "info", help: "debug, info, warn or error", apply: applyLogLevel},
	{name: "log_format", def: "auto", help: "auto (text on a terminal, else json), text or json", apply: applyLogFormat},
	{name: "shutdown_timeout", def: "30s", help: "time for an orderly stop, 1s to 10m", apply: applyShutdownTimeout},
	{name: "drain_delay", def: "0s", help: "how long a node that stops goes on serving, so that a balancer learns of it first; longer than its health check, up to 1m", apply: applyDrainDelay},
	{name: "node_lease", def: "15s", help: "time after which a silent node counts as dead, 1s to 15s", apply: applyNodeLease},
	{name: "max_frame_bytes", def: "32768", help: "largest message taken from a socket, 1024 to 1048576", apply: applyMaxFrameBytes},
	{name: "handshakes_per_second", def: "5000", help: "clients that may come in a second on this node; 0 = no bound", apply: func(c *Config, v string) error { return applyRate(&c.HandshakesPerSecond, v) }},
	{name: "handshakes_per_address", def: "100", help: "clients that may come in a second from one public address; 0 = no bound", apply: func(c *Config, v string) error { return applyRate(&c.HandshakesPerAddress, v) }},
	{name: "signup", def: "closed", help: "who may make an account: closed, invite or open", apply: applySignUp},
	{name: "brand_name", def: "Tidewire", help: "the name in mails and on pages", apply: applyBrandName},
	{name: "mail_from", help: "sender of mails, for example Tidewire <noreply@example.com>; empty = noreply at the host of public_url", apply: applyMailFrom},
	{name: "smtp_url", help: "smtp://user:password@host:587 or smtps://…:465; empty = mails are written to the log", show: maskURL, apply: applySMTPURL},
	{name: "support_url", help: "where customers ask for help, http(s):// or mailto:", apply: applySupportURL},
	{name: "terms_url", help: "the terms a sign-up accepts; needs terms_version", apply: applyTermsURL},
	{name: "terms_version", help: "the version of the terms in force, for example 2026-11-01", apply: applyTermsVersion},
	{name: "denied_mail_domains", help: "comma-separated domains whose addresses get no account", apply: applyDeniedMailDomains},
	{name: "webhook_allow_private", help: "networks that webhooks may call although they are not public: comma-separated ranges, or true for loopback and private ones; empty = none", apply: applyWebhookAllowPrivate},
	{name: "webhook_timeout", def: "4s", help: "time a webhook's receiver has for its answer, 500ms to 30s", apply: applyWebhookTimeout},
	{name: "io_uring", def: "true", help: "write to many sockets with one system call where the kernel allows it (Linux)", apply: func(c *Config, v string) error { return applyBool(&c.IOUring, v) }},
	{name: "traces_endpoint", help: "http(s):// URL of an OTLP collector to send traces to, as http/protobuf; empty = OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, and off without them", show: maskURL, apply: applyTracesEndpoint},
	{name: "usage_interval", def: "10s", help: "time between two writes of usage to the database, 100ms to 5m", apply: applyUsageInterval},
}

// configFile is the one name that says where the others are, and so is no setting.
const (
	configFile        = "config"
	defaultConfigFile = "tidewire.yaml"
	envPrefix         = "TIDEWIRE_"
)

// effective is one setting as doctor shows it.
type effective struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // masked where it is a secret
	Source string `json:"source"`
}

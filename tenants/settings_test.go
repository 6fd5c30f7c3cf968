package tenants_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func TestParseSettings(t *testing.T) {
	t.Parallel()
	s, err := tenants.ParseSettings([]byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, tenants.DefaultSettings(), s)

	s, err = tenants.ParseSettings([]byte(`{"client_events":true,"webhook_batching":false,
		"authorization_timeout_seconds":5,"cache_ttl_seconds":60,"allowed_origins":["example.com"],
		"history":[{"pattern":"a-*","max_messages":1,"ttl_seconds":2}]} `))
	require.NoError(t, err)
	want := tenants.DefaultSettings()
	want.ClientEvents, want.WebhookBatching = true, false
	want.AuthorizationTimeoutSeconds, want.CacheTTLSeconds = 5, 60
	want.AllowedOrigins = []string{"example.com"}
	want.History = []tenants.HistoryRule{{Pattern: "a-*", MaxMessages: 1, TTLSeconds: 2}}
	require.Equal(t, want, s)
}

func TestParseSettingsRefuses(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		``:                                     "settings: must be a JSON object",
		`null`:                                 "settings: must be a JSON object",
		`[]`:                                   "settings: must be a JSON object",
		`{"client_events":true`:                "settings: must be a JSON object",
		`{"client_events":true}{}`:             "after the closing brace",
		"{\"client_events\":\"\xff\"}":         "must be valid UTF-8",
		`{"clinet_events":true}`:               `unknown name "clinet_events", did you mean client_events?`,
		`{"wat":1}`:                            `unknown name "wat"; known are allowed_origins,`,
		`{"Client_Events":true}`:               `"Client_Events" must be written client_events`,
		`{"force_tls":true,"force_tls":false}`: "settings.force_tls: is given twice",
		`{"force_tls":true,"force\u005ftls":true}`:                         "settings.force_tls: is given twice",
		`{"force_tls":1}`:                                                  "settings.force_tls: must be true or false",
		`{"force_tls":null}`:                                               "settings.force_tls: must be true or false",
		`{"cache_ttl_seconds":"60"}`:                                       "settings.cache_ttl_seconds: must be a whole number",
		`{"cache_ttl_seconds":1.5}`:                                        "settings.cache_ttl_seconds: must be a whole number",
		`{"cache_ttl_seconds":null}`:                                       "settings.cache_ttl_seconds: must be a whole number",
		`{"cache_ttl_seconds":1801}`:                                       "settings.cache_ttl_seconds: must be from 1 to 1800, not 1801",
		`{"authorization_timeout_seconds":0}`:                              "settings.authorization_timeout_seconds: must be from 1 to 300, not 0",
		`{"allowed_origins":"example.com"}`:                                "settings.allowed_origins: must be a list",
		`{"allowed_origins":["ok.com",5]}`:                                 "settings.allowed_origins[1]: must be a string",
		`{"allowed_origins":["https://a.com/x"]}`:                          `settings.allowed_origins[0]: "https://a.com/x" must look like`,
		`{"allowed_origins":["*"]}`:                                        "settings.allowed_origins[0]:",
		`{"allowed_origins":["a.*.com"]}`:                                  "one * only",
		`{"allowed_origins":["a.com:0"]}`:                                  "port from 1 to 65535",
		`{"history":[{"patern":"a"}]}`:                                     `settings.history[0]: unknown name "patern", did you mean pattern?`,
		`{"history":[{"pattern":"a"}]}`:                                    "settings.history[0].max_messages: must be from 1 to",
		`{"history":[{"pattern":"a b","max_messages":1,"ttl_seconds":1}]}`: "settings.history[0].pattern: may hold",
		`{"history":[{"pattern":"","max_messages":1,"ttl_seconds":1}]}`:    "settings.history[0].pattern: must be 1 to 200",
		`{"` + strings.Repeat("x", 5000) + `":1}`:                          "unknown name",
		`{"wat":"` + strings.Repeat("x", 70000) + `"}`:                     "must be at most 65536 bytes",
	} {
		_, err := tenants.ParseSettings([]byte(input))
		require.ErrorAs(t, err, new(*tenants.InvalidError), input)
		require.ErrorContains(t, err, want, input)
		require.NotContains(t, err.Error(), "\n", input)
		require.Less(t, len(err.Error()), 500, input)
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	l, err := tenants.ParseLimits([]byte(`{"max_connections":5,"max_presence_members":0}`))
	require.NoError(t, err)
	want := tenants.DefaultLimits()
	want.MaxConnections, want.MaxPresenceMembers = 5, 0
	require.Equal(t, want, l)

	for input, want := range map[string]string{
		`{"max_connection":1}`:      "did you mean max_connections?",
		`{"MAX_CONNECTIONS":1}`:     "must be written max_connections",
		`{"max_event_bytes":-1}`:    "limits.max_event_bytes: must be from 1 to 65536, or 0 for that ceiling, not -1",
		`{"max_event_bytes":65537}`: "limits.max_event_bytes: must be from 1 to 65536",
		`{"max_event_bytes":1e400}`: "limits.max_event_bytes: must be a whole number",
	} {
		_, err := tenants.ParseLimits([]byte(input))
		require.ErrorAs(t, err, new(*tenants.InvalidError), input)
		require.ErrorContains(t, err, want, input)
	}
}

func TestEffectiveLimits(t *testing.T) {
	t.Parallel()
	require.Equal(t, tenants.Ceilings(), tenants.Limits{}.Effective())
	l := tenants.Limits{MaxConnections: 3, MaxEventBytes: -1, MaxReadsPerSecond: 1 << 30}
	got := l.Effective()
	require.Equal(t, 3, got.MaxConnections)
	require.Equal(t, tenants.Ceilings().MaxEventBytes, got.MaxEventBytes)
	require.Equal(t, tenants.Ceilings().MaxReadsPerSecond, got.MaxReadsPerSecond)
	require.Zero(t, l.MaxChannelsPerConnection, "the original is left alone")
}

// Every limit must be parsed, checked and filled: none may be forgotten.
func TestEveryLimitIsCovered(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(tenants.Ceilings())
	require.NoError(t, err)
	require.NotContains(t, string(raw), ":0")
	l, err := tenants.ParseLimits(raw)
	require.NoError(t, err)
	require.Equal(t, tenants.Ceilings(), l)
	raw, err = json.Marshal(tenants.DefaultSettings())
	require.NoError(t, err)
	s, err := tenants.ParseSettings(raw)
	require.NoError(t, err)
	require.Equal(t, tenants.DefaultSettings(), s)
}

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed []string
		origin  string
		want    bool
	}{
		{nil, "", true},
		{nil, "https://evil.example", true},
		{[]string{"https://a.com"}, "https://a.com", true},
		{[]string{"https://a.com"}, "https://A.COM", true},
		{[]string{"https://a.com"}, "https://a.com:443", true},
		{[]string{"https://a.com:443"}, "https://a.com", true},
		{[]string{"https://a.com"}, "http://a.com", false},
		{[]string{"https://a.com"}, "https://a.com:8443", false},
		{[]string{"https://a.com"}, "https://a.com.evil.com", false},
		{[]string{"https://a.com"}, "https://evila.com", false},
		{[]string{"https://a.com"}, "https://a.com/", false},
		{[]string{"https://a.com"}, "https://x@a.com", false},
		{[]string{"a.com"}, "http://a.com:3000", true},
		{[]string{"a.com:3000"}, "http://a.com:3000", true},
		{[]string{"a.com:3000"}, "http://a.com", false},
		{[]string{"a.com:80"}, "http://a.com", true},
		{[]string{"*.a.com"}, "https://x.a.com", true},
		{[]string{"*.a.com"}, "https://y.x.a.com", true},
		{[]string{"*.a.com"}, "https://a.com", false},
		{[]string{"*.a.com"}, "https://xa.com", false},
		{[]string{"*.a.com"}, "https://*.a.com", false},
		{[]string{"https://*.a.com:8443"}, "https://x.a.com:8443", true},
		{[]string{"https://*.a.com:8443"}, "https://x.a.com", false},
		{[]string{"localhost:5173"}, "http://localhost:5173", true},
		{[]string{"http://[::1]:5173"}, "http://[::1]:5173", true},
		{[]string{"127.0.0.1"}, "http://127.0.0.1:9", true},
		{[]string{"capacitor://localhost"}, "capacitor://localhost", true},
		{[]string{"a.com"}, "null", false},
		{[]string{"a.com"}, "", true},
		{[]string{"a.com"}, "a.com", false},
		{[]string{"kelvin.com"}, "https://\u212Aelvin.com", false},
		{[]string{"b.com", "a.com"}, "https://a.com", true},
	} {
		s := tenants.Settings{AllowedOrigins: c.allowed}
		require.Equal(t, c.want, s.OriginAllowed(c.origin), "%v %q", c.allowed, c.origin)
	}
}

// Whatever is accepted must be a document that reads back as the same settings.
func FuzzParseSettings(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"client_events":true}`, `{"allowed_origins":["https://*.example.com:8443","[::1]:80"]}`,
		`{"history":[{"pattern":"a-*","max_messages":1,"ttl_seconds":2}]}`, `{"cache_ttl_seconds":1e2}`,
		`{"Force_TLS":true}`, `{"a":{"a":[[[[]]]]}}`, `{"force_tls":true,"force_tls":true}`, "{\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := tenants.ParseSettings(raw)
		if err != nil {
			require.ErrorAs(t, err, new(*tenants.InvalidError))
			return
		}
		for _, origin := range s.AllowedOrigins {
			if strings.Contains(origin, "://") && !strings.Contains(origin, "*") {
				require.True(t, s.OriginAllowed(origin), origin)
			}
		}
		again, err := json.Marshal(s)
		require.NoError(t, err)
		same, err := tenants.ParseSettings(again)
		require.NoError(t, err)
		require.Equal(t, s, same)
	})
}

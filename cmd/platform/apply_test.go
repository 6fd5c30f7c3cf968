package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const manifestYAML = `
plans:
  - name: team
    max_apps: 10
tenants:
  - slug: acme
    name: Acme Corp
    plan: team
    apps:
      - id: "4711"
        name: Chat
        settings: {client_events: true}
        limits: {max_connections: 500}
        keys:
          - key: chat-key
            secret: ${CHAT_SECRET}
      - name: Made
`

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// applied runs apply or import and returns what it printed as JSON.
func applied(t *testing.T, environ []string, args ...string) printedApply {
	t.Helper()
	r := platform(t, environ, append(args, "--json")...)
	require.Zero(t, r.code, r.stderr)
	var p printedApply
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &p))
	return p
}

func TestApply(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "CHAT_SECRET=chat-secret-1")
	file := writeFile(t, "tenants.yaml", manifestYAML)

	dry := applied(t, environ, "apply", "-f", file, "--dry-run")
	require.Len(t, dry.Changes, 4)
	require.Empty(t, dry.Made)
	require.JSONEq(t, `[]`, platform(t, environ, "apps", "list", "--json").stdout, "a dry run changes nothing")

	first := applied(t, environ, "apply", "-f", file)
	require.Len(t, first.Changes, 4)
	require.Len(t, first.Made, 1)
	require.Empty(t, applied(t, environ, "apply", "-f", file).Changes, "a second time changes nothing")
	require.Contains(t, platform(t, environ, "apps", "show", "4711", "--reveal").stdout, "chat-secret-1")

	changed := writeFile(t, "changed.yaml", strings.Replace(manifestYAML, "max_connections: 500", "max_connections: 600", 1))
	r := platform(t, environ, "apply", "-f", changed)
	require.Contains(t, r.stdout, `~ app 4711 "Chat"  limits.max_connections: 500 → 600`)
	require.NotContains(t, r.stdout, "chat-secret")
}

func TestExportAndApplyElsewhere(t *testing.T) {
	t.Parallel()
	here := append(dataDir(t), "CHAT_SECRET=chat-secret-1")
	applied(t, here, "apply", "-f", writeFile(t, "t.yaml", manifestYAML))
	createApp(t, here, "--settings", `{"jwt":{"issuers":[{"issuer":"https://id","audience":"chat","algorithms":["HS256"],"secret":"`+strings.Repeat("geheim42", 4)+`"}]}}`)

	plain := platform(t, here, "export")
	require.Zero(t, plain.code, plain.stderr)
	require.NotContains(t, plain.stdout, "chat-secret")
	require.NotContains(t, plain.stdout, "geheim")
	require.Empty(t, applied(t, here, "apply", "-f", writeFile(t, "p.yaml", plain.stdout)).Changes)

	full := platform(t, here, "export", "--secrets").stdout
	there := dataDir(t)
	require.NotEmpty(t, applied(t, there, "apply", "-f", writeFile(t, "f.yaml", full)).Changes)
	require.Empty(t, applied(t, there, "apply", "-f", writeFile(t, "f.yaml", full)).Changes)
	require.Equal(t, full, platform(t, there, "export", "--secrets").stdout)
	requireOneLine(t, platform(t, dataDir(t), "apply", "-f", writeFile(t, "p.yaml", plain.stdout)), "nothing was changed", "secret")
}

// What is wrong refuses all of it.
func TestApplyMistakes(t *testing.T) {
	t.Parallel()
	app := func(fields string) string {
		return "tenants:\n- slug: acme\n  apps:\n  - {name: First, id: '1', keys: [{key: k1, secret: secret-one}]}\n  - {name: Chat, " + fields + "}\n"
	}
	for name, test := range map[string]struct {
		yaml string
		want []string
	}{
		"empty":                  {"", []string{"plans or tenants"}},
		"no YAML":                {"{", []string{"YAML"}},
		"unknown name":           {"tenant: []", []string{`"tenant"`, "tenants"}},
		"doubled name":           {"tenants: []\ntenants: []", []string{"already defined"}},
		"number for a text":      {"tenants: [{slug: 5}]", []string{"slug", "string"}},
		"tenant twice":           {"tenants: [{slug: a}, {slug: a}]", []string{"twice"}},
		"key twice":              {app("id: '2', keys: [{key: k1, secret: secret-two}]"), []string{"k1", "twice"}},
		"unknown setting":        {app("settings: {client_event: true}"), []string{"client_events"}},
		"limit out of range":     {app("limits: {max_connections: -1}"), []string{"apps[1].limits.max_connections"}},
		"no such plan":           {"tenants: [{slug: a, plan: gold}]", []string{"gold"}},
		"new key, no secret":     {app("keys: [{key: k2}]"), []string{"k2", "secret"}},
		"variable that is unset": {app("keys: [{key: k2, secret: '${NO_SUCH}'}]"), []string{"NO_SUCH", "not set"}},
		"id of a stranger":       {app("id: '4711'"), []string{"4711", "already exists"}},
		"key of a stranger":      {app("id: '2', keys: [{key: theirs, secret: secret-two}]"), []string{"theirs", "already exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := dataDir(t)
			createApp(t, environ, "--tenant", "stranger", "--id", "4711", "--key", "theirs")
			before := platform(t, environ, "apps", "list", "--json").stdout
			requireOneLine(t, platform(t, environ, "apply", "-f", writeFile(t, "x.yaml", test.yaml)), test.want...)
			require.Equal(t, before, platform(t, environ, "apps", "list", "--json").stdout, "nothing half-written")
		})
	}
}

func TestApplyKeys(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	file := func(keys string) string {
		return writeFile(t, "k.yaml", "tenants: [{slug: acme, apps: [{id: '7', name: Chat, keys: ["+keys+"]}]}]")
	}
	applied(t, environ, "apply", "-f", file("{key: one, secret: secret-one}"))
	requireOneLine(t, platform(t, environ, "apply", "-f", file("{key: one, secret: secret-two}")), "another secret")
	require.Len(t, applied(t, environ, "apply", "-f", file("{key: one}, {key: two, secret: secret-two}")).Changes, 1)
	r := platform(t, environ, "apply", "-f", file("{key: one, status: revoked}, {key: two}"))
	require.Contains(t, r.stdout, "- key one")
	require.Empty(t, applied(t, environ, "apply", "-f", file("{key: one, status: revoked}, {key: two}")).Changes)
	requireOneLine(t, platform(t, environ, "apply", "-f", file("{key: one}")), "revoked")
}

func FuzzManifest(f *testing.F) {
	f.Add(manifestYAML)
	f.Add("tenants: &a [*a]")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseManifest([]byte(text), nil) })
}

const webhooksYAML = `
tenants:
  - slug: acme
    apps:
      - id: "4711"
        name: Chat
        keys: [{key: chat-key, secret: chat-secret-1}]
        webhooks:
          - url: https://hooks.invalid/a
            events: [channel_occupied, channel_vacated]
            channels: [orders-*]
            headers: {Authorization: "${HOOK_TOKEN}"}
          - url: https://hooks.invalid/b
            batching: false
            status: paused
            secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
          - url: https://hooks.invalid/a
`

func TestApplyWebhooks(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "HOOK_TOKEN=Bearer geheim-42")
	file := func(old, with string) string {
		return writeFile(t, "w.yaml", strings.Replace(webhooksYAML, old, with, 1))
	}
	same := file("", "")
	list := func() string { return platform(t, environ, "webhooks", "list", "--app", "4711", "--json").stdout }

	require.Len(t, applied(t, environ, "apply", "-f", same, "--dry-run").Changes, 5)
	first := applied(t, environ, "apply", "-f", same)
	require.Len(t, first.Changes, 5)
	require.Len(t, first.Made, 2, "the secrets that were made are shown this once")
	require.Equal(t, "https://hooks.invalid/a", first.Made[0].Webhook)
	require.Regexp(t, `^whsec_`, first.Made[0].Secret)
	require.Empty(t, applied(t, environ, "apply", "-f", same).Changes, "a second time nothing changes")
	require.Equal(t, 3, strings.Count(list(), `"url"`))
	require.NotContains(t, list(), "geheim-42")

	r := platform(t, environ, "apply", "-f", file("[orders-*]", "['*']"))
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, "~ webhook https://hooks.invalid/a \"4711\"  channels: [orders-*] → [*]\nChanges made: 1.\n", r.stdout)
	r = platform(t, append(environ[:1:1], "HOOK_TOKEN=Bearer geheim-43"), "apply", "-f", file("[orders-*]", "['*']"))
	require.Contains(t, r.stdout, "headers: values → other values")
	require.NotContains(t, r.stdout, "geheim")
	r = platform(t, environ, "apply", "-f", file("status: paused", "status: enabled"))
	require.Contains(t, r.stdout, "status: paused → enabled")
	require.Contains(t, platform(t, environ, "tenants", "export", "acme").stdout, "webhook.updated", "all of it is in the audit log")

	for name, test := range map[string]struct{ old, with, want string }{
		"unknown name":   {"batching: false", "batched: false", "batched"},
		"unknown event":  {"channel_occupied", "channel_opened", "channel_opened"},
		"forbidden":      {"hooks.invalid/b", "127.0.0.1/b", "webhooks[1]"},
		"no address":     {"url: https://hooks.invalid/b", "url: hooks", "https://"},
		"another secret": {"MDEyMzQ1", "MDEyMzQ2", "another secret"},
		"no secret":      {"hooks.invalid/b\n            batching: false\n            status: paused\n            secret: whsec_", "hooks.invalid/c\n            secret: ", "whsec_"},
		"unknown status": {"paused", "resting", "paused or disabled"},
		"unset variable": {"HOOK_TOKEN", "NO_SUCH", "NO_SUCH"},
		"no list":        {"webhooks:", "webhooks:\n            url: x\n        keyz:", "keyz"},
	} {
		before := list()
		bad := strings.Replace(file(test.old, test.with), "Chat", "Renamed", 1)
		requireOneLine(t, platform(t, environ, "apply", "-f", bad), test.want)
		require.Equal(t, before, list(), name)
		require.NotContains(t, platform(t, environ, "apps", "list").stdout, "Renamed", "nothing half-written")
	}
}

func TestExportedWebhooks(t *testing.T) {
	t.Parallel()
	here := append(dataDir(t), "HOOK_TOKEN=Bearer geheim-42")
	applied(t, here, "apply", "-f", writeFile(t, "w.yaml", webhooksYAML))
	plain := platform(t, here, "export").stdout
	require.NotContains(t, plain, "geheim-42")
	require.NotContains(t, plain, "whsec_")
	require.Empty(t, applied(t, here, "apply", "-f", writeFile(t, "p.yaml", plain)).Changes)

	full := platform(t, here, "export", "--secrets").stdout
	require.Contains(t, full, "geheim-42")
	there := dataDir(t)
	require.Len(t, applied(t, there, "apply", "-f", writeFile(t, "f.yaml", full)).Changes, 5)
	require.Empty(t, applied(t, there, "apply", "-f", writeFile(t, "f.yaml", full)).Changes)
	require.Equal(t, full, platform(t, there, "export", "--secrets").stdout)
	plain = strings.Replace(plain, "key: chat-key", "key: chat-key\n            secret: chat-secret-1", 1)
	requireOneLine(t, platform(t, dataDir(t), "apply", "-f", writeFile(t, "p.yaml", plain)), "nothing was changed", "Authorization", "--secrets")
}

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

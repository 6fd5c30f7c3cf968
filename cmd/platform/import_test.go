package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// soketiDump is an apps table with n rows, as mysqldump or pg_dump writes it.
func soketiDump(style string, n int) string {
	var b strings.Builder
	switch style {
	case "mysql":
		b.WriteString("CREATE TABLE `apps` (\n  `id` varchar(255) NOT NULL,\n  `key` varchar(255) NOT NULL,\n  `secret` varchar(255) NOT NULL,\n" +
			"  `max_connections` int NOT NULL,\n  `enable_client_messages` tinyint NOT NULL,\n  `enabled` tinyint NOT NULL,\n  `webhooks` json,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB;\n")
		b.WriteString("INSERT INTO `apps` VALUES ")
	case "copy":
		b.WriteString("COPY public.apps (id, key, secret, max_connections, enable_client_messages, enabled, webhooks) FROM stdin;\n")
	}
	for i := range n {
		switch style {
		case "mysql":
			if i > 0 {
				b.WriteString(",")
			}
			hooks := "NULL"
			if i%10 == 0 {
				hooks = fmt.Sprintf(`'[{\"url\":\"https://h/%d\",\"event_types\":[\"channel_occupied\"]}]'`, i)
			}
			fmt.Fprintf(&b, `('%d','key-%d','se\'cret,(%d)',-1,1,1,%s)`, 5000+i, i, i, hooks)
		case "copy":
			fmt.Fprintf(&b, "%d\tkey-%d\tse'cret,(%d)\t-1\t1\t1\t\\N\n", 5000+i, i, i)
		case "inserts":
			fmt.Fprintf(&b, "INSERT INTO public.apps (id, \"key\", secret, max_connections, enable_client_messages, enabled, webhooks) VALUES ('%d', 'key-%d', 'se''cret,(%d)', -1, 1, 1, NULL);\n", 5000+i, i, i)
		}
	}
	if style == "copy" {
		b.WriteString("\\.\n")
	}
	b.WriteString(";\n")
	return b.String()
}

func TestAppsImportSoketiTable(t *testing.T) {
	t.Parallel()
	for _, style := range []string{"mysql", "copy", "inserts"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			rows, changes := 20, 21
			if style == "mysql" { // in which every tenth app has a webhook
				rows, changes = 1000, 1101
			}
			environ := dataDir(t)
			file := writeFile(t, "apps.sql", soketiDump(style, rows))
			args := []string{"apps", "import", "--from", "soketi", "--tenant", "acme", file}
			first := applied(t, environ, args...)
			require.Len(t, first.Changes, changes)
			require.Empty(t, applied(t, environ, args...).Changes, "the second time nothing changes")
			r := platform(t, environ, "apps", "show", "5007", "--reveal", "--json")
			require.Contains(t, r.stdout, `"key": "key-7"`)
			require.Contains(t, r.stdout, `"secret": "se'cret,(7)"`)
			require.Contains(t, r.stdout, `"client_events": true`)
		})
	}
}

// Webhooks come along; what cannot is said, and keeps nothing else back.
func TestAppsImportSoketiWebhooks(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	file := writeFile(t, "s.json", `[{"id":"66","key":"sk","secret":"soketi-secret","webhooks":[
		{"url":"https://hooks.invalid/a","event_types":["channel_occupied","cache_missed"],
		 "filter":{"channel_name_starts_with":"orders-"},"headers":{"X-Team":"blue"}},
		{"lambda_function":"notify","event_types":["client_event"]},
		{"url":"http://127.0.0.1/inside","event_types":["client_event"]},
		{"url":"https://hooks.invalid/b","event_types":["no_such_event"]},
		{"url":"https://hooks.invalid/c"}]}]`)
	args := []string{"apps", "import", "--from", "soketi", "--tenant", "acme", file}
	first := applied(t, environ, args...)
	require.Len(t, first.Changes, 3, "tenant, app and one webhook")
	require.Len(t, first.Notes, 4)
	for i, part := range []string{"notify", "127.0.0.1/inside", "no_such_event", "no events"} {
		require.Contains(t, strings.Join(first.Notes, "\n"), part, i)
	}
	require.Empty(t, applied(t, environ, args...).Changes)
	exported := platform(t, environ, "export", "--secrets").stdout
	for _, part := range []string{"url: https://hooks.invalid/a", "- channel_occupied", "- cache_miss", "- orders-*", "X-Team: blue"} {
		require.Contains(t, exported, part)
	}
}

// A conflict in the last row leaves nothing of the others.
func TestAppsImportConflict(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	createApp(t, environ, "--tenant", "stranger", "--id", "777", "--key", "key-59")
	file := writeFile(t, "apps.sql", soketiDump("mysql", 60))
	r := platform(t, environ, "apps", "import", "--from", "soketi", "--tenant", "acme", file)
	requireOneLine(t, r, "nothing was changed", "key-59", "already exists")
	requireOneLine(t, platform(t, environ, "apps", "list", "--tenant", "acme"), "acme")
}

func TestAppsImportOtherForms(t *testing.T) {
	t.Parallel()
	const reverbPHP = `<?php
return [
    'default' => env('REVERB_SERVER', 'reverb'),
    'apps' => [
        'provider' => 'config', // one of them
        'apps' => [
            [
                'key' => env('REVERB_APP_KEY'), 'secret' => env('REVERB_APP_SECRET'), 'app_id' => env('REVERB_APP_ID'),
                'options' => ['useTLS' => env('REVERB_SCHEME', 'https') === 'https', 'port' => (int) env('REVERB_PORT', 443)],
                'allowed_origins' => ['app.example.com'],
                'max_message_size' => env('REVERB_APP_MAX_MESSAGE_SIZE', 10_000),
                'accept_client_events_from' => env('X', 'members'),
            ],
        ],
    ],
];`
	const reverbEnv = "# Reverb\nREVERB_APP_ID=123456\nREVERB_APP_KEY=\"reverb-key\"\nREVERB_APP_SECRET='reverb-secret' # keep\n"
	for name, test := range map[string]struct {
		from  string
		files map[string]string
		id    string
		want  []string
	}{
		"reverb .env":   {"reverb", map[string]string{"a.env": reverbEnv}, "123456", []string{"reverb-key", "reverb-secret"}},
		"reverb config": {"reverb", map[string]string{"a.env": reverbEnv, "reverb.php": reverbPHP}, "123456", []string{"reverb-key", "app.example.com", `"max_event_bytes": 10000`, `"client_events": true`}},
		"reverb JSON":   {"reverb", map[string]string{"r.json": `[{"app_id":"55","key":"rk","secret":"reverb-secret","allowed_origins":["*"]}]`}, "55", []string{"rk"}},
		"soketi JSON":   {"soketi", map[string]string{"s.json": `[{"id":"66","key":"sk","secret":"soketi-secret","maxConnections":200,"enableClientMessages":true,"maxEventPayloadInKb":500}]`}, "66", []string{`"max_connections": 200`, `"max_event_bytes": 65536`}},
		"soketi .env":   {"soketi", map[string]string{"s.env": "SOKETI_DEFAULT_APP_ID=77\nSOKETI_DEFAULT_APP_KEY=sk\nSOKETI_DEFAULT_APP_SECRET=soketi-secret\nSOKETI_DEFAULT_APP_MAX_CONNS=9\n"}, "77", []string{"soketi-secret", `"max_connections": 9`}},
		"pusher .env":   {"pusher", map[string]string{"p.env": "PUSHER_APP_ID=88\nPUSHER_APP_KEY=pk\nPUSHER_APP_SECRET=pusher-secret\n"}, "88", []string{"pk", "pusher-secret"}},
		"pusher URL":    {"pusher", map[string]string{"p.env": "PUSHER_URL=https://pk:pusher-secret@api-eu.pusher.com/apps/99\n"}, "99", []string{"pk", "pusher-secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := dataDir(t)
			args := []string{"apps", "import", "--from", test.from, "--tenant", "acme"}
			for _, file := range []string{"a.env", "p.env", "s.env", "s.json", "r.json", "reverb.php"} {
				if content, ok := test.files[file]; ok {
					args = append(args, writeFile(t, file, content))
				}
			}
			require.NotEmpty(t, applied(t, environ, args...).Changes)
			require.Empty(t, applied(t, environ, args...).Changes)
			shown := platform(t, environ, "apps", "show", test.id, "--reveal", "--json").stdout
			for _, part := range test.want {
				require.Contains(t, shown, part)
			}
		})
	}
}

func TestAppsImportMistakes(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	named := writeFile(t, "s.env", "SOKETI_DEFAULT_APP_ID=app-id\nSOKETI_DEFAULT_APP_KEY=app-key\nSOKETI_DEFAULT_APP_SECRET=app-secret\n")
	run := func(args ...string) result {
		return platform(t, environ, append([]string{"apps", "import", "--tenant", "acme"}, args...)...)
	}
	requireOneLine(t, run("--from", "socketio", named), "pusher, soketi or reverb")
	requireOneLine(t, run("--from", "pusher", named), "found no app")
	requireOneLine(t, run("--from", "soketi", named+".missing"), "no such file")
	requireOneLine(t, run("--from", "soketi", named), `"app-id"`, "--new-ids")
	first := applied(t, environ, "apps", "import", "--tenant", "acme", "--from", "soketi", "--new-ids", named)
	require.Contains(t, first.Notes[0], "new id")
	require.Empty(t, applied(t, environ, "apps", "import", "--tenant", "acme", "--from", "soketi", "--new-ids", named).Changes)
}

// Old keys connect unmodified, while the server that learns of them runs.
func TestAppsImportedKeysConnect(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	file := writeFile(t, "apps.sql", soketiDump("copy", 3))
	applied(t, n.environ, "apps", "import", "--from", "soketi", "--tenant", "acme", file)
	c := subscribed(t, n.url, "key-2", "orders")
	r := platform(t, n.environ, "trigger", "orders", "hello", "{}", "--app", "5002", "--key", "key-2", "--secret", "se'cret,(2)")
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, "hello", c.next().Event)
}

func FuzzImportFile(f *testing.F) {
	for _, style := range []string{"mysql", "copy", "inserts"} {
		f.Add("apps.sql", soketiDump(style, 2))
	}
	f.Add("reverb.php", "<?php return ['apps' => ['apps' => [['key' => env('A', [1,2]) . 'x']]]];")
	f.Add("a.json", `{"appManager":{"array":{"apps":[{"id":1}]}}}`)
	f.Add(".env", "A='b\nB=\"${A}\"")
	f.Fuzz(func(_ *testing.T, name, text string) {
		in := importFiles{env: map[string]string{}}
		if in.add(name, []byte(text)) != nil {
			return
		}
		for _, read := range []func(importFiles) ([]importedApp, error){importPusher, importSoketi, importReverb} {
			if apps, err := read(in); err == nil {
				_, _, _ = manifestApps(apps, true)
			}
		}
	})
}

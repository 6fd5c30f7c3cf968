package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func folderOf(environ []string) string { return strings.TrimPrefix(environ[0], "TIDEWIRE_DATA_DIR=") }

// A backup taken while a server runs is restored into an empty folder and serves.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNodeWith(t, extras{}, "TIDEWIRE_DATA_DIR="+dir)
	app := createApp(t, n.environ)
	file := filepath.Join(t.TempDir(), "backup.db")
	r := platform(t, n.environ, "backup", file)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, filepath.Join(dir, "master.key"))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	requireOneLine(t, platform(t, n.environ, "backup", file), "exists already")
	n.end(t)

	empty := dataDir(t)
	requireOneLine(t, platform(t, empty, "restore", file), "master key is missing", "--master-key-file")
	wrong := append(dataDir(t), "TIDEWIRE_MASTER_KEY="+strings.Repeat("A", 43)+"=")
	requireOneLine(t, platform(t, wrong, "restore", file), "nothing was restored", "master key")
	require.Empty(t, namesIn(t, folderOf(wrong)))
	damaged := writeFile(t, "damaged.db", strings.Repeat("text", 5000))
	requireOneLine(t, platform(t, empty, "restore", damaged, "--master-key-file", filepath.Join(dir, "master.key")), "nothing was restored")
	require.Empty(t, namesIn(t, folderOf(empty)))

	r = platform(t, empty, "restore", file, "--master-key-file", filepath.Join(dir, "master.key"))
	require.Zero(t, r.code, r.stderr)
	requireOneLine(t, platform(t, empty, "restore", file), "exists already")
	again := startNodeWith(t, extras{}, empty...)
	subscribed(t, again.url, app.Key, "orders")
}

func TestMoveToPostgres(t *testing.T) {
	t.Parallel()
	nodes := inOwnRedis(t, twoNodes(t), 15) // data folder, database, Redis
	url := strings.TrimPrefix(nodes[1], "TIDEWIRE_DATABASE_URL=")
	environ := dataDir(t)
	applied(t, environ, "apps", "import", "--from", "soketi", "--tenant", "acme", writeFile(t, "apps.sql", soketiDump("copy", 50)))
	applied(t, environ, "apply", "-f", writeFile(t, "t.yaml", strings.ReplaceAll(manifestYAML, "${CHAT_SECRET}", "chat-secret-1")))
	require.Zero(t, platform(t, environ, "tenants", "suspend", "acme", "--reason", "unpaid").code)
	require.Zero(t, platform(t, environ, "tokens", "create", "--tenant", "acme", "--name", "ci", "--scopes", "apps:read").code)
	applied(t, environ, "apply", "-f", writeFile(t, "w.yaml", "tenants: [{slug: acme, apps: [{id: '5002', name: App 5002, webhooks: [{url: https://hooks.invalid/a}]}]}]"))
	endpoint := printed[[]struct{ ID string }](t, environ, "webhooks", "list", "--app", "5002")[0].ID
	require.Zero(t, platform(t, environ, "webhooks", "test", endpoint, "--app", "5002").code)
	before := platform(t, environ, "export", "--secrets").stdout

	running := startNode(t, environ...)
	requireOneLine(t, platform(t, running.environ, "move", "--to", url), "stop it first")
	running.end(t)
	deliveries := platform(t, environ, "webhooks", "deliveries", "--app", "5002", "--json").stdout
	require.Contains(t, deliveries, endpoint)
	listen := "TIDEWIRE_LISTEN=" + freePort(t)
	environ = append(environ, listen)

	r := platform(t, environ, "move", "--to", url, "--json")
	require.Zero(t, r.code, r.stderr)
	var result struct {
		Tables []struct {
			Table string
			Rows  int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &result))
	rows := map[string]int{}
	for _, table := range result.Tables {
		rows[table.Table] = table.Rows
	}
	require.Equal(t, 52, rows["apps"])
	require.Equal(t, 52, rows["app_keys"])
	require.NotZero(t, rows["audit_log"])
	require.NotZero(t, rows["config_changes"])
	require.Equal(t, 1, rows["webhook_deliveries"])

	there := append(environ, "TIDEWIRE_DATABASE_URL="+url)
	require.Equal(t, before, platform(t, there, "export", "--secrets").stdout)
	require.Equal(t, deliveries, platform(t, there, "webhooks", "deliveries", "--app", "5002", "--json").stdout)
	requireOneLine(t, platform(t, environ, "move", "--to", url), "nothing was moved", "not empty")
	requireOneLine(t, platform(t, there, "move", "--to", url), "embedded")
	requireOneLine(t, platform(t, there, "backup", "x.db"), "pg_dump")
	require.Zero(t, platform(t, there, "tenants", "resume", "acme").code)
	n := startNode(t, append(there, nodes[2])...)
	subscribed(t, n.url, "key-2", "orders")
	createApp(t, n.environ)
}

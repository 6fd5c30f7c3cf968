package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func dataDir(t *testing.T) []string { return []string{"TIDEWIRE_DATA_DIR=" + t.TempDir()} }

// Each mistake gives one line that names it and its remedy.
func TestMistakes(t *testing.T) {
	t.Parallel()
	create := []string{"apps", "create", "--tenant", "acme", "--name", "Chat"}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"unknown command":           {[]string{"sevre"}, []string{`"sevre"`, "serve"}},
		"unknown sub-command":       {[]string{"apps", "creat"}, []string{`"creat"`, "create"}},
		"unknown flag":              {[]string{"serve", "--lisen", ":1"}, []string{"--lisen", "--listen"}},
		"unknown flag, no match":    {[]string{"serve", "--qqqqqqqqq"}, []string{"--qqqqqqqqq", "--help"}},
		"unknown short flag":        {[]string{"serve", "-x"}, []string{"-x", "--help"}},
		"flag without value":        {[]string{"serve", "--listen"}, []string{"--listen", "--help"}},
		"arguments to serve":        {[]string{"serve", "now"}, []string{"no arguments"}},
		"trigger too few":           {[]string{"trigger", "a", "b"}, []string{"CHANNEL EVENT DATA"}},
		"trigger without app":       {[]string{"trigger", "a", "b", "c"}, []string{"--app"}},
		"trigger bad URL":           {[]string{"trigger", "a", "b", "c", "--app", "1", "--url", "h:1"}, []string{"--url", "http://"}},
		"secret without key":        {[]string{"trigger", "a", "b", "c", "--app", "1", "--secret", "s"}, []string{"--key"}},
		"subscribe to nothing":      {[]string{"subscribe", "--app", "1"}, []string{"CHANNEL"}},
		"subscribe to a bad name":   {[]string{"subscribe", "a b", "--app", "1"}, []string{`"a b"`}},
		"subscribe twice":           {[]string{"subscribe", "a", "a", "--app", "1"}, []string{"twice"}},
		"subscribe to presence":     {[]string{"subscribe", "presence-a", "--app", "1"}, []string{"presence-a", "public and private"}},
		"no tenant":                 {[]string{"apps", "create", "--name", "Chat"}, []string{"--tenant"}},
		"no name":                   {[]string{"apps", "create", "--tenant", "acme"}, []string{"--name"}},
		"bad tenant":                {[]string{"apps", "create", "--tenant", "A B", "--name", "Chat"}, []string{"tenant", "a-z"}},
		"bad id":                    {append(create, "--id", "x1"), []string{"id", "digits"}},
		"bad key":                   {append(create, "--key", "a:b"), []string{"key"}},
		"short secret":              {append(create, "--secret", "geheim"), []string{"secret", "8"}},
		"unknown setting":           {append(create, "--settings", `{"client_event":true}`), []string{"client_event", "client_events"}},
		"setting out of range":      {append(create, "--settings", `{"cache_ttl_seconds":0}`), []string{"cache_ttl_seconds"}},
		"settings that are no JSON": {append(create, "--settings", `{`), []string{"settings"}},
		"unknown limit":             {append(create, "--limits", `{"max_connection":1}`), []string{"max_connection", "max_connections"}},
		"negative limit":            {append(create, "--limits", `{"max_connections":-1}`), []string{"max_connections"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := dataDir(t)
			r := platform(t, environ, test.args...)
			requireOneLine(t, r, test.want...)
			require.Equal(t, exitUsage, r.code)
			require.NotContains(t, r.stderr, "geheim")
			require.Empty(t, namesIn(t, strings.TrimPrefix(environ[0], "TIDEWIRE_DATA_DIR=")), "nothing may have been written")
		})
	}
}

// Every command has help with an example, and --json where it prints data.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	noJSON := map[string]bool{
		"platform": true, "platform apps": true, "platform migrate": true, "platform serve": true, "platform tenants": true,
		"platform users": true, "platform keys": true, "platform tokens": true, "platform plans": true, "platform webhooks": true,
		"platform redis": true,
	}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		require.NotEmpty(t, cmd.Short, path)
		require.Contains(t, cmd.Example, "platform", path)
		require.Equal(t, !noJSON[path], cmd.Flags().Lookup("json") != nil, "%s --json", path)
		r := platform(t, nil, append(strings.Fields(path)[1:], "--help")...)
		require.Zero(t, r.code)
		require.Contains(t, r.stdout, "Examples:", path)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&cli{}).rootCommand())

	r := platform(t, nil, "serve", "--help")
	for _, s := range settings {
		require.Contains(t, r.stdout, flagName(s.name))
		require.Contains(t, r.stdout, envName(s.name))
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	made := printed[printedApp](t, environ, "apps", "create", "--tenant", "acme", "--name", "Chat",
		"--settings", `{"client_events":true}`, "--limits", `{"max_connections":5}`)
	require.Regexp(t, `^[0-9]{6,9}$`, string(made.ID))
	require.Regexp(t, `^[0-9a-f]{20}$`, made.Key)
	require.Regexp(t, `^[0-9a-f]{20}$`, made.Secret)
	require.True(t, made.TenantCreated)
	require.True(t, made.Settings.ClientEvents)
	require.Equal(t, 5, made.Limits.MaxConnections)

	kept := createApp(t, environ, "--id", "42", "--key", "from-Pusher_1", "--secret", "from-pusher-secret")
	require.False(t, kept.TenantCreated)
	require.Equal(t, "42", string(kept.ID))
	require.Equal(t, "from-Pusher_1", kept.Key)
	require.Equal(t, "from-pusher-secret", kept.Secret)

	r := platform(t, environ, "apps", "list", "--json")
	var list []printedApp
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &list))
	require.Len(t, list, 2)
	require.NotContains(t, r.stdout, "from-pusher-secret", "a list shows no secrets")
	requireOneLine(t, platform(t, environ, "apps", "list", "--tenant", "nobody", "--json"), "nobody")

	r = platform(t, environ, "apps", "show", "42")
	require.Contains(t, r.stdout, "from-Pusher_1")
	require.NotContains(t, r.stdout, "from-pusher-secret")
	r = platform(t, environ, "apps", "show", "42", "--reveal", "--json")
	require.Contains(t, r.stdout, "from-pusher-secret")

	for _, taken := range [][]string{{"--id", "42"}, {"--key", "from-Pusher_1"}} {
		r = platform(t, environ, append([]string{"apps", "create", "--tenant", "other", "--name", "X"}, taken...)...)
		requireOneLine(t, r, taken[1], "already exists")
		require.Equal(t, exitFailure, r.code)
	}
	requireOneLine(t, platform(t, environ, "apps", "list", "--tenant", "other"), "other") // nothing half-written
	requireOneLine(t, platform(t, environ, "apps", "show", "43"), `"43"`, "does not exist", "apps list")
}

func TestDatabaseMistakes(t *testing.T) {
	t.Parallel()
	list := func(t *testing.T, environ ...string) result { return platform(t, environ, "apps", "list") }

	t.Run("data folder is a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		requireOneLine(t, list(t, "TIDEWIRE_DATA_DIR="+file), file, "--data-dir")
	})
	t.Run("data folder that cannot be made", func(t *testing.T) {
		t.Parallel()
		requireOneLine(t, list(t, "TIDEWIRE_DATA_DIR=/proc/tidewire"), "/proc/tidewire", "cannot be written", "--data-dir")
	})
	t.Run("not a database", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, databaseFile), []byte(strings.Repeat("text ", 1000)), 0o600))
		requireOneLine(t, list(t, "TIDEWIRE_DATA_DIR="+dir), databaseFile, "not a SQLite database")
	})
	t.Run("from a newer version", func(t *testing.T) {
		t.Parallel()
		environ := dataDir(t)
		require.Zero(t, list(t, environ...).code)
		path := filepath.Join(strings.TrimPrefix(environ[0], "TIDEWIRE_DATA_DIR="), databaseFile)
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
		require.NoError(t, err)
		require.NoError(t, db.Close())
		requireOneLine(t, list(t, environ...), "version 9999", "newer tidewire")
		requireOneLine(t, platform(t, environ, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"), "version 9999")
	})
	t.Run("another master key", func(t *testing.T) {
		t.Parallel()
		environ := dataDir(t)
		require.Zero(t, list(t, environ...).code)
		r := list(t, append(environ, "TIDEWIRE_MASTER_KEY="+strings.Repeat("A", 43)+"=")...)
		requireOneLine(t, r, "master key", "TIDEWIRE_MASTER_KEY")
	})
	t.Run("old schema and no migration wanted", func(t *testing.T) {
		t.Parallel()
		requireOneLine(t, list(t, append(dataDir(t), "TIDEWIRE_AUTO_MIGRATE=false")...), "platform migrate up")
	})
	t.Run("no Postgres there", func(t *testing.T) {
		t.Parallel()
		address := freePort(t)
		r := list(t, append(dataDir(t), "TIDEWIRE_DATABASE_URL=postgres://u:geheim@"+address+"/db")...)
		requireOneLine(t, r, "Postgres", address)
		require.NotContains(t, r.stderr, "geheim")
	})
	t.Run("no Redis there", func(t *testing.T) {
		t.Parallel()
		address := freePort(t)
		r := platform(t, append(dataDir(t), "TIDEWIRE_REDIS_URL=redis://:geheim@"+address), "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off")
		requireOneLine(t, r, address)
		require.NotContains(t, r.stderr, "geheim")
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_AUTO_MIGRATE=false")
	r := platform(t, environ, "migrate", "status", "--json")
	require.Zero(t, r.code, r.stderr)
	var steps []struct {
		Version   int64
		Name      string
		AppliedAt *string `json:"applied_at"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &steps))
	require.NotEmpty(t, steps)
	require.Nil(t, steps[0].AppliedAt)

	r = platform(t, environ, "migrate", "up", "--json")
	require.Zero(t, r.code, r.stderr)
	var up struct{ Applied, Version int }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &up))
	require.Equal(t, len(steps), up.Applied)
	require.Equal(t, int(steps[len(steps)-1].Version), up.Version)

	r = platform(t, environ, "migrate", "up")
	require.Contains(t, r.stdout, "0 applied")
	r = platform(t, environ, "migrate", "status")
	require.NotContains(t, r.stdout, "pending")
	require.Zero(t, platform(t, environ, "apps", "list").code, "the schema is what the store needs")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := platform(t, nil, "version", "--json")
	var b buildInfo
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &b))
	require.Equal(t, "dev", b.Version)
	require.Contains(t, b.Platform, "/")
	require.True(t, strings.HasPrefix(platform(t, nil, "version").stdout, "tidewire dev"))
}

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pusher "github.com/pusher/pusher-http-go"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
)

// clientsDir holds the published clients and the scripts that use them.
const clientsDir = "testdata/clients"

// everything is an app with all that an app can have switched on.
const everything = `{"client_events":true,"subscription_count_events":true,"watchlist_events":true}`

// scripts are the features that are tried with the published clients, and what
// each needs beside the apps main and other.
var scripts = map[string]map[string]string{
	"public.mjs": nil, "private.mjs": nil, "presence.mjs": nil, "encrypted.mjs": nil, "cache.mjs": nil,
	"users.mjs": nil, "counts.mjs": nil, "isolation.mjs": nil, "echo.mjs": nil,
	"errors.mjs": {"strict": `{"require_authorization":true,"authorization_timeout_seconds":1}`},
}

// One node on SQLite and memory.
func TestClientsEmbedded(t *testing.T) {
	t.Parallel()
	needClients(t)
	n := startProcess(t, dataDir(t))
	runScripts(t, n, n)
	t.Run("triggers", func(t *testing.T) { triggers(t, n, n) })
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		first := startProcess(t, dataDir(t))
		run := startScript(t, "reconnect.mjs", first.config(t, first, nil))
		run.wait(t, "ready")
		first.stop(t)
		startProcess(t, first.environ) // in the same place
		run.succeed(t)
	})
}

// Two nodes on one Postgres and one Redis: what happens on one is seen on the
// other, whichever way round.
func TestClientsTwoNodes(t *testing.T) {
	t.Parallel()
	needClients(t)
	environ := twoNodes(t)
	a, b := startProcess(t, environ), startProcess(t, environ)
	t.Run("publish on one", func(t *testing.T) { t.Parallel(); runScripts(t, a, b) })
	t.Run("publish on the other", func(t *testing.T) { t.Parallel(); runScripts(t, b, a) })
	t.Run("triggers", func(t *testing.T) { triggers(t, a, b) })
	t.Run("rolling restart", func(t *testing.T) {
		t.Parallel()
		old, next := startProcess(t, environ), startProcess(t, environ)
		front := startFront(t, old.address())
		cfg := next.config(t, next, nil)
		cfg.Sockets = []string{"http://" + front.address}
		run := startScript(t, "reconnect.mjs", cfg)
		run.wait(t, "ready")
		front.lead(next.address())
		old.stop(t)
		run.succeed(t)
	})
}

// twoNodes is the environment of nodes that belong together.
func twoNodes(t *testing.T) []string {
	t.Helper()
	redis := os.Getenv("TEST_REDIS_URL")
	if redis == "" {
		if testing.Short() {
			t.Skip("TEST_REDIS_URL is not set")
		}
		t.Fatal("TEST_REDIS_URL is not set: run make test, which provides a Redis")
	}
	disown(t, redis)
	return append(dataDir(t), "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t), "TIDEWIRE_REDIS_URL="+redis)
}

// disown takes a Redis from the database of an earlier test.
func disown(t *testing.T, url string) {
	t.Helper()
	opts, err := goredis.ParseURL(url)
	require.NoError(t, err)
	rdb := goredis.NewClient(opts)
	defer rdb.Close()
	require.NoError(t, rdb.Del(t.Context(), "tw:database").Err())
}

// inOwnRedis puts nodes into a database of their own in Redis: nodes with
// another SQL database would take the changes that are meant for these.
func inOwnRedis(t *testing.T, environ []string, database int) []string {
	t.Helper()
	environ = slices.Clone(environ)
	for i, v := range environ {
		if url, ok := strings.CutPrefix(v, "TIDEWIRE_REDIS_URL="); ok {
			url = strings.TrimSuffix(strings.TrimSuffix(url, "/0"), "/") + "/" + strconv.Itoa(database)
			disown(t, url)
			environ[i] = "TIDEWIRE_REDIS_URL=" + url
		}
	}
	return environ
}

// needClients makes sure that the clients are installed.
func needClients(t *testing.T) {
	t.Helper()
	problem := ""
	if _, err := exec.LookPath("node"); err != nil {
		problem = "node is not installed: install Node.js 20 or newer"
	} else if _, err := os.Stat(filepath.Join(clientsDir, "node_modules", "pusher-js")); err != nil {
		problem = "the clients are not installed: run make test, or npm ci --ignore-scripts in cmd/platform/" + clientsDir
	}
	switch {
	case problem == "":
	case testing.Short():
		t.Skip(problem)
	default:
		t.Fatal(problem)
	}
}

// runScripts runs every script, publishing through api and connecting to
// sockets first, then to api, in turn.
func runScripts(t *testing.T, api, sockets *serverProcess) {
	t.Helper()
	for script, apps := range scripts {
		t.Run(strings.TrimSuffix(script, ".mjs"), func(t *testing.T) {
			t.Parallel()
			startScript(t, script, api.config(t, sockets, apps)).succeed(t)
		})
	}
}

// triggers publishes in every way there is; one pusher-js receives all of it.
func triggers(t *testing.T, api, sockets *serverProcess) {
	t.Parallel()
	cfg := api.config(t, sockets, nil)
	cfg.Sockets = cfg.Sockets[:1]
	app := cfg.Apps["main"]
	for _, from := range []string{"command", "go", "go batch"} {
		cfg.Expect = append(cfg.Expect, expectation{from, map[string]string{"from": from}})
	}
	run := startScript(t, "receive.mjs", cfg)
	run.wait(t, "ready")

	r := platform(t, api.environ, "trigger", "orders", "command", `{"from":"command"}`, "--app", app.ID, "--url", api.url)
	require.Zero(t, r.code, r.stderr)
	backend := pusher.Client{AppID: app.ID, Key: app.Key, Secret: app.Secret, Host: api.address()}
	require.NoError(t, backend.Trigger("orders", "go", map[string]string{"from": "go"}))
	require.NoError(t, backend.TriggerBatch([]pusher.Event{{Channel: "orders", Name: "go batch", Data: map[string]string{"from": "go batch"}}}))
	run.succeed(t)
}

// scriptConfig is what a script gets to know.
type scriptConfig struct {
	API     string               `json:"api"`
	Sockets []string             `json:"sockets"`
	Apps    map[string]scriptApp `json:"apps"`
	Expect  []expectation        `json:"expect,omitempty"`
}

type scriptApp struct {
	ID     string `json:"id"`
	Key    string `json:"key"`
	Secret string `json:"secret"`
}

type expectation struct {
	Event string            `json:"event"`
	Data  map[string]string `json:"data"`
}

// script is a running script.
type script struct {
	name   string
	cmd    *exec.Cmd
	output *buffer
	ended  chan error
}

func startScript(t *testing.T, name string, cfg any) *script {
	t.Helper()
	encoded, err := json.Marshal(cfg)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", name)
	cmd.Dir = clientsDir
	cmd.Env = append(os.Environ(), "TIDEWIRE_TEST="+string(encoded))
	s := &script{name: name, cmd: cmd, output: &buffer{}, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	require.NoError(t, cmd.Start())
	go func() { s.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = s.end(t) // it was killed
	})
	return s
}

// end waits for the script; ending twice is in order.
func (s *script) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-time.After(5 * time.Minute):
		_ = s.cmd.Process.Kill()
		require.FailNow(t, s.name+" does not end", s.output.String())
		return nil
	}
}

// wait waits for a line of the script.
func (s *script) wait(t *testing.T, line string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains("\n"+s.output.String(), "\n"+line+"\n") || len(s.ended) > 0
	}, 30*time.Second, 5*time.Millisecond, "%s never said %q", s.name, line)
	require.Contains(t, s.output.String(), line)
}

// succeed waits for the end of the script, which must be a good one.
func (s *script) succeed(t *testing.T) {
	t.Helper()
	require.NoError(t, s.end(t), "%s:\n%s", s.name, s.output.String())
	require.Contains(t, s.output.String(), "ok - ", "a script that tries nothing proves nothing")
	t.Logf("%s:\n%s", s.name, s.output.String())
}

// config makes apps of their own for one script: main has everything switched
// on, other is another tenant's as it is by default.
func (p *serverProcess) config(t *testing.T, sockets *serverProcess, more map[string]string) scriptConfig {
	t.Helper()
	cfg := scriptConfig{API: p.url, Sockets: []string{sockets.url, p.url}, Apps: map[string]scriptApp{}}
	settings := map[string]string{"main": everything, "other": "{}"}
	for name, s := range more {
		settings[name] = s
	}
	for name, s := range settings {
		r := platform(t, p.environ, "apps", "create", "--json", "--tenant", name, "--name", name, "--settings", s)
		require.Zero(t, r.code, r.stderr)
		var app scriptApp
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &app))
		cfg.Apps[name] = app
	}
	return cfg
}

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "tidewire"

// floors is the staircase, lowest first. A package may import what stands on a
// lower floor, never what stands on a higher one.
var floors = []string{"migrations", "tenants", "channels", "webhooks", "dashboard", "cmd/platform"}

// cores are the parts of a floor that every door of it may use, and that know
// no foreign technology.
var cores = []string{"tenants", "channels", "channels/wire", "channels/fanout", "channels/console", "webhooks", "dashboard", "migrations"}

// foreign says which packages may import which module outside tests. A module
// that is not listed may be imported by nobody.
var foreign = []struct {
	module string
	doors  []string
	why    string
}{
	{"github.com/gin-gonic/gin", []string{"*/api", "*/adminapi", "dashboard", "cmd/platform"}, "gin lives in the api doors, the dashboard and cmd/platform; elsewhere take an http.Handler"},
	{"github.com/olahol/melody", []string{"channels/ws"}, "melody lives in channels/ws; elsewhere use channels.Transport"},
	{"github.com/gorilla/websocket", []string{"channels/ws", "cmd/platform"}, "sockets are opened by channels/ws, and dialled by the commands"},
	{"github.com/redis/go-redis", []string{"*/redis"}, "go-redis lives in the redis doors; elsewhere use the interface they implement"},
	{"gorm.io", []string{"*/sqlstore"}, "gorm lives in the sqlstore doors; elsewhere use their stores"},
	{"github.com/glebarez/sqlite", []string{"*/sqlstore"}, "SQL dialects are opened by the sqlstore doors"},
	{"github.com/jackc/pgx", []string{"*/sqlstore"}, "SQL dialects are opened by the sqlstore doors"},
	{"github.com/pressly/goose", []string{"migrations"}, "migrations are applied by the migrations package"},
	{"github.com/golang-jwt/jwt", []string{"tenants"}, "tokens are verified by tenants, which holds the options that make it safe"},
	{"github.com/spf13/cobra", []string{"cmd/platform"}, "commands are cmd/platform's"},
	{"github.com/spf13/pflag", []string{"cmd/platform"}, "flags are cmd/platform's"},
	{"github.com/knadh/koanf", []string{"cmd/platform"}, "the configuration is read in cmd/platform only; take plain values"},
	{"go.yaml.in/yaml", []string{"cmd/platform"}, "YAML is for what people write: files of apply and export"},
	{"github.com/HdrHistogram/hdrhistogram-go", []string{"cmd/platform"}, "latencies are recorded by platform bench only"},
	{"github.com/lmittmann/tint", []string{"cmd/platform"}, "log handlers are chosen in cmd/platform; take a *slog.Logger"},
	{"github.com/prometheus", []string{"cmd/platform"}, "cores count and hand out a Stats snapshot; only cmd/platform knows Prometheus"},
	{"go.opentelemetry.io", []string{"cmd/platform"}, "cores tell a Tracer; only cmd/platform knows OpenTelemetry"},
	{"github.com/oklog/ulid", []string{"*/sqlstore", "*/adminapi"}, "ids are made where rows are made"},
	{"code.dny.dev/ssrf", []string{"tenants/jwks", "webhooks/sender"}, "calls to addresses a tenant names go through the guarded clients of tenants/jwks and webhooks/sender"},
	{"github.com/wneessen/go-mail", []string{"tenants/smtp"}, "mails are sent behind tenants.Mailer"},
	{"golang.org/x/crypto/acme", []string{"cmd/platform"}, "certificates are got by cmd/platform, which owns the ports"},
	{"golang.org/x/crypto", []string{"tenants/argon2id"}, "passwords are hashed behind tenants.PasswordHasher"},
	{"golang.org/x/sync", []string{"*/redis", "*/sqlstore", "*/adminapi", "dashboard", "cmd/platform"}, "cores use the standard library only"},
}

// importLine is one import of one file of ours.
type importLine struct {
	pkg  string // relative to the module
	file string // its base name
	path string // what it imports
}

func (l importLine) isTest() bool { return strings.HasSuffix(l.file, "_test.go") || isSuite(l.pkg) }

// refused returns why the rules forbid l, or "" if they do not.
func refused(l importLine) string {
	own, isOurs := strings.CutPrefix(l.path, module+"/")
	switch {
	case isOurs:
		return refusedOurs(l, own)
	case !strings.Contains(strings.Split(l.path, "/")[0], "."):
		return "" // the standard library
	case l.isTest() || under(l.pkg, "bench"):
		return ""
	}
	for _, f := range foreign {
		if !under(l.path, f.module) {
			continue
		}
		if slices.ContainsFunc(f.doors, func(door string) bool { return matches(door, l.pkg) }) {
			return ""
		}
		return f.why
	}
	return "no door is known for it: name one in the table of imports_test.go and in .golangci.yml, and the reason for the dependency in docs/dependencies.md"
}

// refusedOurs is the part of refused for imports of our own packages.
func refusedOurs(l importLine, target string) string {
	from, to := floor(l.pkg), floor(target)
	switch {
	case isSuite(target) && !l.isTest():
		return "suites and fakes are for tests"
	case under(l.pkg, "bench") && !under(target, "bench"), under(target, "bench") && !under(l.pkg, "bench"):
		return "bench measures from outside: it shares no code with the platform"
	case from < 0 || to < 0:
		if topOf(l.pkg) == topOf(target) {
			return ""
		}
		return "only the floors of the staircase import each other"
	case to > from:
		return "imports go down the stairs only (" + strings.Join(floors, " < ") + "): take a value or an interface from above"
	case l.isTest() || isCore(target) || !isCore(l.pkg) && (under(target, l.pkg) || under(l.pkg, target)):
		return ""
	case l.pkg == "cmd/platform" && isEngine(target):
		if l.file == "engine.go" {
			return ""
		}
		return "engines are chosen in cmd/platform/engine.go only"
	case from == len(floors)-1:
		return ""
	case path.Base(l.pkg) == "adminapi" && target == "tenants/adminapi":
		return ""
	case from == to:
		return "doors of one floor do not know each other: meet in the core"
	}
	return "doors are wired by cmd/platform: use the core they serve"
}

func floor(pkg string) int {
	return slices.IndexFunc(floors, func(f string) bool { return under(pkg, f) })
}

// topOf is the folder that holds a package which stands on no floor.
func topOf(pkg string) string {
	parts := strings.SplitN(pkg, "/", 3)
	if parts[0] == "cmd" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func isCore(pkg string) bool { return slices.Contains(cores, pkg) }

// isSuite reports whether pkg is one of the shared test suites, as channelstest.
func isSuite(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// isEngine reports whether pkg is one of two engines behind a seam. A sqlstore
// is not: it is one store over either dialect.
func isEngine(pkg string) bool { return matches("*/redis", pkg) }

func under(name, parent string) bool { return name == parent || strings.HasPrefix(name, parent+"/") }

func matches(pattern, pkg string) bool {
	ok, _ := path.Match(pattern, pkg)
	return ok
}

func TestImportsGoDownTheStairs(t *testing.T) {
	t.Parallel()
	lines := ourImports(t)
	require.Contains(t, lines, importLine{"cmd/platform", "imports_test.go", "github.com/stretchr/testify/require"}, "the reader of imports must see this file")
	require.Contains(t, lines, importLine{"channels", "topic.go", "tidewire/tenants"}, "the reader of imports must see the cores")
	for _, l := range lines {
		if why := refused(l); why != "" {
			t.Errorf("%s/%s imports %s: %s", l.pkg, l.file, l.path, why)
		}
	}
}

// ourImports lists every import of every Go file of the module, those of other
// operating systems included.
func ourImports(t *testing.T) []importLine {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e",
		"-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var lines []importLine
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir                                              string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return lines
		}
		require.NoError(t, err)
		if strings.Contains(p.ImportPath, "/node_modules/") {
			continue // some npm packages carry Go code
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				lines = append(lines, importLine{strings.TrimPrefix(p.ImportPath, module+"/"), name, imported})
			}
		}
	}
}

// TestImportRules plants imports and asks whether the rules refuse them.
func TestImportRules(t *testing.T) {
	t.Parallel()
	const stairs, doors, engines, suites = "down the stairs", "do not know each other", "engine.go only", "for tests"
	for _, c := range []struct {
		line importLine
		why  string // part of the reason; empty if the import is allowed
	}{
		{importLine{"channels", "hub.go", "tidewire/tenants"}, ""},
		{importLine{"channels", "hub.go", "tidewire/webhooks"}, stairs},
		{importLine{"channels", "hub_test.go", "tidewire/webhooks"}, stairs},
		{importLine{"tenants", "app.go", "tidewire/channels/wire"}, stairs},
		{importLine{"tenants/redis", "limiter.go", "tidewire/channels"}, stairs},
		{importLine{"migrations", "migrations.go", "tidewire/tenants"}, stairs},
		{importLine{"channels/redis", "broker.go", "tidewire/dashboard"}, stairs},
		{importLine{"webhooks", "recorder.go", "tidewire/cmd/platform"}, stairs},
		{importLine{"channels", "hub.go", "tidewire/channels/fanout"}, ""},
		{importLine{"channels/ws", "door.go", "tidewire/channels/wire"}, ""},
		{importLine{"channels/ws", "door.go", "tidewire/channels/api"}, doors},
		{importLine{"channels", "hub.go", "tidewire/channels/redis"}, doors},
		{importLine{"channels/api", "events.go", "tidewire/tenants/sqlstore"}, "wired by cmd/platform"},
		{importLine{"channels/api", "events_test.go", "tidewire/tenants/sqlstore"}, ""},
		{importLine{"channels/adminapi", "stats.go", "tidewire/tenants/adminapi"}, ""},
		{importLine{"channels/adminapi", "stats.go", "tidewire/tenants/redis"}, "wired by cmd/platform"},
		{importLine{"tenants/sqlstore", "store.go", "tidewire/migrations"}, ""},
		{importLine{"cmd/platform", "engine.go", "tidewire/channels/redis"}, ""},
		{importLine{"cmd/platform", "run.go", "tidewire/channels/redis"}, engines},
		{importLine{"cmd/platform", "apps.go", "tidewire/tenants/sqlstore"}, ""},
		{importLine{"cmd/platform", "run.go", "tidewire/channels/ws"}, ""},
		{importLine{"channels", "hub.go", "tidewire/channels/channelstest"}, suites},
		{importLine{"channels", "hub_test.go", "tidewire/channels/channelstest"}, ""},
		{importLine{"channels/channelstest", "broker.go", "github.com/stretchr/testify/require"}, ""},
		{importLine{"tenants/sqlstore", "store.go", "tidewire/migrations/dbtest"}, suites},
		{importLine{"bench/naive", "main.go", "github.com/olahol/melody"}, ""},
		{importLine{"bench/naive", "main.go", "tidewire/bench/internal/load"}, ""},
		{importLine{"bench/naive", "main.go", "tidewire/channels"}, "from outside"},
		{importLine{"channels", "hub.go", "tidewire/bench/internal/load"}, "from outside"},
		{importLine{"cmd/testenv", "main.go", "tidewire/tenants"}, "staircase"},
		{importLine{"cmd/testenv", "main.go", "github.com/spf13/cobra"}, "cmd/platform's"},
		{importLine{"channels", "hub.go", "net/http"}, ""},
		{importLine{"channels", "hub.go", "github.com/olahol/melody"}, "channels/ws"},
		{importLine{"channels/ws", "door.go", "github.com/olahol/melody"}, ""},
		{importLine{"channels/ws", "door.go", "github.com/gin-gonic/gin"}, "api doors"},
		{importLine{"channels/api", "door.go", "github.com/gin-gonic/gin"}, ""},
		{importLine{"webhooks", "queue.go", "gorm.io/gorm"}, "sqlstore doors"},
		{importLine{"webhooks/sqlstore", "queue.go", "gorm.io/gorm"}, ""},
		{importLine{"channels/api", "door.go", "github.com/redis/go-redis/v9"}, "redis doors"},
		{importLine{"cmd/platform", "engine.go", "github.com/redis/go-redis/v9"}, "redis doors"},
		{importLine{"tenants", "token.go", "github.com/golang-jwt/jwt/v5"}, ""},
		{importLine{"channels", "token.go", "github.com/golang-jwt/jwt/v5"}, "verified by tenants"},
		{importLine{"channels/fanout", "plane.go", "golang.org/x/sync/errgroup"}, "standard library only"},
		{importLine{"channels", "hub.go", "github.com/new/thing"}, "no door is known"},
		{importLine{"channels", "hub.go", "go.uber.org/goleak"}, "no door is known"},
	} {
		t.Run(fmt.Sprintf("%s/%s imports %s", c.line.pkg, c.line.file, c.line.path), func(t *testing.T) {
			t.Parallel()
			why := refused(c.line)
			if c.why == "" {
				require.Empty(t, why)
				return
			}
			require.Contains(t, why, c.why)
		})
	}
}

// TestLinterHoldsTheSameDoors keeps .golangci.yml from forgetting a module that
// the table above knows.
func TestLinterHoldsTheSameDoors(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../../.golangci.yml")
	require.NoError(t, err)
	for _, f := range foreign {
		require.Contains(t, string(config), "pkg: "+f.module+"\n", "a depguard rule is missing")
	}
}

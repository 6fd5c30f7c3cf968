package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"tidewire/channels/console"
)

var updateDocs = flag.Bool("update-docs", false, "write the generated pages of docs/ anew")

// The pages of reference are made from the code, so that they cannot lie.
func TestReferenceIsFresh(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{
		"reference-commands.md": commandsPage(), "reference-metrics.md": metricsPage(t), "reference-settings.md": settingsPage(),
		"reference-errors.md": errorsPage(),
	} {
		path := filepath.Join("../../docs", name)
		if *updateDocs {
			require.NoError(t, os.WriteFile(path, []byte(page), 0o644)) //nolint:gosec // a document
		}
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, page, string(have), "stale: go test ./cmd/platform -run TestReferenceIsFresh -update-docs")
	}
}

const generated = "\n<!-- Generated from the code by TestReferenceIsFresh. -->\n"

func commandsPage() string {
	var b strings.Builder
	b.WriteString("# Commands\n" + generated)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if len(cmd.Commands()) == 0 {
			text := cmd.Long
			if text == "" {
				text = cmd.Short + "."
			}
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n```\n", cmd.CommandPath(), text, cmd.Example)
			if flags := strings.TrimRight(cmd.LocalNonPersistentFlags().FlagUsages(), "\n"); flags != "" {
				fmt.Fprintf(&b, "\n```\n%s\n```\n", flags)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&cli{}).rootCommand())
	return b.String()
}

func errorsPage() string {
	return "# Errors and codes\n" + generated + `
What can happen to an app's clients and servers, under the codes that the live console of the dashboard shows. Codes are stable.

Close codes tell a client what to do: 4000 to 4099 mean that coming back is no use, 4100 to 4199 come back after a pause, 4200 to 4299 come back at once. Where a connection stays open the client gets an error frame, mostly with ` + "`\"code\":null`" + `. What has nothing under "What to do" is no error.
` + console.Page()
}

func settingsPage() string {
	var b strings.Builder
	b.WriteString("# Settings of the server\n" + generated + "\n| Setting | Variable | Default | |\n|---|---|---|---|\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s |\n", s.name, envName(s.name), s.def, strings.ReplaceAll(s.help, "|", "\\|"))
	}
	return b.String()
}

var metricCall = regexp.MustCompile(`\b(gauge|gauges|counter|NewDesc)\("(tidewire_\w+)", "([^"]*)"`)

// sourceMetrics lists name, kind and help of every metric this program exports.
func sourceMetrics(t *testing.T) [][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	list := [][]string{{"tidewire_build_info", "gauge", "Always 1; the labels say what is running."}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range metricCall.FindAllStringSubmatch(string(source), -1) {
			kind := m[1]
			switch kind {
			case "NewDesc":
				kind = "counter, with a label"
			case "gauges":
				kind = "gauge, with a label"
			}
			list = append(list, []string{m[2], kind, m[3]})
		}
	}
	slices.SortFunc(list, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return list
}

func metricsPage(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Metrics\n" + generated + "\nServed under `/metrics` on `metrics_listen`, beside those of Go and of the process.\n\n| Name | Kind | |\n|---|---|---|\n")
	for _, m := range sourceMetrics(t) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m[0], m[1], m[2])
	}
	return b.String()
}

var usedMetric = regexp.MustCompile(`tidewire_[a-z_]+`)

// A dashboard or an alert on a metric that does not exist is silent for ever.
func TestDeployUsesMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range sourceMetrics(t) {
		known[m[0]] = true
	}
	for _, name := range []string{"grafana/dashboard.json", "prometheus/alerts.yml"} {
		content, err := os.ReadFile(filepath.Join("../../deploy", name))
		require.NoError(t, err)
		used := usedMetric.FindAllString(string(content), -1)
		require.NotEmpty(t, used)
		for _, metric := range used {
			require.True(t, known[metric], "%s uses %s", name, metric)
		}
	}
}

var usedVariable = regexp.MustCompile(`\bTIDEWIRE_[A-Z_]+`)

// A setting that does not exist stops the server: not in a file that people copy.
func TestDeployUsesSettingsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range settings {
		known[envName(s.name)] = true
	}
	for _, name := range []string{
		"Dockerfile", "docker-compose.yml", "deploy/compose.one-node.yml", "deploy/compose.three-nodes.yml", "deploy/tidewire.service",
	} {
		content, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		if strings.HasSuffix(name, ".yml") {
			require.NoError(t, yaml.Unmarshal(content, new(map[string]any)), name)
		}
		used := usedVariable.FindAllString(string(content), -1)
		require.NotEmpty(t, used, name)
		for _, variable := range used {
			require.True(t, known[variable], "%s uses %s", name, variable)
		}
	}
}

var fence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// The pages a newcomer follows, every command in them run as it stands, in
// order, in one folder.
func TestDocumentedCommandsRun(t *testing.T) {
	t.Parallel()
	for name, fixtures := range map[string]map[string]string{
		"quickstart.md":          nil,
		"migrate-from-pusher.md": {".env": "PUSHER_APP_ID=1234\nPUSHER_APP_KEY=old-key\nPUSHER_APP_SECRET=old-secret\n"},
		"migrate-from-soketi.md": {"apps.sql": soketiDump("copy", 3)},
		"migrate-from-reverb.md": {".env": "REVERB_APP_ID=1234\nREVERB_APP_KEY=old-key\nREVERB_APP_SECRET=old-secret\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := os.ReadFile(filepath.Join("../../docs", name))
			require.NoError(t, err)
			blocks := fence.FindAllStringSubmatch(string(page), -1)
			require.NotEmpty(t, blocks)
			script := "set -eu\ntrap 'kill ${!:-} 2>/dev/null || true; wait' EXIT\n"
			for _, block := range blocks {
				script += block[1]
			}
			requireScriptRuns(t, script, fixtures)
		})
	}
}

func requireScriptRuns(t *testing.T, script string, fixtures map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range fixtures {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(exe, filepath.Join(dir, "platform")))
	r := process(t, dir, "/usr/bin/env", "PATH="+dir+":"+os.Getenv("PATH"), "TIDEWIRE_LISTEN="+freePort(t),
		"TIDEWIRE_METRICS_LISTEN=off", "timeout", "-k", "5", "90", "sh", "-c", script) // ends its server too
	require.Zero(t, r.code, "%s\n%s", r.stdout, r.stderr)
}

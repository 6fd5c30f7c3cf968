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

// metricForms are the ways in which the source declares a metric: name, help and,
// where it has one, its label.
var metricForms = map[*regexp.Regexp]sourceMetric{
	regexp.MustCompile(`\bgauge\("(tidewire_\w+)", "([^"]*)"()`):                                           {kind: "gauge"},
	regexp.MustCompile(`\bcounter\("(tidewire_\w+)", "([^"]*)"()`):                                         {kind: "counter"},
	regexp.MustCompile(`\bgauges\("(tidewire_\w+)", "([^"]*)", "(\w+)"`):                                   {kind: "gauge"},
	regexp.MustCompile(`\bNewDesc\("(tidewire_\w+)", "([^"]*)", \[\]string\{"(\w+)"\}`):                    {kind: "counter"},
	regexp.MustCompile(`\bnewAppFigure\("(tidewire_\w+)", "([^"]*)"(), prometheus.GaugeValue`):             {kind: "gauge", apps: true},
	regexp.MustCompile(`\bnewAppFigure\("(tidewire_\w+)", "([^"]*)"(), prometheus.CounterValue`):           {kind: "counter", apps: true},
	regexp.MustCompile(`\bGaugeOpts\{\s+Name:\s+"(tidewire_\w+)",\s+Help:\s+"([^"]*)"()`):                  {kind: "gauge"},
	regexp.MustCompile(`(?s)\bHistogramOpts\{\s+Name:\s+"(tidewire_\w+)",\s+Help:\s+"([^"]*)"().*?\}, \[`): {kind: "histogram"},
}

// sourceMetric is one that this program exports.
type sourceMetric struct {
	name, kind, help, label string
	apps                    bool // under /metrics/apps
}

// labelValues are the values of every label but app: each list is short and
// fixed. TestMetricsAreDocumented compares them with what a server exports.
var labelValues = map[string]string{
	"tidewire_build_info":        "`version`, `go`: one value each",
	"tidewire_dependency_up":     "`dependency`: `database`, `configuration`, `room`, `redis`",
	"tidewire_works":             "`ability`: `events`, `connections`, `new_apps`, `admin`, `webhooks`",
	"tidewire_turned_away_total": "`reason`: `rate`, `address`, `memory`, `descriptors`",
	"tidewire_redis_gaps_total":  "`reason`: `connection`, `silent`, `refused`, `moved`, `resubscribed`",
	"tidewire_request_seconds":   "`api`: `http`, `admin`; `method`: `GET`, `POST`, `other`; `status`: `1xx` to `5xx`",
}

func sourceMetrics(t *testing.T) (list []sourceMetric) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for form, one := range metricForms {
			for _, m := range form.FindAllStringSubmatch(string(source), -1) {
				one.name, one.help, one.label = m[1], m[2], m[3]
				list = append(list, one)
			}
		}
	}
	slices.SortFunc(list, func(a, b sourceMetric) int { return strings.Compare(a.name, b.name) })
	return list
}

func metricsPage(t *testing.T) string {
	t.Helper()
	var main, apps strings.Builder
	for _, m := range sourceMetrics(t) {
		if m.apps {
			fmt.Fprintf(&apps, "| `%s` | %s | %s |\n", m.name, m.kind, m.help)
			continue
		}
		require.True(t, m.label == "" || labelValues[m.name] != "", "labelValues lacks %s", m.name)
		fmt.Fprintf(&main, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.help, labelValues[m.name])
	}
	return "# Metrics\n" + generated + `
Served under ` + "`/metrics` on `metrics_listen`" + `, beside those of Go and of the process (` + "`go_…`, `process_…`" + `). No label has values without a bound: with 10,000 apps on a node the page is as long as with one. Those that begin with ` + "`tidewire_redis_`" + ` are there with Redis only.

[deploy/grafana](../deploy/grafana) has a dashboard of them, [deploy/prometheus](../deploy/prometheus) alerts; [runbook.md](runbook.md) says what to do about each.

| Name | Kind | | Labels |
|---|---|---|---|
` + main.String() + `
## Per app

Under ` + "`/metrics/apps`" + ` on the same port, a scrape of its own: its size grows with the apps. The one label is ` + "`app`" + `, the id, of each app with connections on this node.

| Name | Kind | |
|---|---|---|
` + apps.String()
}

var exported = regexp.MustCompile(`(?m)^(tidewire_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`)

// Every metric of a server is in the reference, and every value of a label.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	n := startNode(t, inOwnRedis(t, twoNodes(t), 8)...)
	app := createApp(t, n.environ)
	require.Equal(t, "pusher:connection_established", dial(t, n.url, app.Key).next().Event)
	_, _, _ = post(t, n.url, app, "orders")
	known := map[string]sourceMetric{}
	for _, m := range sourceMetrics(t) {
		known[m.name] = m
	}
	_, main := get(t, n.metrics+"/metrics")
	_, apps := get(t, n.metrics+"/metrics/apps")
	seen := map[string]bool{}
	for _, m := range exported.FindAllStringSubmatch(main+apps, -1) {
		one, found := known[m[1]]
		require.True(t, found, m[0])
		seen[m[1]] = true
		if one.apps || m[2] == "" || m[1] == "tidewire_build_info" || m[1] == "tidewire_request_seconds" {
			continue
		}
		label, value, _ := strings.Cut(m[2], "=")
		require.Contains(t, labelValues[m[1]], "`"+label+"`", m[0])
		require.Contains(t, labelValues[m[1]], "`"+strings.Trim(value, `"`)+"`", m[0])
	}
	for name := range known {
		require.True(t, seen[name], "no server exports %s", name)
	}
}

var usedMetric = regexp.MustCompile(`tidewire_[a-z_]+`)

// A dashboard or an alert on a metric that does not exist is silent for ever.
func TestDeployUsesMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range sourceMetrics(t) {
		known[m.name] = true
	}
	for _, name := range []string{"grafana/dashboard.json", "prometheus/alerts.yml"} {
		content, err := os.ReadFile(filepath.Join("../../deploy", name))
		require.NoError(t, err)
		used := usedMetric.FindAllString(string(content), -1)
		require.NotEmpty(t, used)
		for _, metric := range used {
			metric = strings.TrimSuffix(metric, "_bucket")
			require.True(t, known[metric] || known[strings.TrimSuffix(metric, "_count")], "%s uses %s", name, metric)
		}
	}
}

var alertName = regexp.MustCompile(`- alert: (\w+)`)

// Who is woken up finds the alert's name in the runbook, and every setting in
// the configuration.
func TestDocsNameEveryAlertAndSetting(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		content, err := os.ReadFile(filepath.Join("../..", path))
		require.NoError(t, err)
		return string(content)
	}
	runbook, configuration := read("docs/runbook.md"), read("docs/configuration.md")
	alerts := alertName.FindAllStringSubmatch(read("deploy/prometheus/alerts.yml"), -1)
	require.NotEmpty(t, alerts)
	for _, alert := range alerts {
		require.Contains(t, runbook, "\n## "+alert[1]+"\n")
	}
	for _, s := range settings {
		require.Regexp(t, "(?m)^\\|.*`"+s.name+"`", configuration)
	}
}

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchors are the names under which a code host lets a page's headings be found.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(page, -1) {
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		name := slug
		for n := 1; found[name]; n++ {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		found[name] = true
	}
	return found
}

// No link of the pages leads nowhere.
func TestLinksOfTheDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, name := range append(pages, more...) {
		page, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range docLink.FindAllStringSubmatch(string(page), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], ":") {
				continue
			}
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			content, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
				continue
			}
			require.NoError(t, err, "%s links to %s", name, m[1])
			require.True(t, anchor == "" || anchors(string(content))[anchor], "%s links to %s", name, m[1])
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
		"files.md":               {"tenants.yaml": yamlOf(t, "files.md")},
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

// yamlOf is the YAML that a page shows.
func yamlOf(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("../../docs", name))
	require.NoError(t, err)
	block := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindStringSubmatch(string(page))
	require.NotNil(t, block)
	return block[1]
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

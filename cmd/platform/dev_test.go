package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"

	"tidewire/dashboard"
)

// running is a command that runs until it is stopped.
type running struct {
	t              *testing.T
	stdout, stderr *buffer
	stop           context.CancelFunc
	code           chan int
}

// start runs a command inside this process; it is stopped when the test ends.
func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stdout: &buffer{}, stderr: &buffer{}, stop: stop, code: make(chan int, 1)}
	c := &cli{environ: environ, stdout: r.stdout, stderr: r.stderr}
	go func() { r.code <- c.execute(ctx, args) }()
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the command and returns its exit code; ending twice is in order.
func (r *running) end() int {
	r.stop()
	select {
	case code := <-r.code:
		r.code <- code
		return code
	case <-time.After(20 * time.Second):
		r.t.Error("the command did not end: " + r.stderr.String())
		return -1
	}
}

// startDev runs dev and returns what it printed as JSON.
func startDev(t *testing.T, environ []string, args ...string) (*running, devInfo) {
	t.Helper()
	r := start(t, environ, append([]string{"dev", "--json", "--metrics-listen", "off"}, args...)...)
	var info devInfo
	eventually(t, func() bool { return json.Unmarshal([]byte(r.stdout.String()), &info) == nil }, "dev printed no JSON")
	return r, info
}

func TestDev(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	r, info := startDev(t, environ, "--listen", "127.0.0.1:0")
	require.Equal(t, "1001", info.AppID)
	require.Equal(t, "tidewire-demo-key", info.Key)
	require.Equal(t, "tidewire-demo-secret", info.Secret)
	require.NotContains(t, r.stderr.String(), "WARNING", "loopback needs no warning")

	status, page := get(t, info.Playground)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "playground")

	c := subscribed(t, info.URL, info.Key, info.Channel)
	_, token, _ := strings.Cut(info.Playground, "?token=")
	header := http.Header{"Content-Type": {"application/json"}, "X-Playground-Token": {token}}
	status, _, body := request(t, http.MethodPost, info.URL+"/playground/events", header, `{"channel":"demo","event":"hello","data":"hi \u2028"}`)
	require.Equal(t, http.StatusOK, status, body)
	f := c.next()
	require.Equal(t, "hello", f.Event)
	require.Equal(t, "hi \u2028", f.text())

	for name, event := range map[string]string{
		"channel name":   `{"channel":"a b","event":"hello","data":""}`,
		"reserved event": `{"channel":"demo","event":"pusher:hello","data":""}`,
		"too large":      `{"channel":"demo","event":"hello","data":"` + strings.Repeat("x", 11<<10) + `"}`,
	} {
		status, _, body = request(t, http.MethodPost, info.URL+"/playground/events", header, event)
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Contains(t, body, "error")
	}
	header.Set("X-Playground-Token", "guess")
	status, _, _ = request(t, http.MethodPost, info.URL+"/playground/events", header, `{"channel":"demo","event":"hello","data":""}`)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, exitOK, r.end())

	// The second time the demo app is there already; the token is a new one.
	_, again := startDev(t, environ, "--listen", "127.0.0.1:0")
	require.NotEqual(t, strings.Split(info.Playground, "=")[1], strings.Split(again.Playground, "=")[1])
}

func TestDevSignsIn(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	for range 2 { // the second time the demo user is there already
		r, info := startDev(t, environ, "--listen", "127.0.0.1:0")
		require.Contains(t, info.SignIn, info.URL+"/dashboard/login?token=")
		p := &person{t: t, base: info.URL}
		link := fields{"token": mailedLink.FindStringSubmatch(info.SignIn)[1]}
		call[any](p, http.StatusCreated, http.MethodPost, "/sessions/link", link)
		require.Equal(t, tenants.AppID(demoAppID), call[apiApp](p, 200, http.MethodGet, "/apps/"+demoAppID, nil).ID)
		call[any](p, 200, http.MethodGet, "/operator/tenants", nil)
		require.Equal(t, "link_invalid", p.code(404, http.MethodPost, "/sessions/link", link))
		require.Equal(t, exitOK, r.end())
	}
}

// TestFirstOperator follows the link that the first start logs.
func TestFirstOperator(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	n := startNodeWith(t, extras{}, append(dir, "TIDEWIRE_USAGE_INTERVAL=100ms")...)
	link := mailedLink.FindStringSubmatch(n.log.String())
	require.NotNil(t, link, "the first start logs a link")
	p := &person{t: t, base: n.url}
	account := fields{"email": "op@example.com", "password": password}
	require.Equal(t, "signup_closed", p.code(403, http.MethodPost, "/signup", account))
	account["setup"] = link[1]
	call[any](p, 202, http.MethodPost, "/signup", account)
	p.logIn("op@example.com")
	eventually(t, func() bool {
		return len(call[struct{ Nodes []tenants.Node }](p, 200, http.MethodGet, "/operator/nodes", nil).Nodes) == 1
	}, "a node without traffic is a node too")
	call[any](p, 200, http.MethodGet, "/operator/usage", nil)
	n.end(t)
	require.NotContains(t, startNodeWith(t, extras{}, dir...).log.String(), "token=")
}

func TestDevDoesNotTakeOverAnApp(t *testing.T) {
	t.Parallel()
	environ := dataDir(t)
	createApp(t, environ, "--id", demoAppID)
	r := platform(t, environ, "dev", "--listen", "127.0.0.1:0", "--metrics-listen", "off")
	require.NotZero(t, r.code)
	require.Contains(t, r.stderr, "--data-dir")
	require.Empty(t, r.stdout)
}

func TestDevWarnsLoudlyBeyondThisMachine(t *testing.T) {
	t.Parallel()
	// Listens everywhere, on a port nobody knows, for a moment.
	r, _ := startDev(t, dataDir(t), "--listen", "0.0.0.0:0")
	eventually(t, func() bool { return strings.Contains(r.stderr.String(), "WARNING") }, "no warning")
	require.Contains(t, r.stderr.String(), "reachable from other machines")
	require.Contains(t, r.stderr.String(), "!!!!!!!!")
}

func TestDevPrints(t *testing.T) {
	t.Parallel()
	r := platform(t, nil, "dev", "--print-snippets", "--json")
	require.Zero(t, r.code, r.stderr)
	var info devInfo
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &info))
	require.Equal(t, "http://127.0.0.1:6001", info.URL, "dev's default is this machine only")
	require.Empty(t, info.Playground)

	text := platform(t, nil, "dev", "--print-snippets").stdout
	require.Contains(t, text, info.Key)
	ids := make([]string, 0, len(info.Snippets))
	for _, s := range info.Snippets {
		ids = append(ids, s.ID)
		require.Contains(t, text, s.Code, "the text is the snippet, character by character")
		require.NotContains(t, s.Code, "{{", s.ID)
		require.NotContains(t, s.Code, "<no value>", s.ID)
		require.Contains(t, s.Code, "demo", s.ID)
		if s.File != "" {
			require.NotEmpty(t, s.Run, s.ID)
			require.NotEmpty(t, s.Install, s.ID)
		}
	}
	require.Equal(t, []string{"trigger", "pusher-js", "react", "node", "go"}, ids)
}

func TestSnippetsFollowTheAddress(t *testing.T) {
	t.Parallel()
	code := func(list []dashboard.Snippet, id string) string {
		for _, s := range list {
			if s.ID == id {
				return s.Code
			}
		}
		return ""
	}
	list, err := renderSnippets("https://rt.example.com", "platform")
	require.NoError(t, err)
	require.Contains(t, code(list, "pusher-js"), `wsHost: "rt.example.com"`)
	require.Contains(t, code(list, "pusher-js"), "wssPort: 443")
	require.Contains(t, code(list, "pusher-js"), "forceTLS: true")
	require.Contains(t, code(list, "go"), `"rt.example.com:443"`)
	require.Contains(t, code(list, "trigger"), "platform trigger demo hello")

	list, err = renderSnippets("http://[::1]:7001", "platform")
	require.NoError(t, err)
	require.Contains(t, code(list, "pusher-js"), `wsHost: "[::1]"`)
	require.Contains(t, code(list, "go"), `"[::1]:7001"`)
}

// The one-line snippet runs as printed. The snippets with packages are run by
// the client tests.
func TestTriggerSnippetRunsVerbatim(t *testing.T) {
	t.Parallel()
	_, info := startDev(t, dataDir(t), "--listen", "127.0.0.1:0")
	c := subscribed(t, info.URL, info.Key, info.Channel)
	command := info.Snippets[0].Code
	exe, err := os.Executable()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(command, exe+" trigger "), command)

	run := process(t, t.TempDir(), "sh", "-c", command)
	require.Zero(t, run.code, run.stderr)
	f := c.next()
	require.Equal(t, "hello", f.Event)
	require.Regexp(t, regexp.MustCompile(`^\{"text":`), f.text())
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/usr/bin/platform": "/usr/bin/platform", "/my dir/x": "'/my dir/x'", "it's": `'it'\''s'`, "a;b": "'a;b'", "": "''",
	} {
		require.Equal(t, want, shellQuote(in))
	}
	require.NotEmpty(t, filepath.Base(selfCommand()))
}

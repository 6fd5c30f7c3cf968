package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/dashboard"
)

// dev is the server under dev, and what a person gets to see of it.
type dev struct {
	*serverProcess
	info devInfo
}

func startDevProcess(t *testing.T) dev {
	t.Helper()
	d := dev{serverProcess: startProcess(t, dataDir(t), "dev", "--json")}
	eventually(t, func() bool { return json.Unmarshal([]byte(d.stdout.String()), &d.info) == nil }, "dev printed no JSON")
	return d
}

func (d dev) config(more map[string]any) map[string]any {
	cfg := map[string]any{
		"api": d.url, "sockets": []string{d.url},
		"apps": map[string]scriptApp{"main": {d.info.AppID, d.info.Key, d.info.Secret}},
	}
	for name, value := range more {
		cfg[name] = value
	}
	return cfg
}

// Every snippet is pasted as it was printed: the install commands in an empty
// folder, the code into its file, the command that runs it. Only where packages
// come from is changed, so that the test needs no network: npm is a stand-in
// that takes them from the clients' folder, and Go has a proxy made of this
// repository's module cache.
func TestSnippetsRunVerbatim(t *testing.T) {
	t.Parallel()
	needClients(t)
	d := startDevProcess(t)
	r := platform(t, nil, "dev", "--print-snippets", "--json", "--listen", d.address())
	require.Zero(t, r.code, r.stderr)
	var printed devInfo
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &printed))
	require.Equal(t, d.info.Snippets, printed.Snippets, "printed without a server is what the server prints")

	run := map[string]func(*testing.T, dev, dashboard.Snippet){
		"trigger": snippetSends, "node": snippetSends, "go": snippetSends,
		"pusher-js": snippetReceives, "react": snippetShows,
	}
	for _, s := range printed.Snippets {
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, run, s.ID, "a new snippet needs a test")
			run[s.ID](t, d, s)
		})
	}
}

// snippetSends runs a snippet that publishes; a bare client must receive it.
func snippetSends(t *testing.T, d dev, s dashboard.Snippet) {
	c := subscribed(t, d.url, d.info.Key, d.info.Channel)
	folder := unpack(t, s)
	command := s.Run
	if s.File == "" {
		command = s.Code
	}
	done := folder.paste(t, command)
	require.Zero(t, done.code, done.stdout+done.stderr)
	want := map[string]string{"trigger": "Hello from the terminal", "node": "Hello from Node", "go": "Hello from Go"}[s.ID]
	// Other snippets publish on the channel at the same time.
	for f := c.next(); !strings.Contains(f.text(), want); f = c.next() {
		require.Equal(t, "hello", f.Event)
	}
}

// snippetReceives runs the snippet that listens, and publishes by the one for
// the terminal.
func snippetReceives(t *testing.T, d dev, s dashboard.Snippet) {
	folder := unpack(t, s)
	output := folder.start(t, s.Run)
	eventually(t, func() bool { return strings.Contains(output.String(), "connected, waiting") }, "never connected")
	eventually(t, func() bool {
		done := folder.paste(t, d.info.Snippets[0].Code)
		require.Zero(t, done.code, done.stderr)
		return strings.Contains(output.String(), "received { text: 'Hello from the terminal' }")
	}, "received nothing")
}

// snippetShows serves the React snippet and opens it in a browser.
func snippetShows(t *testing.T, d dev, s dashboard.Snippet) {
	browser := needChromium(t)
	folder := unpack(t, s)
	output := folder.start(t, s.Run)
	address := regexp.MustCompile(`http://localhost:\d+/`)
	eventually(t, func() bool { return address.MatchString(output.String()) }, "vite does not serve")
	page := startScript(t, "page.mjs", d.config(map[string]any{
		"chromium": browser, "page": address.FindString(output.String()), "text": "Hello from the terminal",
	}))
	page.wait(t, "ready")
	eventually(t, func() bool {
		done := folder.paste(t, d.info.Snippets[0].Code)
		require.Zero(t, done.code, done.stderr)
		return len(page.ended) > 0
	}, "the page does not show it")
	page.succeed(t)
}

func TestPlaygroundInTwoTabs(t *testing.T) {
	t.Parallel()
	needClients(t)
	browser := needChromium(t)
	d := startDevProcess(t)
	startScript(t, "playground.mjs", d.config(map[string]any{"chromium": browser, "page": d.info.Playground})).succeed(t)
}

// folder is where a person pastes a snippet.
type folder struct {
	path    string
	environ []string
}

// unpack installs and saves a snippet in an empty folder.
func unpack(t *testing.T, s dashboard.Snippet) folder {
	t.Helper()
	offline, err := filepath.Abs(filepath.Join(clientsDir, "offline"))
	require.NoError(t, err)
	f := folder{path: t.TempDir(), environ: append(os.Environ(), actAsPlatform+"=1",
		"PATH="+offline+string(os.PathListSeparator)+os.Getenv("PATH"), "NO_COLOR=1")}
	if s.Language == "go" {
		f.environ = append(f.environ, "GOPROXY="+goProxy(t), "GOSUMDB=off", "GOFLAGS=-mod=mod", "GOWORK=off")
	}
	if s.Install != "" {
		done := f.paste(t, s.Install)
		require.Zero(t, done.code, done.stdout+done.stderr)
	}
	if s.File != "" {
		require.NoError(t, os.WriteFile(filepath.Join(f.path, s.File), []byte(s.Code), 0o600))
	}
	return f
}

func (f folder) shell(t *testing.T, commands string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	cmd.Dir, cmd.Env = f.path, f.environ
	return cmd
}

// paste runs commands to their end.
func (f folder) paste(t *testing.T, commands string) result {
	t.Helper()
	var stdout, stderr buffer
	cmd := f.shell(t, commands)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		_, ended := errors.AsType[*exec.ExitError](err)
		require.True(t, ended, "%v", err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// start runs a command until the test ends, and returns what it prints.
func (f folder) start(t *testing.T, commands string) *buffer {
	t.Helper()
	output := &buffer{}
	cmd := f.shell(t, "exec "+commands)
	cmd.Stdout, cmd.Stderr = output, output
	// Vite ends when its input does; killing npx would leave it behind.
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = input.Close
	cmd.WaitDelay = time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		<-ended // the test's context has ended
		if t.Failed() {
			t.Logf("%s:\n%s", commands, output)
		}
	})
	return output
}

// goProxy is a module proxy that serves what the official Go SDK needs from
// the module cache.
func goProxy(t *testing.T) string {
	t.Helper()
	const sdk = "github.com/pusher/pusher-http-go"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		"{{with .Module}}{{.Path}} {{.Version}} {{.GoMod}}{{end}}", sdk).Output()
	require.NoError(t, err)
	proxy := t.TempDir()
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		var path, version, mod string
		if n, _ := fmt.Sscan(line, &path, &version, &mod); n != 3 || seen[path] {
			continue
		}
		seen[path] = true
		cached := strings.TrimSuffix(mod, ".mod")
		to := filepath.Join(proxy, filepath.FromSlash(path), "@v")
		require.NoError(t, os.MkdirAll(to, 0o755))
		for _, ext := range []string{".mod", ".zip"} {
			require.NoError(t, os.Symlink(cached+ext, filepath.Join(to, version+ext)))
		}
		info := fmt.Sprintf(`{"Version":%q}`, version)
		require.NoError(t, os.WriteFile(filepath.Join(to, version+".info"), []byte(info), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(to, "list"), []byte(version+"\n"), 0o600))
	}
	require.Contains(t, seen, sdk)
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(proxy)}).String()
}

// needChromium returns the path of a browser.
func needChromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const problem = "no Chromium: run make test, which provides one, or set TEST_CHROMIUM to its path"
	if testing.Short() {
		t.Skip(problem)
	}
	t.Fatal(problem)
	return ""
}

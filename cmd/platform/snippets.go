package main

import (
	"embed"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"tidewire/dashboard"
)

//go:embed snippets/*.tmpl
var snippetFiles embed.FS

var snippetTemplates = template.Must(template.ParseFS(snippetFiles, "snippets/*.tmpl"))

// snippetList is what dev prints, in this order. Each runs from an empty folder:
// paste Install, save Code as File, paste Run. Without a File, Code is a command.
var snippetList = []dashboard.Snippet{
	{ID: "trigger", Title: "Terminal", Language: "sh"},
	{ID: "pusher-js", Title: "JavaScript", Language: "js", Install: "npm install pusher-js", File: "receive.mjs", Run: "node receive.mjs"},
	{
		ID: "react", Title: "React", Language: "jsx",
		Install: "npm install react react-dom pusher-js vite@8\n" +
			`echo '<div id="root"></div><script type="module" src="/main.jsx"></script>' > index.html`,
		File: "main.jsx", Run: "npx vite",
	},
	{ID: "node", Title: "Node server", Language: "js", Install: "npm install pusher", File: "send.mjs", Run: "node send.mjs"},
	{
		ID: "go", Title: "Go server", Language: "go",
		Install: "go mod init example\ngo get github.com/pusher/pusher-http-go@v4.0.1+incompatible",
		File:    "main.go", Run: "go run .",
	},
}

// snippetValues are what the templates may use.
type snippetValues struct {
	AppID, Key, Secret, Channel string
	URL                         string // http(s)://host:port
	Host                        string // in brackets if it is an IPv6 address
	Port                        string
	TLS                         bool
	Command                     string // how to call this program from a shell
}

// renderSnippets fills the templates for the demo app behind base.
func renderSnippets(base, command string) ([]dashboard.Snippet, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	values := snippetValues{
		AppID: demoAppID, Key: demoKey, Secret: demoSecret, Channel: demoChannel,
		URL: base, Host: strings.TrimSuffix(u.Host, ":"+u.Port()), Port: u.Port(), TLS: u.Scheme == "https", Command: command,
	}
	if values.Port == "" {
		values.Port = map[bool]string{false: "80", true: "443"}[values.TLS]
	}
	list := make([]dashboard.Snippet, len(snippetList))
	for i, s := range snippetList {
		var code strings.Builder
		if err := snippetTemplates.ExecuteTemplate(&code, s.ID+".tmpl", values); err != nil {
			return nil, fmt.Errorf("snippet %s: %w", s.ID, err)
		}
		s.Code = strings.TrimSuffix(code.String(), "\n")
		list[i] = s
	}
	return list, nil
}

// selfCommand is how to call this program again from any folder.
func selfCommand() string {
	exe, err := os.Executable()
	if err != nil {
		return "platform"
	}
	if found, err := exec.LookPath("platform"); err == nil && sameFile(found, exe) {
		return "platform"
	}
	// What `go run` built is gone when it ends; call it the same way instead.
	if dir, err := os.Getwd(); err == nil && strings.Contains(exe, "go-build") {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "platform", "main.go")); err == nil {
			return "go run -C " + shellQuote(dir) + " ./cmd/platform"
		}
	}
	return shellQuote(exe)
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./\\-]+$`)

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	if shellPlain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

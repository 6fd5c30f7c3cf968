package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The snippets of docs/fallbacks.md, as they stand there, lead all requests of
// a session to one node and the sessions to both. A balancer that is not
// installed is left out: nothing else needs one.
func TestFallbackSnippetsOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/fallbacks.md")
	require.NoError(t, err)
	for _, test := range []struct {
		language, program string
		file              func(snippet, port, dir string) string
		args              func(file, dir string) []string
	}{
		{"nginx", "nginx", func(s, port, dir string) string {
			s = strings.Replace(s, "listen 80;", "listen 127.0.0.1:"+port+";", 1)
			return "daemon off; master_process off; pid " + dir + "/pid; error_log stderr; events {}\nhttp { access_log off; client_body_temp_path " + dir +
				"; proxy_temp_path " + dir + "; fastcgi_temp_path " + dir + "; uwsgi_temp_path " + dir + "; scgi_temp_path " + dir + ";\n" + s + "}"
		}, func(file, dir string) []string { return []string{"-p", dir, "-c", file} }},
		{"haproxy", "haproxy", func(s, port, _ string) string {
			return "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nfrontend f\n bind 127.0.0.1:" + port +
				"\n use_backend tidewire_sessions if { path_beg /pusher/ }\n" + s
		}, func(file, _ string) []string { return []string{"-db", "-f", file} }},
		{"caddyfile", "caddy", func(s, port, _ string) string {
			return "{\n admin off\n auto_https off\n}\nhttp://127.0.0.1:" + port + " {\n" + s + "}\n"
		}, func(file, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} }},
	} {
		t.Run(test.program, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(test.program)
			if err != nil {
				t.Skip(test.program + " is not installed")
			}
			snippet := regexp.MustCompile("(?s)```" + test.language + "\n(.*?)```").FindSubmatch(text)
			require.NotNil(t, snippet)
			s := string(snippet[1])
			for i := range 2 {
				s = strings.ReplaceAll(s, fmt.Sprintf("node-%d:6001", i+1), namedNode(t, i))
			}
			_, port, err := net.SplitHostPort(freePort(t))
			require.NoError(t, err)
			dir := t.TempDir()
			file := filepath.Join(dir, "conf")
			require.NoError(t, os.WriteFile(file, []byte(test.file(s, port, dir)), 0o600))
			runBalancer(t, dir, program, test.args(file, dir))
			requireSticky(t, "http://127.0.0.1:"+port)
		})
	}
}

// namedNode is a server that says which one it is.
func namedNode(t *testing.T, i int) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "node ", i) }))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func runBalancer(t *testing.T, dir, program string, args []string) {
	t.Helper()
	log := &buffer{}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "HOME="+dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

func requireSticky(t *testing.T, url string) {
	t.Helper()
	ask := func(session, transport string) string {
		resp, err := http.Post(url+"/pusher/app/278d425bdf160c739803/"+session+"/"+transport, "application/json", nil)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	eventually(t, func() bool { return strings.HasPrefix(ask("1/ready000", "xhr"), "node") }, "the balancer does not answer")
	sessions := map[string]int{}
	for i := range 40 {
		session := fmt.Sprintf("%d/%08x", i*7%1000, i*7919)
		first := ask(session, "xhr_streaming?protocol=7&t=1&n=1")
		sessions[first]++
		for n, transport := range []string{"xhr_send", "xhr", "xhr_send", "xhr_streaming"} {
			require.Equal(t, first, ask(session, fmt.Sprintf("%s?t=%d&n=%d", transport, n, n)), "%s of session %s", transport, session)
		}
	}
	require.Len(t, sessions, 2, "both nodes have sessions: %v", sessions)
}

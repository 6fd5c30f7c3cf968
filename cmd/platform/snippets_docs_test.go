package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The snippets for pusher-js of the pages a newcomer follows connect as they
// stand there, but for the host and the port, and hear what is published.
func TestPusherSnippetsOfTheDocs(t *testing.T) {
	t.Parallel()
	needClients(t)
	certFile, keyFile, _ := certificate(t, time.Now().Add(time.Hour))
	for page, test := range map[string]struct {
		key, host, port string
		environ         []string
	}{
		"quickstart.md":          {"chat-key", "127.0.0.1", "wsPort: 6001", nil},
		"migrate-from-pusher.md": {"old-key", "rt.example.com", "wssPort: 443", []string{"TIDEWIRE_TLS_CERT=" + certFile, "TIDEWIRE_TLS_KEY=" + keyFile}},
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../../docs", page))
			require.NoError(t, err)
			block := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(text)
			require.NotNil(t, block)
			snippet := string(block[1])
			require.Contains(t, snippet, test.key)
			require.Contains(t, snippet, test.host)
			require.Contains(t, snippet, test.port)

			listen := freePort(t)
			_, port, _ := strings.Cut(listen, ":")
			environ := append(append(dataDir(t), "TIDEWIRE_LISTEN="+listen, "TIDEWIRE_METRICS_LISTEN=off"), test.environ...)
			start(t, environ, "serve")
			eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")
			app := createApp(t, environ, "--key", test.key)

			name, _, _ := strings.Cut(test.port, " ")
			snippet = strings.NewReplacer(test.host, "127.0.0.1", test.port, name+" "+port).Replace(snippet)
			out := runNode(t, certFile, "import Pusher from \"pusher-js\";\n"+snippet+`
				const seen = pusher.subscribe("orders");
				seen.bind("pusher:subscription_succeeded", () => console.log("subscribed"));
				seen.bind("created", (order) => console.log("order", order.id));`)
			eventually(t, func() bool { return strings.Contains(out.String(), "subscribed") }, "not subscribed")
			if test.environ == nil {
				require.Zero(t, platform(t, environ, "trigger", "orders", "created", `{"id":7}`, "--app", string(app.ID)).code)
				eventually(t, func() bool {
					return strings.Contains(out.String(), "order 7") && strings.Contains(out.String(), "{ id: 7 }")
				}, "the event does not arrive")
			}
		})
	}
}

// runNode runs a script beside the clients, which trusts a certificate, until the
// test ends, and returns what it prints.
func runNode(t *testing.T, certFile, script string) *buffer {
	t.Helper()
	out := &buffer{}
	cmd := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = clientsDir, out, out
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+certFile)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return out
}

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	of := clientAddress([]string{"10.0.0.0/8", "2001:db8::1"})
	for name, test := range map[string]struct {
		peer, said, want string
	}{
		"no proxy":                  {"192.0.2.1:1", "198.51.100.1", "192.0.2.1"},
		"a proxy":                   {"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		"what came from outside":    {"10.0.0.1:1", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		"two proxies":               {"10.0.0.1:1", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"},
		"a proxy that says nothing": {"10.0.0.1:1", "", "10.0.0.1"},
		"nonsense":                  {"10.0.0.1:1", "x", "10.0.0.1"},
		"a proxy over IPv6":         {"[2001:db8::1]:1", "198.51.100.1", "198.51.100.1"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		if test.said != "" {
			r.Header.Set("X-Forwarded-For", test.said)
		}
		require.Equal(t, test.want, of(r).String(), name)
	}
}

// A storm is answered inside the protocol, so that clients spread themselves.
func TestAStormIsTurnedAway(t *testing.T) {
	t.Parallel()
	n := startNode(t, "TIDEWIRE_HANDSHAKES_PER_SECOND=1")
	app := createApp(t, n.environ)
	turned := 0
	for range 10 {
		c := dial(t, n.url, app.Key)
		if f := c.next(); f.Event == "pusher:error" {
			require.Contains(t, string(f.Data), `"code":4100`)
			turned++
		}
	}
	require.GreaterOrEqual(t, turned, 6)
	_, page := get(t, n.metrics+"/metrics")
	require.Regexp(t, `tidewire_turned_away_total\{reason="rate"\} [1-9]`, page)
	require.Contains(t, page, `tidewire_turned_away_total{reason="memory"} 0`)
}

// Those who connect and say nothing take no descriptor that the node itself
// needs: half of the reserve is left.
func TestAFloodOfSilenceLeavesDescriptors(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
	const limit, most = 700, 700 - 256/2
	environ := append(dataDir(t), "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN="+freePort(t))
	exe, err := os.Executable()
	require.NoError(t, err)
	server := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("ulimit -n %d && exec %s serve", limit, shellQuote(exe)))
	server.Env = append(environ, actAsPlatform+"=1")
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")
	for range 2 * limit {
		conn, err := net.Dial("tcp", strings.TrimPrefix(environ[1], "TIDEWIRE_LISTEN="))
		require.NoError(t, err)
		defer conn.Close()
	}
	metrics := "http://" + strings.TrimPrefix(environ[2], "TIDEWIRE_METRICS_LISTEN=") + "/metrics"
	eventually(t, func() bool {
		_, page := get(t, metrics)
		return regexp.MustCompile(`tidewire_turned_away_total\{reason="descriptors"\} [1-9]`).MatchString(page)
	}, "nobody is turned away")
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Process.Pid))
	require.NoError(t, err)
	require.LessOrEqual(t, len(open), most+16, "the database, the metrics and the log have theirs too")
}

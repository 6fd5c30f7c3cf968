package main

import (
	"net/http"
	"net/http/httptest"
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

package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/api"
	"tidewire/tenants"
)

const event = `{"name":"foo","channel":"c","data":"x"}`

func TestRoutes(t *testing.T) {
	t.Parallel()
	const notFound = "Not found: there is no such path in the HTTP API\n"
	cases := []struct {
		name, method, path string
		status             int
		want               string
	}{
		{"apps", "GET", "/apps", 404, notFound},
		{"apps slash", "GET", "/apps/", 404, notFound},
		{"app", "GET", "/apps/3", 404, notFound},
		{"unknown", "POST", "/apps/3/evenst", 404, notFound},
		{"trailing slash", "POST", "/apps/3/events/", 404, notFound},
		{"trailing segment", "POST", "/apps/3/events/x", 404, notFound},
		{"no app", "POST", "/apps//events", 404, notFound},
		{"double slash", "POST", "/apps/3//events", 404, notFound},
		{"dot segment", "POST", "/apps/3/./events", 404, notFound},
		{"dot dot", "POST", "/apps/8/../3/events", 404, notFound},
		{"escaped slash", "POST", "/apps/3%2Fevents", 404, notFound},
		{"escaped letter", "POST", "/apps/3/%65vents", 404, notFound},
		{"upper case", "POST", "/apps/3/Events", 404, notFound},
		{"channel without a name", "GET", "/apps/3/channels/", 404, notFound},
		{"channel with a trailing slash", "GET", "/apps/3/channels/c/", 404, notFound},
		{"users without a channel", "GET", "/apps/3/channels//users", 404, notFound},
		{"unknown below a channel", "GET", "/apps/3/channels/c/user", 404, notFound},
		{"too deep below a channel", "GET", "/apps/3/channels/c/users/1", 404, notFound},
		{"escaped word below a channel", "GET", "/apps/3/channels/c/%75sers", 404, notFound},
		{"user", "GET", "/apps/3/users/1", 404, notFound},
		{"users of the app", "GET", "/apps/3/users", 404, notFound},
		{"terminate nobody", "POST", "/apps/3/users//terminate_connections", 404, notFound},
		{"terminate nobody, no app", "POST", "/users//terminate_connections", 404, notFound},
		{"another path without the app", "POST", "/users/1", 404, notFound},
		{"channels below users", "GET", "/users/channels", 404, notFound},
		{"post to channels", "POST", "/apps/3/channels", 405, "Method not allowed: use GET\n"},
		{"post to a channel", "POST", "/apps/3/channels/c", 405, "Method not allowed: use GET\n"},
		{"post to users", "POST", "/apps/3/channels/presence-c/users", 405, "Method not allowed: use GET\n"},
		{"post to stats", "POST", "/apps/3/channels/c/stats", 405, "Method not allowed: use GET\n"},
		{"get events of a channel", "GET", "/apps/3/channels/c/events", 405, "Method not allowed: use POST\n"},
		{"get terminate", "GET", "/apps/3/users/1/terminate_connections", 405, "Method not allowed: use POST\n"},
		{"delete terminate, no app", "DELETE", "/users/1/terminate_connections", 405, "Method not allowed: use POST\n"},
		{"get", "GET", "/apps/3/events", 405, "Method not allowed: use POST\n"},
		{"put", "PUT", "/apps/3/batch_events", 405, "Method not allowed: use POST\n"},
		{"options", "OPTIONS", "/apps/3/events", 405, "Method not allowed: use POST\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			r := signed(c.path, event)
			r.method = c.method
			got := f.do(r)
			requireRefused(t, f, got, c.status, c.want)
			require.Empty(t, got.header.Get("Location"))
			if c.status == 405 {
				require.Equal(t, strings.TrimSpace(strings.TrimPrefix(c.want, "Method not allowed: use ")), got.header.Get("Allow"))
			}
		})
	}
}

func TestAppState(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		r      request
		status int
		want   string
	}{
		{"disabled app", signedBy("disabledkey", "s4", "/apps/4/events", event), 403, "App disabled: enable it before using it\n"},
		{"suspended tenant", signedBy("suspendedkey", "s5", "/apps/5/events", event), 403, "Account suspended: its apps cannot be used\n"},
		{"another tenant's app id", signed("/apps/8/events", event), 404, "App not found: auth_key does not belong to the app id in the path\n"},
		{"an app id that does not exist", signed("/apps/999/events", event), 404, "App not found: auth_key does not belong to the app id in the path\n"},
		{"directory away", signedBy("away", "x", "/apps/3/events", event), 503, "Temporarily unavailable: the app cannot be looked up right now, try again\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			got := f.do(c.r)
			requireRefused(t, f, got, c.status, c.want)
			if c.status == 503 {
				require.Equal(t, "1", got.header.Get("Retry-After"))
			}
		})
	}
	// Without a valid signature none of these states shows.
	f := setup(t)
	for _, r := range []request{
		signedBy("disabledkey", "guess", "/apps/4/events", event),
		signedBy("suspendedkey", "guess", "/apps/5/events", event),
		signedBy(key, "guess", "/apps/8/events", event),
	} {
		got := f.do(r)
		requireRefused(t, f, got, 401, "Invalid signature: you should have sent HmacSHA256Hex(")
	}
	require.Equal(t, 200, f.do(signedBy("retiringkey", "retiring", "/apps/6/events", event)).status, "both keys of a rotation work")
	require.Equal(t, 200, f.do(signedBy("newkey", "new", "/apps/6/events", event)).status)
}

func TestPublisherErrors(t *testing.T) {
	t.Parallel()
	two := `{"name":"foo","channels":["a","b","c"],"data":"x"}`
	cases := []struct {
		name   string
		hub    func(*hub)
		status int
		want   string
	}{
		{"busy", func(h *hub) { h.down = channels.ErrBusy }, 503, "Not accepted for a, b, c: this node is over capacity, try again\n"},
		{"broker away", func(h *hub) { h.down = fmt.Errorf("spublish: %w", channels.ErrBrokerAway) }, 503, "Not accepted for a, b, c: the message broker cannot be reached, try again\n"},
		{"part of it", func(h *hub) { h.refused["b"] = true }, 503, "Not accepted for b: the message broker cannot be reached, try again\n"},
		{"part, unknown cause", func(h *hub) {
			h.down = &channels.PublishError{Failed: []int{0, 2}, Err: errors.New("secret detail")}
		}, 503, "Not accepted for a, c: the message broker did not take all of it, try again\n"},
		{"timed out", func(h *hub) { h.down = context.DeadlineExceeded }, 503, "Not accepted for a, b, c: the request ended before the message broker answered, try again\n"},
		{"anything else", func(h *hub) { h.down = errors.New("secret detail") }, 500, "Internal server error\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			c.hub(f.hub)
			got := f.trigger(two)
			require.Equal(t, c.status, got.status)
			require.Equal(t, c.want, got.body)
			require.Equal(t, c.status == 503, got.header.Get("Retry-After") == "1")
		})
	}
	// In a batch the failed channels are those of the failed events.
	f := setup(t)
	f.hub.refused["bad"] = true
	got := f.batch(`{"batch":[{"name":"e","channel":"good","data":"1"},{"name":"e","channel":"bad","data":"2"},{"name":"e","channel":"fine","data":"3"}]}`)
	require.Equal(t, 503, got.status)
	require.Equal(t, "Not accepted for bad: the message broker cannot be reached, try again\n", got.body)
	require.Len(t, f.hub.taken(), 2)
}

// endless yields a body that never ends, and counts what was taken of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestBodyCap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	body := &endless{}
	req := httptest.NewRequest("POST", "http://tidewire.test/apps/3/events", io.NopCloser(body))
	req.ContentLength = -1
	got := f.send(req)
	requireRefused(t, f, got, 413, "The request body exceeds the allowed maximum (204800 bytes)\n")
	require.Equal(t, "close", got.header.Get("Connection"))
	require.Less(t, body.read, 600<<10)

	body = &endless{}
	req = httptest.NewRequest("POST", "http://tidewire.test/apps/3/events", io.NopCloser(body))
	req.ContentLength = 1 << 40
	requireRefused(t, f, f.send(req), 413, "The request body exceeds the allowed maximum (204800 bytes)\n")
	require.Zero(t, body.read, "an announced excess is not read at all")

	req = httptest.NewRequest("POST", "http://tidewire.test/apps/3/events", io.MultiReader(strings.NewReader("{"), iotestErr{}))
	requireRefused(t, f, f.send(req), 400, "The request body could not be read to its end\n")
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Over a real connection: keep-alive, many at once, HEAD, and no redirects.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	f := setup(t)
	server := httptest.NewServer(f.handler)
	t.Cleanup(server.Close)
	client := server.Client()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				body := fmt.Sprintf(`{"name":"e","channel":"c","data":"%d/%d"}`, i, j)
				r := signed("/apps/3/events", body)
				res, err := client.Post(server.URL+r.path+"?"+r.query, "application/json", bytes.NewReader(r.body))
				if err != nil {
					t.Error(err)
					return
				}
				got, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != 200 || string(got) != "{}" {
					t.Errorf("%d %s", res.StatusCode, got)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, ev := range f.hub.taken() {
		seen[string(ev.Data)] = true
	}
	require.Len(t, seen, 160, "every event once, none mixed up with another")

	res, err := client.Head(server.URL + "/apps/3/events")
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestLogHoldsNoSecretsAndNoPayload(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	fake := &hub{down: channels.ErrBrokerAway}
	engine := gin.New()
	api.New(api.Config{
		Hub: fake, Apps: directory{activeApp(appID, key, secret)}, Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}).Mount(engine)
	f := &fixture{handler: engine, hub: fake}
	body := `{"name":"canary-name","channel":"canary-channel","data":"canary-data"}`
	require.Equal(t, 503, f.trigger(body).status)
	bad := signedBy(key, "guess", "/apps/3/events", body)
	require.Equal(t, 401, f.do(bad).status)
	log := out.String()
	require.Contains(t, log, "level=WARN")
	require.Contains(t, log, "app=3")
	require.Contains(t, log, "reason=signature")
	require.NotContains(t, log, "canary")
	require.NotContains(t, log, secret)
	require.NotContains(t, log, tenants.NewSecret("guess").Reveal())
	require.NotContains(t, log, key)
}

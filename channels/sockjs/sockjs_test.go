package sockjs_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"tidewire/channels/fanout"
	"tidewire/channels/sockjs"
	"tidewire/tenants"
)

func TestStreaming(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	c := w.streaming()
	c.subscribe("news")
	require.Equal(t, `pusher_internal:subscription_succeeded`, c.message().Event)
	time.Sleep(400 * time.Millisecond) // longer than the server's deadlines for short answers
	w.publish("news", "e", "ünï \"quoted\" 😀 \u2028")
	f := c.message()
	require.Equal(t, "news", f.Channel)
	require.Equal(t, "ünï \"quoted\" 😀 \u2028", f.text())
	require.Equal(t, http.StatusNoContent, c.send("[]"))
	require.Equal(t, "a[]", c.line(), "an h would be answered with another question")
	require.EqualValues(t, 1, w.hub.Stats().Connects)
}

func TestPolling(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	c := &client{w: w, session: w.session()}
	greeting, opened := strings.CutPrefix(c.poll(), "o\n")
	require.True(t, opened)
	if greeting == "" { // else it was as fast as the opening
		greeting = c.poll()
	}
	require.Equal(t, "pusher:connection_established", messages(t, strings.TrimSpace(greeting))[0].Event)
	c.subscribe("news")
	require.Equal(t, "pusher_internal:subscription_succeeded", messages(t, strings.TrimSpace(c.poll()))[0].Event)
	for i := range 50 { // between two polls
		w.publish("news", "e", fmt.Sprint(i))
	}
	for next := 0; next < 50; {
		for _, f := range messages(t, strings.TrimSpace(c.poll())) {
			require.Equal(t, fmt.Sprint(next), f.text())
			next++
		}
	}
	waiting := make(chan string, 1)
	go func() { waiting <- c.poll() }()
	require.Equal(t, http.StatusNoContent, c.send("[]"))
	require.Equal(t, "a[]\n", <-waiting)
}

// Whatever is wrong is said in words of the protocol, with the code a WebSocket
// would close with, on a response that pusher-js reads: status 200.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, options{app: func(a *tenants.App) {
		a.Settings.ForceTLS, a.Settings.AllowedOrigins = true, []string{"https://ok.example.com"}
		a.Limits.MaxConnections = 1
	}, door: func(c *sockjs.Config) {
		c.IsTLS = func(r *http.Request) bool { return r.Header.Get("Test-Plain") == "" }
	}})
	good := &client{w: w, session: w.session()}
	good.open("xhr_streaming")
	require.Equal(t, "o", good.line())
	require.Equal(t, "pusher:connection_established", good.message().Event)
	for name, test := range map[string]struct {
		key, query string
		header     []string
		code       int
	}{
		"unknown key":      {"nobody", query, nil, 4001},
		"look-up failed":   {"away", query, nil, 4100},
		"app disabled":     {"disabled", query, nil, 4003},
		"plain":            {appKey, query, []string{"Test-Plain", "1"}, 4000},
		"origin":           {appKey, query, []string{"Origin", "https://evil.example.com"}, 4009},
		"no version":       {appKey, "", nil, 4008},
		"version 4":        {appKey, "?protocol=4", nil, 4007},
		"version nonsense": {appKey, "?protocol=x", nil, 4006},
		"token":            {appKey, query + "&token=x.y.z", nil, 4009},
		"two tokens":       {appKey, query + "&token=x&token=y", nil, 4009},
		"over quota":       {appKey, query, []string{"Origin", "https://ok.example.com"}, 4004},
	} {
		for _, transport := range []string{"xhr_streaming", "xhr"} {
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				var all string
				session := w.session()
				for range 3 { // a poll may bring the reason with the second response
					res := w.post(w.url(test.key, session, transport)+test.query, "", test.header...) //nolint:bodyclose // post sees to it
					require.Equal(t, http.StatusOK, res.StatusCode)
					b, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					if all += string(b); strings.Contains(all, "\nc[") {
						break
					}
				}
				lines := strings.Split(strings.TrimSpace(all), "\n")
				require.Equal(t, "o", lines[0], "without it pusher-js does not read the code")
				f := messages(t, lines[1])[0]
				require.Equal(t, "pusher:error", f.Event)
				require.Contains(t, string(f.Data), fmt.Sprintf(`"code":%d`, test.code))
				require.True(t, strings.HasPrefix(lines[2], fmt.Sprintf("c[%d,", test.code)), lines[2])
			})
		}
	}
}

func TestASessionWithoutPollerEnds(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *sockjs.Config) { c.Absence = 50 * time.Millisecond }})
	c := w.streaming()
	w.connections(1)
	require.NoError(t, c.close())
	w.connections(0)
	require.Equal(t, http.StatusNotFound, c.send(`["{}"]`))
	require.True(t, strings.HasPrefix(c.poll(), "c["), "a client that comes back late is told, for a while")
}

func TestASessionNobodyReceivesForIsNotLeft(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *sockjs.Config) { c.Absence = 20 * time.Millisecond }})
	c := &client{w: w, session: w.session()}
	require.True(t, strings.HasPrefix(c.poll(), "o\n"))
	w.connections(0)
	require.Eventually(t, func() bool { return w.door.Sessions() == 0 }, 10*time.Second, 10*time.Millisecond)
	require.True(t, strings.HasPrefix(c.poll(), "o\n"), "forgotten: a new one")
}

// pusher-js gives a response up once it holds more than 256 Ki UTF-16 units and
// asks for the rest. The response ends just there, and nothing is lost.
func TestALongStreamGoesOnInTheNextResponse(t *testing.T) {
	t.Parallel()
	w := setup(t, options{fanout: fanout.Config{MaxQueuedBytes: 16 << 20}})
	c := w.streaming()
	c.subscribe("news")
	require.Equal(t, "pusher_internal:subscription_succeeded", c.message().Event)
	const n = 120
	go func() {
		for i := range n {
			w.publish("news", "e", fmt.Sprintf("%d %s", i, strings.Repeat("é😀x", 2000)))
		}
	}()
	responses, units := 1, 0
	for next := 0; next < n; {
		line := c.line()
		if line == "" {
			require.Greater(t, units, 256<<10, "a shorter one looks broken to pusher-js")
			require.Less(t, units, 512<<10)
			c.open("xhr_streaming")
			responses, units = responses+1, 0
			continue
		}
		units += len(utf16.Encode([]rune(line))) + 1
		if responses == 1 && units < 500 {
			units += 2 // "o\n" and what setup has read
		}
		for _, f := range messages(t, line) {
			require.True(t, strings.HasPrefix(f.text(), fmt.Sprint(next, " ")), "%d: %.20s", next, f.text())
			next++
		}
	}
	require.Greater(t, responses, 2)
	require.EqualValues(t, 1, w.hub.Stats().Connects)
}

func TestTheNewerRequestTakesOver(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	c := w.streaming()
	old := *c
	c.open("xhr_streaming")
	require.Empty(t, old.line(), "the old response ends")
	c.subscribe("news")
	require.Equal(t, "pusher_internal:subscription_succeeded", c.message().Event)
}

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	w := setup(t, options{fanout: fanout.Config{MaxQueuedBytes: 64 << 10}})
	c := &client{w: w, session: w.session()}
	c.poll()
	c.poll()
	c.subscribe("news")
	for range 100 {
		w.publish("news", "e", strings.Repeat("x", 9000))
		if w.hub.Stats().Fanout.SlowCuts > 0 {
			break
		}
	}
	require.Eventually(t, func() bool { return w.hub.Stats().Fanout.SlowCuts == 1 }, 10*time.Second, time.Millisecond)
	w.connections(0)
	var all string
	require.Eventually(t, func() bool { all += c.poll(); return strings.Contains(all, "c[4100,") }, 5*time.Second, time.Millisecond)
	require.Less(t, len(all), 300<<10)
}

func TestHeartbeatsAndSilence(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *sockjs.Config) { c.Heartbeat, c.Silence = 20*time.Millisecond, 200*time.Millisecond }})
	c := &client{w: w, session: w.session()}
	c.poll()
	c.poll()
	require.Equal(t, "h\n", c.poll())
	s := w.streaming()
	for range 15 { // it answers, as pusher-js does
		require.Contains(t, []string{"h", "a[]"}, s.line())
		s.send("[]")
	}
	for { // it answers no more
		line := s.line()
		if strings.HasPrefix(line, "c[4201,") {
			break
		}
		require.NotEmpty(t, line)
	}
}

func TestWhatIsSentIsChecked(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *sockjs.Config) { c.MaxFrameBytes = 2000 }})
	c := w.streaming()
	for body, status := range map[string]int{
		"":                        http.StatusBadRequest,
		"{}":                      http.StatusBadRequest,
		"null":                    http.StatusBadRequest,
		`"x"`:                     http.StatusBadRequest,
		`["x"`:                    http.StatusBadRequest,
		`[1]`:                     http.StatusBadRequest,
		"[\"\xff\"]":              http.StatusBadRequest,
		`["` + long(2001) + `"]`:  http.StatusRequestEntityTooLarge,
		`["` + long(90000) + `"]`: http.StatusRequestEntityTooLarge,
		"[" + strings.TrimSuffix(strings.Repeat(`"",`, 300), ",") + "]": http.StatusRequestEntityTooLarge,
	} {
		require.Equal(t, status, c.send(body), "%.30q", body)
	}
	require.Equal(t, http.StatusNoContent, c.send(`["nonsense"]`))
	require.Equal(t, "pusher:error", c.message().Event, "and the session stays")
	other := &client{w: w, session: w.session()}
	require.Equal(t, http.StatusNotFound, other.send(`["{}"]`))
}

func long(n int) string { return strings.Repeat("x", n) }

func TestSendsInParallel(t *testing.T) {
	t.Parallel()
	w := setup(t, options{slow: true})
	c := w.streaming()
	var sending sync.WaitGroup
	for i := range 100 {
		sending.Go(func() { c.subscribe(fmt.Sprint("c", i)) })
	}
	sending.Wait()
	for got := 0; got < 100; {
		for _, f := range messages(t, c.line()) {
			require.Equal(t, "pusher_internal:subscription_succeeded", f.Event)
			got++
		}
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	c := w.streaming()
	require.NoError(t, w.door.Drain(context.Background(), time.Second))
	require.Equal(t, "pusher:error", c.message().Event)
	require.True(t, strings.HasPrefix(c.line(), "c[4200,"))
	require.Empty(t, c.line())
	w.connections(0)
	late := &client{w: w, session: w.session()}
	require.Contains(t, late.poll(), "\nc[4200,")
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t, options{door: func(c *sockjs.Config) { c.MaxSessions = 1 }})
	w.streaming()
	late := &client{w: w, session: w.session()}
	require.Contains(t, late.poll(), "\nc[4100,")
}

func TestASessionOfAnotherKeyIsAnother(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	c := w.streaming()
	res := w.post(w.url("disabled", c.session, "xhr_send"), `["{}"]`) //nolint:bodyclose // post sees to it
	require.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestPathsMethodsAndCORS(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	for path, status := range map[string]int{
		"/pusher/info":                                      404,
		"/pusher/app/" + appKey:                             404,
		"/pusher/app/" + appKey + "/1/a/b/xhr":              404,
		"/pusher/app/" + appKey + "/1234/abcdefgh/xhr":      404,
		"/pusher/app/" + appKey + "/1/../xhr":               404,
		"/pusher/app/" + appKey + "/1/abcdefgh/jsonp":       404,
		"/pusher/app//1/abcdefgh/xhr":                       404,
		"/pusher/app/" + appKey + "/1/" + long(65) + "/xhr": 404,
	} {
		require.Equal(t, status, w.post(w.server.URL+path, "").StatusCode, path) //nolint:bodyclose // post sees to it
	}
	for method, status := range map[string]int{http.MethodOptions: 204, http.MethodGet: 405} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.url(appKey, "1/abcdefgh", "xhr"), nil)
		require.NoError(t, err)
		res, err := w.server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, status, res.StatusCode)
		require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	}
}

func FuzzPath(f *testing.F) {
	f.Add("/pusher/app/k/1/abcdefgh/xhr", "[]")
	f.Add("/pusher/app/k/1/abcdefgh/xhr_send", `["{}"]`)
	door := sockjs.New(sockjs.Config{Apps: apps{}})
	f.Fuzz(func(t *testing.T, path, body string) {
		if !strings.HasSuffix(path, "/xhr_send") {
			return
		}
		r := &http.Request{Method: http.MethodPost, Body: io.NopCloser(strings.NewReader(body))}
		r.URL = mustURL(path)
		w := &recorder{header: http.Header{}}
		door.ServeHTTP(w, r)
		if w.status != http.StatusNotFound {
			t.Fatalf("%d for a session that is not there", w.status)
		}
	})
}

// A page whose origin is not allowed any more is told so on the response that
// waits, or on its next one.
func TestOriginsChange(t *testing.T) {
	t.Parallel()
	w := setup(t, options{})
	origin := []string{"Origin", "https://page.example.com"}
	stream, poll := &client{w: w, session: w.session()}, &client{w: w, session: w.session()}
	stream.open("xhr_streaming", origin...)
	require.Equal(t, "o", stream.line())
	stream.message()
	poll.open("xhr", origin...)
	w.connections(2)
	now := *w.app
	now.Settings.AllowedOrigins = []string{"example.org"}
	w.hub.AppChanged(w.app, &now)
	require.Equal(t, "pusher:error", stream.message().Event)
	require.True(t, strings.HasPrefix(stream.line(), "c[4009,"))
	poll.open("xhr", origin...)
	rest, err := io.ReadAll(poll.stream)
	require.NoError(t, err)
	require.Contains(t, string(rest), "\nc[4009,")
}

package main

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSubscribePrintsEvents(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	id := string(app.ID)
	tail := start(t, n.environ, "subscribe", "orders", "private-orders", "--app", id, "--json")
	eventually(t, func() bool { return strings.Count(tail.stderr.String(), "subscribed to") == 2 }, "not subscribed")

	for _, channel := range []string{"orders", "private-orders"} {
		r := platform(t, n.environ, "trigger", channel, "created", `{"id":7}`, "--app", id)
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "published created on "+channel)
	}
	eventually(t, func() bool { return strings.Count(tail.stdout.String(), "\n") == 2 }, "not printed")
	var got []string
	for line := range strings.Lines(tail.stdout.String()) {
		var e receivedEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.WithinDuration(t, time.Now(), e.Time, time.Minute)
		got = append(got, e.Channel+" "+e.Event+" "+e.Data)
	}
	require.ElementsMatch(t, []string{`orders created {"id":7}`, `private-orders created {"id":7}`}, got)
	require.Equal(t, exitOK, tail.end(), "Ctrl-C is the orderly end")
}

func TestSubscribeComesBack(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN=off")
	server := start(t, environ, "serve")
	eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy")
	app := createApp(t, environ)
	tail := start(t, environ, "subscribe", "orders", "--app", string(app.ID))
	eventually(t, func() bool { return strings.Contains(tail.stderr.String(), "subscribed to orders") }, "not subscribed")

	require.Equal(t, exitOK, server.end())
	eventually(t, func() bool { return strings.Contains(tail.stderr.String(), "trying again") }, "loss not noted")
	start(t, environ, "serve")
	eventually(t, func() bool { return strings.Count(tail.stderr.String(), "subscribed to orders") == 2 }, "never came back")
	r := platform(t, environ, "trigger", "orders", "again", "a\x1b[2Jb", "--app", string(app.ID))
	require.Zero(t, r.code, r.stderr)
	eventually(t, func() bool { return strings.Contains(tail.stdout.String(), "again") }, "not printed")
	require.NotContains(t, tail.stdout.String(), "\x1b", "events must not command the terminal")
}

func TestSubscribeEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	for name, args := range map[string][]string{
		"unknown key":  {"orders", "--key", "unknown-key"},
		"wrong secret": {"private-orders", "--key", app.Key, "--secret", "wrong-secret"},
	} {
		r := platform(t, n.environ, append([]string{"subscribe", "--app", string(app.ID)}, args...)...)
		requireOneLine(t, r)
		require.Equal(t, exitFailure, r.code, name)
		require.NotContains(t, r.stderr, "wrong-secret")
	}
}

func TestTriggerRefusals(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	app := createApp(t, n.environ)
	trigger := func(args ...string) result {
		return platform(t, n.environ, append([]string{"trigger"}, args...)...)
	}
	requireOneLine(t, trigger("orders", "e", "x", "--app", "999"), `"999"`, "does not exist")
	requireOneLine(t, trigger("orders", "e", "x", "--app", string(app.ID), "--key", "other"), "no usable key other")
	requireOneLine(t, trigger("a b", "e", "x", "--app", string(app.ID)), "status 400")
	requireOneLine(t, trigger("orders", "pusher:e", "x", "--app", string(app.ID)), "status 400")
	requireOneLine(t, trigger("orders", "e", "x", "--app", string(app.ID), "--key", app.Key, "--secret", "wrong-secret"), "status 401")
	requireOneLine(t, trigger("orders", "e", "x", "--app", string(app.ID), "--url", "http://"+freePort(t)), "is the server running there?")

	// With key and secret given no database is needed, or touched.
	dir := t.TempDir()
	r := platform(t, []string{"TIDEWIRE_DATA_DIR=" + dir}, "trigger", "orders", "e", "x",
		"--app", string(app.ID), "--url", n.url, "--key", app.Key, "--secret", app.Secret)
	require.Zero(t, r.code, r.stderr)
	require.Empty(t, namesIn(t, dir))
}

func TestCodesSayWhatToDo(t *testing.T) {
	t.Parallel()
	refused, comeBack := new(*refusedError), new(*comeBackError)
	for code, want := range map[int]string{4000: "stay", 4001: "stay", 4099: "stay", 4100: "pause", 4200: "now", 4299: "now", 1006: "pause", 4300: "pause"} {
		err := codeError(code, "text")
		got := "pause"
		if errors.As(err, refused) {
			got = "stay"
		} else if errors.As(err, comeBack) {
			got = "now"
		}
		require.Equal(t, want, got, "code %d", code)
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	var b backoff
	require.LessOrEqual(t, b.next(&comeBackError{}), 200*time.Millisecond)
	for _, most := range []time.Duration{2, 4, 8, 16, 30, 30, 30} {
		pause := b.next(errors.New("lost"))
		require.GreaterOrEqual(t, pause, most*time.Second/2)
		require.Less(t, pause, most*time.Second)
	}
	require.GreaterOrEqual(t, b.next(&comeBackError{}), 15*time.Second, "a server that always says come back is not hammered")
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	r := platform(t, n.environ, "healthcheck", "--json")
	require.Zero(t, r.code)
	var answer struct {
		Ready bool
		URL   string
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &answer))
	require.True(t, answer.Ready)
	require.Equal(t, n.url, answer.URL)
	require.Zero(t, platform(t, nil, "healthcheck", "--url", n.url+"/").code)

	r = platform(t, nil, "healthcheck", "--url", "http://"+freePort(t), "--json")
	require.Equal(t, exitFailure, r.code)
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &answer))
	require.False(t, answer.Ready)
	requireOneLine(t, platform(t, nil, "healthcheck", "--url", "nonsense"), "--url")
}

func findings(t *testing.T, r result) map[string]finding {
	t.Helper()
	var list []finding
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &list), r.stderr)
	byCheck := make(map[string]finding)
	for _, f := range list {
		byCheck[f.Check] = f
	}
	return byCheck
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	environ := append(dataDir(t), "TIDEWIRE_LISTEN=127.0.0.1:0", "TIDEWIRE_METRICS_LISTEN=off")
	dir := strings.TrimPrefix(environ[0], "TIDEWIRE_DATA_DIR=")
	r := platform(t, environ, "doctor", "--json")
	require.Zero(t, r.code, r.stdout)
	require.Empty(t, namesIn(t, dir), "a doctor changes nothing")

	createApp(t, environ)
	before := namesIn(t, dir)
	r = platform(t, environ, "doctor", "--json")
	require.Zero(t, r.code, r.stdout)
	for _, check := range []string{"configuration", "data folder", "master key", "database", "schema", "clock", "realtime", "tls", "open files", "port listen"} {
		require.Contains(t, findings(t, r), check)
		require.NotEqual(t, statusFail, findings(t, r)[check].Status, check)
	}
	require.Equal(t, before, namesIn(t, dir))
	require.Contains(t, platform(t, environ, "doctor").stdout, "ok    database")
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer stranger.Close()
	taken := stranger.Addr().String()
	expired, key, _ := certificate(t, time.Now().Add(-time.Minute))
	for name, test := range map[string]struct {
		environ []string
		check   string
		status  string
		want    string
	}{
		"bad setting":      {[]string{"TIDEWIRE_LISTENN=x"}, "configuration", statusFail, "did you mean"},
		"data folder":      {[]string{"TIDEWIRE_DATA_DIR=/proc/version"}, "data folder", statusFail, "--data-dir"},
		"no Postgres":      {append(dataDir(t), "TIDEWIRE_DATABASE_URL=postgres://u:geheim@"+freePort(t)+"/d"), "database", statusFail, "Postgres"},
		"no Redis":         {append(dataDir(t), "TIDEWIRE_REDIS_URL=redis://:geheim@"+freePort(t)), "realtime", statusFail, ""},
		"port of a server": {[]string{n.environ[4], "TIDEWIRE_LISTEN=" + strings.TrimPrefix(n.url, "http://")}, "port listen", statusWarn, "answers like Tidewire"},
		"port of another":  {append(dataDir(t), "TIDEWIRE_LISTEN="+taken), "port listen", statusFail, "already in use"},
		"expired":          {append(dataDir(t), "TIDEWIRE_TLS_CERT="+expired, "TIDEWIRE_TLS_KEY="+key), "tls", statusFail, "ended on"},
		"pending schema":   {append(dataDir(t), "TIDEWIRE_AUTO_MIGRATE=off"), "database", statusOK, "not there yet"},
	} {
		r := platform(t, append([]string{"TIDEWIRE_METRICS_LISTEN=off"}, test.environ...), "doctor", "--json")
		f := findings(t, r)[test.check]
		require.Equal(t, test.status, f.Status, "%s: %s", name, r.stdout)
		require.Contains(t, f.Detail+f.Fix, test.want, name)
		require.NotContains(t, r.stdout+r.stderr, "geheim", name)
		if test.status == statusFail {
			require.Equal(t, exitFailure, r.code, name)
			require.Empty(t, r.stderr, name)
		}
	}
}

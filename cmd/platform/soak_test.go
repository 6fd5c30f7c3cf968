package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// soakTime is how long the soak lasts; make soak says 20 minutes.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if v := os.Getenv("SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		require.NoError(t, err)
		return d
	}
	return 10 * time.Second
}

// gaugeOf reads one number of the metrics page.
func gaugeOf(t *testing.T, metrics, name string) float64 {
	t.Helper()
	_, page := get(t, metrics+"/metrics")
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(page)
	require.NotNil(t, found, name)
	v, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	return v
}

// TestSoak has clients come, talk and go for a while; afterwards the process, and
// its Redis, hold what they held before.
func TestSoak(t *testing.T) {
	t.Parallel()
	metrics, redis, pause := freePort(t), startOwnRedis(t), time.Duration(0)
	if os.Getenv("SOAK") != "" {
		pause = 20 * time.Millisecond // leaves something of the machine to others
	}
	environ := dataDir(t)
	n := startProcess(t, append(environ, "TIDEWIRE_LISTEN="+freePort(t), "TIDEWIRE_METRICS_LISTEN="+metrics, "TIDEWIRE_REDIS_URL="+redis.url()))
	metrics = "http://" + metrics
	app := createApp(t, n.environ, "--settings", `{"client_events":true}`)
	churn := func(ended chan struct{}) {
		var running sync.WaitGroup
		for w := range 4 {
			running.Go(func() { soakWorker(n.url, app, w, pause, ended) })
		}
		running.Wait()
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: redis.address, Protocol: 2})
	defer rdb.Close()
	// Serials of channels go by themselves, ten minutes after their last event.
	keys := func() (lasting, expiring int) {
		for _, f := range strings.Split(rdb.Info(t.Context(), "keyspace").Val(), ",") {
			if _, n, ok := strings.Cut(f, "keys="); ok {
				lasting, _ = strconv.Atoi(n)
			} else if n, ok := strings.CutPrefix(f, "expires="); ok {
				expiring, _ = strconv.Atoi(n)
			}
		}
		return lasting - expiring, expiring
	}
	lasting := func(d time.Duration) chan struct{} {
		ended := make(chan struct{})
		time.AfterFunc(d, func() { close(ended) })
		return ended
	}
	churn(lasting(2 * time.Second)) // pools and caches fill
	// The links to Redis are a pool, which grows with what happens at once, up to
	// its bound, and shrinks after half an hour: they are counted apart.
	links := func() float64 {
		_, n, _ := strings.Cut(rdb.Info(t.Context(), "clients").Val(), "connected_clients:")
		v, _ := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(n, "\n", 2)[0]), 64)
		return v
	}
	// So are those to the database: a pool too, of two or three files each.
	_, folder, _ := strings.Cut(environ[0], "=")
	opened := func() float64 { return filesIn(n.cmd.Process.Pid, folder) }
	calm := func(name string) float64 {
		eventually(t, func() bool { return gaugeOf(t, metrics, "tidewire_connections") == 0 }, "connections stay")
		return gaugeOf(t, metrics, name)
	}
	goroutines, files, linked, stored := calm("go_goroutines"), calm("process_open_fds"), links(), opened()
	kept, _ := keys() // with nobody connected

	var at, heap []float64
	ended, start := lasting(soakTime(t)), time.Now()
	done := make(chan struct{})
	go func() { churn(ended); close(done) }()
	for sampling := true; sampling; {
		select {
		case <-done:
			sampling = false
		case <-time.After(max(soakTime(t)/200, 100*time.Millisecond)): // the distance of two samples
			at = append(at, time.Since(start).Hours())
			heap = append(heap, gaugeOf(t, metrics, "go_memstats_heap_alloc_bytes"))
		}
	}
	connects := gaugeOf(t, metrics, "tidewire_connects_total")
	require.Greater(t, connects, 50.0, "too little happened to learn from")
	eventually(t, func() bool { return gaugeOf(t, metrics, "go_goroutines") <= goroutines+8 }, "goroutines are left")
	eventually(t, func() bool { return gaugeOf(t, metrics, "process_open_fds")-links()-opened() <= files-linked-stored+4 }, "descriptors are left")
	// A partition's own keys come with its first event, and stay.
	eventually(t, func() bool { lasting, _ := keys(); return lasting <= kept+64 }, "keys are left in redis")
	left, expiring := keys()
	slope, within := slopeOf(at, heap)
	t.Logf("%.0f connections in %s: goroutines %.0f then %.0f, descriptors %.0f then %.0f (%.0f and %.0f of them links to redis, %.0f and %.0f files of the database), keys in redis %d then %d (and %d that expire), heap slope %.2f MB/h ± %.2f (95 %%), mean %.1f MB",
		connects, soakTime(t), goroutines, gaugeOf(t, metrics, "go_goroutines"), files, gaugeOf(t, metrics, "process_open_fds"), linked, links(), stored, opened(),
		kept, left, expiring, slope/1e6, within/1e6, mean(heap)/1e6)
	if soakTime(t) >= 5*time.Minute {
		require.LessOrEqual(t, slope-within, 0.05*mean(heap), "the heap grows by more than a twentieth an hour")
	}
}

// soakWorker comes, enters a room, talks, hears and goes, over and over.
func soakWorker(base string, app printedApp, worker int, pause time.Duration, ended chan struct{}) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for round := 0; ; round++ {
		select {
		case <-ended:
			return
		case <-time.After(pause):
		}
		name := "presence-" + strconv.Itoa(worker) + "-" + strconv.Itoa(round%1000)
		conn, id := greeted(base, app.Key)
		if conn == nil {
			continue
		}
		data := `{"user_id":"u` + strconv.Itoa(round) + `"}`
		m := hmac.New(sha256.New, []byte(app.Secret))
		m.Write([]byte(id + ":" + name + ":" + data))
		subscribeTo(conn, name, app.Key+":"+hex.EncodeToString(m.Sum(nil)), data)
		body := []byte(`{"name":"e","channels":["` + name + `"],"data":"` + strconv.Itoa(round) + `"}`)
		var f frame
		if conn.ReadJSON(&f) == nil {
			if resp, err := client.Post(signed(base, app, http.MethodPost, "/events", body), "application/json", bytes.NewReader(body)); err == nil {
				_ = resp.Body.Close()
			}
			_ = conn.ReadJSON(&f)
		}
		_ = conn.Close()
	}
}

// filesIn is how many files of a folder a process has open; 0 where there is no
// /proc to tell.
func filesIn(pid int, folder string) (n float64) {
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	list, _ := os.ReadDir(fds)
	for _, fd := range list {
		if path, err := os.Readlink(filepath.Join(fds, fd.Name())); err == nil && strings.HasPrefix(path, folder) {
			n++
		}
	}
	return n
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

// slopeOf fits a line by least squares and gives its slope and half the width of
// the slope's 95 % interval.
func slopeOf(x, y []float64) (slope, within float64) {
	if len(x) < 3 {
		return 0, math.Inf(1)
	}
	mx, my := mean(x), mean(y)
	var sxx, sxy, rest float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	slope = sxy / sxx
	for i := range x {
		r := y[i] - my - slope*(x[i]-mx)
		rest += r * r
	}
	return slope, 1.96 * math.Sqrt(rest/float64(len(x)-2)/sxx)
}

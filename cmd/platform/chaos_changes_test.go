package main

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// changesWorld makes changes and looks when each node follows.
type changesWorld struct {
	*processes
	app  printedApp
	took []time.Duration // from the end of a command to its effect on a node
}

// change runs a command and waits until publishing on every node has the status.
func (w *changesWorld) change(status int, command ...string) {
	w.t.Helper()
	r := platform(w.t, w.nodes[0].environ, command...)
	require.Zero(w.t, r.code, r.stderr)
	begun := time.Now()
	took := make([]time.Duration, severalNodes)
	var group sync.WaitGroup
	for i := range w.nodes {
		group.Go(func() {
			for time.Since(begun) < time.Minute {
				got, _, _ := post(w.t, w.nodes[i].url, w.app, "news")
				// With its link cut a node cannot publish, but knows that it may.
				if got == status || status == http.StatusOK && got == http.StatusServiceUnavailable {
					took[i] = time.Since(begun)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			w.t.Errorf("%v is not felt on node %d", command, i)
		})
	}
	group.Wait()
	require.False(w.t, w.t.Failed())
	w.took = append(w.took, took...)
}

func (w *changesWorld) report(when string) {
	slices.Sort(w.took)
	n := len(w.took)
	w.t.Logf("%s: %d effects of changes, median %s, p99 %s, most %s", when, n,
		w.took[n/2].Round(time.Millisecond), w.took[n*99/100].Round(time.Millisecond), w.took[n-1].Round(time.Millisecond))
	w.took = nil
}

// Suspensions, disabled apps, revoked keys and limits reach three nodes, with
// their links to Redis cut as well.
func TestChaosChanges(t *testing.T) {
	t.Parallel()
	w := &changesWorld{processes: startProcesses(t, setup{})}
	w.app = createApp(t, w.nodes[0].environ)
	id := string(w.app.ID)
	all := func(times int) {
		for range times {
			w.change(http.StatusForbidden, "tenants", "suspend", "acme", "--reason", "unpaid")
			w.change(http.StatusOK, "tenants", "resume", "acme")
			w.change(http.StatusForbidden, "apps", "disable", id)
			w.change(http.StatusOK, "apps", "enable", id)
			w.change(http.StatusRequestEntityTooLarge, "apps", "update", id, "--limits", `{"max_event_bytes":1}`)
			w.change(http.StatusOK, "apps", "update", id, "--limits", `{"max_event_bytes":null}`)
		}
	}
	w.change(http.StatusOK, "apps", "list")
	w.took = nil
	all(3)
	w.report("all in order")
	for _, link := range w.links {
		link.Stop()
	}
	all(2)
	w.change(http.StatusUnauthorized, "keys", "revoke", w.app.Key, "--app", id)
	w.report("with Redis cut")
	for _, link := range w.links {
		require.NoError(t, link.Start())
	}
}

package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

var chaosMembersLease = flag.Duration("lease", 2*time.Second, "of the nodes of TestChaosMembers")

const membersRoom = "presence-big"

// membersWorld is a room with many members on node 0, and a watcher on each of the others.
type membersWorld struct {
	*processes
	app      printedApp
	users    []string
	watchers []*attendee

	mu sync.Mutex
}

func (w *membersWorld) enter(node int, deaf bool, users ...string) []*attendee {
	list := make([]*attendee, len(users))
	var group sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, user := range users {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			list[i] = &attendee{user: user, node: node, deaf: deaf}
			if !list[i].attend(&w.mu, w.nodes[node].url, w.app, membersRoom) {
				w.t.Errorf("%s is not let in", user)
			}
		})
	}
	group.Wait()
	require.False(w.t, w.t.Failed())
	w.t.Cleanup(func() {
		for _, a := range list {
			a.close()
		}
	})
	return list
}

// times is when a watcher was told something of each user, in its order.
func (w *membersWorld) times(a *attendee, event string) map[string][]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	times := make(map[string][]time.Time)
	for _, e := range a.s.told {
		if e.event == event {
			times[e.user] = append(times[e.user], e.at)
		}
	}
	return times
}

// expect waits until every watcher was told something of each user n times, and
// reports how long it took since.
func (w *membersWorld) expect(event string, n int, since time.Time) {
	w.t.Helper()
	for _, a := range w.watchers {
		w.eventually(func() bool {
			times := w.times(a, event)
			return !slices.ContainsFunc(w.users, func(user string) bool { return len(times[user]) < n })
		}, "some are not told of")
		var took []time.Duration
		for user, times := range w.times(a, event) {
			if slices.Contains(w.users, user) {
				took = append(took, times[n-1].Sub(since))
			}
		}
		slices.Sort(took)
		w.t.Logf("node %d: %d times %s, median %s, p99 %s, last %s", a.node, len(took), event,
			took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
}

// never more than n times: a change made later, which comes after all others, is
// waited for first.
func (w *membersWorld) exactly(event string, n int, marker string) {
	w.t.Helper()
	late := w.enter(1, true, marker)[0]
	late.close()
	for _, a := range w.watchers {
		w.eventually(func() bool { return len(w.times(a, "member_removed")[marker]) == 1 }, "a later change is not told of")
		times := w.times(a, event)
		for _, user := range w.users {
			require.Len(w.t, times[user], n, "%s of %s on node %d", event, user, a.node)
		}
	}
}

// traces are the places in Redis where a word stands, of whatever kind they are.
func traces(t *testing.T, rdb *goredis.Client, word string) (places []string) {
	t.Helper()
	ctx := t.Context()
	for _, key := range rdb.Keys(ctx, "*").Val() {
		var parts []string
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "hash":
			for field, value := range rdb.HGetAll(ctx, key).Val() {
				parts = append(parts, field, value)
			}
		case "zset":
			parts = rdb.ZRange(ctx, key, 0, -1).Val()
		case "string":
			parts = []string{rdb.Get(ctx, key).Val()}
		case "list":
			parts = rdb.LRange(ctx, key, 0, -1).Val()
		case "set":
			parts = rdb.SMembers(ctx, key).Val()
		case "stream":
			for _, entry := range rdb.XRange(ctx, key, "-", "+").Val() {
				parts = append(parts, fmt.Sprint(entry.Values))
			}
		case "none": // it has ended meanwhile
		default:
			t.Errorf("%s is a %s, which nobody looks into", key, kind)
		}
		if strings.Contains(strings.Join(append(parts, key), " "), word) {
			places = append(places, key)
		}
	}
	return places
}

// A node with 500 members is paused for longer than its lease and wakes, and
// later it is killed: the others are told of each member exactly once each time,
// and nothing of the node stays in Redis.
func TestChaosMembers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a server")
	}
	w := &membersWorld{processes: startProcesses(t, setup{binary: built(t), lease: *chaosMembersLease})}
	w.app = createApp(t, w.nodes[0].environ, "--limits", `{"max_presence_members":1000}`)
	w.watchers = append(w.enter(1, false, "watcher-1"), w.enter(2, false, "watcher-2")...)
	for i := range 500 {
		w.users = append(w.users, fmt.Sprintf("user-%03d", i))
	}
	begun := time.Now()
	w.enter(0, true, w.users...)
	w.expect("member_added", 1, begun)

	rdb := w.raw(w.addr)
	defer rdb.Close()
	keys := rdb.Keys(t.Context(), "tw:*:m:"+string(w.app.ID)+":"+membersRoom).Val()
	require.Len(t, keys, 1)
	node, _, _ := strings.Cut(rdb.HGet(t.Context(), keys[0], w.users[0]).Val(), ",")
	require.Len(t, node, 16)
	require.NotEmpty(t, traces(t, rdb, node))

	begun = time.Now()
	w.signal(0, syscall.SIGSTOP)
	w.expect("member_removed", 1, begun)
	begun = time.Now()
	w.signal(0, syscall.SIGCONT)
	w.expect("member_added", 2, begun)
	w.exactly("member_added", 2, "marker-1")
	w.exactly("member_removed", 1, "marker-2")

	begun = time.Now()
	w.kill(0)
	w.expect("member_removed", 2, begun)
	w.exactly("member_removed", 2, "marker-3")
	for i := 1; i < severalNodes; i++ {
		require.Equal(t, []string{"watcher-1", "watcher-2"}, w.membersAt(i, w.app, membersRoom))
	}
	w.eventually(func() bool { return len(traces(t, rdb, node)) == 0 }, "the dead node has left something in Redis")
	w.eventually(func() bool { return len(traces(t, rdb, "user-")) == 0 }, "ghosts")
}

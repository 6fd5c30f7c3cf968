package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

var chaosStorm = flag.Int("storm", 0, "clients of the node that TestChaosStorm kills; 0 skips it")

// actAsWanderers makes the test binary the clients of the node that is killed.
const actAsWanderers = "ACT_AS_WANDERERS"

// wandererOrders are what that process is told when it starts.
type wandererOrders struct {
	Bases []string
	Key   string
	Count int
}

// wanderer is a client that comes back by itself, to another node when its own
// does not answer.
type wanderer struct {
	orders *wandererOrders
	node   int
	here   *atomic.Int64 // wanderers that are subscribed
}

// actWanderers says on its output how many are subscribed, whenever that changes.
func actWanderers() {
	var orders wandererOrders
	if err := json.Unmarshal([]byte(os.Getenv(actAsWanderers)), &orders); err != nil {
		panic(err)
	}
	var here atomic.Int64
	go func() {
		for range orders.Count {
			go (&wanderer{orders: &orders, here: &here}).live()
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for told := int64(-1); ; time.Sleep(10 * time.Millisecond) {
		if n := here.Load(); n != told {
			told = n
			fmt.Println(n)
		}
	}
}

// joined opens a connection and subscribes to a public channel; nil if that does
// not work now.
func joined(base, key, channel string) *websocket.Conn {
	conn, _ := greetedWith(base, key, "", 10*time.Second) // as long as our own client library waits
	if conn == nil {
		return nil
	}
	_ = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": channel}})
	var f frame
	if conn.ReadJSON(&f) != nil || f.Event != "pusher_internal:subscription_succeeded" {
		_ = conn.Close()
		return nil
	}
	_ = conn.SetReadDeadline(time.Time{})
	return conn
}

// live keeps a client connected, with the pauses of our own client library: a
// random part of 0.5 s, doubled up to 30 s.
func (c *wanderer) live() {
	const first = 500 * time.Millisecond
	for most := first; ; most = min(2*most, 30*time.Second) {
		if conn := joined(c.orders.Bases[c.node], c.orders.Key, "wanderers"); conn != nil {
			most = first
			c.here.Add(1)
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					break
				}
			}
			_ = conn.Close()
			c.here.Add(-1)
		}
		c.node = 1 + rand.IntN(len(c.orders.Bases)-1)
		time.Sleep(rand.N(most))
	}
}

// stormWorld is many clients on node 0 and some, who measure, on the others.
type stormWorld struct {
	*processes
	app  printedApp
	here atomic.Int64 // wanderers that are subscribed
}

// wander starts the wanderers.
func (w *stormWorld) wander(count int) {
	orders := wandererOrders{Key: w.app.Key, Count: count}
	for _, n := range w.nodes {
		orders.Bases = append(orders.Bases, n.url)
	}
	text, err := json.Marshal(orders)
	require.NoError(w.t, err)
	exe, err := os.Executable()
	require.NoError(w.t, err)
	cmd := elsewhere(exe, true)
	cmd.Env = append(os.Environ(), actAsWanderers+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(w.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, _ := strconv.ParseInt(lines.Text(), 10, 64)
			w.here.Store(n)
		}
	}()
}

// listener measures how late it hears of what is published.
type listener struct {
	mu   sync.Mutex
	late []time.Duration // by event
}

func (l *listener) listen(conn *websocket.Conn, begun time.Time) {
	for {
		var f frame
		if conn.ReadJSON(&f) != nil {
			return
		}
		var sent int64
		if _, err := fmt.Sscan(f.text(), &sent); err == nil {
			l.mu.Lock()
			l.late = append(l.late, time.Since(begun)-time.Duration(sent))
			l.mu.Unlock()
		}
	}
}

// phase publishes to the listeners until done, and returns their p99. Each has
// to hear everything.
func (w *stormWorld) phase(listeners []*listener, begun time.Time, done func() bool) time.Duration {
	for _, l := range listeners {
		l.mu.Lock()
		l.late = nil
		l.mu.Unlock()
	}
	published := 0
	for !done() {
		at := time.Now()
		body := fmt.Sprintf(`{"name":"e","channel":"listeners","data":"%d"}`, at.Sub(begun))
		status, _, answer := request(w.t, "POST", signed(w.nodes[1].url, w.app, "POST", "/events", []byte(body)), nil, body)
		require.Equal(w.t, 200, status, answer)
		published++
		time.Sleep(time.Until(at.Add(20 * time.Millisecond)))
	}
	var all []time.Duration
	for _, l := range listeners {
		w.eventually(func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.late) >= published }, "an untouched client misses something")
		l.mu.Lock()
		require.Len(w.t, l.late, published)
		all = append(all, l.late...)
		l.mu.Unlock()
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// A node with thousands of clients is killed: they are back on the others soon,
// whose own clients miss nothing meanwhile.
func TestChaosStorm(t *testing.T) {
	if *chaosStorm == 0 {
		t.Skip("asked for by -args -storm 5000")
	}
	w := &stormWorld{processes: startProcesses(t, setup{binary: built(t), lease: 15 * time.Second})}
	w.app = createApp(t, w.nodes[0].environ)
	begun := time.Now()
	var listeners []*listener
	for i := range 100 {
		conn := joined(w.nodes[1+i%2].url, w.app.Key, "listeners")
		require.NotNil(t, conn)
		l := &listener{}
		listeners = append(listeners, l)
		go l.listen(conn, begun)
		t.Cleanup(func() { _ = conn.Close() })
	}
	w.wander(*chaosStorm)
	all := int64(*chaosStorm)
	w.eventually(func() bool { return w.here.Load() == all }, "not all have come")
	calm := time.Now().Add(10 * time.Second)
	before := w.phase(listeners, begun, func() bool { return time.Now().After(calm) })

	w.kill(0)
	killed := time.Now()
	w.eventually(func() bool { return w.here.Load() < all }, "nobody is gone")
	var most, last time.Duration
	during := w.phase(listeners, begun, func() bool {
		if most == 0 && w.here.Load() >= all*99/100 {
			most = time.Since(killed)
		}
		last = time.Since(killed)
		return w.here.Load() == all
	})
	t.Logf("%d clients: 99 %% back after %s, all after %s; p99 of 100 untouched clients %s before, %s during",
		all, most.Round(10*time.Millisecond), last.Round(10*time.Millisecond), before.Round(10*time.Microsecond), during.Round(10*time.Microsecond))
	require.Less(t, last, 30*time.Second)
}

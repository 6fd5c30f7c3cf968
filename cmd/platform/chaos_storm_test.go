package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

var chaosStorm = flag.Int("storm", 0, "clients of the node that TestChaosStorm kills; 0 skips it")

// wanderer is a client that comes back by itself, to another node when its own
// does not answer.
type wanderer struct {
	world *stormWorld
	node  int
}

// stormWorld is many clients on node 0 and some, who measure, on the others.
type stormWorld struct {
	*processes
	app  printedApp
	here atomic.Int64 // wanderers that are subscribed
	end  chan struct{}
}

// join opens a connection and subscribes to a public channel; nil if that does
// not work now.
func (w *stormWorld) join(node int, channel string) *websocket.Conn {
	conn, _ := greeted(w.nodes[node].url, w.app.Key)
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

// live keeps a client connected until the end, with the pauses of our own
// client library: a random part of 0.5 s, doubled up to 30 s.
func (c *wanderer) live() {
	most := 500 * time.Millisecond
	for {
		conn := c.world.join(c.node, "wanderers")
		if conn != nil {
			most = 500 * time.Millisecond
			c.world.here.Add(1)
			stop := make(chan struct{})
			go func() {
				select {
				case <-c.world.end:
				case <-stop:
				}
				_ = conn.Close()
			}()
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					break
				}
			}
			close(stop)
			c.world.here.Add(-1)
		}
		c.node = 1 + rand.IntN(severalNodes-1)
		select {
		case <-c.world.end:
			return
		case <-time.After(rand.N(most)):
		}
		most = min(2*most, 30*time.Second)
	}
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
	w := &stormWorld{processes: startProcesses(t, setup{binary: built(t), lease: 15 * time.Second}), end: make(chan struct{})}
	w.app = createApp(t, w.nodes[0].environ)
	begun := time.Now()
	var listeners []*listener
	for i := range 100 {
		conn := w.join(1+i%2, "listeners")
		require.NotNil(t, conn)
		l := &listener{}
		listeners = append(listeners, l)
		go l.listen(conn, begun)
		t.Cleanup(func() { _ = conn.Close() })
	}
	var wanderers sync.WaitGroup
	t.Cleanup(func() { close(w.end); wanderers.Wait() })
	for range *chaosStorm {
		wanderers.Go((&wanderer{world: w}).live)
		time.Sleep(time.Millisecond)
	}
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

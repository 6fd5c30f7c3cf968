package ws_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/fanout"
	"tidewire/channels/ws"
)

// rawPeer speaks WebSocket by hand, so that a test sees every byte.
type rawPeer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// raw upgrades a connection by hand; receiveBuffer, if not 0, bounds what the
// kernel takes for a client that does not read.
func (w *world) raw(receiveBuffer int) *rawPeer {
	w.t.Helper()
	p := w.upgrade(receiveBuffer)
	w.t.Cleanup(func() { _ = p.Close() })
	return p
}

// upgrade is raw for a caller that closes the connection itself.
func (w *world) upgrade(receiveBuffer int) *rawPeer {
	w.t.Helper()
	address := w.url[strings.Index(w.url, "//")+2:]
	dialer := net.Dialer{}
	c, err := dialer.Dial("tcp", address)
	require.NoError(w.t, err)
	if receiveBuffer > 0 {
		require.NoError(w.t, c.(*net.TCPConn).SetReadBuffer(receiveBuffer))
	}
	if strings.HasPrefix(w.url, "wss:") {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- the test's own certificate
	}
	_, err = fmt.Fprintf(c, "GET /app/%s?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", appKey)
	require.NoError(w.t, err)
	p := &rawPeer{Conn: c, t: w.t, r: bufio.NewReader(c)}
	require.NoError(w.t, p.SetReadDeadline(time.Now().Add(90*time.Second)))
	res, err := http.ReadResponse(p.r, nil)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, http.StatusSwitchingProtocols, res.StatusCode)
	_, text := p.frame()
	require.Contains(w.t, text, "connection_established")
	return p
}

// write sends one masked frame; the mask is zero.
func (p *rawPeer) write(opcode byte, text string) error {
	head := []byte{0x80 | opcode, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if len(text) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x80 | opcode, 0x80 | 126}, uint16(len(text)))
		head = append(head, 0, 0, 0, 0)
	}
	_, err := p.Write(append(head, text...))
	return err
}

// frame reads one frame; any byte out of place fails the test.
func (p *rawPeer) frame() (opcode byte, text string) {
	p.t.Helper()
	head := make([]byte, 2, 8)
	p.full(head)
	if head[0]&0xf0 != 0x80 || head[1] > 126 {
		require.Failf(p.t, "not the start of a frame sent here", "% x", head)
	}
	n := int(head[1])
	if n == 126 {
		head = head[:4]
		p.full(head[2:])
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	payload := make([]byte, n)
	p.full(payload)
	return head[0] & 0x0f, string(payload)
}

func (p *rawPeer) full(b []byte) {
	p.t.Helper()
	if _, err := io.ReadFull(p.r, b); err != nil {
		require.NoError(p.t, err)
	}
}

func (p *rawPeer) subscribe(channel string) {
	p.t.Helper()
	require.NoError(p.t, p.write(1, `{"event":"pusher:subscribe","data":{"channel":"`+channel+`"}}`))
	_, text := p.frame()
	require.Contains(p.t, text, "subscription_succeeded")
}

// The stream stays parseable to the last byte while publishes, pings, direct
// answers and short writes mix, over plain sockets and TLS.
func TestStreamStaysWhole(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]struct{ tls, noRing bool }{"plain": {}, "TLS": {tls: true}, "a call for each socket": {noRing: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const peers, publishes, pings = 8, 1500, 60
			w := setup(t, options{
				tls:    how.tls,
				fanout: fanout.Config{MaxQueuedBytes: 64 << 20, NoRing: how.noRing},
				door:   func(c *ws.Config) { c.SendBuffer = 2048 },
			})
			all := make([]*rawPeer, peers)
			for i := range all {
				all[i] = w.raw(0)
				all[i].subscribe("mixed")
			}
			var wg sync.WaitGroup
			for i, p := range all {
				wg.Go(func() { // pings by WebSocket and by event, from the client's side
					for k := range pings {
						require.NoError(t, p.write(9, fmt.Sprint(k)))
						require.NoError(t, p.write(1, `{"event":"pusher:ping"}`))
					}
				})
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(i), 7))
					events, pongs, answers := 0, 0, 0
					for events < publishes || pongs < pings || answers < pings {
						opcode, text := p.frame()
						switch {
						case opcode == 10:
							require.Equal(t, fmt.Sprint(pongs), text)
							pongs++
						case strings.Contains(text, "pusher:pong"):
							answers++
						default:
							require.True(t, strings.HasPrefix(text, fmt.Sprintf(`{"event":"e%d",`, events)), "event %d missing: %.40s", events, text)
							require.True(t, json.Valid([]byte(text)))
							events++
						}
						if rng.IntN(50) == 0 {
							runtime.Gosched()
						}
					}
				})
			}
			for i := range publishes {
				require.NoError(t, w.publish("mixed", fmt.Sprintf("e%d", i), strings.Repeat("d", i*13%3000)))
			}
			wg.Wait()
			require.NotZero(t, w.hub.Stats().Fanout.Stalls, "the test forced no short write")
			require.Zero(t, w.hub.Stats().Fanout.SlowCuts)
		})
	}
}

// A client that stops reading is cut off with its code; the others miss nothing.
func TestStalledClientAmongMany(t *testing.T) {
	t.Parallel()
	for _, useTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", useTLS), func(t *testing.T) {
			peers, publishes := 1000, 100
			if useTLS {
				peers = 100
			}
			w := setup(t, options{tls: useTLS, fanout: fanout.Config{MaxQueuedBytes: 128 << 10}})
			stalled := w.raw(4096)
			stalled.subscribe("big")
			var received atomic.Int64
			var ready, wg sync.WaitGroup
			ready.Add(peers)
			for range peers {
				wg.Go(func() {
					p := w.raw(0)
					p.subscribe("big")
					ready.Done()
					for i := range publishes {
						_, text := p.frame()
						if !strings.HasPrefix(text, fmt.Sprintf(`{"event":"e%d",`, i)) {
							require.Failf(t, "event missing", "event %d: %.40s", i, text)
						}
						received.Add(1)
					}
					_ = p.Close()
				})
			}
			ready.Wait()
			data := strings.Repeat("d", 5000)
			for i := range publishes {
				require.NoError(t, w.publish("big", fmt.Sprintf("e%d", i), data))
				if i%10 == 9 { // clients that do read must be able to keep up, on any machine
					require.Eventually(t, func() bool { return received.Load() == int64((i+1)*peers) }, 60*time.Second, time.Millisecond)
				}
			}
			wg.Wait()
			require.Eventually(t, func() bool { return w.hub.Stats().Fanout.SlowCuts == 1 }, 10*time.Second, 5*time.Millisecond)
			require.Eventually(t, func() bool { return w.hub.Stats().Connections == 0 }, 10*time.Second, 5*time.Millisecond, "the stalled client is still there")
		})
	}
}

// A client that was cut off and reads again within the grace finds whole frames
// and then the code.
func TestCutOffClientCanReadWhy(t *testing.T) {
	t.Parallel()
	for _, useTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", useTLS), func(t *testing.T) {
			t.Parallel()
			w := setup(t, options{tls: useTLS, fanout: fanout.Config{MaxQueuedBytes: 64 << 10}})
			p := w.raw(4096)
			p.subscribe("big")
			for i := 0; w.hub.Stats().Fanout.SlowCuts == 0; i++ {
				require.Less(t, i, 100_000)
				_ = w.publish("big", "e", strings.Repeat("d", 2000))
			}
			for {
				opcode, text := p.frame()
				if opcode == 8 {
					require.Equal(t, "\x10\x04", text[:2], "close code 4100")
					return
				}
				require.True(t, json.Valid([]byte(text)))
			}
		})
	}
}

// Ten thousand connections come, subscribe and go; nothing of them stays.
func TestNothingStaysOfChurnedConnections(t *testing.T) {
	w := setup(t, options{})
	churn := func(n int) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for range n / 20 {
					p := w.upgrade(0)
					p.subscribe("churn")
					require.NoError(t, p.write(8, "\x03\xe8"))
					_ = p.Close()
				}
			})
		}
		wg.Wait()
		require.Eventually(t, func() bool { s := w.hub.Stats(); return s.Connections == 0 && s.Fanout.Lines == 0 && s.Channels == 0 },
			20*time.Second, 5*time.Millisecond, "%+v", w.hub.Stats())
	}
	level := func() (goroutines, descriptors int, heap uint64) {
		var m runtime.MemStats
		for range 3 {
			debug.FreeOSMemory()
		}
		runtime.ReadMemStats(&m)
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return runtime.NumGoroutine(), len(fds), m.HeapAlloc
	}
	churn(1000) // what stays warm is warm now
	g0, d0, h0 := level()
	churn(10_000)
	var h1 uint64
	require.Eventually(t, func() bool {
		g, d, h := level()
		h1 = h
		return g <= g0+idleSlack && d <= d0+2 && h < h0+1<<20
	}, 20*time.Second, 50*time.Millisecond, "something of 10,000 connections stays: goroutines, descriptors, or more than 1 MiB of heap")
	t.Logf("before %d goroutines, %d descriptors, %d heap bytes; heap after %d", g0, d0, h0, h1)
}

// idleSlack is how many more pool workers may be waiting than before.
const idleSlack = 64

// Memory comes back after a stalled client has been cut off.
func TestMemoryReturnsAfterASlowClient(t *testing.T) {
	w := setup(t, options{fanout: fanout.Config{MaxQueuedBytes: 8 << 20}})
	heap := func() uint64 {
		var m runtime.MemStats
		debug.FreeOSMemory()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	p := w.raw(4096)
	p.subscribe("big")
	for w.hub.Stats().Fanout.SlowCuts == 0 {
		_ = w.publish("big", "e", strings.Repeat("d", 9000))
	}
	require.Eventually(t, func() bool { return w.hub.Stats().Connections == 0 }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return heap() < before+1<<20 }, 10*time.Second, 20*time.Millisecond)
}

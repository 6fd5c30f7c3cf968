package fanout_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/channels/fanout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a transport in memory. It takes at most window bytes until its reader
// lets it take more, in pieces of a random size.
type pipe struct {
	mu       sync.Mutex
	cond     *sync.Cond
	rng      *rand.Rand
	window   int // bytes it takes before it blocks; <0 is no bound
	got      bytes.Buffer
	finished bool // CloseWrite
	closed   bool
	busy     bool // a write is under way: a second one is a bug of the plane
}

func newPipe(window int, seed uint64) *pipe {
	p := &pipe{window: window, rng: rand.New(rand.NewPCG(seed, 1))}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) take(b []byte) int {
	if p.window < 0 {
		p.got.Write(b)
		return len(b)
	}
	n := min(len(b), p.window)
	if n > 1 {
		n = 1 + p.rng.IntN(n)
	}
	p.got.Write(b[:n])
	p.window -= n
	return n
}

func (p *pipe) TryWrite(b []byte) (int, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		panic("two writers on one transport")
	}
	if p.closed || p.finished {
		return 0, false, errors.New("closed")
	}
	n := p.take(b)
	p.cond.Broadcast()
	return n, n < len(b), nil
}

func (p *pipe) Drain(rest []byte, _ time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = true
	defer func() { p.busy = false }()
	for len(rest) > 0 {
		for p.window == 0 && !p.closed {
			p.cond.Wait()
		}
		if p.closed {
			return errors.New("closed")
		}
		rest = rest[p.take(rest):]
		p.cond.Broadcast()
	}
	return nil
}

func (p *pipe) CloseWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	p.cond.Broadcast()
	return nil
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cond.Broadcast()
	return nil
}

// open lets the pipe take n more bytes; <0 takes the bound away.
func (p *pipe) open(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < 0 {
		p.window = -1
	} else {
		p.window += n
	}
	p.cond.Broadcast()
}

// until waits for a state of the pipe, at most ten seconds.
func (p *pipe) until(t *testing.T, what string, ok func(*pipe) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	stop := time.AfterFunc(10*time.Second, p.cond.Broadcast)
	defer stop.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ok(p) {
		if !time.Now().Before(deadline) {
			require.Fail(t, "timed out waiting for "+what)
		}
		p.cond.Wait()
	}
}

type message struct {
	opcode byte
	text   string
}

// parse splits a stream into frames and fails on anything that is not one.
func parse(t *testing.T, b []byte) (messages []message) {
	t.Helper()
	for len(b) > 0 {
		require.GreaterOrEqual(t, len(b), 2, "a frame is cut off in its header")
		require.NotZero(t, b[0]&0x80, "not a whole frame: the stream lost its frame boundaries")
		n, head := int(b[1]), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(b[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(b[2:])), 10
		}
		require.LessOrEqual(t, head+n, len(b), "a frame is cut off in its payload")
		messages = append(messages, message{b[0] & 0x0f, string(b[head : head+n])})
		b = b[head+n:]
	}
	return messages
}

func text(s string) *fanout.Frame {
	return fanout.NewText(append(make([]byte, fanout.HeaderRoom), s...))
}

// start runs a plane for the length of the test.
func start(t testing.TB, cfg fanout.Config) *fanout.Plane {
	t.Helper()
	p := fanout.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return p
}

func TestFrameSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		s := strings.Repeat("x", n)
		p := newPipe(-1, 1)
		plane := start(t, fanout.Config{})
		plane.Attach(p).Send(text(s))
		p.until(t, "the frame", func(p *pipe) bool { return p.got.Len() >= n+2 })
		require.Equal(t, []message{{1, s}}, parse(t, p.got.Bytes()), "payload of %d bytes", n)
	}
}

func TestCloseReasonIsCutAtACharacter(t *testing.T) {
	t.Parallel()
	p := newPipe(-1, 1)
	plane := start(t, fanout.Config{})
	plane.Attach(p).Close(fanout.NewClose(4001, strings.Repeat("é", 100)))
	p.until(t, "the end", func(p *pipe) bool { return p.finished })
	got := parse(t, p.got.Bytes())
	require.Len(t, got, 1)
	require.Equal(t, byte(8), got[0].opcode)
	require.Equal(t, "\x0f\xa1"+strings.Repeat("é", 61), got[0].text)
}

// The stream of every line stays parseable and complete, whatever mixture of
// publishes, direct sends and raw control frames goes out over a transport that
// takes a few bytes at a time.
func TestStreamStaysWholeUnderShortWrites(t *testing.T) {
	t.Parallel()
	const lines, publishes = 20, 400
	plane := start(t, fanout.Config{Shards: 3, MaxQueuedBytes: 64 << 20})
	group := plane.NewGroup()
	pipes := make([]*pipe, lines)
	all := make([]*fanout.Line, lines)
	for i := range pipes {
		pipes[i] = newPipe(i%2*1500, uint64(i)) // every other one begins blocked
		all[i] = plane.Attach(pipes[i])
		all[i].Join(group, text("hello"))
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, p := range pipes {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					p.open(-1)
					return
				default:
					p.open(700)
				}
			}
		})
	}
	var senders sync.WaitGroup
	senders.Go(func() {
		for i := range publishes {
			require.True(t, plane.Publish(group, text(fmt.Sprintf("p%d %s", i, strings.Repeat("y", i*7%900))), all[0]))
		}
	})
	for i, l := range all {
		senders.Go(func() {
			for k := range 100 {
				l.SendRaw([]byte{0x89, 2, byte(i), byte(k)})
			}
		})
	}
	senders.Wait()
	close(stop)
	readers.Wait()
	for _, l := range all {
		l.Close(text("last"), fanout.NewClose(4200, "bye"))
	}
	for i, p := range pipes {
		p.until(t, "the end of the stream", func(p *pipe) bool { return p.finished })
		got := parse(t, p.got.Bytes())
		require.Equal(t, message{1, "hello"}, got[0])
		require.Equal(t, message{8, "\x10\x68bye"}, got[len(got)-1])
		require.Equal(t, message{1, "last"}, got[len(got)-2])
		published, pings := 0, 0
		for _, m := range got {
			switch {
			case m.opcode == 9:
				require.Equal(t, string([]byte{byte(i), byte(pings)}), m.text, "control frames out of order")
				pings++
			case strings.HasPrefix(m.text, "p"):
				require.True(t, strings.HasPrefix(m.text, fmt.Sprintf("p%d ", published)), "publish %d is missing or out of order: %.20q", published, m.text)
				published++
			}
		}
		require.Equal(t, 100, pings)
		if i == 0 {
			require.Zero(t, published, "the excepted line got what it must not get")
		} else {
			require.Equal(t, publishes, published)
		}
	}
}

func TestSlowLineIsCutOffAndOthersMissNothing(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{
		Shards: 2, MaxQueuedBytes: 8 << 10,
		Slow: []*fanout.Frame{text("slow"), fanout.NewClose(4100, "slow")},
	})
	group := plane.NewGroup()
	slow, quick := newPipe(10, 1), newPipe(-1, 2)
	plane.Attach(slow).Join(group)
	plane.Attach(quick).Join(group)
	const n = 200
	for i := range n {
		require.True(t, plane.Publish(group, text(fmt.Sprintf("%03d %s", i, strings.Repeat("z", 100))), nil))
		quick.until(t, "each publish", func(p *pipe) bool { return p.got.Len() >= (i+1)*106 })
	}
	require.Len(t, parse(t, quick.got.Bytes()), n)
	require.EqualValues(t, 1, plane.Stats().SlowCuts)

	// It reads again within the grace: the frame it had begun is whole, then the code.
	slow.open(-1)
	slow.until(t, "the end of the slow line", func(p *pipe) bool { return p.finished })
	got := parse(t, slow.got.Bytes())
	require.Len(t, got, 3)
	require.Equal(t, message{1, "slow"}, got[1])
	require.Equal(t, message{8, "\x10\x04slow"}, got[2])
	slow.until(t, "the hard close", func(p *pipe) bool { return p.closed })
	linesLeft(t, plane, 1)
}

func TestSlowLineThatNeverReadsIsClosedHard(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{MaxQueuedBytes: 1 << 10})
	p := newPipe(0, 1)
	l := plane.Attach(p)
	for range 20 {
		l.Send(text(strings.Repeat("z", 100)))
	}
	begun := time.Now()
	p.until(t, "the hard close", func(p *pipe) bool { return p.closed })
	require.Less(t, time.Since(begun), 5*time.Second)
	linesLeft(t, plane, 0)
}

// linesLeft waits until so many lines are counted: one is counted until just
// after its transport is closed.
func linesLeft(t *testing.T, plane *fanout.Plane, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return plane.Stats().Lines == n }, 10*time.Second, time.Millisecond)
}

func TestReadEndedWritesTheQueueThenCloses(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{})
	p := newPipe(-1, 1)
	l := plane.Attach(p)
	l.Send(text("a"))
	l.ReadEnded()
	l.Send(text("too late"))
	p.until(t, "the close", func(p *pipe) bool { return p.closed })
	require.Equal(t, []message{{1, "a"}}, parse(t, p.got.Bytes()))
}

func TestLeaveEndsMembership(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{Shards: 1})
	group := plane.NewGroup()
	pipes := make([]*pipe, 100)
	members := make([]*fanout.Member, 100)
	for i := range pipes {
		pipes[i] = newPipe(-1, uint64(i))
		members[i] = plane.Attach(pipes[i]).Join(group)
	}
	require.Equal(t, 100, group.Len())
	for i := 0; i < 100; i += 3 {
		members[i].Leave()
	}
	require.True(t, plane.Publish(group, text("x"), nil))
	for i, p := range pipes {
		if i%3 != 0 {
			p.until(t, "the publish", func(p *pipe) bool { return p.got.Len() == 3 })
		}
	}
	for i := 0; i < 100; i += 3 {
		require.Zero(t, pipes[i].got.Len(), "member %d has left", i)
	}
	require.Equal(t, 66, group.Len())
}

func TestPublishIsRefusedWhenTooMuchIsUndelivered(t *testing.T) {
	t.Parallel()
	plane := fanout.New(fanout.Config{Shards: 1, MaxInboxBytes: 10 << 10}) // not running: nothing is taken
	group := plane.NewGroup()
	plane.Attach(newPipe(-1, 1)).Join(group)
	f := text(strings.Repeat("x", 1000))
	accepted := 0
	for range 100 {
		if plane.Publish(group, f, nil) {
			accepted++
		}
	}
	require.Greater(t, accepted, 5)
	require.Less(t, accepted, 12)
	require.True(t, plane.Publish(plane.NewGroup(), f, nil), "a group nobody is in is never busy")
}

func TestNoAllocationPerDelivery(t *testing.T) {
	const lines, rounds = 500, 50
	plane := start(t, fanout.Config{Shards: 1, Window: time.Nanosecond})
	group := plane.NewGroup()
	sinks := make([]*countingSink, lines)
	for i := range sinks {
		sinks[i] = &countingSink{}
		plane.Attach(sinks[i]).Join(group)
	}
	f := text(strings.Repeat("x", 200))
	target := int64(0)
	publish := func() {
		for range 4 {
			plane.Publish(group, f, nil)
		}
		target += 4 * lines
		for plane.Stats().Frames < target {
		}
	}
	publish() // warm the free lists
	perRound := testing.AllocsPerRun(rounds, publish)
	require.Less(t, perRound/(4*lines), 0.01, "allocations per delivery")
}

// countingSink takes everything and keeps nothing.
type countingSink struct{ n int }

func (c *countingSink) TryWrite(b []byte) (int, bool, error) {
	c.n += len(b)
	return len(b), false, nil
}
func (*countingSink) Drain([]byte, time.Time) error { return nil }
func (*countingSink) CloseWrite() error             { return nil }
func (*countingSink) Close() error                  { return nil }

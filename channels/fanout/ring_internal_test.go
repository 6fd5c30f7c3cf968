//go:build linux && (amd64 || arm64)

package fanout

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is a [Direct] transport over one end of a socket pair; got reads the other.
type pair struct {
	near, far int
	held      bool
	ops       int
}

func newPair(t *testing.T) *pair {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	p := &pair{near: fds[0], far: fds[1]}
	t.Cleanup(func() { _, _ = p.Close(), syscall.Close(p.far) })
	return p
}

func (p *pair) Hold() (int, bool) {
	if p.held {
		panic("held twice")
	}
	p.held = p.near >= 0
	return p.near, p.held
}

func (p *pair) Release() { p.held = false }

func (p *pair) TryWrite(b []byte) (int, bool, error) {
	if p.held {
		panic("written while the kernel has it")
	}
	p.ops++
	n, err := WriteNow(p.near, b)
	return n, n < len(b), err
}

func (p *pair) Drain([]byte, time.Time) error { return errors.New("the test does not drain") }
func (p *pair) CloseWrite() error             { return nil }

func (p *pair) Close() error {
	if p.near < 0 {
		return nil
	}
	fd := p.near
	p.near = -1
	return syscall.Close(fd)
}

func (p *pair) got() []byte {
	var all []byte
	b := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(p.far, b)
		if n <= 0 || err != nil {
			return all
		}
		all = append(all, b[:n]...)
	}
}

func newTestRing(t *testing.T) (*shard, *ringWriter) {
	t.Helper()
	s := newShard(0, Config{MaxQueuedBytes: 64 << 20}.withDefaults())
	w, ok := s.writer.(*ringWriter)
	if !ok {
		_, err := newRing(ringDepth)
		t.Skipf("no io_uring here: %v", err)
	}
	t.Cleanup(w.Close)
	return s, w
}

// Lines with the same and with other queues, of one frame and of many, get
// exactly what was queued on them, over more lines than the ring is deep and
// more joined bytes than the arena holds.
func TestRingWritesWhatIsQueued(t *testing.T) {
	t.Parallel()
	s, _ := newTestRing(t)
	rng := rand.New(rand.NewPCG(3, 4))
	frames := make([]*Frame, 40)
	for i := range frames {
		frames[i] = NewText(append(make([]byte, HeaderRoom), bytes.Repeat([]byte{byte('a' + i%26)}, 1+rng.IntN(3000))...))
	}
	lines, pairs, want := make([]*Line, 3*ringDepth+5), make([]*pair, 3*ringDepth+5), make([][]byte, 3*ringDepth+5)
	for i := range lines {
		pairs[i] = newPair(t)
		lines[i] = &Line{shard: s, transport: pairs[i]}
	}
	for range 5 {
		for i, l := range lines {
			for range 1 + rng.IntN(12) {
				f := frames[rng.IntN(len(frames))]
				want[i] = append(want[i], f.wire...)
				require.True(t, s.enqueue(l, f, &s.prompt))
			}
		}
		s.flushPrompt()
		for i, p := range pairs {
			require.Equal(t, string(want[i]), string(p.got()), "line %d", i)
			require.Zero(t, p.ops, "line %d was written to by itself", i)
			want[i] = want[i][:0]
		}
	}
}

// indirect hides that a pair is [Direct], as transports that do more than write are.
type indirect struct{ Transport }

// Lines that the ring does not serve are written between those it does: neither
// gets what was joined for the other.
func TestRingBesideOtherTransports(t *testing.T) {
	t.Parallel()
	s, _ := newTestRing(t)
	const n = 2*ringDepth + 7
	rng := rand.New(rand.NewPCG(5, 6))
	lines, pairs := make([]*Line, n), make([]*pair, n)
	for i := range lines {
		pairs[i] = newPair(t)
		lines[i] = &Line{shard: s, transport: pairs[i]}
		if i%3 == 1 {
			lines[i].transport = indirect{pairs[i]}
		}
	}
	for round := range 20 {
		want := make([][]byte, n)
		for i, l := range lines {
			for k := range 2 + rng.IntN(4) {
				f := NewText(append(make([]byte, HeaderRoom), fmt.Sprintf("line %d, round %d, frame %d %s", i, round, k, bytes.Repeat([]byte("x"), rng.IntN(900)))...))
				want[i] = append(want[i], f.wire...)
				require.True(t, s.enqueue(l, f, &s.prompt))
			}
		}
		s.flushPrompt()
		for i, p := range pairs {
			require.Equal(t, string(want[i]), string(p.got()), "line %d", i)
		}
	}
}

// What a socket does not take stays with its line, whose drainer is given the
// unwritten end; the others are written whole.
func TestRingMeetsAFullSocketAndAClosedOne(t *testing.T) {
	t.Parallel()
	s, _ := newTestRing(t)
	f := NewText(append(make([]byte, HeaderRoom), bytes.Repeat([]byte("x"), 1000)...))
	lines, pairs := make([]*Line, 8), make([]*pair, 8)
	for i := range lines {
		pairs[i] = newPair(t)
		lines[i] = &Line{shard: s, transport: pairs[i]}
	}
	require.NoError(t, syscall.SetsockoptInt(pairs[0].near, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10))
	for n := 1; n > 0; {
		n, _ = WriteNow(pairs[0].near, make([]byte, 100))
	}
	require.NoError(t, pairs[1].Close())
	require.NoError(t, syscall.Shutdown(pairs[2].far, syscall.SHUT_RDWR))
	for _, l := range lines {
		s.enqueue(l, f, &s.prompt)
	}
	s.flushPrompt()
	s.drainers.Wait()
	require.True(t, lines[0].stalled)
	require.EqualValues(t, f.Len(), lines[0].queued)
	require.Equal(t, lineClosed, lines[1].state)
	require.Equal(t, lineClosed, lines[2].state)
	for i := 3; i < len(lines); i++ {
		require.Equal(t, string(f.wire), string(pairs[i].got()), "line %d", i)
	}
}

// A ring that breaks is given up; nothing is lost and nothing written twice.
func TestRingThatBreaksIsGivenUp(t *testing.T) {
	t.Parallel()
	s, w := newTestRing(t)
	lines, pairs := make([]*Line, ringDepth+10), make([]*pair, ringDepth+10)
	for i := range lines {
		pairs[i] = newPair(t)
		lines[i] = &Line{shard: s, transport: pairs[i]}
	}
	require.NoError(t, syscall.Close(w.ring.fd))
	w.ring.fd = -1
	for round := range 2 {
		f := NewText(append(make([]byte, HeaderRoom), fmt.Sprintf("round %d", round)...))
		for _, l := range lines {
			s.enqueue(l, f, &s.prompt)
		}
		s.flushPrompt()
		for i, p := range pairs {
			require.Equal(t, string(f.wire), string(p.got()), "round %d, line %d", round, i)
		}
	}
	require.Nil(t, w.ring)
}

func BenchmarkFlush(b *testing.B) {
	for _, noRing := range []bool{false, true} {
		b.Run(fmt.Sprintf("ring=%v", !noRing), func(b *testing.B) {
			s := newShard(0, Config{NoRing: noRing}.withDefaults())
			defer s.writer.Close()
			const n = 100
			lines, fds := make([]*Line, n), make([]*pair, n)
			for i := range lines {
				ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
				require.NoError(b, err)
				fds[i] = &pair{near: ends[0], far: ends[1]}
				lines[i] = &Line{shard: s, transport: fds[i]}
			}
			f := NewText(append(make([]byte, HeaderRoom), bytes.Repeat([]byte("x"), 200)...))
			into := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				for _, l := range lines {
					s.enqueue(l, f, &s.prompt)
				}
				s.flushPrompt()
				b.StopTimer()
				for _, p := range fds {
					_, _ = syscall.Read(p.far, into)
				}
				b.StartTimer()
			}
			for _, p := range fds {
				_, _ = p.Close(), syscall.Close(p.far)
			}
		})
	}
}

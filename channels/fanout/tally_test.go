package fanout_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/fanout"
)

// tally adds up what it is told.
type tally struct{ lines, bytes atomic.Int64 }

func (c *tally) Queued(n, size int) {
	c.lines.Add(int64(n))
	c.bytes.Add(int64(n) * int64(size))
}

func TestTallyCountsTheLinesThatTookAFrame(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{Shards: 3})
	group := plane.NewGroup()
	var counted, whole tally
	pipes := make([]*pipe, 10)
	lines := make([]*fanout.Line, len(pipes))
	for i := range pipes {
		pipes[i] = newPipe(-1, 1)
		lines[i] = plane.Attach(pipes[i])
		lines[i].Join(group)
	}
	frame := func() *fanout.Frame { return text("hello").CountedBy(&counted) }
	require.True(t, plane.Publish(group, frame(), nil))      // 10
	require.True(t, plane.Publish(group, frame(), lines[4])) // 9
	plane.Announce(group, text("not counted"), nil)
	lines[2].Close(fanout.NewClose(4000, "bye"))
	require.True(t, plane.Publish(group, frame(), nil)) // 9: one takes no more
	lines[3].Send(frame())                              // 1
	lines[2].Send(frame())                              // 0
	late := newPipe(-1, 1)
	plane.Attach(late).Join(group, frame()) // 1, as the last event of a cache channel
	plane.Announce(group, text("end").CountedBy(&whole), nil)

	require.Eventually(t, func() bool { return whole.lines.Load() == 10 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 30, counted.lines.Load())
	require.EqualValues(t, 30*frame().Len(), counted.bytes.Load())
	seen := 0
	for _, p := range append(pipes, late) {
		p.until(t, "its frames", func(p *pipe) bool { return strings.Contains(p.got.String(), "end") || p.finished })
		p.mu.Lock()
		seen += strings.Count(p.got.String(), "hello")
		p.mu.Unlock()
	}
	require.Equal(t, 30, seen, "what the clients count is what the tally counts")
}

func TestTallyLeavesOutALineThatIsCutOff(t *testing.T) {
	t.Parallel()
	plane := start(t, fanout.Config{Shards: 1, MaxQueuedBytes: 1000})
	slow, group := newPipe(0, 1), plane.NewGroup()
	plane.Attach(slow).Join(group)
	var counted tally
	for range 30 {
		require.True(t, plane.Publish(group, text(strings.Repeat("x", 100)).CountedBy(&counted), nil))
	}
	require.Eventually(t, func() bool { return plane.Stats().SlowCuts == 1 }, 10*time.Second, time.Millisecond)
	require.LessOrEqual(t, counted.lines.Load(), int64(10), "only what fitted")
	slow.open(-1)
	slow.until(t, "the end", func(p *pipe) bool { return p.finished || p.closed })
}

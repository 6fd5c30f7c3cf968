package fanout_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/fanout"
)

// witness tells of each write to a line.
type witness struct {
	countingSink
	wrote func()
}

func (w *witness) TryWrite(b []byte) (int, bool, error) {
	w.wrote()
	return len(b), false, nil
}

// An event for one line that comes while another is written to a thousand does
// not wait for the last of them.
func TestFewDoNotWaitForMany(t *testing.T) {
	t.Parallel()
	const many = 1000
	plane := start(t, fanout.Config{Shards: 1})
	crowd, alone := plane.NewGroup(), plane.NewGroup()
	var written, before atomic.Int64
	f := text("x")
	for range many {
		plane.Attach(&witness{wrote: func() {
			if written.Add(1) == 10 {
				plane.Publish(alone, f, nil)
			}
		}}).Join(crowd)
	}
	plane.Attach(&witness{wrote: func() { before.CompareAndSwap(0, written.Load()) }}).Join(alone)
	require.True(t, plane.Publish(crowd, f, nil))
	require.Eventually(t, func() bool { return written.Load() == many && before.Load() > 0 }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, before.Load(), int64(10))
	require.LessOrEqual(t, before.Load(), int64(many/2))
}

// However publishes to many, publishes to few and joins come between each other,
// each line has all that it is due, in its order.
func TestBulkKeepsTheOrderOfALine(t *testing.T) {
	t.Parallel()
	const many, events = 300, 300
	plane := start(t, fanout.Config{Shards: 2})
	crowd := plane.NewGroup()
	pipes := make([]*pipe, many)
	few := make([]*fanout.Group, many/3)
	for i := range pipes {
		pipes[i] = newPipe(-1, uint64(i))
		line := plane.Attach(pipes[i])
		line.Join(crowd)
		if i%3 == 0 {
			few[i/3] = plane.NewGroup()
			line.Join(few[i/3])
		}
	}
	var late []*pipe
	for n := range events {
		f := text(strconv.Itoa(n) + ";")
		if n%5 == 4 {
			for _, g := range few {
				require.True(t, plane.Publish(g, f, nil))
			}
			continue
		}
		require.True(t, plane.Publish(crowd, f, nil))
		if n%100 == 50 {
			p := newPipe(-1, uint64(n))
			late = append(late, p)
			plane.Attach(p).Join(crowd, text("after "+strconv.Itoa(n)+";"))
		}
	}
	want := func(from int, all bool) string {
		var b strings.Builder
		for n := from; n < events; n++ {
			if n%5 != 4 || all {
				b.WriteString(strconv.Itoa(n) + ";")
			}
		}
		return b.String()
	}
	requireStream := func(p *pipe, want string) {
		p.until(t, "the last event", func(p *pipe) bool {
			return strings.HasSuffix(p.got.String(), want[strings.LastIndexByte(want[:len(want)-1], ';')+1:])
		})
		var got strings.Builder
		for _, m := range parse(t, p.got.Bytes()) {
			got.WriteString(m.text)
		}
		require.Equal(t, want, got.String())
	}
	some, all := want(0, false), want(0, true)
	for i, p := range pipes {
		if i%3 == 0 {
			requireStream(p, all)
		} else {
			requireStream(p, some)
		}
	}
	for i, p := range late {
		at := i*100 + 50
		requireStream(p, "after "+strconv.Itoa(at)+";"+want(at+1, false))
	}
}

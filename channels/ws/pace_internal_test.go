package ws

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// paced is a pace whose handshakes are numbers.
type paced struct {
	pace
	flowing   atomic.Bool
	published int64
	open      sync.WaitGroup

	mu     sync.Mutex
	order  []string
	waited []time.Duration
	absent map[string]bool
	begun  time.Time
}

func newPaced(flows bool) *paced {
	p := &paced{begun: time.Now(), absent: map[string]bool{}}
	p.flowing.Store(flows)
	p.pace = pace{
		published: func() int64 {
			if p.flowing.Load() {
				p.published++
			}
			return p.published
		},
		let: p.note, open: &p.open,
		gone: func(g greeting) bool { return p.absent[string(g.head)] },
	}
	return p
}

func (p *paced) note(g greeting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = append(p.order, string(g.head))
	p.waited = append(p.waited, time.Since(p.begun))
}

func (p *paced) come(names ...string) (atOnce int) {
	for _, n := range names {
		if p.take(nil, []byte(n)) {
			atOnce++
		}
	}
	return atOnce
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = time.Duration(i).String()
	}
	return all
}

func TestPaceLetsEverybodyInWhileNothingFlows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(false)
		require.Equal(t, 5000, p.come(names(5000)...))
		require.Zero(t, p.waiting())
	})
}

func atOnce() int { return paceFree / paceBurst * runtime.GOMAXPROCS(0) }

func TestPaceSpreadsHandshakesWhileEventsFlow(t *testing.T) {
	t.Parallel()
	for _, count := range []int{500, 2500, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			p := newPaced(true)
			all := names(count)
			require.Equal(t, atOnce(), p.come(all...))
			rest := count - atOnce()
			require.Equal(t, rest, p.waiting())
			p.open.Wait()
			require.Equal(t, all[atOnce():], p.order, "in the order in which they came")
			last := p.waited[len(p.waited)-1]
			require.LessOrEqual(t, last, paceMost+paceTick)
			ticks := int(paceMost / paceTick)
			batch := max(runtime.GOMAXPROCS(0), (rest+ticks-1)/ticks)
			require.Equal(t, time.Duration((rest+batch-1)/batch)*paceTick, last, "no faster than it must be")
			time.Sleep(time.Second)
			require.Equal(t, 1, p.come("later"), "who comes later does not wait for what is over")
		})
	}
}

func TestPaceDoesNotHoldUpWhatComesAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(true)
		few := time.Second / time.Duration(paceFree*runtime.GOMAXPROCS(0))
		for range 10_000 {
			require.Equal(t, 1, p.come("one of few"))
			time.Sleep(few)
		}
		// Twice as many: they wait at first, but not for ever.
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(few / 2) {
			p.come("one of many")
		}
		require.NotZero(t, p.waiting())
		for end := time.Now().Add(paceMost + time.Second); p.waiting() > 0; time.Sleep(few / 2) {
			require.True(t, time.Now().Before(end))
			p.come("one of many")
		}
		p.open.Wait()
	})
}

func TestPaceEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*paced){
		"closed":            func(p *paced) { p.close() },
		"nothing flows now": func(p *paced) { p.flowing.Store(false) },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPaced(true)
			p.come(names(1000)...)
			end(p)
			p.open.Wait()
			require.Less(t, time.Since(p.begun), time.Second, name)
			require.Len(t, p.order, 1000-atOnce())
		})
	}
}

func TestPaceGivesThePlacesOfThoseWhoLeftToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(true)
		all := names(2000)
		for _, n := range all[:1900] {
			p.absent[n] = true
		}
		p.come(all...)
		p.open.Wait()
		require.Equal(t, all[1900:], p.order)
		require.Less(t, time.Since(p.begun), time.Second)
	})
}

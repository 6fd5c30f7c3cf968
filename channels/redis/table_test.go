package redis

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/channels"
)

// wire plays Redis for a table: commands under way, in order, and what the
// server holds for this connection.
type wire struct {
	pending []wireCmd
	server  map[string]bool
}

type wireCmd struct {
	name string
	open bool
}

func (w *wire) send(open, shut []string) {
	for _, name := range open {
		w.pending = append(w.pending, wireCmd{name, true})
	}
	for _, name := range shut {
		w.pending = append(w.pending, wireCmd{name, false})
	}
}

// answer lets the server carry out the next command and confirm it.
func (w *wire) answer(t *rapid.T, tb *table) {
	cmd := w.pending[0]
	w.pending = w.pending[1:]
	if cmd.open {
		if w.server[cmd.name] {
			t.Fatalf("%s is subscribed to twice", cmd.name)
		}
		w.server[cmd.name] = true
		if expected, _, _ := tb.opened(cmd.name); !expected {
			t.Fatalf("%s: a confirmation of ours was not expected", cmd.name)
		}
		return
	}
	if !w.server[cmd.name] {
		t.Fatalf("%s is ended twice", cmd.name)
	}
	delete(w.server, cmd.name)
	if !tb.closed(cmd.name) {
		t.Fatalf("%s: a confirmation of ours was not expected", cmd.name)
	}
}

// Any mix of subscribes, unsubscribes, impatient callers and lost connections
// ends, once it is quiet, with the server holding exactly what is wanted and
// nobody waiting.
func TestTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tb := newTable()
		w := &wire{server: map[string]bool{}}
		wanted := map[string]bool{}
		subs := map[string][]chan struct{}{} // Subscribe calls that wait
		var unsubs []chan struct{}
		held := map[string]bool{} // a Subscribe returned at once
		forget := func(name string) { delete(wanted, name); delete(subs, name); delete(held, name) }
		name := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 1).Draw(t, "topic")) })
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				n := name.Draw(t, "name")
				wanted[n] = true
				c := tb.want(channels.Topic{App: "1", Channel: n}, n)
				if c == nil && !w.server[n] {
					t.Fatalf("%s: subscribed without the server knowing", n)
				}
				if c == nil {
					held[n] = true
					return
				}
				subs[n] = append(subs[n], c)
			},
			"unsubscribe": func(t *rapid.T) {
				n := name.Draw(t, "name")
				forget(n)
				if c := tb.unwant(n); c != nil {
					unsubs = append(unsubs, c)
				}
			},
			"impatient": func(t *rapid.T) {
				n := name.Draw(t, "name")
				i := slices.IndexFunc(subs[n], isOpen)
				if i < 0 {
					return
				}
				if !tb.abandon(n, subs[n][i]) {
					t.Fatalf("%s: confirmed without telling", n)
				}
				subs[n] = slices.Delete(subs[n], i, i+1)
				released := slices.ContainsFunc(subs[n], func(c chan struct{}) bool { return !isOpen(c) })
				if !held[n] && !released && !slices.ContainsFunc(subs[n], isOpen) {
					forget(n)
				}
			},
			"write": func(t *rapid.T) { w.send(tb.take(rapid.IntRange(1, 3).Draw(t, "limit"))) },
			"answer": func(t *rapid.T) {
				if len(w.pending) > 0 {
					w.answer(t, tb)
				}
			},
			"lose": func(t *rapid.T) {
				tb.lose()
				w.pending, w.server = nil, map[string]bool{}
				w.send(tb.begin(2), nil)
			},
		})
		for {
			open, shut := tb.take(2)
			w.send(open, shut)
			if len(w.pending) == 0 {
				break
			}
			w.answer(t, tb)
		}
		require.Equal(t, wanted, w.server)
		for _, waiting := range subs {
			for _, c := range waiting {
				requireClosed(t, c)
			}
		}
		for _, c := range unsubs {
			requireClosed(t, c)
		}
		confirmed, pending := tb.count()
		require.Equal(t, len(wanted), confirmed)
		require.Zero(t, pending)
		require.Zero(t, tb.missing)
		require.Len(t, tb.entries, len(wanted))
	})
}

func requireClosed(t *rapid.T, c chan struct{}) {
	if isOpen(c) {
		t.Fatal("somebody waits for ever")
	}
}

func isOpen(c chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

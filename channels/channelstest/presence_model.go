package channelstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/channels"
)

// listener is a node's copy of a topic, kept as a hub keeps it: subscribe, read
// the roster, then apply every later change.
type listener struct {
	n       *attendant
	topic   channels.Topic
	from    int // the node's events that were heard before are not for this copy
	seq     uint64
	members map[string]string
}

func listen(t require.TestingT, n *attendant, tp channels.Topic) *listener {
	l := &listener{n: n, topic: tp, from: len(n.events(tp)), members: map[string]string{}}
	require.NoError(t, n.Subscribe(context.Background(), tp))
	now, err := n.Roster(context.Background(), tp)
	require.NoError(t, err)
	l.seq = now.Seq
	for _, m := range now.Members {
		l.members[m.UserID] = string(m.Info)
	}
	return l
}

// catchUp applies what has arrived.
func (l *listener) catchUp(t require.TestingT) {
	evs := l.n.events(l.topic)
	for _, ev := range evs[l.from:] {
		l.from++
		if ev.Kind == channels.CountChanged || ev.Seq <= l.seq {
			continue
		}
		require.Equal(t, l.seq+1, ev.Seq, "a change is missing")
		l.seq = ev.Seq
		info, here := l.members[ev.UserID]
		switch ev.Kind {
		case channels.MemberAdded:
			require.False(t, here, "%q was added twice", ev.UserID)
			l.members[ev.UserID] = string(ev.Data)
		case channels.MemberUpdated:
			require.True(t, here, "%q was changed without being there", ev.UserID)
			require.NotEqual(t, info, string(ev.Data), "an update to the same")
			l.members[ev.UserID] = string(ev.Data)
		case channels.MemberRemoved:
			require.True(t, here, "%q was removed without being there", ev.UserID)
			delete(l.members, ev.UserID)
		default:
			require.Fail(t, "unexpected event", "%+v", ev)
		}
	}
}

func (l *listener) copy() []string {
	var list []channels.Member
	for user, info := range l.members {
		list = append(list, channels.Member{UserID: user, Info: raw(info)})
	}
	return copyOf(list)
}

// testRosterModel carries out random steps one by one. Every answer is compared
// with the model, and whoever joins at any point keeps a copy that is true.
func testRosterModel(t *testing.T, nodes []*attendant) {
	var rounds, steps atomic.Int64
	app := newApp(t)
	rapid.Check(t, func(rt *rapid.T) {
		tp := channels.Topic{App: app, Channel: fmt.Sprint("presence-", rounds.Add(1))}
		r := newRoom(rt, nodes[0], tp)
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		listeners := make([]*listener, len(nodes))
		settle := func(rt *rapid.T) {
			for i, l := range listeners {
				if l == nil {
					continue
				}
				ok := l.n.until(func() bool {
					evs := l.n.got[tp]
					return l.seq == r.seq || len(evs) > 0 && lastSeq(evs) == r.seq
				})
				require.True(rt, ok, "node %d did not hear of change %d", i, r.seq)
				l.catchUp(rt)
				require.Equal(rt, r.members(), l.copy(), "node %d", i)
			}
		}
		node := rapid.IntRange(0, len(nodes)-1)
		user := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		rt.Repeat(map[string]func(*rapid.T){
			"enter": func(rt *rapid.T) {
				i, u, info := node.Draw(rt, "node"), user.Draw(rt, "user"), rapid.SampledFrom([]string{"", "{}", `{"v":1}`}).Draw(rt, "info")
				seq, err := nodes[i].Enter(t.Context(), tp, channels.Member{UserID: u, Info: raw(info)}, limit)
				require.Equal(rt, r.enter(i, u, info, limit), err)
				if err == nil {
					require.Equal(rt, r.seq, seq)
				}
			},
			"leave": func(rt *rapid.T) {
				i, u := node.Draw(rt, "node"), user.Draw(rt, "user")
				require.NoError(rt, nodes[i].Leave(t.Context(), tp, u))
				r.leave(i, u)
			},
			"count": func(rt *rapid.T) {
				i, n, announce := node.Draw(rt, "node"), rapid.IntRange(0, 2).Draw(rt, "count"), rapid.Bool().Draw(rt, "announce")
				total, err := nodes[i].SetCount(t.Context(), tp, n, announce)
				require.NoError(rt, err)
				require.Equal(rt, r.setCount(i, n, announce), total)
			},
			"listen": func(rt *rapid.T) {
				if i := node.Draw(rt, "node"); listeners[i] == nil {
					listeners[i] = listen(rt, nodes[i], tp)
				}
			},
			"stop listening": func(rt *rapid.T) {
				settle(rt)
				if i := node.Draw(rt, "node"); listeners[i] != nil {
					require.NoError(rt, nodes[i].Unsubscribe(t.Context(), tp))
					listeners[i] = nil
				}
			},
			"": func(rt *rapid.T) {
				steps.Add(1)
				if len(r.on) == 0 && !slices.ContainsFunc(listeners, func(l *listener) bool { return l != nil }) {
					// Nobody is there and nobody listens: an engine may begin anew.
					now, err := nodes[0].Roster(t.Context(), tp)
					require.NoError(rt, err)
					r.seq = now.Seq
				}
				r.check(rt, nodes[0])
			},
		})
		settle(rt)
		for i, n := range nodes {
			require.NoError(rt, n.Unsubscribe(t.Context(), tp))
			_, err := n.SetCount(t.Context(), tp, 0, false)
			require.NoError(rt, err)
			for u, on := range r.on {
				if on[i] {
					require.NoError(rt, n.Leave(t.Context(), tp, u))
				}
			}
		}
	})
	t.Logf("%d steps in %d rounds", steps.Load(), rounds.Load())
}

func lastSeq(evs []channels.Event) uint64 {
	for i := len(evs) - 1; i >= 0; i-- {
		if evs[i].Seq != 0 {
			return evs[i].Seq
		}
	}
	return 0
}

// testRosterChurn lets nodes change a topic at once while one node after the
// other joins and leaves. At the end all copies equal the roster.
func testRosterChurn(t *testing.T, nodes []*attendant) {
	const steps, users, limit = 150, 8, 6
	tp := channels.Topic{App: newApp(t), Channel: "presence-churn"}
	var wg sync.WaitGroup
	copies := make([]*listener, len(nodes))
	for i, n := range nodes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for step := range steps {
				if step%10 == 0 {
					if copies[i] != nil {
						copies[i].catchUp(goroutine{t})
						if err := n.Unsubscribe(t.Context(), tp); err != nil {
							t.Errorf("unsubscribe: %v", err)
						}
					}
					copies[i] = listen(goroutine{t}, n, tp)
				}
				user := fmt.Sprint(rng.IntN(users))
				var err error
				if rng.IntN(2) == 0 {
					_, err = n.Enter(t.Context(), tp, channels.Member{UserID: user, Info: raw(fmt.Sprint(rng.IntN(2)))}, limit)
				} else {
					err = n.Leave(t.Context(), tp, user)
				}
				if err != nil && !errors.Is(err, channels.ErrFull) {
					t.Errorf("churn: %v", err)
				}
			}
		})
	}
	wg.Wait()
	fence(t, brokers(nodes), tp)
	now, err := nodes[0].Roster(t.Context(), tp)
	require.NoError(t, err)
	require.LessOrEqual(t, len(now.Members), limit)
	for i, l := range copies {
		l.catchUp(t)
		require.Equal(t, now.Seq, l.seq, "node %d", i)
		require.Equal(t, copyOf(now.Members), l.copy(), "node %d", i)
	}
}

// goroutine lets the checks end the goroutine they are in, and not the test.
type goroutine struct{ *testing.T }

// FailNow implements [require.TestingT].
func (g goroutine) FailNow() {
	g.Fail()
	runtime.Goexit()
}

package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/redis"
)

// peer is one running node with both engines, and the changes it has heard of.
type peer struct {
	*redis.Client
	*redis.Presence
	stop func() // ends Run and waits for it; safe to call twice

	mu  sync.Mutex
	got map[channels.Topic][]channels.Event
}

func startPeer(t *testing.T, url string, lease time.Duration) *peer {
	t.Helper()
	c := openLease(t, url, lease)
	p := &peer{Client: c, Presence: c.Presence(), got: make(map[channels.Topic][]channels.Event)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(p.stop)
	listening, silence := context.WithCancel(context.Background())
	silent := make(chan error, 1)
	go func() { silent <- c.Broker().Run(listening, p.deliver) }()
	t.Cleanup(func() {
		silence()
		assert.NoError(t, <-silent)
	})
	return p
}

func (p *peer) deliver(ev *channels.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev.Kind == channels.Missed {
		return nil
	}
	p.got[ev.Topic] = append(p.got[ev.Topic], *ev)
	return nil
}

func (p *peer) listen(t *testing.T, tp channels.Topic) {
	t.Helper()
	eventually(t, "subscribed", func() bool { return p.Broker().Subscribe(t.Context(), tp) == nil })
}

func (p *peer) events(tp channels.Topic) []channels.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]channels.Event(nil), p.got[tp]...)
}

// heard counts the events of a kind on a topic by user.
func (p *peer) heard(tp channels.Topic, kind channels.EventKind) map[string]int {
	users := make(map[string]int)
	for _, ev := range p.events(tp) {
		if ev.Kind == kind {
			users[ev.UserID]++
		}
	}
	return users
}

func (p *peer) enter(t *testing.T, tp channels.Topic, users ...string) {
	t.Helper()
	for _, u := range users {
		_, err := p.Enter(t.Context(), tp, channels.Member{UserID: u}, 1000)
		require.NoError(t, err)
	}
}

func (p *peer) count(t *testing.T, tp channels.Topic, n int) {
	t.Helper()
	_, err := p.SetCount(t.Context(), tp, n, false)
	require.NoError(t, err)
}

// users reads the roster; nil if it cannot be read.
func (p *peer) users(tp channels.Topic) []string {
	now, err := p.Roster(context.Background(), tp)
	if err != nil {
		return nil
	}
	users := make([]string, 0, len(now.Members))
	for _, m := range now.Members {
		users = append(users, m.UserID)
	}
	return users
}

// total reads the number of subscriptions; -1 if it cannot be read.
func (p *peer) total(tp channels.Topic) int {
	counts, err := p.Occupancy(context.Background(), []channels.Topic{tp})
	if err != nil {
		return -1
	}
	return counts[0].Subscriptions
}

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(prefix, i)
	}
	return names
}

func requireOnce(t *testing.T, want []string, got map[string]int) {
	t.Helper()
	require.Len(t, got, len(want))
	for _, user := range want {
		require.Equal(t, 1, got[user], user)
	}
}

// requireGapless looks at the numbers of the changes.
func requireGapless(t *testing.T, evs []channels.Event) {
	t.Helper()
	var last uint64
	for _, ev := range evs {
		if ev.Seq == 0 {
			continue
		}
		if last != 0 {
			require.Equal(t, last+1, ev.Seq)
		}
		last = ev.Seq
	}
}

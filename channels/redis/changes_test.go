package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// The log of changes has each once, in order, whoever made it, and a change that
// was not taken is handed over again.
func TestChanges(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := startPeer(t, s.url(), 0), startPeer(t, s.url(), 0)
	room := newTopic(t, "presence-room")

	var mu sync.Mutex
	var kinds []channels.ChangeKind
	var last uint64
	refused := false
	ctx, cancel := context.WithCancel(t.Context())
	follower := openLease(t, s.url(), 0).Changes()
	done := make(chan error, 1)
	go func() {
		done <- follower.Follow(ctx, func(_ context.Context, log string, changes []channels.Change, _ time.Time) error {
			mu.Lock()
			defer mu.Unlock()
			if !refused && len(changes) > 0 {
				refused = true
				return errors.New("not now")
			}
			for _, c := range changes {
				require.Greater(t, c.Place, last, log)
				require.Equal(t, room.App, c.App)
				require.Equal(t, log, follower.Of(&c))
				last = c.Place
				kinds = append(kinds, c.Kind)
			}
			return nil
		})
	}()
	a.count(t, room, 1)
	b.count(t, room, 1)
	a.enter(t, room, "ada")
	b.enter(t, room, "ada")
	require.NoError(t, a.Leave(t.Context(), room, "ada"))
	require.NoError(t, b.Leave(t.Context(), room, "ada"))
	a.count(t, room, 0)
	b.count(t, room, 0)
	want := []channels.ChangeKind{channels.ChannelOccupied, channels.MemberCame, channels.MemberWent, channels.ChannelVacated}
	eventually(t, "all changes are taken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(kinds) >= len(want)
	})
	rdb := raw(t, s.addr())
	eventually(t, "what was taken is forgotten", func() bool {
		return rdb.XLen(t.Context(), fmt.Sprintf("tw:{%d}:x", room.Partition())).Val() == 0
	})
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, want, kinds)
}

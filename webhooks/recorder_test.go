package webhooks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// An app that has more waiting than one request holds is gathered for longer, and
// the others do not wait for that. Of each app the order stays.
func TestReadyHoldsWhatIsLoud(t *testing.T) {
	t.Parallel()
	r := &Recorder{perApp: make(map[tenants.AppID]int), signal: make(chan struct{}, 1)}
	observe := func(app tenants.AppID, seq uint64) {
		r.waiting = append(r.waiting, channels.Change{App: app, Seq: seq})
		r.perApp[app]++
	}
	for i := range uint64(maxBatch) {
		observe("even", i)
	}
	require.Equal(t, maxBatch, r.ready(false), "a request's worth is not loud")

	clear(r.perApp)
	r.waiting = nil
	for i := range uint64(maxBatch + 1) {
		observe("loud", i)
		if i%10 == 0 {
			observe("quiet", i)
		}
	}
	all := len(r.waiting)
	n := r.ready(false)
	require.Equal(t, 6, n)
	require.Len(t, r.waiting, all)
	require.Len(t, r.signal, 1, "there is more to store, without another change")
	last := map[tenants.AppID]uint64{}
	for i, c := range r.waiting {
		require.Equal(t, i < n, c.App == "quiet")
		require.GreaterOrEqual(t, c.Seq, last[c.App])
		last[c.App] = c.Seq
	}
	require.Equal(t, all, r.ready(true))
}

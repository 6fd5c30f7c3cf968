//go:build linux

package scenario

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/bench/internal/contender"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTable(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range All() {
		require.False(t, names[s.Name], "two scenarios are called %s", s.Name)
		names[s.Name] = true
		require.NotEmpty(t, s.About, s.Name)
		require.Positive(t, s.Options.Apps, s.Name)
		known := map[string]bool{}
		for _, m := range s.Metrics {
			known[m.Name] = true
		}
		for _, g := range s.Goals {
			require.True(t, known[g.Metric], "%s: goal for the unknown metric %s", s.Name, g.Metric)
			require.Contains(t, s.Contenders, g.Of, s.Name)
			if g.Against != "" {
				require.Contains(t, s.Contenders, g.Against, s.Name)
			}
			require.NotZero(t, g.AtMost+g.AtLeast, s.Name)
		}
	}
}

// The bench's own servers must do the work they are measured by: everything that
// is published arrives once, in order, at those who listen and nobody else.
func TestTheBaselinesDeliver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	set, err := contender.Build(ctx, t.TempDir(), []string{contender.Naive, contender.Floor, contender.Handler})
	require.NoError(t, err)

	run := func(name string, tr traffic) map[string]float64 {
		server, err := set.Start(ctx, name, contender.Options{Apps: 3, Buffer: naiveBuffer})
		require.NoError(t, err)
		defer server.Stop()
		f, err := tr.run(ctx, Env{Server: server, Contender: name, Quick: true})
		require.NoError(t, err, server.Log())
		return f
	}
	for _, name := range []string{contender.Naive, contender.Floor} {
		for _, tr := range []traffic{
			{apps: 3, channels: 2, listeners: 3, publishers: 2, rate: 60},
			{apps: 1, channels: 1, listeners: 5, publishers: 2, rate: 20, batch: 10},
			{apps: 1, channels: 1, listeners: 5, publishers: 4, waiting: 64},
		} {
			f := run(name, tr)
			require.Zero(t, f["lost"], "%s %+v", name, tr)
			require.Zero(t, f["gaps"], "%s %+v", name, tr)
			require.Zero(t, f["repeats"], "%s %+v", name, tr)
			require.Zero(t, f["cut_off"], "%s %+v", name, tr)
			require.Positive(t, f[perM], "%s %+v", name, tr)
			require.Positive(t, f["p99_ms"], "%s %+v", name, tr)
		}
	}
	f := run(contender.Handler, traffic{apps: 1, channels: 4, publishers: 2, rate: 50})
	require.Positive(t, f["cpu_s_per_100k_publishes"])
	require.NotContains(t, f, perM)
}

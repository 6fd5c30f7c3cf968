//go:build linux

package load_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/load"
)

func TestHistogramAgreesWithSorting(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var h load.Histogram
	values := make([]time.Duration, 20000)
	for i := range values {
		values[i] = time.Duration(math.Exp(rng.Float64() * 25)) // 1 ns to 72 s, all sizes alike
		h.Add(values[i])
	}
	slices.Sort(values)
	require.EqualValues(t, len(values), h.Count())
	for _, q := range []float64{0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(values[max(int(math.Ceil(q*float64(len(values))))-1, 0)])
		require.InEpsilon(t, want, float64(h.Quantile(q)), 0.02, "quantile %v", q)
	}
}

func TestHistogramEdges(t *testing.T) {
	t.Parallel()
	var h load.Histogram
	require.Zero(t, h.Quantile(0.5))
	h.Add(-time.Second)
	require.Zero(t, h.Quantile(1))
	for v := time.Duration(1); v > 0; v *= 2 { // every power of two, and its neighbours
		for _, d := range []time.Duration{v - 1, v, v + 1} {
			var one load.Histogram
			one.Add(d)
			require.InDelta(t, float64(d), float64(one.Quantile(0.5)), float64(d)/64, "%d", d)
		}
	}
	var top load.Histogram
	top.Add(math.MaxInt64)
	require.InEpsilon(t, float64(math.MaxInt64), float64(top.Quantile(1)), 0.02)
}

func TestHistogramMerge(t *testing.T) {
	t.Parallel()
	var a, b load.Histogram
	a.Add(10)
	b.Add(20)
	b.Add(30)
	a.Merge(&b)
	require.EqualValues(t, 3, a.Count())
	require.EqualValues(t, 20, a.Quantile(0.5))
}

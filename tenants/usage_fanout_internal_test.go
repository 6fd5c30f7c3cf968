package tenants

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFanoutIsPaidOff(t *testing.T) {
	t.Parallel()
	var f fanoutBudget
	now := time.Unix(1_000, 0)
	require.Zero(t, f.wait(now, 1_000))
	f.delivered.Add(1_000)
	require.Zero(t, f.wait(now, 1_000), "a second's worth may go at once")
	f.delivered.Add(500)
	require.Equal(t, 500*time.Millisecond, f.wait(now, 1_000))
	now = now.Add(200 * time.Millisecond)
	require.Equal(t, 300*time.Millisecond, f.wait(now, 1_000))
	now = now.Add(300 * time.Millisecond)
	require.Zero(t, f.wait(now, 1_000))
	now = now.Add(time.Hour)
	require.Zero(t, f.wait(now, 1_000))
	f.delivered.Add(3_000)
	now = now.Add(2 * time.Second) // nobody asked meanwhile: it was paid off all the same
	require.Zero(t, f.wait(now, 1_000))
	f.delivered.Add(100_000)
	require.Equal(t, 100*time.Second, f.wait(now, 1_000).Round(time.Second))
}

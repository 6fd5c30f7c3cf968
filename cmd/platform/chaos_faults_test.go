package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plants are faults that nodes built with the tag "faults" have, the round that
// shows each, and what is to be said of it.
var plants = []struct {
	fault, nemesis string
	all            bool // nodes have it, not one
	want           string
}{
	{fault: "no fencing", nemesis: "SIGSTOP", want: "is missing"},
	{fault: "reaper off", nemesis: "kill -9", all: true, want: "ghost member"},
	{fault: "dropped delivery", nemesis: "pub/sub kill", want: "is lost although nothing was broken"},
	{fault: "double member_removed", nemesis: "kill -9", all: true, want: "is removed while it is not there"},
	{fault: "counter not released", nemesis: "kill -9", all: true, want: "a counter is not released"},
	{fault: "deaf subscription", nemesis: "pub/sub kill", want: "a subscription stays deaf"},
}

// built is a server of its own, without the race detector.
func built(t *testing.T, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "platform")
	out, err := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, flags...), "-o", binary, ".")...).CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// Faults in running nodes are caught by the check that finds nothing in TestChaos.
func TestChaosCatchesPlantedFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a server")
	}
	binary := built(t, "-tags", "faults")
	for _, plant := range plants {
		t.Run(plant.fault, func(t *testing.T) {
			t.Parallel()
			var violations string
			// On a busy machine something else may not come about in time first.
			for _, patience := range []time.Duration{5 * time.Second, 30 * time.Second} {
				p := startProcesses(t, setup{binary: binary, each: func(node int) []string {
					if node != 0 && !plant.all {
						return nil
					}
					return []string{"TEST_FAULT=" + plant.fault}
				}})
				c := newChaos(t, p, 1, patience)
				if violations = strings.Join(c.round(plant.nemesis, 0), "\n"); strings.Contains(violations, plant.want) {
					break
				}
			}
			require.Contains(t, violations, plant.want)
			t.Logf("caught:\n%s", violations)
		})
	}
}

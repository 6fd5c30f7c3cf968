//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/scenario"
)

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, 5, o.rounds)
	require.Len(t, o.scenarios, len(scenario.All()))
	require.Equal(t, []string{"floor", "handler", "naive", "tidewire"}, o.contenders())

	o, err = parse([]string{"-quick", "-only", "storm,rest", "-contenders", "naive,handler", "-json", "x"})
	require.NoError(t, err)
	require.Equal(t, 1, o.rounds)
	require.Equal(t, "x", o.json)
	require.Len(t, o.scenarios, 2)
	require.Equal(t, []string{contender.Naive}, o.scenarios[0].Contenders)
	require.Equal(t, []string{contender.Handler}, o.scenarios[1].Contenders)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`no scenario is called "sturm"`:  {"-only", "sturm"},
		`nobody is called "floor"`:       {"-only", "rest", "-contenders", "floor"},
		"give 1 to 50":                   {"-rounds", "51"},
		"give -20 to 19":                 {"-nice", "-21"},
		`unexpected argument "fanout"`:   {"fanout"},
		"flag provided but not defined:": {"-slow"},
	} {
		_, err := parse(args)
		require.ErrorContains(t, err, want)
	}
}

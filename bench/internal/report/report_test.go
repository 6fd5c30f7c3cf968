package report_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/report"
)

func section() report.Section {
	run := func(round int, who string, cpu float64) report.Run {
		return report.Run{Round: round, Contender: who, Figures: map[string]float64{"cpu": cpu}}
	}
	return report.Section{
		Name: "demo", About: "a demo", Contenders: []string{"a", "b"},
		Metrics: []report.Metric{{Name: "cpu", Unit: "s", Digits: 1, Compare: true}},
		Runs: []report.Run{
			run(1, "a", 1), run(1, "b", 10),
			run(2, "a", 4), run(2, "b", 8),
			run(3, "a", 3), run(3, "b", 6),
			{Round: 4, Contender: "a", Err: "server ended"},
			run(4, "b", 100),
		},
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	s := section()
	s.Summarize([]report.Goal{
		{Metric: "cpu", Of: "a", Against: "b", AtMost: 0.5},
		{Metric: "cpu", Of: "a", Against: "b", AtMost: 0.4},
		{Metric: "cpu", Of: "a", AtMost: 3},
		{Metric: "cpu", Of: "b", Against: "a", AtLeast: 2},
		{Metric: "cpu", Of: "nobody", AtMost: 1},
	})
	require.Equal(t, report.Spread{Median: 3, Min: 1, Max: 4, N: 3}, s.Table["a"]["cpu"])
	require.Equal(t, report.Spread{Median: 9, Min: 6, Max: 100, N: 4}, s.Table["b"]["cpu"])
	// Per round 0.1, 0.5, 0.5: round 4 has no pair. The ratio of the medians would be 1/3.
	require.Len(t, s.Ratios, 1)
	require.Equal(t, report.Spread{Median: 0.5, Min: 0.1, Max: 0.5, N: 3}, s.Ratios[0].Spread)
	var met, known []bool
	for _, v := range s.Verdicts {
		met, known = append(met, v.Met), append(known, v.Known)
	}
	require.Equal(t, []bool{true, false, true, true, false}, met)
	require.Equal(t, []bool{true, true, true, true, false}, known)
}

func TestInterval(t *testing.T) {
	t.Parallel()
	upTo := func(n int) (values []float64) {
		for i := range n {
			values = append(values, float64(n-i))
		}
		return values
	}
	// The ranks are those of the tables of the sign test at 5 %.
	for n, want := range map[int][3]float64{
		1: {1, 1, 1}, 2: {1.5, 1, 2}, 5: {3, 1, 5}, 6: {3.5, 1, 6}, 8: {4.5, 1, 8},
		9: {5, 2, 8}, 10: {5.5, 2, 9}, 12: {6.5, 3, 10}, 20: {10.5, 6, 15}, 50: {25.5, 18, 33},
	} {
		median, low, high := report.Interval(upTo(n))
		require.Equal(t, want, [3]float64{median, low, high}, "%d values", n)
	}
}

func TestWriteTextAndJSON(t *testing.T) {
	t.Parallel()
	s := section()
	s.Summarize([]report.Goal{{Metric: "cpu", Of: "a", Against: "b", AtMost: 0.4}})
	r := report.Report{Rounds: 4, Quick: true, Sections: []report.Section{s}}
	var text, raw bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	for _, want := range []string{
		"== demo: a demo", "3.0 [1.0..4.0]", "cpu: a / b", "0.50 [0.10..0.50]",
		"goal cpu: a / b at most 0.4", "MISSED: 0.5", "round 4, a: no figures: server ended", "QUICK RUN",
	} {
		require.Contains(t, text.String(), want)
	}
	require.NoError(t, r.WriteJSON(&raw))
	var back report.Report
	require.NoError(t, json.Unmarshal(raw.Bytes(), &back))
	require.Equal(t, s.Table, back.Sections[0].Table)
	require.Equal(t, s.Verdicts, back.Sections[0].Verdicts)
}

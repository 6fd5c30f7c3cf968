// Package report turns the figures of single runs into medians, spreads and
// ratios, and those into a table and JSON.
//
// A ratio is taken between runs of the same round, which stood next to each
// other in time, and the median is taken of those; the ratio of two medians
// would let the machine's mood into it. The package knows nothing of how a
// figure came about.
package report

import (
	"math"
	"slices"
	"time"

	"tidewire/bench/internal/proc"
)

// Metric is one figure of a scenario.
type Metric struct {
	Name    string `json:"name"`
	Unit    string `json:"unit"`
	Digits  int    `json:"-"` // after the decimal point, in the table
	Compare bool   `json:"-"` // ratios are shown for it
}

// Goal is a bound that a scenario is held to. With Against it bounds the ratio
// Of / Against, without it the figure of Of itself.
type Goal struct {
	Metric  string  `json:"metric"`
	Of      string  `json:"of"`
	Against string  `json:"against,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`  // 0 = no upper bound
	AtLeast float64 `json:"at_least,omitempty"` // 0 = no lower bound
}

func (g Goal) met(v float64) bool {
	return (g.AtMost == 0 || v <= g.AtMost) && (g.AtLeast == 0 || v >= g.AtLeast)
}

// Run is what one contender did in one round.
type Run struct {
	Round     int                `json:"round"`
	Contender string             `json:"contender"`
	Figures   map[string]float64 `json:"figures,omitempty"`
	Err       string             `json:"error,omitempty"` // why there are no figures
}

// Spread is a median between its extremes. N is how many values it is of.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// Ratio compares two contenders, round by round.
type Ratio struct {
	Metric  string `json:"metric"`
	Of      string `json:"of"`
	Against string `json:"against"`
	Spread
}

// Verdict is a goal and what came of it.
type Verdict struct {
	Goal
	Value float64 `json:"value"`
	Known bool    `json:"known"` // false if a run it needs is missing
	Met   bool    `json:"met"`
}

// Section is everything about one scenario.
type Section struct {
	Name       string                       `json:"name"`
	About      string                       `json:"about"`
	Metrics    []Metric                     `json:"metrics"`
	Contenders []string                     `json:"contenders"`
	Runs       []Run                        `json:"runs"`
	Table      map[string]map[string]Spread `json:"table"` // by contender, then metric
	Ratios     []Ratio                      `json:"ratios"`
	Verdicts   []Verdict                    `json:"verdicts"`
}

// Report is one invocation of the bench.
type Report struct {
	Started  time.Time    `json:"started"`
	Took     string       `json:"took"`
	Commit   string       `json:"commit,omitempty"`
	Rounds   int          `json:"rounds"`
	Quick    bool         `json:"quick"` // too short to be quoted
	Machine  proc.Machine `json:"machine"`
	Sections []Section    `json:"scenarios"`
}

// Summarize fills the table, the ratios and the verdicts from the runs.
func (s *Section) Summarize(goals []Goal) {
	s.Table = map[string]map[string]Spread{}
	for _, c := range s.Contenders {
		s.Table[c] = map[string]Spread{}
		for _, m := range s.Metrics {
			var values []float64
			for _, r := range s.Runs {
				if v, ok := r.Figures[m.Name]; ok && r.Contender == c {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				s.Table[c][m.Name] = spread(values)
			}
		}
	}
	for _, m := range s.Metrics {
		if !m.Compare {
			continue
		}
		for i, a := range s.Contenders {
			for _, b := range s.Contenders[i+1:] {
				if r := s.ratio(m.Name, a, b); r.N > 0 {
					s.Ratios = append(s.Ratios, r)
				}
			}
		}
	}
	for _, g := range goals {
		s.Verdicts = append(s.Verdicts, s.verdict(g))
	}
}

func (s *Section) verdict(g Goal) Verdict {
	sp := s.Table[g.Of][g.Metric]
	if g.Against != "" {
		sp = s.ratio(g.Metric, g.Of, g.Against).Spread
	}
	return Verdict{Goal: g, Value: sp.Median, Known: sp.N > 0, Met: sp.N > 0 && g.met(sp.Median)}
}

// ratio divides a's figure by b's in every round that has both.
func (s *Section) ratio(metric, a, b string) Ratio {
	of := map[int]float64{}
	for _, r := range s.Runs {
		if v, ok := r.Figures[metric]; ok && r.Contender == a {
			of[r.Round] = v
		}
	}
	var values []float64
	for _, r := range s.Runs {
		v, ok := r.Figures[metric]
		if w, both := of[r.Round]; ok && both && r.Contender == b && v != 0 {
			values = append(values, w/v)
		}
	}
	out := Ratio{Metric: metric, Of: a, Against: b}
	if len(values) > 0 {
		out.Spread = spread(values)
	}
	return out
}

func spread(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	return Spread{Median: round(middle(v)), Min: round(v[0]), Max: round(v[len(v)-1]), N: len(v)}
}

// middle is the median of sorted values.
func middle(v []float64) float64 { return (v[(len(v)-1)/2] + v[len(v)/2]) / 2 }

// Interval is the median of values, and the bounds between which the median of
// all runs there could be lies with 95 % at least, whatever their distribution.
// Fewer than six values are too few for that: their extremes are what there is.
func Interval(values []float64) (median, low, high float64) {
	v := slices.Sorted(slices.Values(values))
	// Of n values, k or fewer lie below the true median as often as n coins show k
	// heads or fewer. The bounds leave 2.5 % at most outside on either side.
	n, out := len(v), 0
	tail, heads := 0.0, math.Pow(0.5, float64(n))
	for k := range n / 2 {
		if tail += heads; tail > 0.025 {
			break
		}
		out = k
		heads *= float64(n-k) / float64(k+1)
	}
	return middle(v), v[out], v[n-1-out]
}

// round keeps six significant digits: more is noise.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// WriteJSON writes the whole report, single runs included.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteText writes the report as tables a person can read and paste into a page.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&b, "%s, commit %s, %d rounds, took %s\n", r.Started.UTC().Format("2006-01-02 15:04 MST"), or(r.Commit, "unknown"), r.Rounds, r.Took)
	fmt.Fprintf(&b, "%d CPUs (%s), %d MB, Linux %s, %s, empty syscall %d ns, load %s before, %s after\n",
		m.CPUs, or(m.Model, "unknown"), m.MemoryMB, m.Kernel, m.Go, m.SyscallNs, or(m.LoadStart, "?"), or(m.LoadEnd, "?"))
	fmt.Fprintln(&b, "CPU is user + system of the server process. Cells: median [min..max] over the rounds.")
	if r.Quick {
		fmt.Fprintln(&b, "QUICK RUN: short phases, good for seeing that it works, not for quoting.")
	}
	for i := range r.Sections {
		r.Sections[i].writeText(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s *Section) writeText(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n== %s: %s\n", s.Name, s.About)
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "metric\t")
	for _, c := range s.Contenders {
		fmt.Fprintf(tw, "%s\t", c)
	}
	fmt.Fprintln(tw)
	for _, m := range s.Metrics {
		fmt.Fprintf(tw, "%s (%s)\t", m.Name, m.Unit)
		for _, c := range s.Contenders {
			sp, ok := s.Table[c][m.Name]
			if !ok {
				fmt.Fprint(tw, "-\t")
				continue
			}
			fmt.Fprintf(tw, "%s\t", sp.text(m.Digits))
		}
		fmt.Fprintln(tw)
	}
	for _, r := range s.Ratios {
		fmt.Fprintf(tw, "%s: %s / %s\t%s\t\n", r.Metric, r.Of, r.Against, r.text(2))
	}
	for _, v := range s.Verdicts {
		fmt.Fprintf(tw, "%s\t%s\t\n", v.Goal.text(), v.text())
	}
	_ = tw.Flush() // a bytes.Buffer does not fail
	for _, run := range s.Runs {
		if run.Err != "" {
			fmt.Fprintf(b, "round %d, %s: no figures: %s\n", run.Round, run.Contender, run.Err)
		}
	}
}

func (sp Spread) text(digits int) string {
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	if sp.N == 1 {
		return f(sp.Median)
	}
	return fmt.Sprintf("%s [%s..%s]", f(sp.Median), f(sp.Min), f(sp.Max))
}

func (g Goal) text() string {
	what := g.Metric + ": " + g.Of
	if g.Against != "" {
		what += " / " + g.Against
	}
	if g.AtMost != 0 {
		return "goal " + what + " at most " + strconv.FormatFloat(g.AtMost, 'g', 5, 64)
	}
	return "goal " + what + " at least " + strconv.FormatFloat(g.AtLeast, 'g', 5, 64)
}

func (v Verdict) text() string {
	value := strconv.FormatFloat(v.Value, 'g', 4, 64)
	switch {
	case !v.Known:
		return "not measured"
	case v.Met:
		return "met: " + value
	default:
		return "MISSED: " + value
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

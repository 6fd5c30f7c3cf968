package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// benchFigures are one histogram, in milliseconds.
type benchFigures struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

func figures(h *hdrhistogram.Histogram) benchFigures {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	if h.TotalCount() == 0 {
		return benchFigures{}
	}
	return benchFigures{
		Count: h.TotalCount(), Mean: h.Mean() / 1000, Max: ms(h.Max()),
		P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)), P95: ms(h.ValueAtQuantile(95)),
		P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)),
	}
}

// benchReport is the result of a run.
type benchReport struct {
	benchPlan
	Seconds      float64        `json:"seconds"`
	PublishRate  float64        `json:"published_per_second"`
	DeliveryRate float64        `json:"delivered_per_second"`
	Missing      int64          `json:"missing"` // deliveries that did not come within the wait
	LostConns    int64          `json:"connections_lost"`
	Failures     map[string]int `json:"publish_failures"`
	Connects     benchFigures   `json:"connect"` // until subscribed
	Publishes    benchFigures   `json:"publish"` // until answered
	Deliveries   benchFigures   `json:"deliver"` // from when it was due until it arrived
	Machine      string         `json:"machine"`
	Command      string         `json:"command"`
}

func (r *benchRun) report() *benchReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds := r.took.Seconds()
	return &benchReport{
		benchPlan: r.plan, Seconds: seconds,
		PublishRate: float64(r.published.Load()) / seconds, DeliveryRate: float64(r.arrived.Load()) / seconds,
		Missing: max(0, r.expected.Load()-r.arrived.Load()), LostConns: r.lost.Load(), Failures: r.failures,
		Connects: figures(r.connects), Publishes: figures(r.answers), Deliveries: figures(r.arrivals),
		Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
		Command: r.plan.command(),
	}
}

func (c *cli) printBench(r *benchReport) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%d connections on %d channels, %d publishes/s of %d bytes for %s, against %s\n\n",
		r.Connections, r.Channels, r.Rate, r.Size, r.Duration, r.URL)
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ms\tcount\tmean\tp50\tp90\tp95\tp99\tp99.9\tmax\t")
	for _, row := range []struct {
		name string
		f    benchFigures
	}{{"connect", r.Connects}, {"publish", r.Publishes}, {"deliver", r.Deliveries}} {
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", row.name, row.f.Count, row.f.Mean,
			row.f.P50, row.f.P90, row.f.P95, row.f.P99, row.f.P999, row.f.Max)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&out, "\n%.1f published/s, %.1f delivered/s, %d missing, %d connections lost\n", r.PublishRate, r.DeliveryRate, r.Missing, r.LostConns)
	for why, n := range r.Failures {
		fmt.Fprintf(&out, "%d publishes failed: %s\n", n, why)
	}
	fmt.Fprintf(&out, "Load from %s. Again with:\n  %s\n", r.Machine, r.Command)
	_, err := io.WriteString(c.stdout, out.String())
	return err
}

// progress is one line that is drawn over and over, on a terminal only.
type progress struct {
	out  io.Writer // nil = no terminal
	mu   sync.Mutex
	last time.Time
}

func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	if !ok {
		return &progress{}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{out: out}
}

func (p *progress) set(what string, done, all int64) {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < 50*time.Millisecond && done < all {
		return
	}
	p.last = time.Now()
	const width = 30
	filled := int(width * done / max(all, 1))
	_, _ = fmt.Fprintf(p.out, "\r%-8s [%s%s] %d/%d ", what, strings.Repeat("#", filled), strings.Repeat(".", width-filled), done, all)
}

func (p *progress) end() {
	if p.out != nil {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"os"
)

// readBench reads a report that --json printed.
func readBench(path string) (*benchReport, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the user's own file
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	var r benchReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s is not what `platform bench --json` prints: %w", path, err)
	}
	if r.Deliveries.Count == 0 {
		return nil, fmt.Errorf("%s has no deliveries to draw", path)
	}
	return &r, nil
}

func writeChart(path string, reports []*benchReport) error {
	picture, err := drawBench(reports)
	if err == nil {
		err = os.WriteFile(path, picture, 0o644) // #nosec G306 -- a picture to show
	}
	if err != nil {
		return fmt.Errorf("draw the report: %w", err)
	}
	return nil
}

// The chart has a group of bars for each report, on one logarithmic scale: a
// slow tail and a fast median are both to be seen.
const (
	chartLeft, chartWidth, chartTop   = 90, 560, 60
	chartBar, chartGroup, chartBottom = 22, 44, 46
)

type chartBars struct {
	Name, Note string
	Y          int
	Bars       []chartLine
}

// chartLine is one bar, or one line of the grid.
type chartLine struct {
	Label, Value string
	X, Y         float64 // Y is the middle of a bar
	Width        float64
	Class        string
}

// drawBench draws reports beside each other as one SVG.
func drawBench(reports []*benchReport) ([]byte, error) {
	low, high := math.Inf(1), 0.0
	for _, r := range reports {
		low, high = min(low, r.Deliveries.P50), max(high, r.Deliveries.P999)
	}
	low = math.Pow(10, math.Floor(math.Log10(max(low, 0.001))))
	high = math.Pow(10, math.Ceil(math.Log10(max(high, low*10))))
	at := func(ms float64) float64 {
		return chartWidth * math.Log10(max(ms, low)/low) / math.Log10(high/low)
	}
	first := reports[0]
	view := struct {
		Title, Load   string
		Width, Height int
		Groups        []chartBars
		Grid          []chartLine
		Left, Bottom  int
	}{
		Title: "From publish to arrival, milliseconds, logarithmic",
		Load: fmt.Sprintf("%d connections on %d channels, %d publishes/s of %d bytes for %.0f s; %s",
			first.Connections, first.Channels, first.Rate, first.Size, first.Seconds, first.Machine),
		Width: chartLeft + chartWidth + 90, Left: chartLeft,
	}
	y := chartTop
	for i, r := range reports {
		g := chartBars{Name: cmp.Or(r.Label, r.URL), Y: y + 14, Note: fmt.Sprintf("%.0f published/s, %.0f delivered/s, %d missing, %d connections lost",
			r.PublishRate, r.DeliveryRate, r.Missing, r.LostConns)}
		f := r.Deliveries
		for j, p := range []struct {
			name string
			ms   float64
		}{{"p50", f.P50}, {"p90", f.P90}, {"p99", f.P99}, {"p99.9", f.P999}} {
			g.Bars = append(g.Bars, chartLine{
				Label: p.name, Value: fmt.Sprintf("%.2f", p.ms), Width: max(at(p.ms), 2),
				Y: float64(y + 24 + j*chartBar), Class: fmt.Sprintf("c%d", i%4),
			})
		}
		view.Groups = append(view.Groups, g)
		y += len(g.Bars)*chartBar + chartGroup
	}
	view.Bottom, view.Height = y-10, y+chartBottom-20
	for ms := low; ms <= high*1.001; ms *= 10 {
		view.Grid = append(view.Grid, chartLine{Label: fmt.Sprintf("%g", ms), X: chartLeft + at(ms)})
	}
	var out bytes.Buffer
	err := chartPage.Execute(&out, view)
	return out.Bytes(), err
}

// HTML's escaping does for SVG too: all that is foreign is text.
var chartPage = template.Must(template.New("").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" font-family="system-ui, sans-serif" font-size="13">
<style>
.page { fill: #fff } text { fill: #17222e } .soft { fill: #5b6b7b } line { stroke: #dce3e9 }
.c0 { fill: #0b6e8f } .c1 { fill: #b0680c } .c2 { fill: #12734a } .c3 { fill: #7a4fb3 }
@media (prefers-color-scheme: dark) {
.page { fill: #17212b } text { fill: #e6edf3 } .soft { fill: #93a4b5 } line { stroke: #293744 }
.c0 { fill: #4cc3e4 } .c1 { fill: #e8a54b } .c2 { fill: #4fd08e } .c3 { fill: #b79be8 }
}
</style>
<rect class="page" width="100%" height="100%" rx="12"/>
<text x="20" y="28" font-size="16" font-weight="600">{{.Title}}</text>
<text class="soft" x="20" y="48">{{.Load}}</text>
{{- range .Grid}}
<line x1="{{.X}}" y1="62" x2="{{.X}}" y2="{{$.Bottom}}"/><text class="soft" x="{{.X}}" y="{{$.Bottom}}" dy="16" text-anchor="middle">{{.Label}}</text>
{{- end}}
{{- range .Groups}}
<text x="20" y="{{.Y}}" font-weight="600">{{.Name}} <tspan class="soft" font-weight="400">{{.Note}}</tspan></text>
{{- range .Bars}}
<text x="82" y="{{.Y}}" dy="13" text-anchor="end">{{.Label}}</text><rect class="{{.Class}}" x="{{$.Left}}" y="{{.Y}}" width="{{.Width}}" height="16" rx="3"/><text x="{{$.Left}}" y="{{.Y}}" dx="{{.Width}}" dy="13">&#160;{{.Value}}</text>
{{- end}}
{{- end}}
</svg>
`))

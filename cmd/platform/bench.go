package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// benchPlan is what one run of bench does.
type benchPlan struct {
	Label       string        `json:"label,omitempty"`
	URL         string        `json:"url"`
	App         string        `json:"app"`
	Connections int           `json:"connections"`
	Channels    int           `json:"channels"`
	Rate        int           `json:"rate_per_second"` // publishes
	Duration    time.Duration `json:"-"`
	Size        int           `json:"size_bytes"` // of the data of one event
	key         tenants.Key
}

func (c *cli) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure any server that speaks the Pusher protocol",
		Long: "Connect to any server that speaks the Pusher protocol, subscribe, publish at a fixed rate over HTTP, and report how\n" +
			"long events took until they arrived. Connections are spread over the channels, and each event goes to one channel.\n" +
			"Latency runs from the moment an event was due, so that a server that falls behind cannot hide it. Publisher and\n" +
			"subscribers share this machine's clock. Measure only what is yours.\n\n" +
			"--chart draws the report, with reports that --json printed before beside it.",
		Example: "  platform bench --app 1001 --connections 500 --rate 100 --duration 30s\n" +
			"  platform bench --url https://realtime.example.com --app 1001 --key KEY --secret SECRET --json\n" +
			"  platform bench --app 1001 --label new --chart report.svg --beside old.json",
		Args: arguments(0, 0, "no arguments"),
	}
	t := targetFlags(cmd)
	var p benchPlan
	flags := cmd.Flags()
	flags.IntVar(&p.Connections, "connections", 100, "subscribers, 1 to 100000")
	flags.IntVar(&p.Channels, "channels", 10, "channels they are spread over")
	flags.IntVar(&p.Rate, "rate", 50, "publishes per second, 1 to 100000")
	flags.DurationVar(&p.Duration, "duration", 10*time.Second, "how long to publish, 100ms to 1h")
	flags.IntVar(&p.Size, "size", 128, "bytes of data in an event, 48 to 10240")
	flags.StringVar(&p.Label, "label", "", "name of what is measured, in the report")
	chart := flags.String("chart", "", "file to draw the report to, as SVG")
	beside := flags.StringSlice("beside", nil, "earlier reports (--json) to draw beside it")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		if err := p.check(); err != nil {
			return usageError{err}
		}
		if p.URL, err = t.base(cfg); err != nil {
			return err
		}
		p.App = *t.app
		if p.key, err = c.credentials(cmd, t); err != nil {
			return err
		}
		earlier := make([]*benchReport, len(*beside))
		for i, path := range *beside {
			if earlier[i], err = readBench(path); err != nil {
				return err
			}
		}
		report, err := c.bench(cmd.Context(), p)
		if err != nil {
			return err
		}
		if *asJSON {
			err = c.printJSON(report)
		} else {
			err = c.printBench(report)
		}
		if err == nil && report.Deliveries.Count == 0 {
			return errors.New("no event arrived: the figures say nothing")
		}
		if err != nil || *chart == "" {
			return err
		}
		return writeChart(*chart, append([]*benchReport{report}, earlier...))
	}
	return cmd
}

func (p benchPlan) check() error {
	for _, f := range []struct {
		name           string
		value, lo, top int
	}{
		{"connections", p.Connections, 1, 100_000},
		{"channels", p.Channels, 1, 100_000},
		{"rate", p.Rate, 1, 100_000},
		{"size", p.Size, benchStamp, 10_240},
	} {
		if f.value < f.lo || f.value > f.top {
			return fmt.Errorf("--%s must be from %d to %d", f.name, f.lo, f.top)
		}
	}
	if p.Channels > p.Connections {
		return errors.New("--channels must be at most --connections: an event on a channel without a subscriber arrives nowhere")
	}
	if p.Duration < 100*time.Millisecond || p.Duration > time.Hour {
		return errors.New("--duration must be from 100ms to 1h")
	}
	return nil
}

func (p benchPlan) channel(i int) string { return "bench-" + strconv.Itoa(i%p.Channels) }

// command is what measures the same again; the secret is left to the reader.
func (p benchPlan) command() string {
	return fmt.Sprintf("platform bench --url %s --app %s --key %s --secret \"$SECRET\" --connections %d --channels %d --rate %d --duration %s --size %d",
		p.URL, url.PathEscape(p.App), p.key.Key, p.Connections, p.Channels, p.Rate, p.Duration, p.Size)
}

// benchStamp is the room that a publish's number and time take in its data.
const benchStamp = 48

// stampedData is a number and a time, and filling up to size.
func stampedData(size int, number int64, due time.Time) string {
	head := fmt.Sprintf("%d %d ", number, due.UnixNano())
	return head + strings.Repeat("x", max(0, size-len(head)))
}

func readStamp(data string) (number int64, due time.Time, ok bool) {
	first, rest, _ := strings.Cut(data, " ")
	second, _, ok := strings.Cut(rest, " ")
	number, err1 := strconv.ParseInt(first, 10, 64)
	nanos, err2 := strconv.ParseInt(second, 10, 64)
	return number, time.Unix(0, nanos), ok && err1 == nil && err2 == nil
}

// bench connects everybody, publishes, and waits for what is still under way.
func (c *cli) bench(ctx context.Context, p benchPlan) (*benchReport, error) {
	run := newBenchRun(p)
	show := newProgress(c.stderr)
	defer show.end()
	defer run.disconnect()
	if err := run.connect(ctx, show); err != nil {
		return nil, err
	}
	if err := run.publish(ctx, show); err != nil {
		return nil, err
	}
	run.settle(ctx)
	run.disconnect()
	return run.report(), nil
}

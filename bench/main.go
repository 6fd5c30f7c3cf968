//go:build linux

// Command bench compares the product with two servers that mark its range: a
// naive gin and melody server, and an event loop that only writes.
//
//	go run ./bench                    all scenarios, 5 rounds, about 20 minutes
//	go run ./bench -quick             a look whether it works, under 2 minutes
//	go run ./bench -only fanout-rate,idle -json out.json
//
// Within a round the contenders run one after another, each in a fresh process,
// so that what the machine does meanwhile hits all of them. It is a program for
// people; nothing in the tests depends on its figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/load"
	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/report"
	"tidewire/bench/internal/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runTimeout bounds one run of one contender.
const runTimeout = 90 * time.Second

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if n, err := load.RaiseFileLimit(); err != nil {
		return err
	} else if n < scenario.MaxClients {
		return fmt.Errorf("only %d open files are allowed, %d are needed: raise the hard limit (ulimit -Hn)", n, scenario.MaxClients)
	}
	if o.pin {
		if err := proc.Pin(); err != nil {
			return err
		}
	}
	if o.nice != 0 {
		if err := proc.Nice(o.nice); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %s (-timeout)", o.timeout))
	defer cancel()
	dir, err := os.MkdirTemp("", "tidewire-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the servers: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	fmt.Fprintln(os.Stderr, "building the servers")
	set, err := contender.Build(ctx, dir, o.contenders())
	if err != nil {
		return err
	}
	b := &bench{options: o, set: set, unstarted: map[string]int{}}
	rep, empty := b.all(ctx)
	if err := write(rep, o.json); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the report is not complete: %w", context.Cause(ctx))
	case empty > 0:
		return fmt.Errorf("%d runs gave no figures, see the report", empty)
	}
	return nil
}

// maxUnstarted is how often a contender may fail to come up before it is given up.
const maxUnstarted = 3

// bench is what all runs share.
type bench struct {
	*options
	set       *contender.Set
	unstarted map[string]int // by contender
}

// all measures every scenario and also returns how many runs gave no figures.
func (b *bench) all(ctx context.Context) (rep *report.Report, empty int) {
	rep = &report.Report{Started: time.Now(), Commit: commit(ctx), Rounds: b.rounds, Quick: b.quick, Machine: proc.Describe()}
	for _, s := range b.scenarios {
		if ctx.Err() != nil {
			break // what there is so far is still worth printing
		}
		section := b.measure(ctx, s)
		for _, r := range section.Runs {
			if r.Err != "" {
				empty++
			}
		}
		rep.Sections = append(rep.Sections, section)
	}
	rep.Took = time.Since(rep.Started).Round(time.Second).String()
	rep.Machine.LoadEnd = proc.Load()
	return rep, empty
}

// measure runs one scenario in all rounds.
func (b *bench) measure(ctx context.Context, s scenario.Scenario) report.Section {
	section := report.Section{Name: s.Name, About: s.About, Metrics: s.Metrics, Contenders: s.Contenders}
	rounds := b.rounds
	if s.Once {
		rounds = 1
	}
	for round := 1; round <= rounds; round++ {
		for _, name := range s.Contenders {
			if ctx.Err() != nil {
				break
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d: %s\n", s.Name, round, rounds, name)
			figures, err := b.once(ctx, s, name)
			r := report.Run{Round: round, Contender: name, Figures: figures}
			if err != nil {
				fmt.Fprintln(os.Stderr, "  no figures:", err)
				r.Err = brief(err)
			}
			section.Runs = append(section.Runs, r)
		}
	}
	section.Summarize(s.Goals)
	return section
}

// once is one run: a fresh server, the scenario, the end of the server.
func (b *bench) once(ctx context.Context, s scenario.Scenario, name string) (map[string]float64, error) {
	if b.unstarted[name] >= maxUnstarted {
		return nil, fmt.Errorf("%s did not start %d times and is left out from then on", name, maxUnstarted)
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	server, err := b.set.Start(ctx, name, s.Options)
	if err != nil {
		b.unstarted[name]++
		return nil, err
	}
	defer server.Stop()
	figures, err := s.Run(ctx, scenario.Env{Server: server, Contender: name, Quick: b.quick})
	if err != nil {
		if log := strings.TrimSpace(server.Log()); log != "" {
			return nil, fmt.Errorf("%w; the server's last words:\n%s", err, log)
		}
		return nil, err
	}
	return figures, nil
}

// brief returns the first two lines of err: what went wrong, and the first of
// the server's last words.
func brief(err error) string {
	lines := strings.SplitN(err.Error(), "\n", 3)
	return strings.Join(lines[:min(len(lines), 2)], ": ")
}

func write(rep *report.Report, path string) error {
	if err := rep.WriteText(os.Stdout); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the JSON report: %w", err)
	}
	if err := errors.Join(rep.WriteJSON(f), f.Close()); err != nil {
		return fmt.Errorf("write the JSON report: %w", err)
	}
	return nil
}

// commit names what was measured, with a mark if the tree was changed since.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=10").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tidewire/bench/internal/scenario"
)

// options are the flags, checked.
type options struct {
	quick     bool
	pin       bool
	rounds    int
	nice      int
	timeout   time.Duration
	json      string
	scenarios []scenario.Scenario
}

// parse reads the flags and picks the scenarios and contenders they name.
func parse(args []string) (*options, error) {
	o := &options{scenarios: scenario.All()}
	var names []string
	for _, s := range o.scenarios {
		names = append(names, s.Name)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.quick, "quick", false, "one round of short phases: shows that it works, not how fast")
	fs.BoolVar(&o.pin, "pin", false, "servers on processor 0, the load on processor 1: CPU per unit of work of one core, without what two cores cost each other")
	fs.IntVar(&o.rounds, "rounds", 0, "rounds, 1 to 50 (default 5, with -quick 1)")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Minute, "end the bench after so long and print what there is")
	fs.IntVar(&o.nice, "nice", 0, "weight of the bench and its servers against other sessions on a busy machine, -20 (most) to 19; below 0 needs root")
	fs.StringVar(&o.json, "json", "", "also write the report, single runs included, to this file")
	only := fs.String("only", "", "comma-separated scenarios: "+strings.Join(names, ", "))
	with := fs.String("contenders", "", "comma-separated contenders to keep (default all)")
	fs.SetOutput(io.Discard) // main prints the error, once and without the whole list
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(os.Stdout)
			fs.PrintDefaults()
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: everything is a flag, see -help", fs.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 1
		}
	}
	if o.rounds < 1 || o.rounds > 50 {
		return nil, fmt.Errorf("-rounds %d: give 1 to 50", o.rounds)
	}
	if o.timeout <= 0 {
		return nil, fmt.Errorf("-timeout %s: give more than 0", o.timeout)
	}
	if o.nice < -20 || o.nice > 19 {
		return nil, fmt.Errorf("-nice %d: give -20 to 19", o.nice)
	}
	if err := o.keepScenarios(*only, names); err != nil {
		return nil, err
	}
	return o, o.keepContenders(*with)
}

func (o *options) keepScenarios(only string, names []string) error {
	if only == "" {
		return nil
	}
	want := strings.Split(only, ",")
	for _, w := range want {
		if !slices.Contains(names, w) {
			return fmt.Errorf("-only: no scenario is called %q; there are %s", w, strings.Join(names, ", "))
		}
	}
	o.scenarios = slices.DeleteFunc(o.scenarios, func(s scenario.Scenario) bool { return !slices.Contains(want, s.Name) })
	return nil
}

func (o *options) keepContenders(with string) error {
	if with == "" {
		return nil
	}
	want, all := strings.Split(with, ","), o.contenders()
	for _, w := range want {
		if !slices.Contains(all, w) {
			return fmt.Errorf("-contenders: nobody is called %q in these scenarios; there are %s", w, strings.Join(all, ", "))
		}
	}
	for i := range o.scenarios {
		s := &o.scenarios[i]
		s.Contenders = slices.DeleteFunc(s.Contenders, func(c string) bool { return !slices.Contains(want, c) })
	}
	return nil
}

// contenders returns everyone the picked scenarios need.
func (o *options) contenders() []string {
	var all []string
	for _, s := range o.scenarios {
		all = append(all, s.Contenders...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

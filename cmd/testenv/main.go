//go:build unix

// Command testenv gives one command the servers that the tests need, and takes
// them away again.
//
//	go run ./cmd/testenv [-need postgres,redis,chromium] -- COMMAND ARGS…
//
// It sets TEST_DATABASE_URL, TEST_REDIS_URL and TEST_CHROMIUM for the command
// and exits with the command's code. A variable that is set already is passed
// on untouched; otherwise local binaries are used, then docker compose where a
// daemon answers, then, for root on Debian, packages. Servers listen on free
// ports of 127.0.0.1, keep their files in one temporary folder, and end with
// testenv, however it ends.
//
// It is not a way to run the platform: its servers trade durability for speed
// and trust everybody on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Exit codes of testenv itself; any other code is the command's.
const (
	exitUsage    = 2
	exitProvided = 125 // a server could not be provided
	exitCannot   = 126 // the command could not be started
	exitSignal   = 128 // plus the signal's number
)

func main() {
	ctx, stop := interruptible(context.Background())
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run provides what args ask for, runs the command and cleans up. It returns
// the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "testenv: %v\n%s", err, usage)
		return exitUsage
	}
	kit, err := newKit(stderr)
	if err != nil {
		fmt.Fprintf(stderr, "testenv: %v\n", err)
		return exitProvided
	}
	defer kit.close()

	env := os.Environ()
	for _, n := range opts.needs {
		value, err := n.provide(ctx, kit)
		if sig, ok := interruptedBy(ctx); ok {
			return exitSignal + int(sig)
		}
		if err != nil {
			fmt.Fprintf(stderr, "testenv: %v\n", err)
			return exitProvided
		}
		env = append(env, n.env+"="+value)
	}
	return kit.runCommand(ctx, opts.command, env, stdout)
}

const usage = `usage: testenv [-need postgres,redis,chromium] -- COMMAND ARGS...

Provides the servers that the tests need, runs COMMAND with TEST_DATABASE_URL,
TEST_REDIS_URL and TEST_CHROMIUM set, ends the servers, and exits with its code.

example: go run ./cmd/testenv -- go test -race ./...
`

type options struct {
	needs   []need
	command []string
}

// parseOptions reads the flags up to "--" and the command after it.
func parseOptions(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("testenv", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	names := flags.String("need", "postgres,redis", "")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.command = flags.Args()
	if len(opts.command) == 0 {
		return opts, errors.New("no command given: put it after --")
	}
	for name := range strings.SplitSeq(*names, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		n, ok := findNeed(name)
		if !ok {
			return opts, fmt.Errorf("-need %q is unknown: use postgres, redis or chromium", name)
		}
		opts.needs = append(opts.needs, n)
	}
	return opts, nil
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ sig syscall.Signal }

func (e signalError) Error() string { return "interrupted by " + e.sig.String() }

// interruptedBy tells the signal that ended ctx, if one did.
func interruptedBy(ctx context.Context) (syscall.Signal, bool) {
	var e signalError
	ok := errors.As(context.Cause(ctx), &e)
	return e.sig, ok
}

// interruptible returns a context that ends with SIGINT, SIGTERM or SIGHUP, and
// with the death of the process that started us: "go run" dies of SIGTERM
// without passing it on, and would leave us and the servers behind.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	starter := os.Getppid()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case s := <-signals:
				cancel(signalError{s.(syscall.Signal)})
				return
			case <-tick.C:
				if os.Getppid() != starter {
					cancel(signalError{syscall.SIGHUP})
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
		signal.Stop(signals)
	}
}

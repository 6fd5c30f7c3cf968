// Command platform is Tidewire: the server, and the tool that looks after it.
//
// This package wires: it reads the configuration, opens the engines, starts
// and stops the parts in order, and gives people commands. It holds no rules
// of the protocol, of tenants or of channels; those live in the packages it
// puts together.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Libraries write there what strangers send, such as an answer that a webhook's
	// receiver was not asked for. What fails comes back as an error, and is logged.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the usual handling is back: a second Ctrl-C ends
	// the process at once if the orderly stop takes too long.
	context.AfterFunc(ctx, stop)
	c := &cli{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(c.execute(ctx, os.Args[1:]))
}

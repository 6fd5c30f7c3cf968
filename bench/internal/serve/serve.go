// Package serve is what the bench's own servers share: their flags, their
// listener and their end. The product shares none of it.
package serve

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"tidewire/bench/internal/pusher"
)

// Options are the flags of a bench server.
type Options struct {
	Listen string // address to listen on
	Buffer int    // messages a connection may have waiting; 0 is the server's own default
	Apps   map[string]pusher.App
	Keys   map[string]pusher.App
}

// Run parses the flags, listens, and hands both to server, which serves until
// the process is killed. It does not return.
func Run(server func(net.Listener, Options) error) {
	if err := run(server); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(server func(net.Listener, Options) error) error {
	var o Options
	file := flag.String("apps", "", "JSON file with the apps to serve")
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address to listen on")
	flag.IntVar(&o.Buffer, "buffer", 0, "messages that may wait per connection, 0 = default")
	flag.Parse()
	if *file == "" {
		return errors.New("no apps: give -apps FILE, as the bench does")
	}
	apps, err := pusher.ReadApps(*file)
	if err != nil {
		return err
	}
	o.Apps, o.Keys = map[string]pusher.App{}, map[string]pusher.App{}
	for _, a := range apps {
		o.Apps[a.ID], o.Keys[a.Key] = a, a
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	go freeOnSignal()
	return server(l, o)
}

// freeOnSignal gives free memory back whenever SIGUSR1 comes. The bench sends it
// before it reads the memory of idle connections, so that a baseline without
// such a habit is shown at its best.
func freeOnSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	for range c {
		debug.FreeOSMemory()
	}
}

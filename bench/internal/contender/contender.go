//go:build linux

// Package contender builds the servers the bench compares and starts a fresh
// process of one for each run. It is the only place that knows how each of them
// is called and configured.
package contender

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/pusher"
)

// The contenders.
const (
	Tidewire = "tidewire" // the product, as an operator starts it
	Naive    = "naive"    // gin and melody, the obvious way
	Floor    = "floor"    // an event loop that does nothing but write
	Handler  = "handler"  // a gin handler that checks signatures and publishes to nobody
)

// sources maps a contender to its command, relative to the module.
var sources = map[string]string{
	Tidewire: "./cmd/platform",
	Naive:    "./bench/naive",
	Floor:    "./bench/floor",
	Handler:  "./bench/handler",
}

// Options says what a server is to serve.
type Options struct {
	Apps   int // the first so many of [pusher.Apps]
	Buffer int // messages that may wait per connection in the naive server; 0 = melody's default
	// Nodes of the product, joined by a Redis of their own; 0 = one, without.
	Nodes int
	// History makes channels whose name begins with kept- keep their last 1,000 events.
	History bool
	// Webhooks lets clients send events, and webhooks call this machine. Singly puts
	// one event into each call of theirs.
	Webhooks, Singly bool
}

// Server is what was started for one run: the process that is loaded, and those
// it works with.
type Server struct {
	*proc.Process
	Metrics string        // address of its metrics; empty = it has none
	Second  *proc.Process // the other node of two; nil = there is one
	Redis   *proc.Process // what joins them

	command func(ctx context.Context, args ...string) error // runs one of the product on its data; nil = it has none
}

// Stop ends all of it, like [proc.Process.Stop].
func (s *Server) Stop() {
	for _, p := range []*proc.Process{s.Process, s.Second, s.Redis} {
		if p != nil {
			p.Stop()
		}
	}
}

// Hook makes an endpoint at url that is told of the app's events of that kind. The
// server knows of it within a second.
func (s *Server) Hook(ctx context.Context, app pusher.App, url, kind string) error {
	return s.command(ctx, "webhooks", "create", "--app", app.ID, "--url", url, "--events", kind)
}

// Set is a folder of built servers. Make one with [Build].
type Set struct {
	dir  string
	data map[Options]string // the product's prepared data folders
	runs int
}

// Build compiles the named contenders into dir, which the caller owns and removes.
func Build(ctx context.Context, dir string, names []string) (*Set, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	for _, name := range names {
		source, ok := sources[name]
		if !ok {
			return nil, fmt.Errorf("no contender is called %q: there are %s, %s, %s and %s", name, Tidewire, Naive, Floor, Handler)
		}
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), source)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return &Set{dir: dir, data: map[Options]string{}}, nil
}

// Start starts the contender name on a free loopback port.
func (s *Set) Start(ctx context.Context, name string, o Options) (*Server, error) {
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	switch {
	case name == Tidewire && o.Nodes > 0:
		return s.startJoined(ctx, addr, o)
	case name == Tidewire:
		return s.startTidewire(ctx, addr, o)
	}
	apps := filepath.Join(s.dir, "apps-"+strconv.Itoa(o.Apps)+".json")
	if err := pusher.WriteApps(apps, pusher.Apps(o.Apps)); err != nil {
		return nil, err
	}
	args := []string{"-listen", addr, "-apps", apps, "-buffer", strconv.Itoa(o.Buffer)}
	p, err := proc.Start(ctx, addr, filepath.Join(s.dir, name), args, plainEnv())
	if err != nil {
		return nil, err
	}
	return &Server{Process: p}, nil
}

// plainEnv is the environment of every server: nothing that a developer's shell
// happens to set reaches one of them and not another.
func plainEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
}

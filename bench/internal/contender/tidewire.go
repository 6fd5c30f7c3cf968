//go:build linux

package contender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/pusher"
)

// limits asks for the server's own ceilings, which no scenario reaches: a run
// that measured refusals would say so in its figures.
const limits = `{"max_connections":0,"max_publishes_per_second":0,"max_presence_members":0}`

// startTidewire starts the product on its embedded default with everything else
// as it comes, on a copy of a data folder made once.
func (s *Set) startTidewire(ctx context.Context, addr string, o Options) (*Server, error) {
	data, err := s.folder(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.node(ctx, addr, data, o.environ()...)
}

// environ is what a node is told beside where its things are.
func (o Options) environ() []string {
	if o.Webhooks {
		return []string{"TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"}
	}
	return nil
}

// startJoined starts one or two nodes that share a database and a Redis.
func (s *Set) startJoined(ctx context.Context, addr string, o Options) (all *Server, err error) {
	data, err := s.folder(ctx, o)
	if err != nil {
		return nil, err
	}
	at, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	all = &Server{}
	defer func() {
		if err != nil {
			all.Stop()
		}
	}()
	if all.Redis, err = s.redis(ctx, at); err != nil {
		return nil, err
	}
	joined := append(o.environ(), "TIDEWIRE_REDIS_URL=redis://"+at)
	first, err := s.node(ctx, addr, data, joined...)
	if err != nil {
		return nil, err
	}
	all.Process, all.Metrics, all.command = first.Process, first.Metrics, first.command
	if o.Nodes == 1 {
		return all, nil
	}
	if at, err = proc.FreeAddr(); err != nil {
		return nil, err
	}
	second, err := s.node(ctx, at, data, joined...)
	if err != nil {
		return nil, err
	}
	all.Second = second.Process
	return all, nil
}

// redis starts a server that writes nothing to the disk.
func (s *Set) redis(ctx context.Context, addr string) (*proc.Process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("nodes are joined by a redis-server: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return proc.Start(ctx, addr, path, []string{"--port", port, "--bind", host, "--save", "", "--appendonly", "no", "--dir", s.dir}, plainEnv())
}

// folder is a copy of the data folder for o.
func (s *Set) folder(ctx context.Context, o Options) (string, error) {
	prepared, err := s.prepare(ctx, o)
	if err != nil {
		return "", err
	}
	s.runs++
	data := filepath.Join(s.dir, "run-"+strconv.Itoa(s.runs))
	if err := os.CopyFS(data, os.DirFS(prepared)); err != nil {
		return "", fmt.Errorf("copy the data folder: %w", err)
	}
	return data, private(data)
}

// node starts one process on a data folder and waits until it is ready.
func (s *Set) node(ctx context.Context, addr, data string, more ...string) (*Server, error) {
	metrics, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	env := slices.Concat(platformEnv(data), []string{"TIDEWIRE_LISTEN=" + addr, "TIDEWIRE_METRICS_LISTEN=" + metrics}, more)
	p, err := proc.Start(ctx, addr, filepath.Join(s.dir, Tidewire), []string{"serve"}, env)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, p); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%w\n%s", err, p.Log())
	}
	command := func(ctx context.Context, args ...string) error { return s.command(ctx, env, args...) }
	return &Server{Process: p, Metrics: metrics, command: command}, nil
}

// command runs a command of the product, as an operator would.
func (s *Set) command(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, Tidewire), args...)
	cmd.Env = env
	cmd.Dir = s.dir // so that no configuration file is found
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("platform %s: %w\n%s", strings.Join(args[:2], " "), err, out)
	}
	return nil
}

// readyTimeout bounds the time from the first accepted connection to readiness.
const readyTimeout = 10 * time.Second

// awaitReady waits until the server says that it has read its configuration.
func awaitReady(ctx context.Context, p *proc.Process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("ask whether the server is ready: %w", err)
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
			if !p.Alive() {
				return errors.New("the server ended before it was ready")
			}
		case <-ctx.Done():
			return fmt.Errorf("the server does not become ready: %w", ctx.Err())
		}
	}
}

// prepare makes a data folder with the apps of o, by the command an operator
// would use, and remembers it.
func (s *Set) prepare(ctx context.Context, o Options) (string, error) {
	o = Options{Apps: o.Apps, History: o.History, Webhooks: o.Webhooks, Singly: o.Singly} // nothing else matters here
	if dir, ok := s.data[o]; ok {
		return dir, nil
	}
	settings := "{}"
	switch {
	case o.History:
		settings = `{"history":[{"pattern":"kept-*","max_messages":1000,"ttl_seconds":600}]}`
	case o.Singly:
		settings = `{"client_events":true,"webhook_batching":false}`
	case o.Webhooks:
		settings = `{"client_events":true}`
	}
	dir, err := os.MkdirTemp(s.dir, "data-") // readable by its owner only
	if err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	for i, app := range pusher.Apps(o.Apps) {
		name := "bench-" + strconv.Itoa(i+1) // each app its own tenant: strangers to one another
		err := s.command(ctx, platformEnv(dir), "apps", "create",
			"--tenant", name, "--name", name, "--id", app.ID, "--key", app.Key, "--secret", app.Secret,
			"--limits", limits, "--settings", settings, "--json")
		if err != nil {
			return "", fmt.Errorf("create app %s: %w", app.ID, err)
		}
	}
	s.data[o] = dir
	return dir, nil
}

func platformEnv(data string) []string {
	return append(plainEnv(), "TIDEWIRE_DATA_DIR="+data)
}

// private takes the rights of group and others away again, which a copy through
// [os.CopyFS] may have added: the product refuses a master key others can read.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	})
}

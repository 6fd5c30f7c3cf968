//go:build linux

package contender

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"tidewire/bench/internal/proc"
	"tidewire/bench/internal/pusher"
)

// limits asks for the server's own ceilings, which no scenario reaches: a run
// that measured refusals would say so in its figures.
const limits = `{"max_connections":0,"max_publishes_per_second":0,"max_presence_members":0}`

// startTidewire starts the product on its embedded default with everything else
// as it comes, on a copy of a data folder made once.
func (s *Set) startTidewire(ctx context.Context, addr string, o Options) (*proc.Process, error) {
	prepared, err := s.prepare(ctx, o.Apps)
	if err != nil {
		return nil, err
	}
	metrics, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	s.runs++
	data := filepath.Join(s.dir, "run-"+strconv.Itoa(s.runs))
	if err := os.CopyFS(data, os.DirFS(prepared)); err != nil {
		return nil, fmt.Errorf("copy the data folder: %w", err)
	}
	if err := private(data); err != nil {
		return nil, err
	}
	env := append(platformEnv(data), "TIDEWIRE_LISTEN="+addr, "TIDEWIRE_METRICS_LISTEN="+metrics)
	p, err := proc.Start(ctx, addr, filepath.Join(s.dir, Tidewire), []string{"serve"}, env)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, p); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return p, nil
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

// prepare makes a data folder with the first n apps, by the command an operator
// would use, and remembers it.
func (s *Set) prepare(ctx context.Context, n int) (string, error) {
	if dir, ok := s.data[n]; ok {
		return dir, nil
	}
	dir, err := os.MkdirTemp(s.dir, "data-") // readable by its owner only
	if err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	for i, app := range pusher.Apps(n) {
		name := "bench-" + strconv.Itoa(i+1) // each app its own tenant: strangers to one another
		create := exec.CommandContext(ctx, filepath.Join(s.dir, Tidewire), "apps", "create",
			"--tenant", name, "--name", name, "--id", app.ID, "--key", app.Key, "--secret", app.Secret,
			"--limits", limits, "--json")
		create.Env = platformEnv(dir)
		create.Dir = s.dir // so that no configuration file is found
		if out, err := create.CombinedOutput(); err != nil {
			return "", fmt.Errorf("create app %s: %w\n%s", app.ID, err, out)
		}
	}
	s.data[n] = dir
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

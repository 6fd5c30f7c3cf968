//go:build linux

package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is one running server. End it with [Process.Stop].
type Process struct {
	Addr string // where it listens
	PID  int

	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the process has ended and was waited for
	stop sync.Once
}

// startTimeout bounds the time until a server accepts connections.
const startTimeout = 20 * time.Second

// Start runs path with args and env (nothing else is inherited) and returns when
// something accepts connections at addr. The working folder is path's. What the process prints is kept for the
// error that tells why it did not come up, and for [Process.Log].
func Start(ctx context.Context, addr, path string, args, env []string) (*Process, error) {
	p := &Process{Addr: addr, log: &tail{}, done: make(chan struct{})}
	name, args := pinned(path, args)
	p.cmd = exec.Command(name, args...) // not CommandContext: Stop is the one way to end it
	p.cmd.Env = env
	p.cmd.Dir = filepath.Dir(path) // not the caller's: a configuration file may lie there
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = 2 * time.Second // should a grandchild hold the pipe open
	// The kernel ends it should the bench be killed without a chance to.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait() // how it ended does not matter: Stop kills it
		close(p.done)
	}()
	if err := p.await(ctx); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", path, err, p.Log())
	}
	return p, nil
}

// await dials until somebody answers.
func (p *Process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", p.Addr); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-p.done:
			return errors.New("ended before it listened")
		case <-ctx.Done():
			return fmt.Errorf("does not listen at %s: %w", p.Addr, ctx.Err())
		}
	}
}

// Alive reports whether the process still runs.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends s to the process.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop kills the process and waits for its end. Calling it twice is safe. A kill
// is enough: the measuring is over, and its data folder is thrown away.
func (p *Process) Stop() {
	p.stop.Do(func() { _ = p.cmd.Process.Kill() })
	<-p.done
}

// Log returns the end of what the process printed.
func (p *Process) Log() string { return p.log.String() }

// FreeAddr returns a loopback address nobody listens at. Another process could
// take it before the caller does; then the start fails and says so.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// tail keeps the last few kilobytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > tailBytes {
		t.buf = bytes.Clone(t.buf[len(t.buf)-tailBytes:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

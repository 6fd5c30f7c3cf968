//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	pollEvery    = 20 * time.Millisecond
)

// server is one running server process.
type server struct {
	name string
	cmd  *exec.Cmd
	log  string
	stop syscall.Signal // ends it quickly
	done chan struct{}  // closed when the process has ended
}

// startServer starts cmd with its output in a log file. The process leads its
// own group, so that a Ctrl-C on the terminal does not reach it before the
// tests have ended, and gets stop from the kernel if we die.
func (k *kit) startServer(name string, cmd *exec.Cmd, stop syscall.Signal) (*server, error) {
	s := &server{name: name, cmd: cmd, log: filepath.Join(k.dir, name+".log"), stop: stop, done: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	setDeathSignal(cmd.SysProcAttr, stop)
	if err := k.onStarter(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// await polls until ready says yes.
func (s *server) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("%s ended while starting: %s", s.name, s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready within %s: %s", s.name, startTimeout, s.lastWords())
		}
	}
	return nil
}

// end stops the process and waits for it, with force if it does not listen.
func (s *server) end() {
	_ = s.cmd.Process.Signal(s.stop)
	select {
	case <-s.done:
		return
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
}

// lastWords is the last line of the log that is not empty.
func (s *server) lastWords() string {
	text, _ := os.ReadFile(s.log)
	return lastLine(string(text))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return "it said nothing"
}

// freePort returns a port of 127.0.0.1 that was free a moment ago. Another
// process may take it first: callers try again.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// runCommand runs the command in a process group of its own with env and
// returns its exit code. When ctx ends, the group gets the signal that ended it
// and, if that does not help, SIGKILL. What the command leaves running in its
// group is ended too.
func (k *kit) runCommand(ctx context.Context, command, env []string, stdout io.Writer) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, stdout, k.out
	// A process that was left behind may hold the output open.
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	setDeathSignal(cmd.SysProcAttr, syscall.SIGKILL)
	if err := k.onStarter(cmd.Start); err != nil {
		k.say("cannot run the command: %v", err)
		return exitCannot
	}
	group := -cmd.Process.Pid
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = endGroup(ctx, group, done)
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	if sig, ok := interruptedBy(ctx); ok {
		return exitSignal + int(sig)
	}
	return exitCode(err)
}

// endGroup passes the signal that ended ctx to the group and waits for the
// command, with force at last.
func endGroup(ctx context.Context, group int, done <-chan error) error {
	sig, ok := interruptedBy(ctx)
	if !ok {
		sig = syscall.SIGTERM
	}
	_ = syscall.Kill(group, sig)
	select {
	case err := <-done:
		return err
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	return <-done
}

// exitCode turns the result of [exec.Cmd.Wait] into a shell's exit code.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0
	case !errors.As(err, &exit):
		return exitCannot
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal())
	}
	return exit.ExitCode()
}

//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const tempPrefix = "tidewire-testenv-"

// kit holds what one run of testenv has made, so that all of it can be undone.
type kit struct {
	dir     string // the temporary folder; anybody may pass through it, nobody may list it
	out     io.Writer
	cleanup []func() // run last to first
	starts  chan func()
	updated bool // apt-get update has run
}

// newKit makes the temporary folder and the thread that starts processes, and
// removes the folders of runs that were killed.
func newKit(out io.Writer) (*kit, error) {
	sweep(os.TempDir())
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", tempPrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	// Postgres runs as another user when we are root: it must reach its folder.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, fmt.Errorf("open the temporary folder to its servers: %w", err)
	}
	k := &kit{dir: dir, out: out, starts: make(chan func())}
	k.onClose(func() { _ = os.RemoveAll(dir) })
	go k.startProcesses()
	return k, nil
}

// startProcesses runs every start on one thread that lives as long as the kit:
// Linux sends a child's death signal when the thread that started it ends.
func (k *kit) startProcesses() {
	runtime.LockOSThread()
	for start := range k.starts {
		start()
	}
}

// onStarter runs f on the thread of startProcesses.
func (k *kit) onStarter(f func() error) error {
	result := make(chan error)
	k.starts <- func() { result <- f() }
	return <-result
}

// onClose registers f to run at close.
func (k *kit) onClose(f func()) { k.cleanup = append(k.cleanup, f) }

// close undoes everything, newest first. Calling it again does nothing.
func (k *kit) close() {
	for i := len(k.cleanup) - 1; i >= 0; i-- {
		k.cleanup[i]()
	}
	if k.cleanup != nil {
		close(k.starts)
	}
	k.cleanup = nil
}

// say prints one line of progress.
func (k *kit) say(format string, args ...any) {
	fmt.Fprintf(k.out, "testenv: "+format+"\n", args...)
}

// folder makes a sub-folder for one server.
func (k *kit) folder(name string) (string, error) {
	dir := filepath.Join(k.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	return dir, nil
}

// sweep removes the temporary folders of runs whose process no longer exists.
func sweep(temp string) {
	found, _ := filepath.Glob(filepath.Join(temp, tempPrefix+"*"))
	for _, dir := range found {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), tempPrefix), "-")
		n, err := strconv.Atoi(pid)
		if err != nil || n <= 1 || syscall.Kill(n, 0) != syscall.ESRCH {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}

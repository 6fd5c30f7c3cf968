//go:build linux

package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"
)

// serverCPU is where servers are kept; empty = wherever the system puts them.
// It is set before the first server starts.
var serverCPU string

// Pin keeps every server started from now on at processor 0, and this process
// at processor 1: one core of server against one core of load.
func Pin() error {
	if _, err := exec.LookPath("taskset"); err != nil {
		return fmt.Errorf("pinning needs taskset, of util-linux: %w", err)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	mask := uint64(1 << 1)
	for _, t := range tasks { // threads made later inherit it
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
		if errno != 0 && errno != syscall.ESRCH {
			return fmt.Errorf("stay on processor 1: %w", errno)
		}
	}
	serverCPU = "0"
	return nil
}

// pinned puts taskset in front of a command, if servers are pinned. taskset
// becomes the server, so the process id is the server's.
func pinned(path string, args []string) (string, []string) {
	if serverCPU == "" {
		return path, args
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return path, args // Pin has found it
	}
	return taskset, append([]string{"-c", serverCPU, path}, args...)
}

//go:build linux

package load

import (
	"fmt"
	"syscall"
)

// spare is what the process needs beside its clients: publishers, pipes, logs.
const spare = 200

// RaiseFileLimit lifts the soft limit of open files to the hard one and returns
// how many clients fit under it.
func RaiseFileLimit() (clients int, err error) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	lim.Cur = lim.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("raise the limit of open files to %d: %w", lim.Max, err)
	}
	return max(int(min(lim.Max, 1<<20))-spare, 0), nil
}

//go:build linux

package proc

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is what a figure means nothing without.
type Machine struct {
	CPUs      int    `json:"cpus"`
	Model     string `json:"model"`
	MemoryMB  int64  `json:"memory_mb"`
	Kernel    string `json:"kernel"`
	Go        string `json:"go"`
	SyscallNs int64  `json:"empty_syscall_ns"` // dear on some virtual machines; coalescing gains more there
	LoadStart string `json:"load_average_at_start"`
	LoadEnd   string `json:"load_average_at_end"`
}

// Describe looks at the machine. What cannot be read stays empty.
func Describe() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), SyscallNs: emptySyscall(), LoadStart: Load()}
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kb, err := field(raw, "MemTotal:"); err == nil {
			m.MemoryMB = kb >> 10
		}
	}
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(raw))
	}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// Load returns the three load averages.
func Load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(raw))[:3], " ")
}

func emptySyscall() int64 {
	const n = 20000
	start := time.Now()
	for range n {
		_, _, _ = syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	}
	return time.Since(start).Nanoseconds() / n
}

// Nice gives this session, and with it every server started later, the weight n
// against other sessions. A kernel that groups processes by session pays no heed
// to the nice value of a single process there.
func Nice(n int) error {
	if err := os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(n)), 0); err != nil {
		return fmt.Errorf("set the session's weight (leave -nice out, or run as root): %w", err)
	}
	return nil
}

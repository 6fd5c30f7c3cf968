//go:build unix

package fanout

import (
	"syscall"
	"unsafe"
)

// WriteNow does one non-blocking write(2) of b on a non-blocking descriptor. A
// full socket buffer is not an error: n is then 0 or short.
func WriteNow(fd int, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		// RawSyscall does not tell the scheduler: the socket is non-blocking and
		// the call lasts a few microseconds, less than handing the P over costs.
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}

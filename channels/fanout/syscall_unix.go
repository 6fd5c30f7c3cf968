//go:build unix

package fanout

import (
	"syscall"
	"unsafe"
)

// Write does one non-blocking write(2) of b on rc. A full socket buffer is not
// an error: n is then 0 or short.
func (s *Syscall) Write(rc syscall.RawConn, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if s.fn == nil {
		s.fn = s.once
	}
	s.buf, s.n, s.errno = b, 0, nil
	err = rc.Write(s.fn)
	s.buf = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.errno
}

// once runs under the descriptor's lock. It always reports "done", so that the
// runtime never parks the shard to wait for the socket.
func (s *Syscall) once(fd uintptr) bool {
	for {
		// RawSyscall does not tell the scheduler: the socket is non-blocking and
		// the call lasts a few microseconds, less than handing the P over costs.
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.buf))), uintptr(len(s.buf)))
		switch errno {
		case 0:
			s.n = int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			s.errno = errno
		}
		return true
	}
}

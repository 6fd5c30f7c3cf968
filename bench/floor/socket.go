//go:build linux

package main

import (
	"syscall"
	"unsafe"
)

// read takes what the socket holds and handles every complete message in it.
func (s *server) read(c *conn) {
	held := copy(s.buf, c.in)
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd),
		uintptr(unsafe.Pointer(&s.buf[held])), uintptr(len(s.buf)-held))
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		return
	}
	if errno != 0 || n == 0 {
		s.drop(c)
		return
	}
	rest, ok := s.handle(c, s.buf[:held+int(n)])
	if !ok || len(rest) == len(s.buf) {
		s.drop(c)
		return
	}
	if len(rest) == 0 {
		c.in = nil // an idle connection holds no buffer
		return
	}
	c.in = append(c.in[:0], rest...)
}

// write sends b at once if nothing is waiting, and keeps what the socket does
// not take. The bytes are shared by all receivers and never changed.
func (s *server) write(c *conn, b []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, b)
		return
	}
	n, ok := try(c.fd, b)
	if ok && n < len(b) {
		c.out = append(c.out, b[n:])
		ok = s.watch(c.fd, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN|syscall.EPOLLOUT) == nil
	}
	if !ok {
		// The reader finds the broken socket and drops it: here the caller may
		// be walking the very list that drop changes.
		_ = syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
	}
}

// flush goes on with what was waiting.
func (s *server) flush(c *conn) {
	for len(c.out) > 0 {
		n, ok := try(c.fd, c.out[0])
		if !ok {
			s.drop(c)
			return
		}
		if n < len(c.out[0]) {
			c.out[0] = c.out[0][n:]
			return
		}
		c.out = c.out[1:]
	}
	c.out = nil
	if s.watch(c.fd, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN) != nil {
		s.drop(c)
	}
}

// try makes one write(2). It returns 0 and true when the socket is full.
func try(fd int, b []byte) (int, bool) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch errno {
	case 0:
		return int(n), true
	case syscall.EAGAIN, syscall.EINTR:
		return 0, true
	}
	return 0, false
}

//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"unsafe"
)

// sources is how many loopback addresses the clients spread over, so that one
// run after another does not exhaust the ports of one.
const sources = 40

// connectTimeout bounds connect and the first write of one client.
const connectTimeout = 5 // seconds

// dial opens the i-th client's socket, blocking, and sends request. The socket
// it returns does not block.
func dial(to netip.AddrPort, i int, request []byte) (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	timeout := syscall.Timeval{Sec: connectTimeout}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &timeout); err != nil {
		return -1, fmt.Errorf("set the connect timeout: %w", err)
	}
	// Without this the port is fixed at bind and each source address runs dry on its own.
	const ipBindAddressNoPort = 24
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
		return -1, fmt.Errorf("delay the choice of a port: %w", err)
	}
	from := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i%sources)}}
	if err := syscall.Bind(fd, from); err != nil {
		return -1, fmt.Errorf("bind to 127.0.0.%d: %w", from.Addr[3], err)
	}
	if err := connect(fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return -1, fmt.Errorf("connect client %d: %w", i, err)
	}
	if err := send(fd, request); err != nil {
		return -1, fmt.Errorf("send the upgrade of client %d: %w", i, err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return -1, fmt.Errorf("make a socket non-blocking: %w", err)
	}
	return fd, nil
}

// connect is connect(2) gone on with after a signal: the runtime sends itself
// some, and the kernel keeps connecting meanwhile.
func connect(fd int, to syscall.Sockaddr) error {
	for {
		err := syscall.Connect(fd, to)
		switch {
		case err == nil || errors.Is(err, syscall.EISCONN):
			return nil
		case !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.EALREADY):
			return err
		}
	}
}

// send writes the whole of b or fails: the clients write so little that a full
// socket buffer means the server stopped reading.
func send(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.SendmsgN(fd, b, nil, nil, syscall.MSG_NOSIGNAL)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// receive reads once without telling the scheduler: the socket does not block,
// so the call is over in a few microseconds. It returns 0 when there is nothing.
func receive(fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("read: %w", errno)
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}

// hangUp closes fd with a reset, so that no port is left waiting.
func hangUp(fd int) {
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	_ = syscall.Close(fd)
}

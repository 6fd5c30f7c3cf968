//go:build linux

// Command floor is the bench's lower bound: one goroutine, one epoll, and for
// each event one non-blocking write of the same bytes per subscriber.
//
// It answers the bench's own clients and nobody else: no signature is checked,
// requests are searched rather than parsed, nothing is limited. What a server
// costs beyond this is the price of being one.
package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"tidewire/bench/internal/serve"
)

func main() {
	serve.Run(func(l net.Listener, o serve.Options) error {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return errors.New("listener is not TCP")
		}
		file, err := tcp.File()
		if err != nil {
			return fmt.Errorf("take the listener's descriptor: %w", err)
		}
		defer func() { _ = file.Close() }()
		s, err := newServer(int(file.Fd()), o)
		if err != nil {
			return err
		}
		return s.run()
	})
}

const (
	pollBatch  = 512
	readBuffer = 256 << 10
)

// server is the event loop. One goroutine owns all of it.
type server struct {
	ep, listener int
	buf          []byte
	conns        map[int]*conn
	topics       map[string][]*conn // app and channel, joined with a slash
	ids          map[string]string  // app id by key
	served       uint32             // connections so far, the second half of a socket id
}

// conn is one connection, HTTP until it is upgraded.
type conn struct {
	fd     int
	app    string
	ws     bool
	in     []byte   // what came of a message whose end has not
	out    [][]byte // what the socket would not take yet
	topics []string
}

func newServer(listener int, o serve.Options) (*server, error) {
	if err := syscall.SetNonblock(listener, true); err != nil {
		return nil, fmt.Errorf("make the listener non-blocking: %w", err)
	}
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	s := &server{
		ep: ep, listener: listener,
		buf:   make([]byte, readBuffer),
		conns: map[int]*conn{}, topics: map[string][]*conn{}, ids: map[string]string{},
	}
	for key, app := range o.Keys {
		s.ids[key] = app.ID
	}
	return s, s.watch(listener, syscall.EPOLL_CTL_ADD, syscall.EPOLLIN)
}

func (s *server) watch(fd, op int, events uint32) error {
	if err := syscall.EpollCtl(s.ep, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

func (s *server) run() error {
	events := make([]syscall.EpollEvent, pollBatch)
	for {
		n, err := syscall.EpollWait(s.ep, events, -1)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if int(ev.Fd) == s.listener {
				s.accept()
				continue
			}
			c := s.conns[int(ev.Fd)]
			if c != nil && ev.Events&syscall.EPOLLOUT != 0 {
				s.flush(c)
			}
			if c != nil && ev.Events&^syscall.EPOLLOUT != 0 {
				s.read(c)
			}
		}
	}
}

func (s *server) accept() {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return // EAGAIN, or a peer that left before we came
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		if err := s.watch(fd, syscall.EPOLL_CTL_ADD, syscall.EPOLLIN); err != nil {
			_ = syscall.Close(fd)
			continue
		}
		s.conns[fd] = &conn{fd: fd}
	}
}

func (s *server) drop(c *conn) {
	if s.conns[c.fd] != c {
		return
	}
	delete(s.conns, c.fd)
	for _, t := range c.topics {
		list := s.topics[t]
		for i, other := range list {
			if other == c {
				list[i] = list[len(list)-1]
				s.topics[t] = list[:len(list)-1]
				break
			}
		}
	}
	_ = syscall.Close(c.fd)
}

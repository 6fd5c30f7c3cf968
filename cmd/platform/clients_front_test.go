package main

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// front is a balancer: it passes connections on to one server at a time.
type front struct {
	address string
	mu      sync.Mutex
	target  string
	open    []net.Conn
	running sync.WaitGroup
}

// startFront starts a front that leads to target.
func startFront(t *testing.T, target string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &front{address: l.Addr().String(), target: target}
	f.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		for _, conn := range f.open {
			_ = conn.Close()
		}
		f.mu.Unlock()
		f.running.Wait()
	})
	return f
}

// lead sends new connections elsewhere; those there are stay where they are.
func (f *front) lead(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
}

// pass joins a connection with one to the target until either side ends.
func (f *front) pass(in net.Conn) {
	defer in.Close()
	f.mu.Lock()
	out, err := net.Dial("tcp", f.target)
	if err != nil {
		f.mu.Unlock()
		return
	}
	f.open = append(f.open, in, out)
	f.mu.Unlock()
	defer out.Close()
	var done sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		done.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	done.Wait()
}

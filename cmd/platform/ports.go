package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ports are the bound listeners of a server.
type ports struct {
	main    net.Listener
	metrics net.Listener // nil = none
}

// addresses are where a running server can be reached, with the real ports.
type addresses struct {
	Main    string // host:port
	Metrics string // host:port; empty = none
}

// openPorts binds what cfg asks for, all or nothing.
func openPorts(ctx context.Context, cfg Config) (p ports, err error) {
	if p.main, err = bind(ctx, "listen", cfg.Listen); err != nil {
		return ports{}, err
	}
	if cfg.MetricsListen == "" {
		return p, nil
	}
	if p.metrics, err = bind(ctx, "metrics_listen", cfg.MetricsListen); err != nil {
		_ = p.main.Close()
		return ports{}, err
	}
	return p, nil
}

func (p ports) addresses() addresses {
	a := addresses{Main: p.main.Addr().String()}
	if p.metrics != nil {
		a.Metrics = p.metrics.Addr().String()
	}
	return a
}

// close closes what no server has closed yet.
func (p ports) close() {
	_ = p.main.Close()
	if p.metrics != nil {
		_ = p.metrics.Close()
	}
}

// bind listens on address; setting is its name, for the remedy.
func bind(ctx context.Context, setting, address string) (net.Listener, error) {
	// No TCP keep-alive: every connection has a time-out or pings of its own, and
	// setting it up is four calls for each.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	return nil, bindError(setting, address, err)
}

func bindError(setting, address string, err error) error {
	host, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s is already in use (%s): stop the program that uses it, or choose another port, for example %s %s",
			port, setting, flagName(setting), net.JoinHostPort(host, nextPort(port)))
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %s may not be opened by this user (%s): choose one above 1023, for example %s %s",
			port, setting, flagName(setting), net.JoinHostPort(host, "6001"))
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s (%s): %w: check %s", address, setting, err, flagName(setting))
}

func nextPort(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil || n >= 65535 {
		return "0"
	}
	return strconv.Itoa(n + 1)
}

// nodeName names this process among the nodes of one Redis, also after a
// restart on the same host.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	host = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '-'
	}, host)
	return host + "-" + strings.ToLower(rand.Text()[:8])
}

// isLoopback reports whether only this machine can reach a host:port.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// baseURL is how a program on this machine, or through the public address if
// there is one, reaches a server that listens on address.
func (c Config) baseURL(address string) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return c.localURL(address)
}

// localURL is how a program on this machine reaches it.
func (c Config) localURL(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.speaksTLS() {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

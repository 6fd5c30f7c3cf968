//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

func redisNeed() need {
	return need{
		name: "redis",
		env:  "TEST_REDIS_URL",
		sources: []source{
			localRedis,
			composeService("redis", "6379", "redis://%s"),
			debianPackage("redis-server", localRedis),
		},
		hint: "install Redis 7.0 or newer or Valkey (apt-get install redis-server, brew install redis) or start Docker",
	}
}

// localRedis starts a private server from the binary of this machine.
func localRedis(ctx context.Context, k *kit) (string, error) {
	bin := findProgram("redis-server", "valkey-server")
	if bin == "" {
		return "", nil
	}
	k.say("redis: starting a private server from %s", bin)
	dir, err := k.folder("redis")
	if err != nil {
		return "", err
	}
	return retryPort(ctx, func(port int) (string, error) {
		cmd := exec.Command(bin, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
			"--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no")
		return startRedis(ctx, k, cmd, port)
	})
}

// startRedis starts the server and waits until it answers.
func startRedis(ctx context.Context, k *kit, cmd *exec.Cmd, port int) (string, error) {
	// There is nothing to save, so there is nothing to end politely.
	s, err := k.startServer("redis", cmd, syscall.SIGKILL)
	if err != nil {
		return "", err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := s.await(ctx, func() bool { return answersPing(addr) }); err != nil {
		s.end()
		return "", err
	}
	k.onClose(s.end)
	k.say("redis: ready on %s", addr)
	return "redis://" + addr, nil
}

// answersPing reports whether a Redis at addr answers PING.
func answersPing(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, len("+PONG\r\n"))
	n, _ := conn.Read(reply)
	return string(reply[:n]) == "+PONG\r\n"
}

// retryPort calls start with free ports until it works: another process may
// take a port between our finding it and the server's listening on it.
func retryPort(ctx context.Context, start func(port int) (string, error)) (string, error) {
	var last error
	for range 3 {
		if ctx.Err() != nil {
			return "", fmt.Errorf("start a server: %w", context.Cause(ctx))
		}
		port, err := freePort()
		if err != nil {
			return "", err
		}
		value, err := start(port)
		if err == nil {
			return value, nil
		}
		last = err
	}
	return "", last
}

// findProgram returns the path of the first name found in PATH, or "".
func findProgram(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

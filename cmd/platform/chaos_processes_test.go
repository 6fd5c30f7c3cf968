package main

import (
	"cmp"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
)

const severalNodes = 3

// processes are an installation of three nodes, each a process with a link of
// its own to one Redis; all of it can be broken.
type processes struct {
	t      *testing.T
	binary string // what to run; empty = this test
	redis  *exec.Cmd
	policy string // appendfsync of Redis
	addr   string // of Redis
	links  []*toxiproxy.Proxy
	nodes  []*processNode
}

type processNode struct {
	environ []string
	url     string
	cmd     *exec.Cmd
	log     buffer
}

// setup is what [startProcesses] can be told; the zero value is in order.
type setup struct {
	binary  string        // what to run; empty = this test
	lease   time.Duration // 0 = chaosLease
	policy  string        // appendfsync of Redis; empty = everysec
	environ []string      // adds to the configuration of all nodes
	each    func(node int) (environ []string)
}

// startProcesses starts three nodes and waits until they are ready.
func startProcesses(t *testing.T, s setup) *processes {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil || testing.Short() {
		t.Skip("starts its own redis-server")
	}
	p := &processes{t: t, binary: s.binary, addr: freePort(t), policy: cmp.Or(s.policy, "everysec")}
	p.redis = p.startRedis(p.addr)
	t.Cleanup(p.killRedis)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	common := append(dataDir(t), "TIDEWIRE_DATABASE_URL="+dbtest.Postgres(t), "TIDEWIRE_NODE_LEASE="+cmp.Or(s.lease, chaosLease).String(),
		"TIDEWIRE_METRICS_LISTEN=off", "TIDEWIRE_SHUTDOWN_TIMEOUT=3s")
	common = append(common, s.environ...)
	if s.each == nil {
		s.each = func(int) []string { return nil }
	}
	for i := range severalNodes {
		link := toxiproxy.NewProxy(server, "node"+strconv.Itoa(i), "127.0.0.1:0", p.addr)
		require.NoError(t, link.Start())
		t.Cleanup(link.Stop)
		p.links = append(p.links, link)
		listen := freePort(t)
		p.nodes = append(p.nodes, &processNode{
			environ: append(append(slices.Clone(common), s.each(i)...), "TIDEWIRE_LISTEN="+listen, "TIDEWIRE_REDIS_URL=redis://"+link.Listen),
			url:     "http://" + listen,
		})
	}
	t.Cleanup(p.end)
	for i := range p.nodes {
		p.launch(i)
	}
	for i := range p.nodes {
		p.eventually(func() bool { return p.ready(i) }, "a node is not ready")
	}
	return p
}

func (p *processes) end() {
	for i, n := range p.nodes {
		if n.cmd != nil {
			p.kill(i)
		}
		if p.t.Failed() {
			p.t.Logf("log of node %d:\n%s", i, &n.log)
		}
	}
}

// startRedis starts a Redis that keeps what it has acknowledged when it is killed.
func (p *processes) startRedis(addr string, args ...string) *exec.Cmd {
	p.t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	dir := p.t.TempDir()
	if p.redis != nil && addr == p.addr {
		dir = p.redis.Dir // with what was there
	}
	cmd := exec.Command("redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", p.policy, "--repl-diskless-sync-delay", "0"}, args...)...)
	cmd.Dir = dir
	require.NoError(p.t, cmd.Start())
	rdb := p.raw(addr)
	defer rdb.Close()
	p.eventually(func() bool { return rdb.Ping(p.t.Context()).Err() == nil }, "redis does not answer")
	return cmd
}

func (p *processes) killRedis() {
	_ = p.redis.Process.Kill()
	_ = p.redis.Wait()
}

// raw is a connection to a Redis for what only a test would do.
func (p *processes) raw(addr string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: addr, Protocol: 2})
}

// failOver promotes a new replica to master and kills the old one.
func (p *processes) failOver() {
	p.t.Helper()
	addr := freePort(p.t)
	host, port, _ := strings.Cut(p.addr, ":")
	replica := p.startRedis(addr, "--replicaof", host+" "+port)
	rdb := p.raw(addr)
	defer rdb.Close()
	p.eventually(func() bool {
		return strings.Contains(rdb.Info(p.t.Context(), "replication").Val(), "master_link_status:up")
	}, "the replica does not follow")
	p.killRedis()
	require.NoError(p.t, rdb.Do(p.t.Context(), "replicaof", "no", "one").Err())
	p.redis, p.addr = replica, addr
	for _, link := range p.links {
		link.Stop()
		link.Upstream = addr
		require.NoError(p.t, link.Start())
	}
}

// launch starts a node and does not wait for it.
func (p *processes) launch(i int) {
	p.t.Helper()
	n, exe := p.nodes[i], p.binary
	if exe == "" {
		var err error
		exe, err = os.Executable()
		require.NoError(p.t, err)
	}
	n.cmd = exec.Command(exe, "serve")
	n.cmd.Env = append(slices.Clone(n.environ), actAsPlatform+"=1", "PATH="+os.Getenv("PATH"))
	n.cmd.Dir = p.redis.Dir
	n.cmd.Stderr = &n.log
	require.NoError(p.t, n.cmd.Start())
}

func (p *processes) start(i int) {
	p.t.Helper()
	p.launch(i)
	p.eventually(func() bool { return p.ready(i) }, "a node is not ready")
}

func (p *processes) kill(i int) {
	_ = p.nodes[i].cmd.Process.Kill()
	_ = p.nodes[i].cmd.Wait()
	p.nodes[i].cmd = nil
}

// stop ends a node in order.
func (p *processes) stop(i int) {
	p.signal(i, syscall.SIGTERM)
	_ = p.nodes[i].cmd.Wait()
}

func (p *processes) signal(i int, s syscall.Signal) { _ = p.nodes[i].cmd.Process.Signal(s) }

func (p *processes) ready(i int) bool {
	status, _ := get(p.t, p.nodes[i].url+"/readyz")
	return status == http.StatusOK
}

// eventually is the one of other tests: it has a minute, for a busy machine.
func (p *processes) eventually(what func() bool, message string) {
	p.t.Helper()
	eventually(p.t, what, message)
}

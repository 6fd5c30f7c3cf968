package redis_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/tenants"
	"tidewire/tenants/redis"
	"tidewire/tenants/tenantstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func sharedAddr(t testing.TB) string {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	if url == "" {
		if testing.Short() {
			t.Skip("needs Redis, and TEST_REDIS_URL is not set")
		}
		t.Fatal("TEST_REDIS_URL is not set: run the tests with make test, which starts a Redis")
	}
	opts, err := goredis.ParseURL(url)
	require.NoError(t, err)
	return opts.Addr
}

// node is a limiter that runs until the test ends.
func node(t *testing.T, addr string, now func() time.Time) *redis.Limiter {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1, DialTimeout: time.Second, Protocol: 2})
	l := redis.NewLimiter(rdb, redis.Config{Now: now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, rdb.Close())
	})
	return l
}

var tenantCount atomic.Int64

func newTenant() string {
	return "tn_" + strconv.FormatInt(time.Now().UnixNano(), 36) + "_" + strconv.FormatInt(tenantCount.Add(1), 10)
}

func demand(tenant string, cost, rate int) tenants.Demand {
	return tenants.Demand{Tenant: tenant, Cost: cost, Buckets: [tenants.MaxBuckets]tenants.Bucket{
		{Name: "publish", App: "1", Rate: rate}, {Name: "publish", Rate: 10 * rate},
	}}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	addr := sharedAddr(t)
	tenantstest.TestLimiter(t, func(t *testing.T, now func() time.Time) tenants.Limiter { return node(t, addr, now) })
}

// What one node took is missing on the others, those that come later included.
func TestNodesShareOneBucket(t *testing.T) {
	t.Parallel()
	addr, tenant := sharedAddr(t), newTenant()
	a, b := node(t, addr, nil), node(t, addr, nil)
	take := func(l *redis.Limiter, cost int) tenants.Decision { // of a bucket that fills slowly
		return l.Take(t.Context(), tenants.Demand{Tenant: tenant, Cost: cost, Buckets: [3]tenants.Bucket{
			{Name: "publish", App: "1", Rate: 1, Burst: 1000},
		}})
	}
	const filling = patience / time.Second // what may have come in meanwhile
	left := func(want int, nodes ...*redis.Limiter) {
		t.Helper()
		for _, l := range nodes {
			require.Eventually(t, func() bool {
				d := take(l, 1_000_000) // more than there is, so nothing is taken
				return !d.Allowed && d.Remaining >= want && d.Remaining <= want+int(filling)
			}, patience, 5*time.Millisecond)
		}
	}
	require.True(t, take(a, 600).Allowed)
	require.True(t, take(b, 100).Allowed)
	left(300, a, b)
	require.True(t, take(b, 200).Allowed)
	left(100, a, b)
	late := node(t, addr, nil)
	require.True(t, take(late, 40).Allowed, "it has not asked yet")
	left(60, late, a, b)
	require.True(t, a.Take(t.Context(), demand(newTenant(), 600, 1000)).Allowed, "other tenants have their own")
}

// The rate holds over all nodes, whatever they are asked at the same time.
func TestRateHoldsOverNodes(t *testing.T) {
	t.Parallel()
	const nodes, rate, span = 3, 200, 3 * time.Second
	addr, tenant := sharedAddr(t), newTenant()
	var passed atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	begun := time.Now()
	var all sync.WaitGroup
	for range nodes {
		l := node(t, addr, nil)
		all.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				if l.Take(ctx, demand(tenant, 1, rate)).Allowed {
					passed.Add(1)
				}
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begun).Seconds()
	// What each may let through before it hears of the others is one burst, which
	// takes longer than the test to pay off.
	require.LessOrEqual(t, float64(passed.Load()), nodes*rate+rate*took)
	require.GreaterOrEqual(t, float64(passed.Load()), rate*(span.Seconds()-1), "and is not wasted")
}

func TestRedisAwayLeavesAShare(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	clock := tenantstest.NewClock()
	a, b := node(t, server.addr, clock.Now), node(t, server.addr, clock.Now)
	require.Eventually(t, func() bool { return a.Nodes() == 2 && b.Nodes() == 2 }, patience, 5*time.Millisecond)
	server.kill()
	passes := func(l *redis.Limiter, rate int) (n int) {
		tenant := newTenant()
		begun := time.Now()
		for l.Take(t.Context(), demand(tenant, 1, rate)).Allowed {
			n++
		}
		require.Less(t, time.Since(begun), time.Second, "nobody waits for Redis")
		return n
	}
	require.Eventually(t, func() bool { return passes(a, 100) == 50 && passes(b, 100) == 50 }, patience, 20*time.Millisecond)
	require.Equal(t, 1, passes(a, 1), "at least one")

	server.start(t)
	require.Eventually(t, func() bool { return a.Nodes() == 2 && passes(a, 100) == 100 && passes(b, 100) == 100 }, patience, 20*time.Millisecond,
		"it recovers by itself")
}

func TestANodeThatDiesIsNoLongerCounted(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	a := node(t, server.addr, nil)
	t.Run("with another", func(t *testing.T) {
		node(t, server.addr, nil)
		require.Eventually(t, func() bool { return a.Nodes() == 2 }, patience, 5*time.Millisecond)
	})
	require.Eventually(t, func() bool { return a.Nodes() == 1 }, patience, 5*time.Millisecond)
}

func TestBucketsAreForgotten(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	l := node(t, server.addr, nil)
	for range 500 {
		l.Take(t.Context(), demand(newTenant(), 1, 100))
	}
	require.Equal(t, 1000, l.Watched())
	require.Eventually(t, func() bool { return l.Watched() == 0 }, patience, 10*time.Millisecond)
	rdb := goredis.NewClient(&goredis.Options{Addr: server.addr, Protocol: 2})
	defer func() { require.NoError(t, rdb.Close()) }()
	keys, err := rdb.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		left, err := rdb.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Positive(t, left, "%s must not stay for ever", key)
		require.LessOrEqual(t, left, 21*time.Second)
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	rdb := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	defer func() { require.NoError(t, rdb.Close()) }()
	l := tenants.Limiter(redis.NewLimiter(rdb, redis.Config{}))
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Take(ctx, demand("tn", 1, 1000)) }))
}

// server is a redis-server of one test.
type server struct {
	addr, dir string
	cmd       *exec.Cmd
}

func startServer(t *testing.T) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil || testing.Short() {
		t.Skip("starts its own redis-server, which is not in PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: l.Addr().String(), dir: t.TempDir()}
	require.NoError(t, l.Close())
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	s.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no")
	require.NoError(t, s.cmd.Start())
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, patience, 5*time.Millisecond)
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

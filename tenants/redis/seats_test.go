package redis_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/redis"
)

const seatsTestLease = 2 * time.Second

// link is how one node reaches Redis.
type link struct {
	mu   sync.Mutex
	down bool
	open []net.Conn
}

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errors.New("the link is down")
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
	if err == nil {
		l.open = append(l.open, conn)
	}
	return conn, err
}

// cut ends every connection and lets no new one come, until restore.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

func (l *link) restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// seats is one node's; die ends it as kill -9 would.
func seats(t *testing.T, addr string, nodes int) (s *redis.Seats, die func()) {
	t.Helper()
	return linkedSeats(t, &link{}, addr, nodes)
}

func linkedSeats(t *testing.T, l *link, addr string, nodes int) (s *redis.Seats, die func()) {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1, DialTimeout: time.Second, Protocol: 2, Dialer: l.dial})
	s = redis.NewSeats(rdb, redis.SeatsConfig{Lease: seatsTestLease, Nodes: func() int { return nodes }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	die = func() {
		once.Do(func() {
			_ = rdb.Close() // before Run can say good-bye
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(die)
	return s, die
}

func seatApp(tenant, id string, ofApp, ofTenant int) *tenants.App {
	return &tenants.App{
		ID: tenants.AppID(id), TenantID: tenant,
		Limits: tenants.Limits{MaxConnections: ofApp}, Plan: tenants.Plan{Limits: tenants.Limits{MaxConnections: ofTenant}},
	}
}

// rush has every node ask n times at once for each app, and returns how many
// got a seat on each node.
func rush(t *testing.T, nodes []*redis.Seats, n int, apps ...*tenants.App) (taken [][]int64) {
	t.Helper()
	counts := make([][]atomic.Int64, len(nodes))
	var all sync.WaitGroup
	for i, s := range nodes {
		counts[i] = make([]atomic.Int64, len(apps))
		for j, app := range apps {
			for range n {
				all.Go(func() {
					err := s.Take(t.Context(), app)
					if full := (*tenants.ConnectionsError)(nil); err == nil {
						counts[i][j].Add(1)
					} else if !errors.As(err, &full) {
						t.Errorf("unexpected: %v", err)
					}
				})
			}
		}
	}
	all.Wait()
	for i := range counts {
		row := make([]int64, len(apps))
		for j := range row {
			row[j] = counts[i][j].Load()
		}
		taken = append(taken, row)
	}
	return taken
}

func sumOf(taken [][]int64, app int) (n int64) {
	for _, row := range taken {
		n += row[app]
	}
	return n
}

// However many ask at once on however many nodes: exactly as many seats are
// given as the app, and all apps of the tenant, may have; after a death too.
func TestSeatsAreExactOverNodes(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	var nodes []*redis.Seats
	var die func()
	for range 3 {
		var s *redis.Seats
		s, die = seats(t, server.addr, 3)
		nodes = append(nodes, s)
	}
	tenant := newTenant()
	one, two := seatApp(tenant, "1", 40, 60), seatApp(tenant, "2", 50, 60)
	taken := rush(t, nodes, 30, one, two)
	require.LessOrEqual(t, sumOf(taken, 0), int64(40))
	require.LessOrEqual(t, sumOf(taken, 1), int64(50))
	require.EqualValues(t, 60, sumOf(taken, 0)+sumOf(taken, 1), "the tenant's limit, to the seat")
	var full *tenants.ConnectionsError
	require.ErrorAs(t, nodes[0].Take(t.Context(), one), &full)

	other := newTenant()
	taken = rush(t, nodes, 30, seatApp(other, "1", 40, 60))
	require.EqualValues(t, 40, sumOf(taken, 0), "the app's limit, to the seat; other tenants have their own")
	err := nodes[1].Take(t.Context(), seatApp(other, "1", 40, 60))
	require.Equal(t, &tenants.ConnectionsError{Limit: 40}, err)

	// A seat that is freed is there for the others.
	lucky := 0
	for taken[lucky][0] == 0 {
		lucky++
	}
	nodes[lucky].Free(other, "1")
	require.Eventually(t, func() bool { return nodes[(lucky+1)%3].Take(t.Context(), seatApp(other, "1", 40, 60)) == nil }, patience, 5*time.Millisecond)
	require.Error(t, nodes[(lucky+2)%3].Take(t.Context(), seatApp(other, "1", 40, 60)))

	// The dead node's come back with the end of its lease, and not one more.
	third := newTenant()
	app := seatApp(third, "3", 30, 60)
	require.EqualValues(t, 10, rush(t, nodes[2:], 10, app)[0][0])
	require.EqualValues(t, 20, sumOf(rush(t, nodes[:2], 30, app), 0))
	died := time.Now()
	die()
	got := 0
	require.Eventually(t, func() bool {
		for nodes[0].Take(t.Context(), app) == nil {
			got++
		}
		return got >= 10
	}, patience, 20*time.Millisecond)
	require.Equal(t, 10, got)
	require.Greater(t, time.Since(died), seatsTestLease/4)
}

// With Redis away a node takes its part of what was free, and no more; when it
// is back, what was taken counts.
func TestSeatsWithoutRedis(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	a, _ := seats(t, server.addr, 3)
	b, _ := seats(t, server.addr, 3)
	tenant := newTenant()
	app, unknown := seatApp(tenant, "1", 40, 1000), seatApp(tenant, "2", 30, 1000)
	require.EqualValues(t, 10, rush(t, []*redis.Seats{a}, 10, app)[0][0])
	server.kill()
	require.Error(t, func() error { // 30 were free: 10 for each of three nodes
		for range 10 {
			if err := a.Take(t.Context(), app); err != nil {
				return nil
			}
		}
		return a.Take(t.Context(), app)
	}())
	begun := time.Now()
	require.EqualValues(t, 10, rush(t, []*redis.Seats{a}, 40, unknown)[0][0], "a third of an app nobody was seen on")
	require.Less(t, time.Since(begun), time.Second, "nobody waits for a Redis known to be away")
	a.Free(tenant, "1")
	require.EqualValues(t, 1, rush(t, []*redis.Seats{a}, 5, app)[0][0], "its own seat comes back to it")

	server.start(t)                     // empty
	require.Eventually(t, func() bool { // 20 are a's
		n := 0
		for ; b.Take(t.Context(), app) == nil; n++ {
		}
		for range n {
			b.Free(tenant, "1")
		}
		return n == 20
	}, patience, 100*time.Millisecond)
}

// One node's link is cut and comes back: while it cannot know yet what others
// have, it asks Redis all the same, and nobody is admitted twice.
func TestSeatsAreExactAfterACut(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	var l link
	a, _ := linkedSeats(t, &l, server.addr, 2)
	b, _ := seats(t, server.addr, 2)
	tenant := newTenant()
	app := seatApp(tenant, "1", 40, 1000)
	require.EqualValues(t, 10, rush(t, []*redis.Seats{a}, 10, app)[0][0])
	require.EqualValues(t, 10, rush(t, []*redis.Seats{b}, 10, app)[0][0])
	l.cut()
	require.NoError(t, a.Take(t.Context(), app), "its part of those that are free")
	require.Error(t, a.Told(), "Redis does not know of it")
	l.restore()
	require.Eventually(t, func() bool { return a.Told() == nil }, patience, 5*time.Millisecond)
	rdb := goredis.NewClient(&goredis.Options{Addr: server.addr, Protocol: 2})
	defer func() { require.NoError(t, rdb.Close()) }()
	said := strings.Join(rdb.HVals(t.Context(), "tw:seats:{"+tenant+"}").Val(), "\n")
	require.Regexp(t, "(?m)^11 ", said, "it was told of the eleventh before it counts as back")
	first, second := sumOf(rush(t, []*redis.Seats{a}, 40, app), 0), sumOf(rush(t, []*redis.Seats{b}, 40, app), 0)
	require.LessOrEqual(t, first, int64(9), "its part of what is left")
	require.EqualValues(t, 19, first+second, "to the seat")
}

package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	openTimeout = 5 * time.Second
	// ioTimeout bounds dialing and every command: with Redis away a publisher
	// gets its answer within about this time.
	ioTimeout = 2 * time.Second
)

// Config says which Redis to join, and as whom.
type Config struct {
	// URL is one of redis://, rediss://, redis+sentinel:// and redis+cluster://.
	// User and password are for the Redis servers; Sentinels are asked without.
	URL string
	// Node names this process in Redis' client list: letters, digits, '.', '_'
	// and '-'. Empty for no name.
	Node string
	// Lease is how long the other nodes wait for a sign of life before they take
	// this one for dead: 1 s to 15 s, 0 for 15 s. It must be the same on all nodes.
	Lease time.Duration
	// Log receives what an operator should know; nil for none.
	Log *slog.Logger
}

// Client is a joined Redis. It is safe for concurrent use.
type Client struct {
	rdb      goredis.UniversalClient
	target   target
	log      *slog.Logger
	broker   *Broker
	presence *Presence
	changes  *Changes
	counters counters
	durable  atomic.Bool // see learn

	historyBytes int // [MaxHistoryBytes]
}

// Open connects, and checks once that the server is one this engine works with:
// reachable, the password right, version 7.0 or later, a master, and of the kind
// the URL says. Settings that can lose data are logged as warnings. Each error
// is one line that names the remedy and never the password.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	t, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(cfg.Node, func(r rune) bool { return !isNameRune(r) }) {
		return nil, errors.New("node name may have letters, digits, '.', '_' and '-' only")
	}
	lease := cmp.Or(cfg.Lease, defaultLease)
	if lease < minLease || lease > maxLease {
		return nil, fmt.Errorf("node lease is %s: it must be from %s to %s", lease, minLease, maxLease)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	routeLibraryLog(log)
	c := &Client{target: t, historyBytes: MaxHistoryBytes, log: log.With("redis", t.String())}
	c.rdb = newUniversal(t, cfg.Node, c.learn, c.reload)
	c.broker = newBroker(c)
	c.presence = newPresence(c, lease)
	c.changes = &Changes{c: c, node: c.presence.node}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := c.check(ctx); err != nil {
		_ = c.rdb.Close()
		return nil, err
	}
	return c, nil
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

// newUniversal builds the client; nothing is dialed yet.
func newUniversal(t target, node string, onConnect func(context.Context, *goredis.Conn) error, unreachable func()) goredis.UniversalClient {
	name := ""
	if node != "" {
		name = "tidewire-" + node
	}
	var tlsConfig *tls.Config
	if t.tls {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12} // the dialer takes the name from the address
	}
	opts := &goredis.UniversalOptions{
		Addrs:      t.addrs,
		MasterName: t.master,
		Username:   t.user,
		Password:   t.password,
		DB:         t.db,
		ClientName: name,
		// Subscriptions need nothing of version 3, and 2 has no out-of-band
		// pushes that could be mistaken for a reply.
		Protocol:                 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   dialer(tlsConfig, unreachable),
		OnConnect:                onConnect,
		TLSConfig:                tlsConfig,
		// A retried command may run twice, and a publish must not.
		MaxRetries:            -1,
		DialTimeout:           ioTimeout,
		DialerRetries:         1,
		ReadTimeout:           ioTimeout,
		WriteTimeout:          ioTimeout,
		PoolTimeout:           ioTimeout,
		ContextTimeoutEnabled: true,
		IsClusterMode:         t.mode == modeCluster,
	}
	return goredis.NewUniversalClient(opts)
}

// dialer dials like the library does, except that a session of subscriptions
// that had its connection is refused a second one, and that it says when a
// server could not be reached.
func dialer(tlsConfig *tls.Config, unreachable func()) func(context.Context, string, string) (net.Conn, error) {
	dial := goredis.NewDialer(&goredis.Options{DialTimeout: ioTimeout, TLSConfig: tlsConfig})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if s, ok := ctx.Value(sessionKey{}).(*session); ok && s.connected.Load() {
			return nil, errSessionOver
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			unreachable()
		}
		return conn, err
	}
}

// reload has a Cluster asked who its masters are now. The library does that by
// itself only before it retries a command, which it must not do here, and once
// a minute.
func (c *Client) reload() {
	if cluster, ok := c.rdb.(*goredis.ClusterClient); ok {
		cluster.ReloadState(context.Background())
	}
}

// Commands returns the connections for commands, which others may use for
// keys of their own. They stay the client's.
func (c *Client) Commands() goredis.UniversalClient { return c.rdb }

// Broker returns the engine of channels.Broker, the same one every time.
func (c *Client) Broker() *Broker { return c.broker }

// Presence returns the engine of channels.Presence, the same one every time.
func (c *Client) Presence() *Presence { return c.presence }

// Run keeps this node alive in the eyes of the others, until ctx ends. Then it
// leaves every topic, which takes five seconds at most, and the engine of
// presence refuses further calls. It can be called once. Losing Redis does not
// end it.
func (c *Client) Run(ctx context.Context) error { return c.presence.run(ctx) }

// Ping asks Redis, or every master of a Cluster, whether it is there. It takes
// two seconds at most.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	err := c.eachMaster(ctx, func(ctx context.Context, s *goredis.Client) error { return s.Ping(ctx).Err() })
	if err != nil {
		return fmt.Errorf("ping redis at %s: %w", c.target, oneLine(err))
	}
	return nil
}

// Close ends all connections. Run, and that of the broker, should have returned before.
func (c *Client) Close() error {
	if err := c.rdb.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// eachMaster calls fn for the one server, or for every master of a Cluster at once.
func (c *Client) eachMaster(ctx context.Context, fn func(context.Context, *goredis.Client) error) error {
	switch rdb := c.rdb.(type) {
	case *goredis.ClusterClient:
		return rdb.ForEachMaster(ctx, fn)
	case *goredis.Client:
		return fn(ctx, rdb)
	}
	return errors.New("unknown kind of redis client")
}

// oneLine keeps an error on one line, whatever the library joined into it.
func oneLine(err error) error {
	if err == nil || !strings.ContainsAny(err.Error(), "\r\n") {
		return err
	}
	return lineError{err}
}

type lineError struct{ error }

func (e lineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e lineError) Unwrap() error { return e.error }

// libraryLog takes the lines the library prints to standard error otherwise. It
// is one for the whole process, so the first client's logger gets them.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis library", "line", fmt.Sprintf(format, args...))
}

var routeLibraryLogOnce sync.Once

func routeLibraryLog(log *slog.Logger) {
	routeLibraryLogOnce.Do(func() { goredis.SetLogger(libraryLog{log}) })
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tidewire/channels"
	"tidewire/channels/redis"
	"tidewire/tenants"
	limits "tidewire/tenants/redis"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
)

// The engines. This file is the only one that knows their names.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
	engineMemory   = "memory"
	engineRedis    = "redis"
)

// needsRealtime is the realtime engine that can be away, as a dependency.
const needsRealtime = engineRedis

// databaseFile is the embedded database in the data folder.
const databaseFile = "tidewire.db"

// databaseEngine says which engine a database URL asks for.
func databaseEngine(url string) (string, error) {
	scheme, _, _ := strings.Cut(url, "://")
	switch {
	case url == "":
		return engineSQLite, nil
	case scheme == "postgres" || scheme == "postgresql":
		return enginePostgres, nil
	}
	return "", errors.New("want postgres://user:password@host:5432/name, or nothing for SQLite in the data folder")
}

// realtimeEngine says which engine a Redis URL asks for.
func realtimeEngine(url string) (string, error) {
	if url == "" {
		return engineMemory, nil
	}
	switch scheme, _, _ := strings.Cut(url, "://"); scheme {
	case "redis", "rediss", "redis+sentinel", "redis+cluster":
		return engineRedis, nil
	}
	return "", errors.New("want redis://, rediss://, redis+sentinel:// or redis+cluster://, or nothing for one node")
}

// databaseDoor is how to get at the configured database.
type databaseDoor struct {
	engine   string
	file     string // where the database is; empty = on a server
	clockSQL string // asks the server for its time; empty = it is this machine's
	open     func(context.Context, sqlstore.Options) (*sqlstore.Store, error)
	connect  func(context.Context, sqlstore.Options) (*sqlstore.Database, error)
}

func databaseFor(cfg Config) (databaseDoor, error) {
	engine, err := databaseEngine(cfg.DatabaseURL)
	if err != nil {
		return databaseDoor{}, err
	}
	door := databaseDoor{engine: engine}
	switch engine {
	case enginePostgres:
		door.clockSQL = "SELECT now()"
		door.open = func(ctx context.Context, o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenPostgres(ctx, cfg.DatabaseURL, o)
		}
		door.connect = func(ctx context.Context, o sqlstore.Options) (*sqlstore.Database, error) {
			return sqlstore.ConnectPostgres(ctx, cfg.DatabaseURL, o)
		}
	default:
		path := filepath.Join(cfg.DataDir, databaseFile)
		door.file = path
		door.open = func(ctx context.Context, o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenSQLite(ctx, path, o)
		}
		door.connect = func(ctx context.Context, o sqlstore.Options) (*sqlstore.Database, error) {
			return sqlstore.ConnectSQLite(ctx, path, o)
		}
	}
	return door, nil
}

// openDatabase opens the database and, if the configuration says so, brings
// its schema up. The caller closes it.
func openDatabase(ctx context.Context, cfg Config, log *slog.Logger) (*sqlstore.Store, error) {
	door, err := databaseFor(cfg)
	if err != nil {
		return nil, err
	}
	sealer, err := openSealer(cfg)
	if err != nil {
		return nil, err
	}
	return door.open(ctx, sqlstore.Options{Sealer: sealer, Log: log, AutoMigrate: cfg.AutoMigrate})
}

// connectDatabase connects without a look at the schema, for what works on the
// schema itself. The caller closes it.
func connectDatabase(ctx context.Context, cfg Config, sealer *tenants.Sealer, log *slog.Logger) (*sqlstore.Database, error) {
	door, err := databaseFor(cfg)
	if err != nil {
		return nil, err
	}
	if err := prepareDataDir(cfg); err != nil {
		return nil, err
	}
	return door.connect(ctx, sqlstore.Options{Sealer: sealer, Log: log})
}

// openSealer makes the data folder and the master key sure.
func openSealer(cfg Config) (*tenants.Sealer, error) {
	if err := prepareDataDir(cfg); err != nil {
		return nil, err
	}
	key, err := tenants.LoadMasterKey(cfg.MasterKey.Reveal(), cfg.DataDir)
	if err != nil {
		return nil, err
	}
	return tenants.NewSealer(key)
}

// prepareDataDir makes the data folder where something will be kept in it.
func prepareDataDir(cfg Config) error {
	if cfg.DatabaseURL != "" && !cfg.MasterKey.IsZero() {
		return nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return dataDirError(cfg.DataDir, err)
	}
	probe, err := os.CreateTemp(cfg.DataDir, ".write-test-*")
	if err != nil {
		return dataDirError(cfg.DataDir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func dataDirError(dir string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err // its path is a probe's name, which would only confuse
	}
	return fmt.Errorf("data folder %s cannot be written: %w: make it writable for this user, or choose another with --data-dir", dir, err)
}

// realtime is an open realtime engine: who is here, and how events travel.
type realtime struct {
	engine   string
	broker   channels.Broker
	presence channels.Presence
	limiter  tenants.Limiter
	seats    tenants.Seats               // nil = the meters of this node know all connections
	run      func(context.Context) error // keeps this node alive for the others; nil = there are none
	ping     func(context.Context) error // nil = cannot be away
	close    func() error
	// claim makes the engine that of a database, unless it is another one's, and
	// returns whose it is; takeOver does in any case. nil = it is this node's anyway.
	claim    func(ctx context.Context, database string) (owner string, err error)
	takeOver func(ctx context.Context, database string) (was string, err error)
	// observe makes the engine tell of each change as it makes it; nil for one
	// that keeps them in a log.
	observe func(channels.Observer)
	log     webhooks.Log
	// linger and countEvery spare the engine what comes and goes: see channels.HubConfig.
	linger, countEvery time.Duration
	handover           time.Duration // time for clients to move to another node
	// collectors are the engine's own figures.
	collectors []prometheus.Collector
}

// openRealtime opens the realtime engine. node must be unique among the nodes
// of one Redis.
func openRealtime(ctx context.Context, cfg Config, node string, log *slog.Logger) (*realtime, error) {
	engine, err := realtimeEngine(cfg.RedisURL)
	if err != nil {
		return nil, err
	}
	switch engine {
	case engineRedis:
		client, err := redis.Open(ctx, redis.Config{URL: cfg.RedisURL, Node: node, Lease: cfg.NodeLease, Log: log})
		if err != nil {
			return nil, err
		}
		limiter := limits.NewLimiter(client.Commands(), limits.Config{Log: log})
		seats := limits.NewSeats(client.Commands(), limits.SeatsConfig{Lease: cfg.NodeLease, Nodes: limiter.Nodes, Log: log})
		return &realtime{
			engine: engine, broker: client.Broker(), presence: client.Presence(),
			run: together(client.Run, limiter.Run, seats.Run), close: client.Close, log: client.Changes(),
			claim: client.Claim, takeOver: client.TakeOver,
			linger: 5 * time.Second, countEvery: time.Second, handover: webhooks.Grace,
			limiter: limiter, seats: seats,
			ping: func(ctx context.Context) error { // it is back once it knows what this node has
				return cmp.Or(client.Ping(ctx), seats.Told())
			},
			collectors: []prometheus.Collector{newRedisCollector(client.Stats)},
		}, nil
	default:
		broker := channels.NewMemoryBroker()
		presence := channels.NewMemoryPresence(broker)
		return &realtime{
			engine: engine, broker: broker, presence: presence, observe: presence.Observe,
			limiter: tenants.NewMemoryLimiter(nil),
			close:   func() error { return nil },
		}, nil
	}
}

// claimFor makes the engine that of the node's database, and says so if it is
// that of another one. It is no reason not to start: most often the other one is
// gone.
func (r *realtime) claimFor(ctx context.Context, store *sqlstore.Store, log *slog.Logger) error {
	if r.claim == nil {
		return nil
	}
	id, err := store.DatabaseID(ctx)
	if err != nil {
		return err
	}
	owner, err := r.claim(ctx, id)
	if err == nil && owner != id {
		log.Error("this Redis belongs to another database: nodes of two databases take each other's webhook events", "owner", owner, "database", id,
			"remedy", "give all nodes the same database_url, or these another redis_url (another database number at its end will do); if the other database is gone for good, run `platform redis claim`")
	}
	return err
}

// together runs parts that live as long as each other.
func together(parts ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, run := range parts {
			group.Go(func() error { return run(ctx) })
		}
		return group.Wait()
	}
}

// newRedisCollector shows what the Redis door counts.
func newRedisCollector(take func() redis.Stats) prometheus.Collector {
	type S = redis.Stats
	return snapshotCollector[S]{
		take: take,
		figures: []figure[S]{
			counter("tidewire_redis_published_total", "Events Redis has accepted.", func(s S) int64 { return int64(s.Published) }),
			counter("tidewire_redis_publish_failed_total", "Events Redis did not vouch for.", func(s S) int64 { return int64(s.PublishFailed) }),
			counter("tidewire_redis_received_total", "Events handed to this node.", func(s S) int64 { return int64(s.Received) }),
			counter("tidewire_redis_dropped_total", "Messages dropped: unreadable, or not wanted.", func(s S) int64 {
				return int64(s.Malformed + s.UnknownVersion + s.UnknownKind + s.Stray + s.Refused)
			}),
			counter("tidewire_redis_busy_total", "Times this node had no room for an event and was offered it again.", func(s S) int64 { return int64(s.Busy) }),
			gauge("tidewire_redis_subscribed", "Channels Redis delivers to this node.", func(s S) int64 { return int64(s.Subscribed) }),
			gauge("tidewire_redis_pending", "Channels wanted, not yet confirmed by Redis.", func(s S) int64 { return int64(s.Pending) }),
			gauge("tidewire_redis_connections", "Pooled connections to Redis.", func(s S) int64 { return int64(s.Connections) }),
		},
		families: []family[S]{{
			desc:   prometheus.NewDesc("tidewire_redis_gaps_total", "Times events may have been missed.", []string{"reason"}, nil),
			values: func(s S) map[string]uint64 { return s.Gaps },
		}},
	}
}

// embeddedFile is where the embedded database is, or an error if the
// configuration names a server.
func embeddedFile(cfg Config) (string, error) {
	door, err := databaseFor(cfg)
	if err == nil && door.file == "" {
		err = errors.New("database_url is set: this " + sqlstore.ErrNotEmbedded.Error())
	}
	return door.file, err
}

// openFile opens an embedded database that lies somewhere else.
func openFile(ctx context.Context, cfg Config, path string) (*sqlstore.Store, error) {
	sealer, err := openSealer(cfg)
	if err != nil {
		return nil, err
	}
	return sqlstore.OpenSQLite(ctx, path, sqlstore.Options{Sealer: sealer, AutoMigrate: true})
}

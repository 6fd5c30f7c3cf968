package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

const minMajorVersion = 7

// neededRights is what an ACL user needs, in the words of ACL SETUSER.
const neededRights = "~tw:* &tw:* +ping +info +eval +evalsha +spublish +ssubscribe +sunsubscribe +time +set +get +pttl +incr +expire +persist +exists " +
	"+xadd +xrange +xtrim +del +pexpire +zadd +zremrangebyscore +zcard +rpush +lpop +ltrim +llen +lindex +lrange " +
	"+hset +hget +hdel +hlen +hkeys +hvals +hgetall +hincrby +hrandfield +client|setname (and +config|get for histories to outlive a Redis with appendfsync always; in a Cluster +cluster +command)"

// check asks the servers who they are, once, at Open.
func (c *Client) check(ctx context.Context) error {
	err := c.eachMaster(ctx, func(ctx context.Context, s *goredis.Client) error {
		if err := s.Ping(ctx).Err(); err != nil {
			return err
		}
		text, err := s.Info(ctx).Result()
		if err != nil {
			return err
		}
		return c.checkInfo(parseInfo(text))
	})
	var refused *unsuitableError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("redis at %s %w", c.target, explain(err))
}

// learn asks on each new connection, and so after each start of Redis before
// anything else, whether what it acknowledges is on its disk. Sentinel and
// Cluster are there for a copy to take over, which may lack some. A user who may
// not ask, and a service that does not say, have to do with the careful answer.
func (c *Client) learn(ctx context.Context, conn *goredis.Conn) error {
	if c.target.mode != modeSingle {
		return nil
	}
	list, err := conn.Do(ctx, "config", "get", "appendonly", "appendfsync", "no-appendfsync-on-rewrite").StringSlice()
	durable := err == nil
	for i := 0; i+1 < len(list); i += 2 {
		durable = durable && list[i+1] == durableSettings[list[i]]
	}
	c.durable.Store(durable && len(list) == 2*len(durableSettings))
	return nil
}

var durableSettings = map[string]string{"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}

// unsuitableError says that a server answers and is not one to work with.
type unsuitableError struct{ text string }

func (e *unsuitableError) Error() string { return e.text }

func (c *Client) unsuitable(format string, args ...any) error {
	return &unsuitableError{"redis at " + c.target.String() + " " + fmt.Sprintf(format, args...)}
}

// explain turns what the library says into a sentence with a remedy.
func explain(err error) error {
	err = oneLine(err)
	text := err.Error()
	for _, c := range []struct{ part, remedy string }{
		{"WRONGPASS", "refuses the user or password: check them in the Redis URL"},
		{"NOAUTH", "asks for a password: put it into the Redis URL as redis://:password@host"},
		{"NOPERM", "does not let this user run what is needed: grant it " + neededRights},
		{"cluster support disabled", "is not a Cluster: use redis:// in the Redis URL"},
		{"unknown command 'sentinel'", "is not a Sentinel: use redis:// in the Redis URL"},
		{"DB index is out of range", "has no database of that number: change the one at the end of the Redis URL"},
		{"LOADING", "is still loading its data: try again when it is done"},
	} {
		if strings.Contains(text, c.part) {
			return fmt.Errorf("%s (%w)", c.remedy, err)
		}
	}
	return fmt.Errorf("does not answer: %w; is it running, and are host, port and TLS right in the Redis URL?", err)
}

// checkInfo judges one server by its INFO.
func (c *Client) checkInfo(info map[string]string) error {
	version := info["redis_version"]
	major, err := strconv.Atoi(version[:max(strings.IndexByte(version, '.'), 0)])
	switch {
	case err != nil:
		return c.unsuitable("does not tell its version: Redis 7.0 or later is needed")
	case major < minMajorVersion:
		return c.unsuitable("is version %s: 7.0 or later is needed (sharded pub/sub); upgrade it", version)
	case info["redis_mode"] == "sentinel":
		return c.unsuitable("is a Sentinel: use redis+sentinel:// and the master's name in the Redis URL")
	case info["redis_mode"] == "cluster" && c.target.mode != modeCluster:
		return c.unsuitable("is part of a Cluster: use redis+cluster:// in the Redis URL")
	case info["role"] == "slave":
		return c.unsuitable("is a replica: point the Redis URL at the master, or use redis+sentinel://")
	}
	if info["aof_enabled"] == "0" {
		c.log.Warn("redis keeps no append-only file: if it crashes, what it held is lost; set appendonly yes",
			"version", version, "lost", "histories and the events kept by cache channels since the last snapshot; presence is told again by the nodes")
	}
	if info["aof_enabled"] == "1" && c.target.mode == modeSingle && !c.durable.Load() {
		c.log.Info("redis may forget what it acknowledged last when it is killed, or does not say: after each start of it, resumes are told of a gap",
			"remedy", "if histories are to go on then, set appendfsync always and let the user run config|get")
	}
	if policy := info["maxmemory_policy"]; info["maxmemory"] != "0" && policy != "" && policy != "noeviction" {
		c.log.Warn("redis evicts keys when its memory is full; set maxmemory-policy noeviction",
			"maxmemory_policy", policy, "lost", "presence, histories and the events kept by cache channels, silently")
	}
	return nil
}

// parseInfo reads the "name:value" lines of INFO.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

package redis_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/redis"
)

func TestOpenExplains(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--requirepass", "right-secret")
	open, plain := "redis://:right-secret@"+s.addr(), startServer(t)
	c, err := redis.Open(t.Context(), redis.Config{URL: open, Node: "n1"})
	require.NoError(t, err)
	admin := goredis.NewClient(&goredis.Options{Addr: s.addr(), Password: "right-secret", Protocol: 2})
	t.Cleanup(func() { _ = admin.Close() })
	require.Contains(t, admin.ClientList(t.Context()).Val(), "name=tidewire-n1")
	require.NoError(t, c.Ping(t.Context()))
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "closing twice is safe")

	replica := startServer(t, "--replicaof", "127.0.0.1", fmt.Sprint(plain.port))
	cluster := startServer(t, "--cluster-enabled", "yes")
	require.NoError(t, admin.Do(t.Context(), "acl", "setuser", "small", "on", ">small-secret", "+ping", "allchannels").Err())
	free := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	for _, c := range []struct{ name, url, want string }{
		{"wrong password", "redis://:wrong-secret@" + s.addr(), "check them in the Redis URL"},
		{"wrong user", "redis://nobody:right-secret@" + s.addr(), "check them in the Redis URL"},
		{"no password", s.url(), "asks for a password"},
		{"user without rights", "redis://small:small-secret@" + s.addr(), "grant it"},
		{"nobody there", "redis://:wrong-secret@" + free, "is it running"},
		{"TLS to a plain server", "rediss://" + plain.addr(), "TLS"},
		{"a replica", replica.url(), "is a replica"},
		{"a Cluster's node", cluster.url(), "use redis+cluster://"},
		{"not a Cluster", "redis+cluster://" + plain.addr(), "is not a Cluster"},
		{"no Sentinel", "redis+sentinel://" + plain.addr() + "/main", "is not a Sentinel"},
		{"unknown database", plain.url() + "/9999", "has no database of that number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			_, err := redis.Open(t.Context(), redis.Config{URL: c.url})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "-secret")
			require.Less(t, time.Since(began), 10*time.Second)
			t.Log(err)
		})
	}
	_, err = redis.Open(t.Context(), redis.Config{URL: plain.url(), Node: "a b"})
	require.ErrorContains(t, err, "node name")
}

// A server that accepts connections and never answers.
func TestOpenIsBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	began := time.Now()
	_, err = redis.Open(t.Context(), redis.Config{URL: "redis://" + l.Addr().String()})
	require.ErrorContains(t, err, "does not answer")
	require.Less(t, time.Since(began), 10*time.Second)
}

func TestOpenWarns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		args     []string
		aof, lru int
	}{
		{"defaults", nil, 1, 0},
		{"eviction without a limit never happens", []string{"--maxmemory-policy", "allkeys-lru"}, 1, 0},
		{"eviction", []string{"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, 0, 1},
		{"as it should be", []string{"--appendonly", "yes", "--maxmemory", "100mb"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, c.args...)
			var log logBuffer
			client, err := redis.Open(t.Context(), redis.Config{URL: s.url(), Log: log.logger()})
			require.NoError(t, err)
			require.NoError(t, client.Close())
			require.Equal(t, c.aof, log.lines("level=WARN", "append-only"))
			require.Equal(t, c.lru, log.lines("level=WARN", "maxmemory_policy=allkeys-lru"))
		})
	}
}

func TestCheckInfo(t *testing.T) {
	t.Parallel()
	c := open(t, sharedURL(t))
	for info, want := range map[string]string{
		"redis_version:7.0.0\r\n":                         "",
		"redis_version:10.2.1\r\nredis_mode:standalone\r": "",
		"redis_version:6.2.14\r\n":                        "7.0 or later is needed",
		"redis_version:7.2\r\nredis_mode:sentinel\r\n":    "redis+sentinel://",
		"redis_version:\r\n":                              "does not tell its version",
		"":                                                "does not tell its version",
	} {
		err := c.CheckInfo(info)
		if want == "" {
			require.NoError(t, err, info)
			continue
		}
		require.ErrorContains(t, err, want, info)
		require.False(t, errors.Is(err, channels.ErrBrokerAway))
	}
}

package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/channelstest"
	"tidewire/channels/redis"
	"tidewire/tenants"
)

// A user with the rights that the error message names can do everything.
func TestNeededRights(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	admin := raw(t, s.addr())
	rules, _, _ := strings.Cut(redis.NeededRights, " (")
	args := []any{"acl", "setuser", "platform", "on", ">secret"}
	for rule := range strings.FieldsSeq(rules) {
		args = append(args, rule)
	}
	require.NoError(t, admin.Do(t.Context(), args...).Err())
	url := "redis://platform:secret@" + s.addr()
	t.Run("suites", func(t *testing.T) {
		channelstest.TestPresence(t, engines(url, 2))
		channelstest.TestBroker(t, joined(url, 2))
	})
	log, err := admin.Do(t.Context(), "acl", "log").Slice()
	require.NoError(t, err)
	for _, entry := range log {
		text := fmt.Sprint(entry)
		require.True(t, strings.Contains(text, "client|setinfo") || strings.Contains(text, "config|get"),
			"something was refused that cannot be done without: %s", text)
	}
}

// How often a hub asks Redis for what clients do.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openLease(t, s.url(), 0)
	hub := channels.NewHub(channels.HubConfig{Broker: c.Broker(), Presence: c.Presence()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- hub.Run(ctx) }()
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			assert.NoError(t, <-done)
		}
	})
	admin := raw(t, s.addr())
	warm := newTopic(t, "warm")
	eventually(t, "running", func() bool { return c.Broker().Subscribe(ctx, warm) == nil })
	eventually(t, "all leases are taken", func() bool { return c.Presence().Generation(warm) != 0 })
	app := &tenants.App{
		ID: warm.App, TenantStatus: tenants.TenantActive,
		Keys:   []tenants.Key{{Key: "key", Secret: tenants.NewSecret("secret"), Status: tenants.KeyActive}},
		Limits: tenants.Limits{MaxPresenceMembers: 100},
	}
	one, two := channelstest.Connect(t, hub, app), channelstest.Connect(t, hub, app)
	// The scripts are known to Redis from here on.
	one.Join("room-warm", "")
	one.Attend("presence-warm", "u")
	for _, channel := range []string{"presence-warm", "room-warm"} {
		one.Send("pusher:unsubscribe", "", map[string]any{"channel": channel})
	}
	publish := func() {
		_, err := hub.Publish(ctx, app, []channels.Event{{Topic: channels.Topic{App: app.ID, Channel: "room"}, Name: "e", Data: []byte(`""`)}})
		require.NoError(t, err)
		require.Equal(t, "e", one.Next().Event)
		require.Equal(t, "e", two.Next().Event)
	}
	leave := func(c *channelstest.Client, channel string) func() {
		return func() { c.Send("pusher:unsubscribe", "", map[string]any{"channel": channel}) }
	}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"subscribe, first on the node", func() { one.Join("room", "") }, "evalsha 1, ssubscribe 1"},
		{"subscribe, second on the node", func() { two.Join("room", "") }, "evalsha 1"},
		{"publish", publish, "spublish 1"},
		{"unsubscribe, not the last", leave(two, "room"), "evalsha 1"},
		{"unsubscribe, the last", leave(one, "room"), "evalsha 1, sunsubscribe 1"},
		{"presence, first on the node", func() { one.Attend("presence-x", "u") }, "evalsha 3, ssubscribe 1"},
		{"presence, another user", func() { two.Attend("presence-x", "v") }, "evalsha 2"},
		{"presence leave, not the last", leave(two, "presence-x"), "evalsha 2"},
		{"presence leave, the last", leave(one, "presence-x"), "evalsha 2, sunsubscribe 1"},
	} {
		require.NoError(t, admin.ConfigResetStat(ctx).Err())
		step.do()
		got := commands(t, admin)
		t.Logf("%s: %s", step.name, got)
		require.Equal(t, step.want, got, step.name)
	}
}

// commands counts what clients asked for, without what scripts did. Renewals of
// the lease come in batches of all partitions and are left out.
func commands(t *testing.T, admin *goredis.Client) string {
	t.Helper()
	var list []string
	stats := admin.Info(t.Context(), "commandstats").Val()
	scripts := strings.Contains(stats, "cmdstat_evalsha:")
	for _, name := range []string{"eval", "evalsha", "spublish", "ssubscribe", "sunsubscribe"} {
		if !strings.Contains(stats, "cmdstat_"+name+":") || name == "spublish" && scripts {
			continue
		}
		n := infoNumber(t, admin, "commandstats", "cmdstat_"+name+":calls=")
		if name == "evalsha" {
			n %= channels.Partitions
		}
		if n > 0 {
			list = append(list, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(list, ", ")
}

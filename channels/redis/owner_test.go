package redis_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/redis"
)

// A Redis joins the nodes of one database, until somebody says that it is gone.
func TestRedisBelongsToOneDatabase(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), strings.TrimSuffix(strings.TrimSuffix(sharedURL(t), "/0"), "/")+"/15"
	c := open(t, url)
	require.NoError(t, c.Commands().Del(ctx, "tw:database").Err())
	claim := func(c *redis.Client, database, owner string) {
		t.Helper()
		got, err := c.Claim(ctx, database)
		require.NoError(t, err)
		require.Equal(t, owner, got)
	}
	claim(c, "db_one", "db_one")
	claim(open(t, url), "db_one", "db_one")
	claim(c, "db_two", "db_one")
	was, err := c.TakeOver(ctx, "db_two")
	require.NoError(t, err)
	require.Equal(t, "db_one", was)
	claim(c, "db_two", "db_two")
	claim(c, "db_one", "db_two")
	require.NoError(t, c.Commands().Del(ctx, "tw:database").Err())
	was, err = c.TakeOver(ctx, "db_one")
	require.NoError(t, err)
	require.Empty(t, was)
}

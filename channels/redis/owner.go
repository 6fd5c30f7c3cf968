package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

// ownerKey holds the name of the SQL database whose nodes this Redis joins.
const ownerKey = "tw:database"

// Claim makes this Redis that of a database, unless it is another one's, and
// returns whose it is. Nodes of two databases take each other's changes out of the
// log, and neither tells its customers of them. A Redis that has lost everything
// is nobody's.
func (c *Client) Claim(ctx context.Context, database string) (owner string, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := c.rdb.SetNX(ctx, ownerKey, database, 0).Err(); err != nil {
		return "", fmt.Errorf("claim redis at %s: %w", c.target, oneLine(err))
	}
	if owner, err = c.rdb.Get(ctx, ownerKey).Result(); err != nil {
		return "", fmt.Errorf("claim redis at %s: %w", c.target, oneLine(err))
	}
	return owner, nil
}

// TakeOver is Claim for whoever knows that the database it belonged to is gone.
// was is that database; empty for none.
func (c *Client) TakeOver(ctx context.Context, database string) (was string, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if was, err = c.rdb.Get(ctx, ownerKey).Result(); errors.Is(err, goredis.Nil) {
		err = nil
	}
	if err == nil {
		err = c.rdb.Set(ctx, ownerKey, database, 0).Err()
	}
	if err != nil {
		return "", fmt.Errorf("take over redis at %s: %w", c.target, oneLine(err))
	}
	return was, nil
}

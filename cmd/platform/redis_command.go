package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidewire/tenants/sqlstore"
)

func (c *cli) redisCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "redis",
		Short:   "Say which database the Redis belongs to",
		Example: "  platform redis claim",
	})
	cmd.AddCommand(c.redisClaimCommand())
	return cmd
}

func (c *cli) redisClaimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "claim",
		Short: "Give the configured Redis to the configured database",
		Long: "Give the configured Redis to the configured database. The first node that starts does that by itself, and nodes of\n" +
			"another database complain there: the two take each other's webhook events. This command is for a Redis whose\n" +
			"database is gone for good. Stop the nodes of that one first. A database that was moved or restored keeps its\n" +
			"Redis and needs none of this.",
		Example: "  platform redis claim --database-url postgres://tidewire@127.0.0.1:5432/new --redis-url redis://127.0.0.1:6379",
		Args:    arguments(0, 0, "no arguments"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			live, err := openRealtime(ctx, cfg, nodeName(), newQuietLogger(cfg, c.stderr))
			if err != nil {
				return err
			}
			defer func() { _ = live.close() }()
			if live.takeOver == nil {
				return usagef("redis_url is not set: set it to the Redis in question")
			}
			id, err := store.DatabaseID(ctx)
			if err != nil {
				return err
			}
			was, err := live.takeOver(ctx, id)
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(map[string]string{"database": id, "was": was})
			}
			_, err = fmt.Fprintf(c.stdout, "the Redis now belongs to this database, %s\n", id)
			return err
		})
	}
	return cmd
}

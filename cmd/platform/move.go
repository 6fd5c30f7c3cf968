package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

func (c *cli) moveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move --to postgres://…",
		Short: "Move everything from the embedded database to an empty Postgres",
		Long: "Move everything from the embedded database to an empty Postgres database, in one transaction, and compare both row\n" +
			"by row. Stop the server first. The embedded database stays as it is, so that there is a way back. Afterwards start\n" +
			"every node with TIDEWIRE_DATABASE_URL, TIDEWIRE_REDIS_URL and the same TIDEWIRE_MASTER_KEY. Redis needs nothing moved.",
		Example: "  platform move --to postgres://tidewire:PASSWORD@db.example.com:5432/tidewire\n" +
			"  platform move --to postgres://tidewire@127.0.0.1:5432/tidewire --json",
		Args: arguments(0, 0, "no arguments, but --to URL"),
	}
	to := cmd.Flags().String("to", "", "postgres://user:password@host:5432/name of an empty database (needed)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		if *to == "" {
			return usagef("--to is needed: the empty database, as postgres://user:password@host:5432/name")
		}
		target := cfg
		target.DatabaseURL = *to
		if engine, err := databaseEngine(*to); err != nil || engine != enginePostgres {
			return usagef("--to: want postgres://user:password@host:5432/name")
		}
		if _, err := embeddedFile(cfg); err != nil {
			return usageError{err}
		}
		moved, err := c.move(cmd, cfg, target)
		if err != nil {
			return fmt.Errorf("nothing was moved: %w", err)
		}
		if *asJSON {
			return c.printJSON(map[string]any{"tables": moved})
		}
		return c.printMoved(cfg, moved)
	}
	return cmd
}

func (c *cli) move(cmd *cobra.Command, cfg, target Config) (moved []sqlstore.MovedTable, err error) {
	if told, err := askReady(cmd.Context(), cfg.localURL(cfg.Listen), true, true); err == nil || told.Status != "" {
		return nil, errors.New("a server answers on " + cfg.localURL(cfg.Listen) + ": stop it first, so that nothing is written here after the move")
	}
	err = c.withStore(cmd, func(ctx context.Context, from *sqlstore.Store) error {
		log := newQuietLogger(cfg, c.stderr)
		// Both are opened with the key of this configuration.
		there, err := openDatabase(ctx, target, log)
		if err != nil {
			return err
		}
		defer closePart(log, "Postgres", there.Close)
		moved, err = from.MoveTo(ctx, there.Database)
		return err
	})
	return moved, err
}

func (c *cli) printMoved(cfg Config, moved []sqlstore.MovedTable) error {
	rows := 0
	for _, t := range moved {
		rows += t.Rows
		if t.Rows > 0 {
			if _, err := fmt.Fprintf(c.stdout, "%8d  %s\n", t.Rows, t.Table); err != nil {
				return err
			}
		}
	}
	key := "the same TIDEWIRE_MASTER_KEY"
	if cfg.MasterKey.IsZero() {
		key = "TIDEWIRE_MASTER_KEY set to the content of " + cfg.DataDir + "/" + tenants.MasterKeyFile
	}
	_, err := fmt.Fprintf(c.stdout, "%d rows in %d tables moved, and the same on both sides.\n"+
		"Now start every node with TIDEWIRE_DATABASE_URL, TIDEWIRE_REDIS_URL and %s.\n", rows, len(moved), key)
	return err
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidewire/migrations"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

func (c *cli) migrateCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "migrate",
		Short:   "Bring the database schema up, or show where it stands",
		Example: "  platform migrate up\n  platform migrate status --json",
	})
	cmd.AddCommand(c.migrateUpCommand(), c.migrateStatusCommand())
	return cmd
}

func (c *cli) migrateUpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Apply what the database lacks",
		Long:    "Apply what the database lacks. Any number of processes may do this at once; one does the work.",
		Example: "  platform migrate up --database-url postgres://tidewire:…@db:5432/tidewire",
		Args:    arguments(0, 0, "no arguments"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		sealer, err := openSealer(cfg)
		if err != nil {
			return err
		}
		var applied int
		var version int64
		err = c.withSchema(cmd.Context(), cfg, sealer, func(ctx context.Context, db *sqlstore.Database) error {
			if applied, err = db.Migrate(ctx); err != nil {
				return err
			}
			steps, err := db.Status(ctx)
			version = newestApplied(steps)
			return err
		})
		if err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(map[string]any{"applied": applied, "version": version})
		}
		_, err = fmt.Fprintf(c.stdout, "%d applied, the database is at version %d\n", applied, version)
		return err
	}
	return cmd
}

func (c *cli) migrateStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "List the schema versions and when each was applied",
		Example: "  platform migrate status",
		Args:    arguments(0, 0, "no arguments"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		var steps []migrations.Step
		err = c.withSchema(cmd.Context(), cfg, nil, func(ctx context.Context, db *sqlstore.Database) (err error) {
			steps, err = db.Status(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if *asJSON {
			return c.printSteps(steps)
		}
		for _, s := range steps {
			applied := "pending"
			if !s.AppliedAt.IsZero() {
				applied = s.AppliedAt.Format(time.DateTime) + " UTC"
			}
			if s.Name == "" {
				s.Name = "(from a newer version)"
			}
			if _, err := fmt.Fprintf(c.stdout, "%05d  %-24s %s\n", s.Version, s.Name, applied); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// withSchema connects to the database for work on its schema. Without a sealer
// the master key is not looked at.
func (c *cli) withSchema(ctx context.Context, cfg Config, sealer *tenants.Sealer, do func(context.Context, *sqlstore.Database) error) error {
	log := newQuietLogger(cfg, c.stderr)
	db, err := connectDatabase(ctx, cfg, sealer, log)
	if err != nil {
		return err
	}
	defer closePart(log, "database", db.Close)
	return do(ctx, db)
}

func newestApplied(steps []migrations.Step) (version int64) {
	for _, s := range steps {
		if !s.AppliedAt.IsZero() {
			version = max(version, s.Version)
		}
	}
	return version
}

func (c *cli) printSteps(steps []migrations.Step) error {
	type step struct {
		Version   int64      `json:"version"`
		Name      string     `json:"name"`
		AppliedAt *time.Time `json:"applied_at"` // null = pending
	}
	list := make([]step, 0, len(steps))
	for _, s := range steps {
		one := step{Version: s.Version, Name: s.Name}
		if !s.AppliedAt.IsZero() {
			one.AppliedAt = &s.AppliedAt
		}
		list = append(list, one)
	}
	return c.printJSON(list)
}

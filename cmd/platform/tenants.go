package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
)

// withAccounts opens the database for a command that works on accounts.
func (c *cli) withAccounts(cmd *cobra.Command, do func(context.Context, *tenants.Accounts) error) error {
	return c.withManifests(cmd, func(ctx context.Context, a *tenants.Accounts, _ webhooks.Store) error { return do(ctx, a) })
}

// withManifests is withAccounts for what has webhooks in it too.
func (c *cli) withManifests(cmd *cobra.Command, do func(context.Context, *tenants.Accounts, webhooks.Store) error) error {
	cfg, err := c.load(cmd)
	if err != nil {
		return err
	}
	return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
		log := newQuietLogger(cfg, c.stderr)
		kept, err := newWebhookStore(cfg, store, log)
		if err != nil {
			return err
		}
		err = do(ctx, newAccounts(cfg, cfg.Listen, store, log), kept)
		if errors.As(err, new(*tenants.InvalidError)) {
			return usageError{err}
		}
		return err
	})
}

// missing says what does not exist, and which command lists what does.
func missing(err error, what, ref, list string) error {
	if errors.Is(err, tenants.ErrNotFound) {
		return fmt.Errorf("%s %q does not exist in this database: `platform %s` shows those that do", what, ref, list)
	}
	return err
}

func noTenant(err error, ref string) error { return missing(err, "tenant", ref, "tenants list") }

// oneTenant is the arguments of a command about one tenant.
func oneTenant() cobra.PositionalArgs { return arguments(1, 1, "one tenant: its slug or id") }

func (c *cli) tenantsCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "tenants",
		Short:   "Look after tenants: who owns apps",
		Example: "  platform tenants create acme --owner ada@example.com\n  platform tenants list\n  platform tenants suspend acme --reason \"unpaid since May\"",
	})
	cmd.AddCommand(
		c.tenantsCreateCommand(), c.tenantsListCommand(), c.tenantsPlanCommand(), c.tenantsSuspendCommand(),
		c.tenantsResumeCommand(), c.tenantsDeleteCommand(), c.tenantsExportCommand(),
	)
	return cmd
}

func (c *cli) tenantsCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create SLUG",
		Short:   "Create a tenant",
		Long:    "Create a tenant. It is active at once. The slug is its short unique name: a-z, 0-9 and -.",
		Example: "  platform tenants create acme --name \"Acme Corp\" --owner ada@example.com --plan default --json",
		Args:    oneTenant(),
	}
	flags := cmd.Flags()
	name := flags.String("name", "", "display name; empty = the slug")
	owner := flags.String("owner", "", "address of an existing user who becomes its owner; empty = nobody yet")
	plan := flags.String("plan", "", "plan; empty = "+tenants.DefaultPlan)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := tenants.ValidateSlug(args[0]); err != nil {
			return usageError{err}
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			tenant, err := a.CreateTenant(ctx, tenants.CLI(), tenants.NewTenant{Slug: args[0], Name: *name, Owner: *owner, Plan: *plan})
			if err != nil {
				if errors.Is(err, tenants.ErrNotFound) {
					return fmt.Errorf("user %q does not exist in this database: make it first with `platform users create %s`", *owner, *owner)
				}
				return err
			}
			return c.printTenant(tenant, *asJSON)
		})
	}
	return cmd
}

func (c *cli) printTenant(t *tenants.Tenant, asJSON bool) error {
	if asJSON {
		return c.printJSON(t)
	}
	line := fmt.Sprintf("Tenant %q (%s) is %s, on plan %s", t.Slug, t.ID, t.Status, t.Plan)
	if t.StatusReason != "" {
		line += ": " + t.StatusReason
	}
	if !t.PurgeAt.IsZero() {
		line += fmt.Sprintf("; it is removed for good after %s UTC, until then `platform tenants resume %s` keeps it",
			t.PurgeAt.UTC().Format(time.DateTime), t.Slug)
	}
	_, err := fmt.Fprintln(c.stdout, line)
	return err
}

func (c *cli) tenantsListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tenants",
		Example: "  platform tenants list --status suspended --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	status := cmd.Flags().String("status", "", "only unverified, active, suspended or closing ones")
	query := cmd.Flags().String("query", "", "only those with this in their slug")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch tenants.TenantStatus(*status) {
		case "", tenants.TenantUnverified, tenants.TenantActive, tenants.TenantSuspended, tenants.TenantClosing:
		default:
			return usagef("--status %q: want unverified, active, suspended or closing", *status)
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			list := []tenants.Tenant{}
			f := tenants.TenantFilter{Status: tenants.TenantStatus(*status), Query: *query, Limit: 100}
			for {
				page, next, err := a.Tenants(ctx, tenants.CLI(), f)
				if err != nil {
					return err
				}
				list = append(list, page...)
				if f.Cursor = next; next == "" {
					break
				}
			}
			if *asJSON {
				return c.printJSON(list)
			}
			w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SLUG\tNAME\tSTATUS\tPLAN\tCREATED")
			for _, t := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Slug, t.Name, t.Status, t.Plan, t.CreatedAt.Format(time.DateOnly))
			}
			return w.Flush()
		})
	}
	return cmd
}

// tenantCommand is a command that changes one tenant and prints it.
func (c *cli) tenantCommand(cmd *cobra.Command, do func(context.Context, *tenants.Accounts, []string) (*tenants.Tenant, error)) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = oneTenant()
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			tenant, err := do(ctx, a, args)
			if err != nil {
				return noTenant(err, args[0])
			}
			return c.printTenant(tenant, *asJSON)
		})
	}
	return cmd
}

func (c *cli) tenantsPlanCommand() *cobra.Command {
	return c.tenantCommand(&cobra.Command{
		Use:     "plan SLUG PLAN",
		Short:   "Put a tenant on a plan",
		Long:    "Put a tenant on a plan. What it uses beyond the new plan stays; only new use is refused.",
		Example: "  platform tenants plan acme team",
		Args:    arguments(2, 2, "a tenant and a plan"),
	}, func(ctx context.Context, a *tenants.Accounts, args []string) (*tenants.Tenant, error) {
		return a.SetPlan(ctx, tenants.CLI(), args[0], args[1])
	})
}

func (c *cli) tenantsSuspendCommand() *cobra.Command {
	var reason *string
	cmd := c.tenantCommand(&cobra.Command{
		Use:   "suspend SLUG --reason TEXT",
		Short: "Stop all traffic of a tenant",
		Long: "Stop all traffic of a tenant. A running server closes its connections within seconds.\n" +
			"Its people can still sign in, read the reason and export.",
		Example: "  platform tenants suspend acme --reason \"unpaid since May\"",
	}, func(ctx context.Context, a *tenants.Accounts, args []string) (*tenants.Tenant, error) {
		return a.SuspendTenant(ctx, tenants.CLI(), args[0], *reason)
	})
	reason = cmd.Flags().String("reason", "", "what its people read, one line")
	return cmd
}

func (c *cli) tenantsResumeCommand() *cobra.Command {
	return c.tenantCommand(&cobra.Command{
		Use:     "resume SLUG",
		Short:   "Undo a suspension, or a deletion whose grace is not over",
		Example: "  platform tenants resume acme",
	}, func(ctx context.Context, a *tenants.Accounts, args []string) (*tenants.Tenant, error) {
		return a.ResumeTenant(ctx, tenants.CLI(), args[0])
	})
}

func (c *cli) tenantsDeleteCommand() *cobra.Command {
	return c.tenantCommand(&cobra.Command{
		Use:   "delete SLUG",
		Short: "Close a tenant, and remove it after 14 days",
		Long: "Close a tenant: its traffic stops within seconds. After 14 days a running server removes everything\n" +
			"of it; until then `platform tenants resume` brings it back. Its ids are never given out again.",
		Example: "  platform tenants delete acme",
	}, func(ctx context.Context, a *tenants.Accounts, args []string) (*tenants.Tenant, error) {
		return a.DeleteTenant(ctx, tenants.CLI(), args[0])
	})
}

func (c *cli) tenantsExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export SLUG",
		Short:   "Write everything a tenant has as JSON, secrets excluded",
		Example: "  platform tenants export acme --out acme.json",
		Args:    oneTenant(),
	}
	out := cmd.Flags().String("out", "", "file to write, which must not exist; empty = standard output")
	jsonFlag(cmd) // the export is JSON with it and without
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			log := newQuietLogger(cfg, c.stderr)
			a := newAccounts(cfg, cfg.Listen, store, log)
			if _, err := a.Tenant(ctx, tenants.CLI(), args[0]); err != nil {
				return noTenant(err, args[0])
			}
			hooks, err := newWebhookStore(cfg, store, log)
			if err != nil {
				return err
			}
			export := func(w io.Writer) error {
				return a.Export(ctx, tenants.CLI(), args[0], w, exportParts(a, store, hooks)...)
			}
			if *out == "" {
				return export(c.stdout)
			}
			return writeNewFile(*out, export)
		})
	}
	return cmd
}

// writeNewFile writes a file that holds personal data, for its owner only. Half a
// file is removed again.
func writeNewFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already; choose another file", path)
	}
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	err = write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

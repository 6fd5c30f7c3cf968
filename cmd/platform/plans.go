package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// maxPlansFile bounds what `plans apply` reads.
const maxPlansFile = 1 << 20

func (c *cli) plansCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "plans",
		Short:   "Say what tenants may use",
		Example: "  platform plans list\n  platform plans apply plans.json",
	})
	cmd.AddCommand(c.plansApplyCommand(), c.plansListCommand())
	return cmd
}

func (c *cli) plansApplyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make plans out of a JSON file, all of them or none",
		Long: "Make plans out of a JSON file: a list of objects with a name and any of the ceilings that `platform plans\n" +
			"list --json` shows; 0, or leaving it out, means the server's own. A plan that has changed becomes the next\n" +
			"version of its name. A running server follows within a second, and cuts no connection. - reads standard input.",
		Example: `  echo '[{"name":"team","max_apps":10,"max_connections":2000}]' | platform plans apply -`,
		Args:    arguments(1, 1, "one file, or - for standard input"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		raw, err := readPlans(cmd, args[0])
		if err != nil {
			return err
		}
		plans, err := tenants.ParsePlans(raw)
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", args[0], err)}
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			applied, err := a.ApplyPlans(ctx, tenants.CLI(), plans)
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(applied)
			}
			for _, p := range applied {
				if _, err := fmt.Fprintf(c.stdout, "Plan %s is now version %d.\n", p.Name, p.Version); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(c.stdout, "%d changed, %d as they were\n", len(applied), len(plans)-len(applied))
			return err
		})
	}
	return cmd
}

func readPlans(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("read the plans: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPlansFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the plans: %w", err)
	}
	if len(raw) > maxPlansFile {
		return nil, usagef("%s: must be at most %d bytes", name, maxPlansFile)
	}
	return raw, nil
}

func (c *cli) plansListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the plans in force",
		Example: "  platform plans list --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			list, err := a.Plans(ctx, tenants.CLI())
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(list)
			}
			w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "PLAN\tVERSION\tAPPS\tMEMBERS\tCONNECTIONS\tPUBLISHES/S\tMESSAGES/DAY")
			for _, p := range list {
				e := p.Effective()
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", p.Name, p.Version, e.MaxApps, e.MaxMembers,
					e.MaxConnections, e.MaxPublishesPerSecond, e.MaxMessagesPerDay)
			}
			return w.Flush()
		})
	}
	return cmd
}

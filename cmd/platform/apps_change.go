package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// appCommand is a command that changes one app.
func (c *cli) appCommand(cmd *cobra.Command, do func(ctx context.Context, a *tenants.Accounts, app tenants.AppID, asJSON bool) error) *cobra.Command {
	cmd.Args = arguments(1, 1, "one app id")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			return missing(do(ctx, a, tenants.AppID(args[0]), *asJSON), "app", args[0], "apps list")
		})
	}
	return cmd
}

func (c *cli) appsUpdateCommand() *cobra.Command {
	var name, settings, limits *string
	cmd := c.appCommand(&cobra.Command{
		Use:   "update ID",
		Short: "Change an app's name, settings or limits",
		Long: "Change an app's name, settings or limits. What is not named stays; null takes a value back to its default.\n" +
			"A running server follows within a second.",
		Example: `  platform apps update 1001 --settings '{"client_events":true,"cache_ttl_seconds":null}' --limits '{"max_connections":500}'`,
	}, func(ctx context.Context, a *tenants.Accounts, id tenants.AppID, asJSON bool) error {
		patch := tenants.AppPatch{}
		if *name != "" {
			patch.Name = name
		}
		if *settings != "" {
			patch.Settings = json.RawMessage(*settings)
		}
		if *limits != "" {
			patch.Limits = json.RawMessage(*limits)
		}
		if patch.Name == nil && patch.Settings == nil && patch.Limits == nil {
			return usagef("nothing to change: give --name, --settings or --limits")
		}
		return c.patchApp(ctx, a, id, patch, asJSON)
	})
	name = cmd.Flags().String("name", "", "new name")
	settings = cmd.Flags().String("settings", "", "settings to change, as a JSON object")
	limits = cmd.Flags().String("limits", "", "limits to change, as a JSON object")
	return cmd
}

func (c *cli) patchApp(ctx context.Context, a *tenants.Accounts, id tenants.AppID, patch tenants.AppPatch, asJSON bool) error {
	app, err := a.UpdateApp(ctx, tenants.CLI(), id, patch)
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(printable(app, false))
	}
	return c.printApp(printable(app, false))
}

func (c *cli) appsDisableCommand() *cobra.Command {
	return c.appCommand(&cobra.Command{
		Use:     "disable ID",
		Short:   "Stop all traffic of an app and close its connections",
		Example: "  platform apps disable 1001",
	}, func(ctx context.Context, a *tenants.Accounts, id tenants.AppID, asJSON bool) error {
		disabled := true
		return c.patchApp(ctx, a, id, tenants.AppPatch{Disabled: &disabled}, asJSON)
	})
}

func (c *cli) appsEnableCommand() *cobra.Command {
	return c.appCommand(&cobra.Command{
		Use:     "enable ID",
		Short:   "Undo `apps disable`",
		Example: "  platform apps enable 1001",
	}, func(ctx context.Context, a *tenants.Accounts, id tenants.AppID, asJSON bool) error {
		disabled := false
		return c.patchApp(ctx, a, id, tenants.AppPatch{Disabled: &disabled}, asJSON)
	})
}

func (c *cli) appsDeleteCommand() *cobra.Command {
	var yes *bool
	cmd := c.appCommand(&cobra.Command{
		Use:     "delete ID --yes",
		Short:   "Remove an app, its keys and all that belongs to it, at once",
		Long:    "Remove an app, its keys and all that belongs to it, at once. Its id and keys are never given out again.",
		Example: "  platform apps delete 1001 --yes",
	}, func(ctx context.Context, a *tenants.Accounts, id tenants.AppID, asJSON bool) error {
		if !*yes {
			return usagef("deleting an app cannot be undone: add --yes, or use `platform apps disable %s`", id)
		}
		if err := a.DeleteApp(ctx, tenants.CLI(), id); err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(map[string]any{"id": id, "deleted": true})
		}
		_, err := fmt.Fprintf(c.stdout, "App %s is deleted.\n", id)
		return err
	})
	yes = cmd.Flags().Bool("yes", false, "it is meant")
	return cmd
}

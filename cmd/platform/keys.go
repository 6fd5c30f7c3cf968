package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// printedKey is a key as the commands print it; the secret only of a new one.
type printedKey struct {
	tenants.Key
	Secret string `json:"secret,omitempty"`
}

func (c *cli) keysCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "keys",
		Short:   "Make, rotate and revoke the keys of an app",
		Example: "  platform keys create --app 1001\n  platform keys rotate 278d425bdf160c739803 --app 1001 --overlap 24h",
	})
	cmd.AddCommand(c.keysCreateCommand(), c.keysListCommand(), c.keysRotateCommand(), c.keysRevokeCommand())
	return cmd
}

// keyCommand is a command about the keys of the app that --app names.
func (c *cli) keyCommand(cmd *cobra.Command, do func(ctx context.Context, a *tenants.Accounts, app tenants.AppID, args []string, asJSON bool) error) *cobra.Command {
	app := cmd.Flags().String("app", "", "app id (needed)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *app == "" {
			return usagef("--app is needed: the id of the app, for example --app 1001")
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			if _, err := a.App(ctx, tenants.CLI(), tenants.AppID(*app)); err != nil {
				return missing(err, "app", *app, "apps list")
			}
			err := do(ctx, a, tenants.AppID(*app), args, *asJSON)
			if len(args) > 0 {
				return missing(err, "key", args[0], "keys list --app "+*app)
			}
			return err
		})
	}
	return cmd
}

func (c *cli) keysCreateCommand() *cobra.Command {
	var key, secret *string
	cmd := c.keyCommand(&cobra.Command{
		Use:     "create --app ID",
		Short:   "Add a key to an app",
		Long:    "Add a key to an app and print its secret. A running server accepts it within a second.",
		Example: "  platform keys create --app 1001 --json",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, a *tenants.Accounts, app tenants.AppID, _ []string, asJSON bool) error {
		made, err := a.CreateKey(ctx, tenants.CLI(), app, tenants.NewKey{Key: *key, Secret: tenants.NewSecret(*secret)})
		if err != nil {
			return err
		}
		return c.printNewKey(made, nil, asJSON)
	})
	key = cmd.Flags().String("key", "", "public key; empty = a new one")
	secret = cmd.Flags().String("secret", "", "secret that signs for the key; empty = a new one")
	return cmd
}

func (c *cli) printNewKey(fresh, old *tenants.Key, asJSON bool) error {
	if asJSON {
		p := map[string]any{"key": printedKey{*fresh, fresh.Secret.Reveal()}}
		if old != nil {
			p["old"] = printedKey{Key: *old}
		}
		return c.printJSON(p)
	}
	_, err := fmt.Fprintf(c.stdout, "New key:\n  id      %s\n  key     %s\n  secret  %s\n", fresh.ID, fresh.Key, fresh.Secret.Reveal())
	if err != nil || old == nil {
		return err
	}
	if old.Status == tenants.KeyRevoked {
		_, err = fmt.Fprintf(c.stdout, "Key %s is revoked.\n", old.Key)
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "Key %s works until %s UTC.\n", old.Key, old.RetiresAt.UTC().Format(time.DateTime))
	return err
}

func (c *cli) keysListCommand() *cobra.Command {
	return c.keyCommand(&cobra.Command{
		Use:     "list --app ID",
		Short:   "List the keys of an app",
		Example: "  platform keys list --app 1001",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, a *tenants.Accounts, id tenants.AppID, _ []string, asJSON bool) error {
		app, err := a.App(ctx, tenants.CLI(), id)
		if err != nil {
			return err
		}
		if asJSON {
			list := make([]printedKey, len(app.Keys))
			for i := range app.Keys {
				list[i].Key = app.Keys[i]
			}
			return c.printJSON(list)
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tSTATUS\tCREATED\tUNTIL")
		for _, k := range app.Keys {
			until := ""
			if !k.RetiresAt.IsZero() {
				until = k.RetiresAt.UTC().Format(time.DateTime) + " UTC"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Key, k.Status, k.CreatedAt.Format(time.DateOnly), until)
		}
		return w.Flush()
	})
}

func (c *cli) keysRotateCommand() *cobra.Command {
	var overlap *time.Duration
	cmd := c.keyCommand(&cobra.Command{
		Use:   "rotate KEY --app ID",
		Short: "Make a new key in place of an old one",
		Long: "Make a new key in place of an old one, which goes on working for the overlap and is then revoked by itself.\n" +
			"Give your servers the new key within that time: no request fails.",
		Example: "  platform keys rotate 278d425bdf160c739803 --app 1001 --overlap 24h --json",
		Args:    arguments(1, 1, "one key: its name or id"),
	}, func(ctx context.Context, a *tenants.Accounts, app tenants.AppID, args []string, asJSON bool) error {
		fresh, old, err := a.RotateKey(ctx, tenants.CLI(), app, args[0], *overlap)
		if err != nil {
			return err
		}
		return c.printNewKey(fresh, old, asJSON)
	})
	overlap = cmd.Flags().Duration("overlap", 24*time.Hour, "how long the old key goes on working; 0 = not at all")
	return cmd
}

func (c *cli) keysRevokeCommand() *cobra.Command {
	return c.keyCommand(&cobra.Command{
		Use:     "revoke KEY --app ID",
		Short:   "Make a key useless and close what is connected with it",
		Example: "  platform keys revoke 278d425bdf160c739803 --app 1001",
		Args:    arguments(1, 1, "one key: its name or id"),
	}, func(ctx context.Context, a *tenants.Accounts, app tenants.AppID, args []string, asJSON bool) error {
		key, err := a.RevokeKey(ctx, tenants.CLI(), app, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(printedKey{Key: *key})
		}
		_, err = fmt.Fprintf(c.stdout, "Key %s is revoked.\n", key.Key)
		return err
	})
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

// printedApp is an app as the commands print it.
type printedApp struct {
	ID            tenants.AppID    `json:"id"`
	Key           string           `json:"key"`
	Secret        string           `json:"secret,omitempty"`
	Name          string           `json:"name"`
	Tenant        string           `json:"tenant"`
	TenantCreated bool             `json:"tenant_created,omitempty"`
	Disabled      bool             `json:"disabled"`
	Settings      tenants.Settings `json:"settings"`
	Limits        tenants.Limits   `json:"limits"`
	CreatedAt     time.Time        `json:"created_at"`
}

// printable is app with its newest usable key; the secret only where it is asked for.
func printable(app *tenants.App, reveal bool) printedApp {
	p := printedApp{
		ID: app.ID, Name: app.Name, Tenant: app.TenantSlug, Disabled: app.Disabled,
		Settings: app.Settings, Limits: app.Limits, CreatedAt: app.CreatedAt,
	}
	if key := usableKey(app); key != nil {
		p.Key = key.Key
		if reveal {
			p.Secret = key.Secret.Reveal()
		}
	}
	return p
}

// usableKey is the key to sign with: the newest active one, or nil.
func usableKey(app *tenants.App) *tenants.Key {
	for i := len(app.Keys) - 1; i >= 0; i-- {
		if app.Keys[i].Status == tenants.KeyActive {
			return &app.Keys[i]
		}
	}
	return nil
}

func (c *cli) appsCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "apps",
		Short:   "Create, look at, change and delete apps",
		Example: "  platform apps create --tenant acme --name Chat\n  platform apps list",
	})
	cmd.AddCommand(
		c.appsCreateCommand(), c.appsListCommand(), c.appsShowCommand(), c.appsUpdateCommand(),
		c.appsDisableCommand(), c.appsEnableCommand(), c.appsDeleteCommand(), c.appsImportCommand(),
	)
	return cmd
}

// withStore opens the database for a command and closes it afterwards.
func (c *cli) withStore(cmd *cobra.Command, do func(context.Context, *sqlstore.Store) error) error {
	cfg, err := c.load(cmd)
	if err != nil {
		return err
	}
	log := newQuietLogger(cfg, c.stderr)
	store, err := openDatabase(cmd.Context(), cfg, log)
	if err != nil {
		return err
	}
	defer closePart(log, "database", store.Close)
	return do(cmd.Context(), store)
}

func (c *cli) appsCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --tenant SLUG --name NAME",
		Short: "Create an app, and its tenant if there is none",
		Long: "Create an app, and its tenant if there is none. A running server knows it within a second.\n" +
			"Give --id, --key and --secret to move an app here from Pusher, soketi or Reverb unchanged.",
		Example: "  platform apps create --tenant acme --name Chat --json\n" +
			`  platform apps create --tenant acme --name Chat --settings '{"client_events":true}' --limits '{"max_connections":500}'`,
		Args: arguments(0, 0, "no arguments"),
	}
	flags := cmd.Flags()
	tenant := flags.String("tenant", "", "short unique name of the tenant (needed)")
	name := flags.String("name", "", "name of the app (needed)")
	id := flags.String("id", "", "app id, digits; empty = a new one")
	key := flags.String("key", "", "public key; empty = a new one")
	secret := flags.String("secret", "", "secret that signs for the key; empty = a new one")
	settings := flags.String("settings", "", "settings as a JSON object")
	limits := flags.String("limits", "", "limits as a JSON object")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		app := tenants.NewApp{
			TenantSlug: *tenant, Name: *name, ID: tenants.AppID(*id), Key: *key, Secret: tenants.NewSecret(*secret),
		}
		if err := completeApp(&app, *settings, *limits); err != nil {
			return usageError{err}
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			created, tenantCreated, err := a.ProvisionApp(ctx, tenants.CLI(), app)
			if err != nil {
				return err
			}
			p := printable(created, true)
			p.TenantCreated = tenantCreated
			return c.printCreated(p, *asJSON)
		})
	}
	return cmd
}

// completeApp checks all that can be checked before the database is touched.
func completeApp(app *tenants.NewApp, settings, limits string) error {
	switch {
	case app.TenantSlug == "":
		return errors.New("--tenant is needed: the short name of who owns the app, for example --tenant acme")
	case app.Name == "":
		return errors.New(`--name is needed: what the app is called, for example --name Chat`)
	}
	if settings != "" {
		parsed, err := tenants.ParseSettings([]byte(settings))
		if err != nil {
			return fmt.Errorf("--settings: %w", err)
		}
		app.Settings = &parsed
	}
	if limits != "" {
		parsed, err := tenants.ParseLimits([]byte(limits))
		if err != nil {
			return fmt.Errorf("--limits: %w", err)
		}
		app.Limits = &parsed
	}
	return app.Validate()
}

func (c *cli) printCreated(p printedApp, asJSON bool) error {
	if asJSON {
		return c.printJSON(p)
	}
	if p.TenantCreated {
		if _, err := fmt.Fprintf(c.stdout, "There was no tenant %q: it was created.\n", p.Tenant); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.stdout, "App %q of tenant %q:\n  id      %s\n  key     %s\n  secret  %s\n",
		p.Name, p.Tenant, p.ID, p.Key, p.Secret)
	return err
}

func (c *cli) appsListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List apps",
		Example: "  platform apps list --tenant acme --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	tenant := cmd.Flags().String("tenant", "", "only of this tenant")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			apps, err := store.ListApps(ctx, *tenant)
			if errors.Is(err, tenants.ErrNotFound) {
				return fmt.Errorf("tenant %q does not exist in this database: `platform apps list` shows the apps of all", *tenant)
			}
			if err != nil {
				return err
			}
			list := make([]printedApp, 0, len(apps))
			for _, app := range apps {
				list = append(list, printable(app, false))
			}
			if *asJSON {
				return c.printJSON(list)
			}
			return c.printTable(list)
		})
	}
	return cmd
}

func (c *cli) printTable(list []printedApp) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tNAME\tKEY\tSTATE")
	for _, p := range list {
		state := "enabled"
		if p.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.ID, p.Tenant, p.Name, p.Key, state)
	}
	return w.Flush()
}

func (c *cli) appsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one app",
		Example: "  platform apps show 1001 --reveal --json",
		Args:    arguments(1, 1, "one app id"),
	}
	reveal := cmd.Flags().Bool("reveal", false, "print the secret too")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			app, err := findApp(ctx, store, args[0])
			if err != nil {
				return err
			}
			p := printable(app, *reveal)
			if *asJSON {
				return c.printJSON(p)
			}
			return c.printApp(p)
		})
	}
	return cmd
}

func compactJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (c *cli) printApp(p printedApp) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\nname\t%s\ntenant\t%s\nkey\t%s\n", p.ID, p.Name, p.Tenant, p.Key)
	if p.Secret != "" {
		fmt.Fprintf(w, "secret\t%s\n", p.Secret)
	} else {
		fmt.Fprintln(w, "secret\t(add --reveal to print it)")
	}
	fmt.Fprintf(w, "disabled\t%t\ncreated\t%s\n", p.Disabled, p.CreatedAt.UTC().Format(time.DateTime)+" UTC")
	fmt.Fprintf(w, "settings\t%s\nlimits\t%s\n", compactJSON(p.Settings), compactJSON(p.Limits))
	return w.Flush()
}

// findApp reads one app, with an error that says what to do.
func findApp(ctx context.Context, store *sqlstore.Store, id string) (*tenants.App, error) {
	app, err := store.AppByID(ctx, tenants.AppID(id))
	if errors.Is(err, tenants.ErrNotFound) {
		return nil, fmt.Errorf("app %q does not exist in this database: `platform apps list` shows those that do", id)
	}
	if err != nil {
		return nil, fmt.Errorf("read app %q: %w", id, err)
	}
	return app, nil
}

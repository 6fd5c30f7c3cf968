package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// printedToken is a new API token; its text is printed this once.
type printedToken struct {
	tenants.Token
	Text string `json:"token"`
}

func (c *cli) tokensCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "tokens",
		Short:   "Make and revoke tokens for the admin API",
		Example: "  platform tokens create --tenant acme --name ci --scopes apps:read,keys:write",
	})
	cmd.AddCommand(c.tokensCreateCommand(), c.tokensListCommand(), c.tokensRevokeCommand())
	return cmd
}

// tokenCommand is a command about the tokens of the tenant that --tenant names.
func (c *cli) tokenCommand(cmd *cobra.Command, do func(ctx context.Context, a *tenants.Accounts, tenant string, args []string, asJSON bool) error) *cobra.Command {
	tenant := cmd.Flags().String("tenant", "", "short unique name of the tenant (needed)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *tenant == "" {
			return usagef("--tenant is needed: the short name of whose tokens, for example --tenant acme")
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			if _, err := a.Tenant(ctx, tenants.CLI(), *tenant); err != nil {
				return noTenant(err, *tenant)
			}
			return do(ctx, a, *tenant, args, *asJSON)
		})
	}
	return cmd
}

func (c *cli) tokensCreateCommand() *cobra.Command {
	var name, expires *string
	var scopes, apps *[]string
	cmd := c.tokenCommand(&cobra.Command{
		Use:     "create --tenant SLUG --name NAME --scopes LIST",
		Short:   "Make a token and print it, this once",
		Long:    "Make a token for the admin API and print it, this once. Scopes: " + scopeNames() + ".",
		Example: "  platform tokens create --tenant acme --name ci --scopes apps:read,keys:write --expires 90d --json",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, a *tenants.Accounts, tenant string, _ []string, asJSON bool) error {
		n := tenants.NewToken{Name: *name}
		for _, s := range *scopes {
			n.Scopes = append(n.Scopes, tenants.Scope(s))
		}
		for _, app := range *apps {
			n.Apps = append(n.Apps, tenants.AppID(app))
		}
		if *expires != "" {
			life, err := days(*expires)
			if err != nil {
				return usagef("--expires %w", err)
			}
			n.ExpiresAt = time.Now().Add(life)
		}
		text, token, err := a.CreateToken(ctx, tenants.CLI(), tenant, n)
		if err != nil {
			return missing(err, "app", strings.Join(*apps, ","), "apps list --tenant "+tenant)
		}
		if asJSON {
			return c.printJSON(printedToken{*token, text})
		}
		_, err = fmt.Fprintf(c.stdout, "Token %q of tenant %q; it is shown this once:\n  %s\n", token.Name, tenant, text)
		return err
	})
	name = cmd.Flags().String("name", "", "what the token is for (needed)")
	scopes = cmd.Flags().StringSlice("scopes", nil, "comma-separated scopes (needed)")
	apps = cmd.Flags().StringSlice("apps", nil, "comma-separated ids of the apps it is restricted to; empty = all")
	expires = cmd.Flags().String("expires", "", "how long it works, for example 90d or 12h; empty = for ever")
	return cmd
}

// days reads a duration that may be given in days.
func days(text string) (time.Duration, error) {
	var n int
	if _, err := fmt.Sscanf(text, "%dd", &n); err == nil && text == fmt.Sprintf("%dd", n) && n > 0 && n <= 36_500 {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	life, err := time.ParseDuration(text)
	if err != nil || life <= 0 {
		return 0, fmt.Errorf("%q: want a time such as 90d, 12h or 30m", text)
	}
	return life, nil
}

func scopeNames() string {
	var names []string
	for _, s := range tenants.Scopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (c *cli) tokensListCommand() *cobra.Command {
	return c.tokenCommand(&cobra.Command{
		Use:     "list --tenant SLUG",
		Short:   "List the tokens of a tenant",
		Example: "  platform tokens list --tenant acme",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, a *tenants.Accounts, tenant string, _ []string, asJSON bool) error {
		list, err := a.Tokens(ctx, tenants.CLI(), tenant)
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(list)
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tTOKEN\tSCOPES\tEXPIRES\tLAST USED")
		for i := range list {
			t := &list[i]
			var scopes []string
			for _, s := range t.Scopes {
				scopes = append(scopes, string(s))
			}
			fmt.Fprintf(w, "%s\t%s\t%s…%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Prefix, t.Last4, strings.Join(scopes, ","),
				dateOr(t.ExpiresAt, "never"), dateOr(t.LastUsedAt, "never"))
		}
		return w.Flush()
	})
}

func dateOr(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format(time.DateOnly)
}

func (c *cli) tokensRevokeCommand() *cobra.Command {
	return c.tokenCommand(&cobra.Command{
		Use:     "revoke TOKEN-ID --tenant SLUG",
		Short:   "Make a token useless",
		Example: "  platform tokens revoke tok_01jx3v5k8q --tenant acme",
		Args:    arguments(1, 1, "one token id, as `platform tokens list` shows it"),
	}, func(ctx context.Context, a *tenants.Accounts, tenant string, args []string, asJSON bool) error {
		if err := a.RevokeToken(ctx, tenants.CLI(), tenant, args[0]); err != nil {
			return missing(err, "token", args[0], "tokens list --tenant "+tenant)
		}
		if asJSON {
			return c.printJSON(map[string]any{"id": args[0], "revoked": true})
		}
		_, err := fmt.Fprintf(c.stdout, "Token %s is revoked.\n", args[0])
		return err
	})
}

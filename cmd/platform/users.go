package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// printedUser is a new user as the command prints it.
type printedUser struct {
	*tenants.User
	Tenant       string       `json:"tenant,omitempty"`
	Role         tenants.Role `json:"role,omitempty"`
	PasswordLink string       `json:"password_link,omitempty"`
}

func (c *cli) usersCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "users",
		Short:   "Make accounts for people",
		Example: "  platform users create ada@example.com --operator",
	})
	cmd.AddCommand(c.usersCreateCommand())
	return cmd
}

func (c *cli) usersCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create EMAIL",
		Short: "Make an account, with a link to set its password",
		Long: "Make an account whose address counts as confirmed. Without --password-stdin it prints a link, good for\n" +
			"30 minutes, by which its owner sets a password.",
		Example: "  platform users create ada@example.com --operator\n  platform users create bob@example.com --tenant acme --role developer --json",
		Args:    arguments(1, 1, "one e-mail address"),
	}
	flags := cmd.Flags()
	name := flags.String("name", "", "name of the person")
	operator := flags.Bool("operator", false, "let them look after the whole installation")
	tenant := flags.String("tenant", "", "slug of a tenant to join")
	role := flags.String("role", "", "role in that tenant: owner, admin, developer or viewer; empty = owner")
	stdin := flags.Bool("password-stdin", false, "read the password from standard input, one line")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *role != "" && *tenant == "" {
			return usagef("--role needs --tenant: a role belongs to a tenant")
		}
		user := tenants.NewUser{Email: args[0], Name: *name, Operator: *operator, Tenant: *tenant, Role: tenants.Role(*role)}
		if *stdin {
			password, err := readLine(cmd.InOrStdin())
			if err != nil {
				return err
			}
			user.Password = password
		}
		return c.withAccounts(cmd, func(ctx context.Context, a *tenants.Accounts) error {
			return c.createUser(ctx, a, user, *asJSON)
		})
	}
	return cmd
}

func (c *cli) createUser(ctx context.Context, a *tenants.Accounts, n tenants.NewUser, asJSON bool) error {
	user, err := a.CreateUser(ctx, tenants.CLI(), n)
	if err != nil {
		return noTenant(err, n.Tenant)
	}
	p := printedUser{User: user, Tenant: n.Tenant, Role: n.Role}
	if n.Tenant != "" && n.Role == "" {
		p.Role = tenants.RoleOwner
	}
	if n.Password.IsZero() {
		if p.PasswordLink, err = a.ResetLink(ctx, tenants.CLI(), user.Email); err != nil {
			return err
		}
	}
	if asJSON {
		return c.printJSON(p)
	}
	if _, err := fmt.Fprintf(c.stdout, "User %s (%s) was created.\n", user.Email, user.ID); err != nil {
		return err
	}
	if p.PasswordLink != "" {
		_, err = fmt.Fprintf(c.stdout, "Set a password within 30 minutes:\n  %s\n", p.PasswordLink)
	}
	return err
}

// readLine reads a secret that must not stand on the command line, where every
// user of the machine could see it.
func readLine(r io.Reader) (tenants.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return tenants.Secret{}, fmt.Errorf("read the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return tenants.Secret{}, usagef("--password-stdin: nothing came on standard input; write the password there, one line")
	}
	return tenants.NewSecret(line), nil
}

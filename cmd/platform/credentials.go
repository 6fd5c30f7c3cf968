package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

// target is which app on which server a client command talks to.
type target struct {
	app, url, key, secret *string
}

// targetFlags adds the flags of a client command.
func targetFlags(cmd *cobra.Command) target {
	flags := cmd.Flags()
	return target{
		app:    flags.String("app", "", "app id (needed)"),
		url:    flags.String("url", "", "http(s)://host[:port] of the server; empty = public_url or the configured listen address"),
		key:    flags.String("key", "", "the app's key; empty = read from the database"),
		secret: flags.String("secret", "", "the key's secret; empty = read from the database"),
	}
}

// base checks what was given and returns the server's address.
func (t target) base(cfg Config) (string, error) {
	if *t.app == "" {
		return "", usagef("--app is needed: the id of the app, for example --app 1001")
	}
	if *t.secret != "" && *t.key == "" {
		return "", usagef("--secret needs --key: a secret belongs to a key")
	}
	if *t.url == "" {
		return cfg.baseURL(cfg.Listen), nil
	}
	base := strings.TrimSuffix(*t.url, "/")
	if err := checkBaseURL(base); err != nil {
		return "", usagef("--url %w", err)
	}
	return base, nil
}

// credentials are the key and secret to sign with: those given, else those of
// the app in the database.
func (c *cli) credentials(cmd *cobra.Command, t target) (key tenants.Key, err error) {
	if *t.secret != "" {
		return tenants.Key{Key: *t.key, Secret: tenants.NewSecret(*t.secret)}, nil
	}
	err = c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
		app, err := findApp(ctx, store, *t.app)
		if err != nil {
			return err
		}
		found := usableKey(app)
		if *t.key != "" {
			found = app.Key(*t.key)
		}
		if found == nil {
			return fmt.Errorf("app %s has no usable key %s", *t.app, *t.key)
		}
		key = *found
		return nil
	})
	return key, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/dashboard"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

// The demo app. Its values are fixed and public, so that every snippet in every
// document works as it stands: it must never be reachable by strangers.
const (
	demoTenant  = "demo"
	demoAppName = "Demo"
	demoAppID   = "1001"
	demoKey     = "tidewire-demo-key"
	demoSecret  = "tidewire-demo-secret"
	demoChannel = "demo"
)

// createDemo makes sure that the demo app is there, with exactly its values.
func createDemo(ctx context.Context, store *sqlstore.Store) error {
	settings := tenants.DefaultSettings()
	settings.ClientEvents = true
	_, _, err := store.CreateApp(ctx, tenants.NewApp{
		TenantSlug: demoTenant, TenantName: "Demo", Name: demoAppName, ID: demoAppID,
		Key: demoKey, Secret: tenants.NewSecret(demoSecret), Settings: &settings,
	})
	if err == nil {
		return nil
	}
	if !errors.Is(err, tenants.ErrExists) {
		return fmt.Errorf("demo app: %w", err)
	}
	app, err := store.AppByID(ctx, demoAppID)
	if err != nil && !errors.Is(err, tenants.ErrNotFound) {
		return fmt.Errorf("read the demo app: %w", err)
	}
	if err == nil {
		if key := app.Key(demoKey); key != nil && key.Secret.Reveal() == demoSecret {
			return nil
		}
	}
	return fmt.Errorf("app id %s or key %s is taken by another app in this database: use a folder of its own, for example --data-dir ./data-dev", demoAppID, demoKey)
}

// demoUser owns the demo tenant and looks after the installation. Nobody knows
// its password, for it has none.
const demoUser = "dev@localhost"

// demoSignIn makes sure that the demo user is there and returns a link that
// signs in as it, once.
func demoSignIn(ctx context.Context, a *tenants.Accounts) (string, error) {
	_, err := a.CreateUser(ctx, tenants.CLI(), tenants.NewUser{Email: demoUser, Name: "Developer", Operator: true, Tenant: demoTenant})
	if err != nil && !errors.Is(err, tenants.ErrExists) {
		return "", fmt.Errorf("demo user: %w", err)
	}
	return a.LoginLink(ctx, tenants.CLI(), demoUser)
}

// newPlayground is the page at "/" under dev.
func newPlayground(hub *channels.Hub, apps *tenants.Directory, log *slog.Logger, token string, snippets []dashboard.Snippet) http.Handler {
	return dashboard.NewPlayground(dashboard.PlaygroundConfig{
		AppID: demoAppID, Key: demoKey, Channel: demoChannel,
		Token: token, Snippets: snippets, Log: log,
		Publish: func(ctx context.Context, channel, event, data string) error {
			app, err := apps.ByKey(ctx, demoKey)
			if err != nil {
				return fmt.Errorf("find the demo app: %w", err)
			}
			p := channels.Publication{Name: event, Data: wire.Quote(nil, data), Channels: []string{channel}}
			events, err := p.AppendEvents(app, nil)
			if err != nil {
				return &dashboard.PlaygroundError{Message: err.Error()}
			}
			_, err = hub.Publish(ctx, app, events)
			return err
		},
	})
}

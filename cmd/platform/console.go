package main

import (
	"context"
	"net/url"

	"tidewire/tenants"
)

// ownApp is the installation's own app, whose channels carry the live consoles.
type ownApp struct {
	app    *tenants.App
	secret tenants.Secret // that signs tickets for it
}

// newOwnApp makes it from the master key, which all nodes share.
func newOwnApp(cfg Config) (ownApp, error) {
	key, err := tenants.LoadMasterKey(cfg.MasterKey.Reveal(), cfg.DataDir)
	if err != nil {
		return ownApp{}, err
	}
	secret, err := tenants.ConsoleSecret(key)
	if err != nil {
		return ownApp{}, err
	}
	app := tenants.ConsoleApp(secret)
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" { // where a proxy changes the Host header
		app.Settings.AllowedOrigins = []string{u.Scheme + "://" + u.Host}
	}
	return ownApp{app, secret}, nil
}

// mayWatch asks the rules whether somebody still may look at the console of an app.
func mayWatch(accounts *tenants.Accounts) func(context.Context, tenants.AppID, string) error {
	return func(ctx context.Context, app tenants.AppID, who string) error {
		return accounts.StillMay(ctx, who, app, tenants.ActChannelsRead)
	}
}

package main

import (
	"net/url"

	"tidewire/tenants"
)

// ownApp is the installation's own app, whose channels carry what can be watched.
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

package main

import (
	"context"
	"log/slog"

	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/tenants/argon2id"
	"tidewire/tenants/sqlstore"
)

// newAccounts puts the rules of tenants over a database. Links in mails lead to
// the configured public address, else to address.
func newAccounts(cfg Config, address string, store *sqlstore.Store, log *slog.Logger) *tenants.Accounts {
	return tenants.NewAccounts(store.Accounts(), argon2id.Hasher{}, tenants.AccountOptions{
		SignUp: cfg.SignUp, PublicURL: cfg.baseURL(address), Brand: cfg.BrandName, SupportURL: cfg.SupportURL,
		TermsVersion: cfg.TermsVersion, DeniedMailDomains: cfg.DeniedMailDomains, Log: log,
	})
}

// newAdmin makes the door for people and programs that look after tenants.
func newAdmin(cfg Config, accounts *tenants.Accounts, store *sqlstore.Store, live *realtime, log *slog.Logger, more ...adminapi.Route) (*adminapi.API, error) {
	return adminapi.New(adminapi.Config{
		Accounts: accounts, Usage: store, Revocations: store, Limiter: live.limiter, More: more,
		Installation: adminapi.Installation{
			Brand: cfg.BrandName, SignUp: cfg.SignUp, TermsVersion: cfg.TermsVersion, TermsURL: cfg.TermsURL,
			SupportURL: cfg.SupportURL, MinPassword: tenants.MinPasswordChars,
		},
		PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies, IsTLS: forwardedTLS(cfg.TrustedProxies), Log: log,
	})
}

// logSetupLink tells whoever started the first server how to become its first
// operator. Once there is an account, it says nothing.
func logSetupLink(ctx context.Context, accounts *tenants.Accounts, log *slog.Logger) {
	link, err := accounts.SetupLink(ctx)
	switch {
	case err != nil:
		log.WarnContext(ctx, "cannot make the link for the first operator", "error", err)
	case link != "":
		log.InfoContext(ctx, "nobody has an account yet: open this link, once and within a day, to become the operator", "link", link)
	}
}

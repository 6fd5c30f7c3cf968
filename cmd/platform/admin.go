package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/tenants/argon2id"
	"tidewire/tenants/smtp"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
	webhooksadmin "tidewire/webhooks/adminapi"
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
func newAdmin(cfg Config, accounts *tenants.Accounts, store *sqlstore.Store, hooks webhooks.Store, live *realtime, log *slog.Logger, more ...adminapi.Route) (*adminapi.API, error) {
	return adminapi.New(adminapi.Config{
		Accounts: accounts, Usage: store, Revocations: store, Limiter: live.limiter, More: more, Export: exportParts(accounts, store, hooks),
		Installation: adminapi.Installation{
			Brand: cfg.BrandName, SignUp: cfg.SignUp, TermsVersion: cfg.TermsVersion, TermsURL: cfg.TermsURL,
			SupportURL: cfg.SupportURL, MinPassword: tenants.MinPasswordChars,
		},
		PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies, IsTLS: forwardedTLS(cfg.TrustedProxies), Log: log,
	})
}

// exportParts is what the export of a tenant has besides what accounts know.
func exportParts(accounts *tenants.Accounts, store *sqlstore.Store, hooks webhooks.Store) []tenants.ExportPart {
	return append(accounts.KeptElsewhere(store, store), webhooksadmin.ExportParts(hooks)...)
}

// newMailer makes what carries mails: a mail server, or, where none is set, the
// log, in which whoever runs the server finds the links.
func newMailer(cfg Config, log *slog.Logger) (tenants.Mailer, error) {
	if cfg.SMTPURL.IsZero() {
		return tenants.LogMailer{Log: log}, nil
	}
	from := cfg.MailFrom
	if from == "" {
		u, err := url.Parse(cfg.PublicURL)
		if err != nil || u.Hostname() == "" {
			return nil, usagef("smtp_url needs mail_from or public_url: a mail must have a sender, such as noreply@example.com")
		}
		from = "noreply@" + u.Hostname()
	}
	mailer, err := smtp.New(smtp.Config{URL: cfg.SMTPURL.Reveal(), From: from})
	if err != nil {
		return nil, usageError{fmt.Errorf("smtp_url: %w", err)}
	}
	return mailer, nil
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

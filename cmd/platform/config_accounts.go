package main

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"

	"tidewire/tenants"
	"tidewire/tenants/smtp"
)

func applySignUp(c *Config, v string) error {
	c.SignUp = tenants.SignUpMode(v)
	switch c.SignUp {
	case tenants.SignUpClosed, tenants.SignUpInvite, tenants.SignUpOpen:
		return nil
	}
	return errors.New("want closed, invite or open")
}

func applyBrandName(c *Config, v string) error {
	c.BrandName = v
	if v == "" || len(v) > 60 || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("want 1 to 60 characters on one line")
	}
	return nil
}

func applyMailFrom(c *Config, v string) error {
	c.MailFrom = v
	if v == "" {
		return nil
	}
	if _, err := mail.ParseAddress(v); err != nil {
		return errors.New("want an address such as noreply@example.com or Acme <noreply@example.com>")
	}
	return nil
}

func applySMTPURL(c *Config, v string) error {
	c.SMTPURL = tenants.NewSecret(v)
	if v == "" {
		return nil
	}
	_, err := smtp.New(smtp.Config{URL: v, From: "noreply@example.com"})
	return err
}

func applySupportURL(c *Config, v string) error {
	c.SupportURL = v
	return checkLink(v, "https", "http", "mailto")
}

func applyTermsURL(c *Config, v string) error {
	c.TermsURL = v
	return checkLink(v, "https", "http")
}

// checkLink accepts what a page may link to.
func checkLink(v string, schemes ...string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	for _, scheme := range schemes {
		if err == nil && u.Scheme == scheme && (u.Host != "" || scheme == "mailto" && u.Opaque != "") {
			return nil
		}
	}
	return fmt.Errorf("want an address that begins with %s", strings.Join(schemes, ": or ")+":")
}

func applyTermsVersion(c *Config, v string) error {
	c.TermsVersion = v
	if len(v) > 60 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("want at most 60 letters, digits and marks, for example 2026-11-01")
	}
	return nil
}

func applyDeniedMailDomains(c *Config, v string) error {
	c.DeniedMailDomains = nil
	for part := range strings.SplitSeq(v, ",") {
		part = strings.ToLower(strings.Trim(strings.TrimSpace(part), "."))
		if part == "" {
			continue
		}
		if strings.ContainsAny(part, " @/:*") {
			return fmt.Errorf("%q is no domain such as example.com", part)
		}
		c.DeniedMailDomains = append(c.DeniedMailDomains, part)
	}
	return nil
}

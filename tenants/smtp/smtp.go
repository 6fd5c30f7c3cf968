// Package smtp is the door to a mail server: a [tenants.Mailer] that hands mails
// over by SMTP. It keeps no queue and tries nothing again; [tenants.Accounts] does.
package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"tidewire/tenants"
)

// timeout bounds one mail; the caller's context may end it earlier.
const timeout = 15 * time.Second

// Config says which server, and who sends.
type Config struct {
	// URL is smtp://[user:password@]host[:587], which insists on STARTTLS unless
	// ?tls=off says otherwise, or smtps://…[:465], which speaks TLS at once.
	URL     string
	From    string         // "Acme <noreply@example.com>" or a plain address
	RootCAs *x509.CertPool // nil = those of the machine
}

// Mailer sends mails, one connection each: they are few.
type Mailer struct {
	from mail.Address
	host string
	opts []gomail.Option
}

var _ tenants.Mailer = (*Mailer)(nil)

// New reads the configuration; it connects to nothing.
func New(cfg Config) (*Mailer, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("want smtp://user:password@host:587 or smtps://user:password@host:465; percent-encode a password with special characters")
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("sender %q: want an address such as noreply@example.com", cfg.From)
	}
	m := &Mailer{from: *from, host: u.Hostname()}
	port, err := m.security(u, cfg.RootCAs)
	if err != nil {
		return nil, err
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("port %q is none", text)
		}
	}
	m.opts = append(m.opts, gomail.WithPort(port), gomail.WithTimeout(timeout))
	if password, _ := u.User.Password(); u.User.Username() != "" {
		m.opts = append(m.opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return m, nil
}

// security chooses how the line is protected, and the usual port for that.
func (m *Mailer) security(u *url.URL, roots *x509.CertPool) (port int, err error) {
	mode := u.Query().Get("tls")
	for name := range u.Query() {
		if name != "tls" {
			return 0, fmt.Errorf("unknown parameter %q; known is tls", name)
		}
	}
	tlsConfig := clientTLS(u.Hostname(), roots)
	switch {
	case u.Scheme == "smtps" && mode == "":
		m.opts = append(m.opts, gomail.WithSSL(), gomail.WithTLSConfig(tlsConfig))
		return 465, nil
	case u.Scheme == "smtp" && (mode == "" || mode == "starttls"):
		m.opts = append(m.opts, gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithTLSConfig(tlsConfig))
		return 587, nil
	case u.Scheme == "smtp" && mode == "off":
		m.opts = append(m.opts, gomail.WithTLSPolicy(gomail.NoTLS))
		return 25, nil
	}
	return 0, errors.New("want smtp://… (STARTTLS; ?tls=off for a server on a trusted line) or smtps://…")
}

// Send implements [tenants.Mailer].
func (m *Mailer) Send(ctx context.Context, mail tenants.Mail) error {
	msg := gomail.NewMsg()
	msg.FromMailAddress(&m.from)
	if err := msg.To(mail.To); err != nil {
		return fmt.Errorf("address of the receiver: %w", err)
	}
	msg.Subject(mail.Subject)
	msg.SetDate()
	msg.SetMessageID()
	// So that holiday notes and mailing lists leave it alone (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, mail.Text)
	client, err := gomail.NewClient(m.host, m.opts...)
	if err != nil {
		return fmt.Errorf("set up the mail client: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("send a mail by %s: %w", m.host, err)
	}
	return nil
}

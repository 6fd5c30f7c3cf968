package tenants

import (
	"context"
	"log/slog"
	"time"
)

// Mail is one message in plain text.
type Mail struct {
	To      string
	Subject string
	Text    string
}

// Mailer hands mails to whatever carries them. Send returns when the mail was
// accepted, and an error when it should be tried again later. It may be called
// twice for one mail, after a crash between sending and noting it.
type Mailer interface {
	Send(ctx context.Context, m Mail) error
}

// QueuedMail is a mail that waits to be sent.
type QueuedMail struct {
	ID        string
	TenantID  string // whose data it holds; empty = of no tenant
	UserID    string // likewise
	Mail      Mail
	Attempts  int
	CreatedAt time.Time
	NextAt    time.Time // not to be sent before
}

// LogMailer writes mails to the log instead of sending them, links included. It
// is for development, where the reader of the log is the receiver.
type LogMailer struct{ Log *slog.Logger }

var _ Mailer = LogMailer{}

// Send implements [Mailer].
func (m LogMailer) Send(ctx context.Context, mail Mail) error {
	m.Log.InfoContext(ctx, "mail not sent: no mail server is set", "to", mail.To, "subject", mail.Subject, "text", mail.Text)
	return nil
}

package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	keysEvery  = time.Second // the end of a retiring key must be felt everywhere in seconds
	mailEvery  = 2 * time.Second
	tidyEvery  = 10 * time.Minute
	mailLease  = 2 * time.Minute
	mailBatch  = 10
	mailGiveUp = 24 * time.Hour
)

// Run does what falls due until ctx ends, and then returns nil: it sends mails,
// revokes retired keys, removes closed tenants and forgets what has expired. Any
// number of processes may run it on the same database. A failure is logged and
// tried again.
func (a *Accounts) Run(ctx context.Context, mailer Mailer) error {
	keys, mail, tidy := time.NewTicker(keysEvery), time.NewTicker(mailEvery), time.NewTicker(tidyEvery)
	defer keys.Stop()
	defer mail.Stop()
	defer tidy.Stop()
	a.due(ctx, "tidy up", a.Tidy)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-keys.C:
			a.due(ctx, "revoke retired keys", func(ctx context.Context) error { _, err := a.RevokeRetired(ctx); return err })
		case <-mail.C:
			a.due(ctx, "send mails", func(ctx context.Context) error { return a.SendMail(ctx, mailer) })
		case <-tidy.C:
			a.due(ctx, "tidy up", a.Tidy)
		}
	}
}

func (a *Accounts) due(ctx context.Context, what string, do func(context.Context) error) {
	if err := do(ctx); err != nil && ctx.Err() == nil {
		a.opts.Log.WarnContext(ctx, "due work not done, will be tried again", "work", what, "error", err)
	}
}

// Tidy removes closed tenants whose grace is over and forgets what has expired.
func (a *Accounts) Tidy(ctx context.Context) error {
	purged, err := a.PurgeClosed(ctx, a.now())
	if purged > 0 {
		a.opts.Log.InfoContext(ctx, "closed tenants removed", "tenants", purged)
	}
	return errors.Join(err, a.write(ctx, "forget what has expired", func(tx AccountWriter) error {
		return tx.Prune(ctx, a.now(), a.opts.SessionIdle)
	}))
}

// SendMail sends the mails that are due. One that cannot be sent is tried again,
// ever more rarely, for a day; then it is given up and the log says so.
func (a *Accounts) SendMail(ctx context.Context, mailer Mailer) error {
	list, err := a.store.ClaimMail(ctx, a.now(), mailLease, mailBatch)
	if err != nil {
		return fmt.Errorf("take mails from the queue: %w", err)
	}
	for _, m := range list {
		if err := a.sendOne(ctx, mailer, m); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) sendOne(ctx context.Context, mailer Mailer, m QueuedMail) error {
	sendCtx, cancel := context.WithTimeout(ctx, mailLease/mailBatch)
	err := mailer.Send(sendCtx, m.Mail)
	cancel()
	now := a.now()
	switch {
	case err == nil:
		return a.store.FinishMail(ctx, m.ID)
	case ctx.Err() != nil:
		return ctx.Err()
	case now.Sub(m.CreatedAt) > mailGiveUp:
		a.opts.Log.ErrorContext(ctx, "mail given up", "mail", m.ID, "attempts", m.Attempts, "error", err)
		return a.store.FinishMail(ctx, m.ID)
	}
	a.opts.Log.WarnContext(ctx, "mail not sent, will be tried again", "mail", m.ID, "attempts", m.Attempts, "error", err)
	wait := min(time.Minute<<min(m.Attempts, 6), time.Hour)
	return a.store.RetryMail(ctx, m.ID, now.Add(wait))
}

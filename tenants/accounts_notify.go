package tenants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Notice is something that the server did by itself to a thing of a tenant, such
// as to stop calling a webhook endpoint that never answers.
type Notice struct {
	TenantID                     string
	Action, TargetKind, TargetID string // as in [AuditEntry]
	Before, After                any    // as for [Accounts.Record]

	Subject string
	Text    string // what happened and what to do about it, in sentences
	Page    string // of the dashboard, where to do it: "apps/1001/webhooks"
}

// mostNotices is how many notices a tenant is sent by mail in a day. Whoever has
// as many learns nothing from more, and the audit log has them all.
const mostNotices = 20

// Notify writes an audit entry and queues a mail to every owner of the tenant who
// has confirmed their address: both or neither.
func (a *Accounts) Notify(ctx context.Context, n Notice) error {
	err := a.throttle(ctx, budget{"notice:" + n.TenantID, mostNotices, 24 * time.Hour})
	spent := errors.As(err, new(*ThrottledError))
	if err != nil && !spent {
		return err
	}
	return a.write(ctx, "tell of "+n.Action, func(tx AccountWriter) error {
		now := a.now()
		entry := systemCaller().entry(n.TenantID, n.Action, n.TargetKind, n.TargetID, now).changed(n.Before, n.After)
		if err := tx.InsertAudit(ctx, &entry); err != nil || spent {
			return err
		}
		members, err := tx.Members(ctx, n.TenantID)
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.Role != RoleOwner {
				continue
			}
			if err := a.mailNotice(ctx, tx, &m, &n, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Accounts) mailNotice(ctx context.Context, tx AccountWriter, to *Member, n *Notice, now time.Time) error {
	user, err := tx.User(ctx, to.UserID)
	if err != nil || !user.Verified() { // an address that was never confirmed may be a stranger's
		return err
	}
	page := strings.TrimSuffix(a.opts.PublicURL, "/") + "/dashboard/" + n.Page
	return tx.QueueMail(ctx, &QueuedMail{
		TenantID: n.TenantID, UserID: user.ID, CreatedAt: now, NextAt: now,
		Mail: Mail{
			To:      user.Email,
			Subject: n.Subject,
			Text:    fmt.Sprintf("%s\n\n%s\n\nYou get this mail as an owner at %s.\n", n.Text, page, a.opts.Brand),
		},
	})
}

package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"tidewire/tenants"
)

type mailRow struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	UserID    string
	Sealed    string // the mail, with its links
	Attempts  int64
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	NextAt    int64
}

// TableName implements gorm's Tabler.
func (mailRow) TableName() string { return "mail_outbox" }

func mailPlace(id string) string { return tenants.SealedPlace("mail_outbox", id, "sealed") }

// QueueMail implements [tenants.AccountWriter].
func (t *accountTx) QueueMail(ctx context.Context, m *tenants.QueuedMail) error {
	m.ID = newID("mail", m.CreatedAt)
	plain, err := json.Marshal(m.Mail)
	if err != nil {
		return fmt.Errorf("encode a mail: %w", err)
	}
	sealed, err := t.sealer.Seal(string(plain), mailPlace(m.ID))
	if err != nil {
		return fmt.Errorf("seal a mail: %w", err)
	}
	return t.insert(ctx, "queue a mail", &mailRow{
		ID: m.ID, TenantID: m.TenantID, UserID: m.UserID, Sealed: sealed,
		CreatedAt: m.CreatedAt.UnixMilli(), NextAt: m.NextAt.UnixMilli(),
	})
}

// ClaimMail implements [tenants.AccountStore]. The condition stands in the
// statement twice: one who waited for another claim's rows looks at them again,
// and finds them taken.
func (s *AccountStore) ClaimMail(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]tenants.QueuedMail, error) {
	var rows []mailRow
	due, until := now.UnixMilli(), now.Add(lease).UnixMilli()
	err := s.ask(ctx, "take mails from the queue", func(db *gorm.DB) error {
		return db.Raw(`UPDATE mail_outbox SET next_at = ?, attempts = attempts + 1
			WHERE next_at <= ? AND id IN (SELECT id FROM mail_outbox WHERE next_at <= ? ORDER BY next_at, id LIMIT ?)
			RETURNING *`, until, due, due, limit).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	list := make([]tenants.QueuedMail, 0, len(rows))
	for _, row := range rows {
		m := tenants.QueuedMail{
			ID: row.ID, TenantID: row.TenantID, UserID: row.UserID, Attempts: int(row.Attempts),
			CreatedAt: timeOf(row.CreatedAt), NextAt: timeOf(row.NextAt),
		}
		plain, err := s.sealer.Open(row.Sealed, mailPlace(row.ID))
		if err != nil {
			return nil, fmt.Errorf("open mail %s: %w", row.ID, err)
		}
		if err := json.Unmarshal([]byte(plain), &m.Mail); err != nil {
			return nil, fmt.Errorf("decode mail %s: %w", row.ID, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// FinishMail implements [tenants.AccountStore].
func (s *AccountStore) FinishMail(ctx context.Context, id string) error {
	return s.ask(ctx, "remove a mail", func(db *gorm.DB) error { return db.Where("id = ?", id).Delete(&mailRow{}).Error })
}

// RetryMail implements [tenants.AccountStore].
func (s *AccountStore) RetryMail(ctx context.Context, id string, at time.Time) error {
	return s.ask(ctx, "plan another attempt at a mail", func(db *gorm.DB) error {
		return db.Model(&mailRow{}).Where("id = ?", id).Update("next_at", at.UnixMilli()).Error
	})
}

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"tidewire/migrations"
	"tidewire/tenants"
)

func isRefusal(err error) bool { return errors.As(err, new(*tenants.Refusal)) }

// columnTables lists the tables that have a column of a given name.
var columnTables = map[string]string{
	string(migrations.SQLite): `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.name = ? ORDER BY m.name`,
	string(migrations.Postgres): `SELECT table_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND column_name = ? ORDER BY table_name`,
}

// handled are the tables that have rules of their own for what is removed.
var handled = []string{
	"tenants", "apps", "app_keys", "members", "invitations", "api_tokens", "audit_log", "config_changes",
	"mail_outbox", "idempotency_keys",
}

// hangersOn lists the tables, those of other domains included, whose rows belong
// to a tenant or to an app by a column of that name. Asking the schema means that
// a table somebody adds later is not forgotten. Such tables refer to each other
// not at all, or with ON DELETE CASCADE.
func hangersOn(tx *gorm.DB, column string) ([]string, error) {
	var names []string
	if err := tx.Raw(columnTables[tx.Name()], column).Scan(&names).Error; err != nil {
		return nil, fmt.Errorf("list the tables with a %s: %w", column, err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(handled, name) }), nil
}

// eraseApps removes the apps that where names, their keys and all that hangs on
// them; the names stay reserved.
func eraseApps(tx *gorm.DB, where string, args ...any) error {
	const chosen = "app_id IN (SELECT id FROM apps WHERE "
	tables, err := hangersOn(tx, "app_id")
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := tx.Exec("DELETE FROM "+table+" WHERE "+chosen+where+")", args...).Error; err != nil {
			return fmt.Errorf("clear %s: %w", table, err)
		}
	}
	var ids, keys []string
	if err := tx.Model(&appRow{}).Where(where, args...).Pluck("id", &ids).Error; err != nil {
		return fmt.Errorf("list the apps: %w", err)
	}
	if err := tx.Model(&keyRow{}).Where(chosen+where+")", args...).Pluck("key", &keys).Error; err != nil {
		return fmt.Errorf("list the keys: %w", err)
	}
	if err := bury(tx, goneApp, ids...); err != nil {
		return err
	}
	if err := bury(tx, goneKey, keys...); err != nil {
		return err
	}
	if err := tx.Where(chosen+where+")", args...).Delete(&keyRow{}).Error; err != nil {
		return fmt.Errorf("remove the keys: %w", err)
	}
	if err := tx.Where(where, args...).Delete(&appRow{}).Error; err != nil {
		return fmt.Errorf("remove the apps: %w", err)
	}
	return nil
}

// PurgeTenant implements [tenants.AccountWriter].
func (t *accountTx) PurgeTenant(ctx context.Context, tenantID string) error {
	// Its time is bounded by the transaction's, not by a single question's.
	return failure("remove a tenant", eraseTenant(t.db.WithContext(ctx), tenantID))
}

func eraseTenant(tx *gorm.DB, tenantID string) error {
	var row tenantRow
	if err := tx.Where("id = ?", tenantID).Take(&row).Error; err != nil {
		return err
	}
	if err := eraseApps(tx, "tenant_id = ?", tenantID); err != nil {
		return err
	}
	tables, err := hangersOn(tx, "tenant_id")
	if err != nil {
		return err
	}
	tables = append(tables, "invitations", "api_tokens", "mail_outbox", "idempotency_keys")
	for _, table := range tables {
		if err := tx.Exec("DELETE FROM "+table+" WHERE tenant_id = ?", tenantID).Error; err != nil {
			return fmt.Errorf("clear %s: %w", table, err)
		}
	}
	if err := erasePeople(tx, tenantID); err != nil {
		return err
	}
	if err := pseudonymise(tx, "tenant_id = ?", tenantID); err != nil {
		return err
	}
	if err := bury(tx, goneTenant, row.Slug); err != nil {
		return err
	}
	return oneRow(tx.Where("id = ?", tenantID).Delete(&tenantRow{}))
}

// erasePeople ends the memberships of a tenant and removes who has no other.
func erasePeople(tx *gorm.DB, tenantID string) error {
	var ids []string
	err := tx.Raw(`SELECT u.id FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.tenant_id = ? AND NOT u.operator
		AND NOT EXISTS (SELECT 1 FROM members o WHERE o.user_id = u.id AND o.tenant_id <> ?)`, tenantID, tenantID).Scan(&ids).Error
	if err != nil {
		return fmt.Errorf("list the members: %w", err)
	}
	if err := tx.Where("tenant_id = ?", tenantID).Delete(&memberRow{}).Error; err != nil {
		return fmt.Errorf("remove the members: %w", err)
	}
	for _, id := range ids {
		for _, statement := range []string{
			"DELETE FROM sessions WHERE user_id = ?", "DELETE FROM user_tokens WHERE user_id = ?",
			"DELETE FROM mail_outbox WHERE user_id = ?", "DELETE FROM idempotency_keys WHERE principal = ?",
			"DELETE FROM users WHERE id = ?",
		} {
			if err := tx.Exec(statement, id).Error; err != nil {
				return fmt.Errorf("remove a user: %w", err)
			}
		}
		if err := pseudonymise(tx, "tenant_id = '' AND (actor_id = ? OR target_id = ?)", id, id); err != nil {
			return err
		}
	}
	return nil
}

// pseudonymise takes every name out of audit entries: what was done and when
// stays, and which entries have the same actor.
func pseudonymise(tx *gorm.DB, where string, args ...any) error {
	var actors []auditRow
	if err := tx.Distinct("tenant_id", "actor_id").Where(where, args...).Find(&actors).Error; err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	for _, row := range actors {
		columns := map[string]any{
			"actor_id": tenants.Pseudonym(row.ActorID), "actor_name": "", "ip": "", "target_id": "",
			"was": "", "became": "", "request_id": "",
		}
		if row.TenantID != "" {
			columns["tenant_id"] = tenants.Pseudonym(row.TenantID)
		}
		err := tx.Model(&auditRow{}).Where("tenant_id = ? AND actor_id = ?", row.TenantID, row.ActorID).
			Where(where, args...).Updates(columns).Error
		if err != nil {
			return fmt.Errorf("take the names out of the audit log: %w", err)
		}
	}
	return nil
}

package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// AuditLog returns entries of a tenant, the newest first, and the cursor of the
// next page, empty at the end.
func (a *Accounts) AuditLog(ctx context.Context, c Caller, tenantRef string, f AuditFilter) ([]AuditEntry, string, error) {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActAuditRead)
	if err != nil {
		return nil, "", err
	}
	return a.auditPage(ctx, tenant.ID, f)
}

// InstallationAudit is [Accounts.AuditLog] for what belongs to no tenant: users,
// sessions, plans, removals. It is for operators.
func (a *Accounts) InstallationAudit(ctx context.Context, c Caller, f AuditFilter) ([]AuditEntry, string, error) {
	if _, err := requireOperator(c); err != nil {
		return nil, "", err
	}
	return a.auditPage(ctx, "", f)
}

func (a *Accounts) auditPage(ctx context.Context, tenantID string, f AuditFilter) ([]AuditEntry, string, error) {
	limit := pageSize(f.Limit)
	f.Limit = limit + 1
	list, err := a.store.AuditLog(ctx, tenantID, f)
	if err != nil {
		return nil, "", fmt.Errorf("read the audit log: %w", err)
	}
	if len(list) > limit {
		return list[:limit], list[limit-1].ID, nil
	}
	return list, "", nil
}

// ExportAudit writes the entries that match, the newest first, one JSON object a
// line. It reads them page by page.
func (a *Accounts) ExportAudit(ctx context.Context, c Caller, tenantRef string, f AuditFilter, w io.Writer) error {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActAuditRead)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	f.Limit = maxPage
	for {
		list, next, err := a.auditPage(ctx, tenant.ID, f)
		if err != nil {
			return err
		}
		for i := range list {
			if err := encoder.Encode(&list[i]); err != nil {
				return fmt.Errorf("write the audit log: %w", err)
			}
		}
		if next == "" {
			return nil
		}
		f.Cursor = next
	}
}

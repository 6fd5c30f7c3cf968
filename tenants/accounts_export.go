package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// ExportPart is what another domain adds to the export of a tenant. Values gives
// each thing it has to emit.
type ExportPart struct {
	Name   string // of the list in the export: "webhooks"
	Values func(ctx context.Context, tenantID string, emit func(any) error) error
}

// exportedApp is an app in an export: everything but secrets.
type exportedApp struct {
	ID AppID `json:"id"`
	auditedApp
	Keys      []Key     `json:"keys"`
	CreatedAt time.Time `json:"created_at"`
}

// Export writes everything a tenant has as one JSON object, secrets excluded. It
// reads and writes piece by piece: a large tenant takes no more memory than a
// small one. If it returns an error, what was written is not complete JSON.
func (a *Accounts) Export(ctx context.Context, c Caller, tenantRef string, w io.Writer, parts ...ExportPart) error {
	tenant, err := a.Authorize(ctx, c, tenantRef, ActTenantExport)
	if err != nil {
		return err
	}
	if err := a.Record(ctx, c, tenant.ID, "tenant.exported", "tenant", tenant.ID, nil, nil); err != nil {
		return err
	}
	plan, err := a.store.Plan(ctx, tenant.PlanInForce())
	if err != nil {
		return fmt.Errorf("export a tenant: %w", err)
	}
	x := &exporter{w: w}
	x.text(`{"tenant":`)
	x.value(tenant)
	x.text(`,"plan":`)
	x.value(plan)
	for _, part := range append(a.exportParts(), parts...) {
		x.text(",")
		x.value(part.Name)
		x.text(":[")
		x.items = 0
		if err := part.Values(ctx, tenant.ID, x.item); err != nil && x.err == nil {
			x.err = err
		}
		x.text("]")
	}
	x.text("}\n")
	if x.err != nil {
		return fmt.Errorf("export a tenant: %w", x.err)
	}
	return nil
}

// exporter writes JSON until a first error.
type exporter struct {
	w     io.Writer
	items int // of the list being written
	err   error
}

func (x *exporter) text(s string) {
	if x.err == nil {
		_, x.err = io.WriteString(x.w, s)
	}
}

func (x *exporter) value(v any) {
	if x.err != nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		x.err = err
		return
	}
	_, x.err = x.w.Write(raw)
}

func (x *exporter) item(v any) error {
	if x.items > 0 {
		x.text(",\n")
	}
	x.items++
	x.value(v)
	return x.err
}

func (a *Accounts) exportParts() []ExportPart {
	return []ExportPart{
		{"members", listPart(a.store.Members)},
		{"invitations", listPart(a.store.Invitations)},
		{"tokens", listPart(a.store.Tokens)},
		{"apps", a.exportApps},
		{"audit_log", a.exportAudit},
	}
}

func listPart[T any](list func(context.Context, string) ([]T, error)) func(context.Context, string, func(any) error) error {
	return func(ctx context.Context, tenantID string, emit func(any) error) error {
		values, err := list(ctx, tenantID)
		if err != nil {
			return err
		}
		for i := range values {
			if err := emit(&values[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a *Accounts) exportApps(ctx context.Context, tenantID string, emit func(any) error) error {
	return a.eachApp(ctx, tenantID, func(app *App) error {
		return emit(exportedApp{app.ID, audited(app), app.Keys, app.CreatedAt})
	})
}

// UsageReader tells what was used, as [UsageStep]s.
type UsageReader interface {
	Usage(ctx context.Context, q UsageQuery) ([]UsageStep, error)
}

// exportedUsage is what an app used on one day.
type exportedUsage struct {
	AppID AppID `json:"app_id"`
	UsageStep
}

// exportedRevocation is a token of an app's users that was taken back.
type exportedRevocation struct {
	AppID AppID `json:"app_id"`
	Revocation
}

// KeptElsewhere are the parts of an export that other stores hold: usage by day,
// and the tokens of users that were revoked.
func (a *Accounts) KeptElsewhere(usage UsageReader, revocations RevocationSource) []ExportPart {
	return []ExportPart{
		{"usage", func(ctx context.Context, tenantID string, emit func(any) error) error {
			to := a.now().Add(time.Minute)
			return a.eachApp(ctx, tenantID, func(app *App) error {
				steps, err := usage.Usage(ctx, UsageQuery{
					TenantID: tenantID, App: app.ID, From: to.Add(-MaxUsageDays * 24 * time.Hour), To: to, Span: ByDay,
				})
				if err != nil {
					return err
				}
				return emitEach(steps, emit, func(s UsageStep) any { return exportedUsage{app.ID, s} })
			})
		}},
		{"revocations", func(ctx context.Context, tenantID string, emit func(any) error) error {
			return a.eachApp(ctx, tenantID, func(app *App) error {
				list, err := revocations.Revocations(ctx, app.ID)
				if err != nil {
					return err
				}
				return emitEach(list, emit, func(r Revocation) any { return exportedRevocation{app.ID, r} })
			})
		}},
	}
}

func emitEach[T any](list []T, emit func(any) error, as func(T) any) error {
	for _, v := range list {
		if err := emit(as(v)); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) eachApp(ctx context.Context, tenantID string, do func(*App) error) error {
	var after AppID
	for {
		page, err := a.store.Apps(ctx, tenantID, after, maxPage)
		if err != nil {
			return err
		}
		for _, app := range page {
			if err := do(app); err != nil {
				return err
			}
		}
		if len(page) < maxPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

func (a *Accounts) exportAudit(ctx context.Context, tenantID string, emit func(any) error) error {
	f := AuditFilter{Limit: maxPage}
	for {
		list, next, err := a.auditPage(ctx, tenantID, f)
		if err != nil {
			return err
		}
		for i := range list {
			if err := emit(&list[i]); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		f.Cursor = next
	}
}

package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tidewire/tenants"
)

// Store keeps endpoints and the log of deliveries. Not found is
// [tenants.ErrNotFound]. Everything is asked for by app: no id alone opens
// another app's things.
type Store interface {
	EndpointSource
	// InsertEndpoint sets ID, Version and times. most is the plan's bound over all
	// apps of the tenant; more give [tenants.ErrPlanLimit].
	InsertEndpoint(ctx context.Context, e *Endpoint, most int) error
	// UpdateEndpoint stores e if its Revision is still the stored one, else
	// [tenants.ErrChanged]; it sets the next.
	UpdateEndpoint(ctx context.Context, e *Endpoint) error
	DeleteEndpoint(ctx context.Context, app tenants.AppID, id string) error
	EndpointByID(ctx context.Context, id string) (*Endpoint, error)
	Endpoints(ctx context.Context, app tenants.AppID) ([]Endpoint, error)

	Deliveries(ctx context.Context, app tenants.AppID, f DeliveryFilter) ([]Delivery, error)
	DeliveryByID(ctx context.Context, id string) (*Delivery, error)
	Attempts(ctx context.Context, app tenants.AppID, deliveryID string) ([]Attempt, error)
	// Replay makes finished deliveries that f selects pending again and returns
	// how many. Those whose events were not kept stay as they are.
	Replay(ctx context.Context, app tenants.AppID, f DeliveryFilter, now, expires time.Time) (int, error)
	// InsertFinished stores a delivery that was made by hand, with its attempt.
	InsertFinished(ctx context.Context, o *Outcome) error
}

// DeliveryFilter selects deliveries. Zero values select all.
type DeliveryFilter struct {
	ID         string
	EndpointID string
	Status     DeliveryStatus
	From, To   time.Time // of their making
	Before     string    // newest first: the id of the last one already seen
	Limit      int
}

// Manager holds the rules of endpoints.
type Manager struct {
	Store  Store
	Sender Sender
	// Reachable says why an address may not be called; nil = it may. It is asked
	// at saving; at each call the Sender asks again.
	Reachable func(url string) error
	Life      time.Duration // of a replayed delivery
}

// Create stores a new endpoint, with a secret if it has none.
func (m *Manager) Create(ctx context.Context, app *tenants.App, e *Endpoint) error {
	e.App, e.TenantID = app.ID, app.TenantID
	if e.Status == "" {
		e.Status = Enabled
	}
	if e.Secret.IsZero() {
		e.Secret = NewSecret()
	}
	if err := m.check(e); err != nil {
		return err
	}
	most := app.Plan.MaxWebhookEndpoints
	if most <= 0 {
		most = tenants.PlanCeilings().MaxWebhookEndpoints
	}
	return m.Store.InsertEndpoint(ctx, e, most)
}

func (m *Manager) check(e *Endpoint) error {
	if err := CheckURL(e.URL); err != nil {
		return err
	}
	if e.Status != Listening && m.Reachable != nil {
		if err := m.Reachable(e.URL); err != nil {
			return &tenants.InvalidError{Field: "url", Reason: err.Error()}
		}
	}
	return e.validate()
}

// Update stores a changed endpoint.
func (m *Manager) Update(ctx context.Context, e *Endpoint) error {
	if e.Status != Enabled && e.Status != Paused && e.Status != Disabled {
		return &tenants.InvalidError{Field: "status", Reason: `must be "enabled", "paused" or "disabled"`}
	}
	if err := m.check(e); err != nil {
		return err
	}
	if e.Status == Enabled {
		e.StatusReason = ""
	}
	return m.Store.UpdateEndpoint(ctx, e)
}

// Rotate gives the endpoint a new secret; the old one signs too for that long.
func (m *Manager) Rotate(ctx context.Context, e *Endpoint, overlap time.Duration) error {
	e.Previous, e.PreviousUntil = e.Secret, time.Now().Add(overlap).UTC()
	e.Secret = NewSecret()
	return m.Store.UpdateEndpoint(ctx, e)
}

func (m *Manager) stop(ctx context.Context, e *Endpoint, to Status, reason string) error {
	now, err := m.Store.EndpointByID(ctx, e.ID)
	if err != nil || now.Status != Enabled {
		return err
	}
	now.Status, now.StatusReason = to, reason
	return m.Store.UpdateEndpoint(ctx, now)
}

// Test sends one event now, once, and returns what came of it.
func (m *Manager) Test(ctx context.Context, e *Endpoint, app *tenants.App) (*Outcome, error) {
	key := signingKey(app)
	if key == nil {
		return nil, &tenants.Refusal{Kind: tenants.ErrConflict, Code: "no_key", Detail: errNoKey.Error()}
	}
	now := time.Now()
	x := Delivery{
		EndpointID: e.ID, App: e.App, TenantID: e.TenantID, Status: Pending, Test: true, EventCount: 1,
		Events: []byte(`[{"name":"test","channel":"tidewire-test"}]`), CreatedAt: now, ExpiresAt: now,
	}
	x.ID = newTestID(now)
	body := x.body(now)
	head := signed(&x, e, key, body, now)
	res := m.Sender.Send(ctx, Request{TenantID: e.TenantID, URL: e.URL, Header: head, Body: body})
	o := settled(x, e, now, head, res, nil)
	return &o, m.Store.InsertFinished(ctx, &o)
}

// Replay makes finished deliveries pending again: same ids, signed anew.
func (m *Manager) Replay(ctx context.Context, app tenants.AppID, f DeliveryFilter) (int, error) {
	life := m.Life
	if life <= 0 {
		life = DefaultLife
	}
	now := time.Now()
	return m.Store.Replay(ctx, app, f, now, now.Add(life))
}

// printHead is the head of a request as the log shows it: signatures stay, they
// reveal nothing; the values of custom headers do not.
func printHead(e *Endpoint, h http.Header) string {
	var lines []string
	for name, values := range h {
		value := strings.Join(values, ", ")
		if _, custom := e.Headers[name]; custom {
			value = "[redacted]"
		}
		lines = append(lines, fmt.Sprintf("%s: %s", name, value))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func newTestID(now time.Time) string {
	return fmt.Sprintf("whd_test_%d_%s", now.UnixMilli(), strings.NewReplacer("+", "", "/", "", "=", "").Replace(NewSecret().Reveal()[6:18]))
}

package webhooks

import (
	"context"
	"fmt"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
)

// maxOverlap bounds how long a rotated secret goes on signing.
const maxOverlap = 30 * 24 * time.Hour

// Manager holds the rules for endpoints and deliveries. Whether somebody may ask
// is for the doors to know.
type Manager struct {
	Store  Store
	Sender Sender
	Now    func() time.Time // nil = the clock
}

// Settings are what can be set on an endpoint; nil leaves a value as it is, or,
// for a new endpoint, at its default.
type Settings struct {
	URL        *string
	Kinds      *[]Kind
	Channels   *[]string
	Batching   *bool
	KeepBodies *bool
	Headers    *map[string]string
	Paused     *bool // true pauses; false makes it enabled again, whatever stopped it
	Status     *Status
	Secret     *tenants.Secret // one that is known to the receiver already, in the form of [NewSecret]
}

func (m *Manager) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now().UTC().Truncate(time.Millisecond)
}

// apply puts what was set onto e and checks all of it.
func (m *Manager) apply(ctx context.Context, e *Endpoint, s Settings) error {
	if s.URL != nil {
		if err := CheckURL(*s.URL); err != nil {
			return err
		}
		if err := m.Sender.Check(ctx, *s.URL); err != nil {
			return &tenants.InvalidError{Field: "url", Reason: err.Error()}
		}
		e.URL = *s.URL
	}
	set(&e.Kinds, s.Kinds)
	set(&e.Channels, s.Channels)
	set(&e.Batching, s.Batching)
	set(&e.KeepBodies, s.KeepBodies)
	set(&e.Headers, s.Headers)
	set(&e.Status, s.Status)
	if s.Secret != nil {
		if err := checkSecret(*s.Secret); err != nil {
			return err
		}
		e.Secret = *s.Secret
	}
	switch {
	case s.Paused == nil:
	case *s.Paused:
		e.Status, e.StatusReason = Paused, "paused by hand"
	default:
		e.Status, e.StatusReason = Enabled, ""
	}
	return e.validate()
}

// Try is e as s would make it, with all but a new address checked; nothing is stored.
func (m *Manager) Try(ctx context.Context, e Endpoint, s Settings) (*Endpoint, error) {
	s.URL = nil
	return &e, m.apply(ctx, &e, s)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Create makes an endpoint of an app. Its secret is in what is returned, and
// shown to nobody later.
func (m *Manager) Create(ctx context.Context, app *tenants.App, s Settings) (*Endpoint, error) {
	now := m.now()
	e := &Endpoint{
		App: app.ID, TenantID: app.TenantID, Batching: true, KeepBodies: true, Secret: NewSecret(),
		Status: Enabled, CreatedAt: now, UpdatedAt: now,
	}
	if s.URL == nil {
		return nil, &tenants.InvalidError{Field: "url", Reason: "is missing; it must be an address such as https://example.com/hooks"}
	}
	if err := m.apply(ctx, e, s); err != nil {
		return nil, err
	}
	most := app.Plan.MaxWebhookEndpoints
	if ceiling := tenants.PlanCeilings().MaxWebhookEndpoints; most <= 0 || most > ceiling {
		most = ceiling
	}
	if err := m.Store.CreateEndpoint(ctx, e, most); err != nil {
		return nil, err
	}
	return e, nil
}

// Update changes an endpoint, if it still has ifRevision; 0 is any.
func (m *Manager) Update(ctx context.Context, id string, ifRevision int64, s Settings) (was, is *Endpoint, err error) {
	e, err := m.Store.Endpoint(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if ifRevision != 0 && ifRevision != e.Revision {
		return nil, nil, tenants.ErrChanged
	}
	before := *e
	if err := m.apply(ctx, e, s); err != nil {
		return nil, nil, err
	}
	e.UpdatedAt = m.now()
	if err := m.Store.UpdateEndpoint(ctx, e); err != nil {
		return nil, nil, err
	}
	return &before, e, nil
}

// RotateSecret gives an endpoint a new secret. The old one signs beside it for
// the overlap, so that the receiver can change over in between.
func (m *Manager) RotateSecret(ctx context.Context, id string, overlap time.Duration) (*Endpoint, error) {
	if overlap < 0 || overlap > maxOverlap {
		return nil, &tenants.InvalidError{Field: "overlap_seconds", Reason: "must be from 0 to 2592000 (30 days)"}
	}
	e, err := m.Store.Endpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	now := m.now()
	e.Previous, e.PreviousUntil = e.Secret, now.Add(overlap)
	if overlap == 0 {
		e.Previous, e.PreviousUntil = tenants.Secret{}, time.Time{}
	}
	e.Secret, e.UpdatedAt = NewSecret(), now
	if err := m.Store.UpdateEndpoint(ctx, e); err != nil {
		return nil, err
	}
	return e, nil
}

// Test sends a made-up event to an endpoint, once. The delivery is in the log
// like any other.
func (m *Manager) Test(ctx context.Context, e *Endpoint) (*Delivery, error) {
	if e.Status != Enabled && e.Status != Listening {
		return nil, &tenants.InvalidError{Field: "status", Reason: fmt.Sprintf("is %s: resume the endpoint first", e.Status)}
	}
	now := m.now()
	ev := eventOf(&channels.Change{
		Kind: channels.ChannelOccupied, App: e.App, Channel: "tidewire-test", Seq: channels.ChangeSeq(now.UnixMilli(), 0),
	})
	list := []Delivery{(&parcel{to: e, events: []*event{&ev}}).delivery(now)}
	d := &list[0]
	d.Test = true
	err := m.Store.Record(ctx, func(tx RecordTx) error {
		_, err := tx.InsertDeliveries(list, Claim{})
		return err
	})
	return d, err
}

// Replay sends finished deliveries again, under their ids. f must name an app
// or an endpoint.
func (m *Manager) Replay(ctx context.Context, f DeliveryFilter) (int, error) {
	now := m.now()
	return m.Store.Replay(ctx, f, now, now.Add(lifetime))
}

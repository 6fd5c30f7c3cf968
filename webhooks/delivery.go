package webhooks

import (
	"encoding/json"
	"slices"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
)

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// A delivery is pending until the endpoint has taken it, or until it is dead:
// its attempts or its time are used up. A dead one can be replayed.
const (
	Pending   DeliveryStatus = "pending"
	Delivered DeliveryStatus = "delivered"
	Dead      DeliveryStatus = "dead"
)

// Delivery is one request to one endpoint: the events in it, and what has come
// of it so far.
type Delivery struct {
	ID         string // what the receiver knows it by, in every attempt
	EndpointID string
	// EndpointRevision is the one that the endpoint had when this was read to be
	// sent; 0 when it was read for anything else.
	EndpointRevision int64
	App              tenants.AppID
	TenantID         string
	Status           DeliveryStatus
	Events           json.RawMessage // a JSON array; empty once it is not kept
	EventCount       int
	Kinds            []Kind // of the events, each once
	Test             bool   // sent by hand
	Attempts         int    // over all replays
	Tries            int    // since it was made or last replayed
	Replays          int
	HTTPStatus       int    // of the last answer; 0 = there was none
	Reason           string // why the last attempt failed, or the delivery is dead; empty = it did not
	NextAt           time.Time
	ExpiresAt        time.Time // when it is dead, whatever attempts are left
	CreatedAt        time.Time
	FinishedAt       time.Time // zero while pending
	// Trace is where the first of its events that is followed is in a trace; nil = none is.
	Trace *channels.Trace
}

// Attempt is one call that was made for a delivery.
type Attempt struct {
	DeliveryID   string
	Number       int // from 1
	App          tenants.AppID
	At           time.Time
	Took         time.Duration
	HTTPStatus   int    // 0 = there was no answer
	Reason       string // why it counts as failed; empty = it does not
	Address      string // that was called
	RequestHead  string // without secrets
	ResponseHead string
	ResponseBody string // its beginning; only of public addresses
}

// Body is what is sent at a moment: Pusher's envelope around the events.
func (d *Delivery) Body(now time.Time) []byte {
	b := make([]byte, 0, len(d.Events)+48)
	b = append(b, `{"time_ms":`...)
	b = appendInt(b, now.UnixMilli())
	b = append(b, `,"events":`...)
	b = append(b, d.Events...)
	return append(b, '}')
}

// newDelivery begins a delivery to e; its events follow by [Delivery.add].
func newDelivery(e *Endpoint, now time.Time) Delivery {
	return Delivery{
		EndpointID: e.ID, App: e.App, TenantID: e.TenantID, Status: Pending, Events: []byte{'['},
		NextAt: now, ExpiresAt: now.Add(lifetime), CreatedAt: now,
	}
}

func (d *Delivery) roomFor(ev *event) bool {
	return d.EventCount < maxBatch && len(d.Events)+len(ev.json) < maxBatchBytes
}

func (d *Delivery) add(ev *event) {
	if more := len(ev.json) + 2; cap(d.Events)-len(d.Events) < more { // twice as large: append alone would copy a batch some ten times
		d.Events = slices.Grow(d.Events, max(more, len(d.Events)))
	}
	if d.EventCount > 0 {
		d.Events = append(d.Events, ',')
	}
	d.Events = append(d.Events, ev.json...)
	d.EventCount++
	if d.Trace == nil {
		d.Trace = ev.trace
	}
	if !slices.Contains(d.Kinds, ev.kind) {
		d.Kinds = append(d.Kinds, ev.kind)
	}
}

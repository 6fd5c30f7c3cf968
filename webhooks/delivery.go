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

// parcel is a delivery that is being filled.
type parcel struct {
	to     *Endpoint
	events []*event
	size   int // of their JSON, about
}

func (p *parcel) roomFor(ev *event) bool {
	return len(p.events) < maxBatch && p.size+len(ev.json) < maxBatchBytes
}

func (p *parcel) add(ev *event) {
	p.events = append(p.events, ev)
	p.size += len(ev.json) + 1
}

// delivery is what has become of it.
func (p *parcel) delivery(now time.Time) Delivery {
	d := Delivery{
		EndpointID: p.to.ID, App: p.to.App, TenantID: p.to.TenantID, Status: Pending, EventCount: len(p.events),
		NextAt: now, ExpiresAt: now.Add(lifetime), CreatedAt: now,
	}
	list := append(make([]byte, 0, p.size+2), '[')
	for i, ev := range p.events {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, ev.json...)
		if d.Trace == nil {
			d.Trace = ev.trace
		}
		if !slices.Contains(d.Kinds, ev.kind) {
			d.Kinds = append(d.Kinds, ev.kind)
		}
	}
	d.Events = append(list, ']')
	return d
}

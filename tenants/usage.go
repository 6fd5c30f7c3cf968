package tenants

import (
	"context"
	"fmt"
	"time"
)

// Counts are what one app used in some span of time. Each number is exact.
type Counts struct {
	// Publishes are events taken from the customer's servers: one for each
	// channel an event goes to, in a batch or not.
	Publishes int64 `json:"publishes"`
	// Queries are calls that read the state of channels, and one more for each
	// publish that asks for the state of its channels with info.
	Queries int64 `json:"queries"`
	// ClientEvents are events taken from clients.
	ClientEvents int64 `json:"client_events"`
	// Deliveries are events, of either kind, queued for clients: one for each
	// subscriber. The last event of a cache channel counts when it is delivered.
	Deliveries int64 `json:"deliveries"`
	// PresenceChanges are member_added and member_removed queued for clients.
	PresenceChanges int64 `json:"presence_changes"`
	// Webhooks are calls to the customer's endpoints.
	Webhooks int64 `json:"webhooks"`
	// BytesOut are the bytes of Deliveries and PresenceChanges, WebSocket
	// framing included.
	BytesOut int64 `json:"bytes_out"`
}

// Messages is the sum that max_messages_per_day bounds. As with Pusher,
// everything counts but bytes; handshakes, pings, subscriptions and their
// confirmations are free.
func (c Counts) Messages() int64 {
	return c.Publishes + c.Queries + c.ClientEvents + c.Deliveries + c.PresenceChanges + c.Webhooks
}

// Add returns the sum of both.
func (c Counts) Add(o Counts) Counts {
	return Counts{
		Publishes: c.Publishes + o.Publishes, Queries: c.Queries + o.Queries,
		ClientEvents: c.ClientEvents + o.ClientEvents, Deliveries: c.Deliveries + o.Deliveries,
		PresenceChanges: c.PresenceChanges + o.PresenceChanges,
		Webhooks:        c.Webhooks + o.Webhooks, BytesOut: c.BytesOut + o.BytesOut,
	}
}

func (c Counts) minus(o Counts) Counts {
	return Counts{
		Publishes: c.Publishes - o.Publishes, Queries: c.Queries - o.Queries,
		ClientEvents: c.ClientEvents - o.ClientEvents, Deliveries: c.Deliveries - o.Deliveries,
		PresenceChanges: c.PresenceChanges - o.PresenceChanges,
		Webhooks:        c.Webhooks - o.Webhooks, BytesOut: c.BytesOut - o.BytesOut,
	}
}

// UsageHour is what one app used in one hour, as far as one batch knows.
type UsageHour struct {
	TenantID string
	App      AppID
	Hour     time.Time // its start, UTC
	Counts
	// PeakConnections is the most that were open at once, over all nodes.
	PeakConnections int64
	// Refused is how often something was refused, by reason.
	Refused map[string]int64
}

// AppConnections is how many connections of an app one node has.
type AppConnections struct {
	TenantID string
	App      AppID
	Open     int64
}

// UsageBatch is what one process adds to the usage in one step.
type UsageBatch struct {
	// Source names the process, and no other one ever. Seq numbers its batches
	// from 1; a batch that is given again has its number again.
	Source string
	Seq    int64
	Hours  []UsageHour
	// Connections are the apps whose number has changed on this node.
	Connections []AppConnections
	At          time.Time
	// AliveUntil is when the node's connections no longer count, unless another
	// batch of it comes before.
	AliveUntil time.Time
}

// Standing is where an app stands, counting all nodes.
type Standing struct {
	TenantID string
	App      AppID
	Messages int64 // of the day asked for
	// Elsewhere is the number of connections open on nodes other than the source asked for.
	Elsewhere int64
}

// UsageStore keeps usage. It has one engine, sqlstore, over either dialect.
type UsageStore interface {
	// AddUsage adds a batch, all of it or nothing. A batch of that source and
	// number which was added before is not added again, and gives no error: so
	// a caller who did not learn the outcome may ask again.
	AddUsage(ctx context.Context, b UsageBatch) error

	// Standings tells where the apps of the tenants stand that used anything on
	// the day, given by its start, or have connections on other nodes than
	// source. What it knows of an app may come in several parts, to be added up.
	Standings(ctx context.Context, source string, day time.Time, tenantIDs []string) ([]Standing, error)
}

// UsageSpan is the size of the steps usage is told in.
type UsageSpan string

// The steps there are. A day is one of UTC.
const (
	ByHour UsageSpan = "hour"
	ByDay  UsageSpan = "day"
)

// MaxUsageDays is the longest range one question can ask for.
const MaxUsageDays = 400

// UsageQuery asks for the usage of one tenant.
type UsageQuery struct {
	TenantID string // required: nobody sees what another tenant uses
	App      AppID  // empty for the sum over the tenant's apps
	From, To time.Time
	Span     UsageSpan // empty is ByHour
}

// Validate checks the range and the span; the error is an [*InvalidError].
func (q UsageQuery) Validate() error {
	switch {
	case q.Span != "" && q.Span != ByHour && q.Span != ByDay:
		return &InvalidError{"usage.span", `must be "hour" or "day"`}
	case !q.From.Before(q.To):
		return &InvalidError{"usage.from", "must be before to"}
	case q.To.Sub(q.From) > MaxUsageDays*24*time.Hour:
		return &InvalidError{"usage.to", fmt.Sprintf("must be within %d days of from; ask in parts", MaxUsageDays)}
	}
	return nil
}

// UsageStep is the usage of one hour or day.
type UsageStep struct {
	Start time.Time `json:"start"`
	Counts
	// Messages is the sum that counts against max_messages_per_day.
	Messages int64 `json:"messages"`
	// PeakConnections is the most connections that were open at once. For a
	// tenant it is the sum of its apps' peaks, which need not have been at one time.
	PeakConnections int64 `json:"peak_connections"`
}

// RateError says that a [Limiter] refused.
type RateError struct {
	Limit      string // the limit's name: max_publishes_per_second
	PerSecond  int
	OfTenant   bool // the limit is the one all apps of the tenant share
	RetryAfter time.Duration
}

// Error implements error. The text is meant for the customer.
func (e *RateError) Error() string {
	whose, raise := "this app", "raise "+e.Limit
	if e.OfTenant {
		whose, raise = "all apps of this account together", "move to a larger plan"
	}
	return fmt.Sprintf("Too many requests: %s may use %d a second (%s). Slow down, try again in %s, or %s",
		whose, e.PerSecond, e.Limit, max(e.RetryAfter, time.Millisecond).Round(time.Millisecond), raise)
}

// QuotaError says that the messages of the day are used up.
type QuotaError struct {
	Limit    int64 // messages a day
	OfTenant bool  // the limit is the one all apps of the tenant share
}

// Error implements error. The text begins as publishers know it.
func (e *QuotaError) Error() string {
	whose, raise := "this app has", "raise max_messages_per_day"
	if e.OfTenant {
		whose, raise = "the apps of this account have together", "move to a larger plan"
	}
	return fmt.Sprintf("API call failed since (daily) message quota exceeded: %s used the %d messages of today. "+
		"Try again after 00:00 UTC, or %s", whose, e.Limit, raise)
}

// ConnectionsError says that no further connection may be opened.
type ConnectionsError struct {
	Limit    int64
	OfTenant bool // the limit is the one all apps of the tenant share
}

// Error implements error. The text is meant for the customer.
func (e *ConnectionsError) Error() string {
	if e.OfTenant {
		return fmt.Sprintf("The apps of this account have %d connections together, the most its plan allows. Close some, or move to a larger plan.", e.Limit)
	}
	return fmt.Sprintf("This app has %d connections, the most it allows. Close some, or raise max_connections.", e.Limit)
}

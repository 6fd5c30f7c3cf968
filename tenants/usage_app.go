package tenants

import (
	"sync/atomic"
)

// AppUsage counts what one app uses on this node, and knows where it stands
// today. Counting is a few atomic additions: no lock, no allocation, no
// database. A nil *AppUsage counts nothing and refuses nothing. Get one from
// [Meters.App].
type AppUsage struct {
	meters *Meters
	app    AppID
	tenant *tenantUsage

	// since the process started
	publishes, queries, clientEvents, deliveries, changes, webhooks, bytesOut atomic.Int64

	refused  refused
	messages standingSum
	conns    connections
	peak     atomic.Int64 // most connections since the last cut
	deleted  atomic.Bool  // the app is gone: forget it once everything is stored

	// owned by Run
	cut      Counts     // what has been cut off into batches
	stored   int64      // messages that are in the store
	hourPeak int64      // the peak that was noted for this hour
	told     int64      // connections the store knows of
	latest   *UsageHour // the last record that is not in a batch yet; nil for none
}

// tenantUsage is the sum over a tenant's apps.
type tenantUsage struct {
	id       string
	messages standingSum
	conns    connections
	fanout   fanoutBudget

	// owned by Run
	apps      int   // apps that have an AppUsage
	forgotten int64 // stored messages of apps that are gone
	fresh     bool  // the store has not been asked yet
	active    bool  // something was used today
}

// standingSum is a number of messages of the day: what this process counted,
// and what that must be corrected by to give the day's sum over all nodes.
type standingSum struct {
	counted atomic.Int64 // since the process started
	base    atomic.Int64
	noticed atomic.Int32 // how far this day's notices have got: 0, noticedNear, noticedOver
}

const (
	noticedNear = 1
	noticedOver = 2
	// nearPercent is the share of a day's messages from which there is a warning.
	nearPercent = 80
)

func (s *standingSum) today() int64 { return s.base.Load() + s.counted.Load() }

// newDay makes the day's sum zero.
func (s *standingSum) newDay() {
	s.base.Store(-s.counted.Load())
	s.noticed.Store(0)
}

// notice reports whether this is the first time today that used is that near to
// the limit, or over it.
func (s *standingSum) notice(used, limit int64) bool {
	level := int32(0)
	switch {
	case used >= limit:
		level = noticedOver
	case used >= limit/100*nearPercent+limit%100*nearPercent/100:
		level = noticedNear
	}
	for {
		was := s.noticed.Load()
		if was >= level {
			return false
		}
		if s.noticed.CompareAndSwap(was, level) {
			return true
		}
	}
}

// connections is how many are open here, and on the other nodes when the store
// was last asked.
type connections struct{ open, elsewhere atomic.Int64 }

// enter counts one more, unless that would be more than limit.
func (c *connections) enter(limit int64) bool {
	if c.open.Add(1)+c.elsewhere.Load() > limit {
		c.open.Add(-1)
		return false
	}
	return true
}

// Published counts n events taken from the customer's servers.
func (u *AppUsage) Published(n int) {
	if u != nil {
		u.count(&u.publishes, n)
	}
}

// Queried counts one call that asks for the state of channels.
func (u *AppUsage) Queried() {
	if u != nil {
		u.count(&u.queries, 1)
	}
}

// ClientEvent counts one event taken from a client.
func (u *AppUsage) ClientEvent() {
	if u != nil {
		u.count(&u.clientEvents, 1)
	}
}

// Delivered counts an event of size bytes on the wire queued for n clients.
func (u *AppUsage) Delivered(n, size int) {
	if u != nil {
		u.count(&u.deliveries, n)
		u.tenant.fanout.delivered.Add(int64(n))
		u.bytesOut.Add(int64(n) * int64(size))
	}
}

// PresenceChanged is [AppUsage.Delivered] for member_added and member_removed.
func (u *AppUsage) PresenceChanged(n, size int) {
	if u != nil {
		u.count(&u.changes, n)
		u.tenant.fanout.delivered.Add(int64(n))
		u.bytesOut.Add(int64(n) * int64(size))
	}
}

// Webhooks counts n calls to the customer's endpoints.
func (u *AppUsage) Webhooks(n int) {
	if u != nil {
		u.count(&u.webhooks, n)
	}
}

func (u *AppUsage) count(of *atomic.Int64, n int) {
	of.Add(int64(n))
	u.messages.counted.Add(int64(n))
	u.tenant.messages.counted.Add(int64(n))
}

// Connect counts a connection, or says with a [*ConnectionsError] that app, or
// its tenant, has as many as it may. Each success needs one Disconnect.
func (u *AppUsage) Connect(app *App) error {
	if u == nil {
		return nil
	}
	high := Ceilings().MaxConnections
	limit, ofTenant := int64(within(app.Limits.MaxConnections, high)), int64(within(app.Plan.MaxConnections, high))
	if !u.tenant.conns.enter(ofTenant) {
		return &ConnectionsError{Limit: ofTenant, OfTenant: true}
	}
	if !u.conns.enter(limit) {
		u.tenant.conns.open.Add(-1)
		return &ConnectionsError{Limit: limit}
	}
	u.peaked()
	return nil
}

// Connected counts a connection that was given its seat elsewhere, by [Seats].
func (u *AppUsage) Connected() {
	if u != nil {
		u.conns.open.Add(1)
		u.tenant.conns.open.Add(1)
		u.peaked()
	}
}

// Disconnect ends one Connect or Connected.
func (u *AppUsage) Disconnect() {
	if u != nil {
		u.conns.open.Add(-1)
		u.tenant.conns.open.Add(-1)
	}
}

// peaked makes the peak at least what is open now.
func (u *AppUsage) peaked() {
	for {
		open, peak := u.conns.open.Load(), u.peak.Load()
		if open <= peak || u.peak.CompareAndSwap(peak, open) {
			return
		}
	}
}

// Quota says with a [*QuotaError] that the messages of the day are used up, by
// app or by all apps of its tenant. It is asked before something is published;
// what is then delivered may exceed the limit by one event's deliveries, and by
// what other nodes used in the last flush interval.
func (u *AppUsage) Quota(app *App) error {
	if u == nil {
		return nil
	}
	high := Ceilings().MaxMessagesPerDay
	limit, ofTenant := int64(within(app.Limits.MaxMessagesPerDay, high)), int64(within(app.Plan.MaxMessagesPerDay, high))
	used, usedByTenant := u.messages.today(), u.tenant.messages.today()
	if u.messages.notice(used, limit) {
		u.meters.notify(QuotaNotice{TenantID: u.tenant.id, App: u.app, Used: used, Limit: limit})
	}
	if u.tenant.messages.notice(usedByTenant, ofTenant) {
		u.meters.notify(QuotaNotice{TenantID: u.tenant.id, Used: usedByTenant, Limit: ofTenant})
	}
	switch {
	case used >= limit:
		return &QuotaError{Limit: limit}
	case usedByTenant >= ofTenant:
		return &QuotaError{Limit: ofTenant, OfTenant: true}
	}
	return nil
}

// Today is how many messages the app has used today, over all nodes as far as
// this one knows.
func (u *AppUsage) Today() int64 {
	if u == nil {
		return 0
	}
	return u.messages.today()
}

// Connections is how many connections the app has, likewise.
func (u *AppUsage) Connections() int64 {
	if u == nil {
		return 0
	}
	return u.conns.open.Load() + u.conns.elsewhere.Load()
}

// Used is everything counted since the process started, for figures of this
// node; zero for a nil usage.
func (u *AppUsage) Used() Counts {
	if u == nil {
		return Counts{}
	}
	return u.counts()
}

// counts is everything since the process started.
func (u *AppUsage) counts() Counts {
	return Counts{
		Publishes: u.publishes.Load(), Queries: u.queries.Load(), ClientEvents: u.clientEvents.Load(),
		Deliveries: u.deliveries.Load(), PresenceChanges: u.changes.Load(),
		Webhooks: u.webhooks.Load(), BytesOut: u.bytesOut.Load(),
	}
}

// QuotaNotice tells that a day's messages are nearly or wholly used up: once a
// day for each of the two, on each node that sees it.
type QuotaNotice struct {
	TenantID string
	App      AppID // empty: all apps of the tenant together
	Used     int64
	Limit    int64
}

// Stopped reports whether publishing is refused from now on.
func (n QuotaNotice) Stopped() bool { return n.Used >= n.Limit }

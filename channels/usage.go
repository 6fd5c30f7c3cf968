package channels

import (
	"context"
	"errors"

	"tidewire/channels/console"
	"tidewire/channels/fanout"
	"tidewire/tenants"
)

// deliveries makes an app's usage the [fanout.Tally] of events.
type deliveries tenants.AppUsage

// Queued implements [fanout.Tally].
func (d *deliveries) Queued(n, size int) { (*tenants.AppUsage)(d).Delivered(n, size) }

// presenceChanges makes it the one of member_added and member_removed.
type presenceChanges tenants.AppUsage

// Queued implements [fanout.Tally].
func (p *presenceChanges) Queued(n, size int) { (*tenants.AppUsage)(p).PresenceChanged(n, size) }

var (
	_ fanout.Tally = (*deliveries)(nil)
	_ fanout.Tally = (*presenceChanges)(nil)
)

// countDeliveries has every line that f is queued on counted by u, if there is one.
func countDeliveries(u *tenants.AppUsage, f *fanout.Frame) *fanout.Frame {
	if u == nil {
		return f
	}
	return f.CountedBy((*deliveries)(u))
}

// countChange is countDeliveries for a change of members.
func countChange(u *tenants.AppUsage, f *fanout.Frame) *fanout.Frame {
	if u == nil {
		return f
	}
	return f.CountedBy((*presenceChanges)(u))
}

// withinRate asks the limiter, if there is one. The error is a [*tenants.RateError].
func (h *Hub) withinRate(ctx context.Context, limit string, d tenants.Demand) error {
	if h.cfg.Limiter == nil {
		return nil
	}
	answer := h.cfg.Limiter.Take(ctx, d)
	if answer.Allowed {
		return nil
	}
	refused := d.Buckets[answer.Bucket]
	return &tenants.RateError{
		Limit: limit, PerSecond: refused.Rate, OfTenant: refused.App == "", RetryAfter: answer.RetryAfter,
	}
}

const (
	limitPublishes = "max_publishes_per_second"
	limitReads     = "max_reads_per_second"
)

// Publish hands validated events of an app's own server to the broker. Each
// event, which is for one channel, counts once for max_publishes_per_second and,
// when the broker has it, once for max_messages_per_day; a call with more than
// is allowed is refused whole, with a [*tenants.RateError] or a
// [*tenants.QuotaError]. Other errors are those of [Broker.Publish].
func (h *Hub) Publish(ctx context.Context, app *tenants.App, evs []Event) ([]Position, error) {
	usage := h.cfg.Meters.App(app)
	if err := usage.Quota(app); err != nil {
		return nil, err
	}
	if err := usage.Fanout(app); err != nil {
		return nil, err
	}
	if err := h.withinRate(ctx, limitPublishes, app.PublishDemand(len(evs))); err != nil {
		return nil, err
	}
	positions, err := h.publish(ctx, app, evs)
	usage.Published(taken(len(evs), err))
	if feed := h.cfg.Console.Of(app.ID); feed != nil && err == nil {
		notePublished(feed, evs)
	}
	return positions, err
}

// taken is how many of n events the broker vouches for.
func taken(n int, err error) int {
	if err == nil {
		return n
	}
	if partial, ok := errors.AsType[*PublishError](err); ok {
		return n - len(partial.Failed)
	}
	return 0
}

// AdmitRead lets a call of an app's server pass that reads the state of
// channels, and counts it; the error is a [*tenants.RateError].
func (h *Hub) AdmitRead(ctx context.Context, app *tenants.App) error {
	if err := h.withinRate(ctx, limitReads, app.ReadDemand()); err != nil {
		return err
	}
	h.CountQuery(app)
	return nil
}

// CountQuery counts one question about the state of channels that came along
// with something else.
func (h *Hub) CountQuery(app *tenants.App) { h.cfg.Meters.App(app).Queried() }

// Rejected counts that a call of an app's server was refused.
func (h *Hub) Rejected(app *tenants.App, reason console.Code) {
	countRefused(h.cfg.Meters.App(app), reason)
}

func countRefused(u *tenants.AppUsage, reason console.Code) {
	if info := console.Find(reason); u != nil && info != nil && info.Denied() {
		u.Refused(string(reason))
	}
}

// publishClientEvent publishes what a client sent. Its rate was checked on its
// connection; here it takes part in the messages of the day only.
func (c *Conn) publishClientEvent(ctx context.Context, app *tenants.App, evs []Event) error {
	if err := c.space.usage.Quota(app); err != nil {
		return &complaint{code: CodeClientEventRate, reason: console.ClientMessagesUsed, message: "Client event rejected: the messages of today are used up (max_messages_per_day). Try again after 00:00 UTC."}
	}
	if err := c.space.usage.Fanout(app); err != nil {
		return &complaint{code: CodeClientEventRate, reason: console.ClientDeliveryLimit, message: "Client event rejected: the apps of this account deliver more than its plan allows (max_deliveries_per_second). Send it again in a moment."}
	}
	_, err := c.hub.publish(ctx, app, evs)
	if err == nil {
		c.space.usage.ClientEvent()
	}
	return err
}

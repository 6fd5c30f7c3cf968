package adminapi

import (
	"time"

	"tidewire/tenants"
)

var usageParams = []Param{
	{"from", "the first moment; 24 hours before to if left out"},
	{"to", "the moment after the last; now if left out"},
	{"span", `the size of a step: "hour" (if left out) or "day"`},
}

func (a *API) usageRoutes() []Route {
	return []Route{
		ofTenant("usage.get", get, "/usage", tenants.ActStatsRead, 200, "What a tenant used, by hour or day").with(nil, usageView{}, a.tenantUsage).asks(usageParams...),
		ofApp("usage.app", get, "/usage", tenants.ActStatsRead, 200, "What an app used, by hour or day").with(nil, usageView{}, a.appUsage).asks(usageParams...),
	}
}

// usageView is usage in steps, those without any left out, and where things
// stand today against what is allowed.
type usageView struct {
	From  time.Time           `json:"from"`
	To    time.Time           `json:"to"`
	Span  tenants.UsageSpan   `json:"span"`
	Steps []tenants.UsageStep `json:"steps"`
	Total usageTotal          `json:"total"`
	// Refused is what was refused in all of them, the most frequent reason first.
	Refused []tenants.Refusals `json:"refused"`
	Today   quotaView          `json:"today"`
}

type usageTotal struct {
	tenants.Counts
	Messages        int64 `json:"messages"`
	PeakConnections int64 `json:"peak_connections"` // the highest of the steps
}

// quotaView is the standing of the present day (UTC).
type quotaView struct {
	Messages        int64  `json:"messages"`
	MaxMessages     int64  `json:"max_messages"`
	PeakConnections int64  `json:"peak_connections"`
	MaxConnections  int64  `json:"max_connections"`
	State           string `json:"state"` // ok, warning (from 80 %) or exceeded
}

func (a *API) tenantUsage(r *Request) (*Reply, error) {
	plan, err := a.cfg.Accounts.TenantPlan(r.Context(), r.Caller, r.Tenant.ID)
	if err != nil {
		return nil, err
	}
	return a.usage(r, "", plan.Effective().Limits)
}

func (a *API) appUsage(r *Request) (*Reply, error) {
	limits, err := a.cfg.Accounts.AppLimits(r.Context(), r.Caller, r.App())
	if err != nil {
		return nil, err
	}
	return a.usage(r, r.App(), limits)
}

func (a *API) usage(r *Request, app tenants.AppID, limits tenants.Limits) (*Reply, error) {
	now := time.Now().UTC()
	q := tenants.UsageQuery{TenantID: r.Tenant.ID, App: app, Span: tenants.UsageSpan(r.Query("span"))}
	if q.Span == "" {
		q.Span = tenants.ByHour
	}
	var err error
	if q.To, err = r.time("to", now); err != nil {
		return nil, err
	}
	if q.From, err = r.time("from", q.To.Add(-24*time.Hour)); err != nil {
		return nil, err
	}
	if err := validUsage(q); err != nil {
		return nil, err
	}
	v := usageView{From: q.From, To: q.To, Span: q.Span}
	if v.Steps, err = a.cfg.Usage.Usage(r.Context(), q); err != nil {
		return nil, err
	}
	if v.Refused, err = a.cfg.Usage.Refusals(r.Context(), q); err != nil {
		return nil, err
	}
	for _, step := range v.Steps {
		v.Total.Counts = v.Total.Add(step.Counts)
		v.Total.PeakConnections = max(v.Total.PeakConnections, step.PeakConnections)
	}
	v.Total.Messages = v.Total.Counts.Messages()
	today := now.Truncate(24 * time.Hour)
	day, err := a.cfg.Usage.Usage(r.Context(), tenants.UsageQuery{
		TenantID: q.TenantID, App: app, Span: tenants.ByDay, From: today, To: today.Add(24 * time.Hour),
	})
	if err != nil {
		return nil, err
	}
	v.Today = standing(day, limits)
	return &Reply{Body: v}, nil
}

// validUsage names the query's parameters as they were given.
func validUsage(q tenants.UsageQuery) error {
	switch {
	case q.Span != tenants.ByHour && q.Span != tenants.ByDay:
		return badParam("span", `must be "hour" or "day"`)
	case !q.From.Before(q.To):
		return badParam("from", "must be before to")
	case q.Validate() != nil:
		return badParam("to", "must be within 400 days of from; ask in parts")
	}
	return nil
}

func standing(day []tenants.UsageStep, limits tenants.Limits) quotaView {
	v := quotaView{MaxMessages: int64(limits.MaxMessagesPerDay), MaxConnections: int64(limits.MaxConnections), State: "ok"}
	for _, step := range day {
		v.Messages += step.Messages
		v.PeakConnections = max(v.PeakConnections, step.PeakConnections)
	}
	switch {
	case v.Messages >= v.MaxMessages:
		v.State = "exceeded"
	case v.Messages*10 >= v.MaxMessages*8, v.PeakConnections*10 >= v.MaxConnections*8:
		v.State = "warning"
	}
	return v
}

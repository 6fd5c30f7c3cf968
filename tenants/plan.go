package tenants

import (
	"encoding/json"
	"fmt"
	"time"
)

// The plans every installation has. They can be replaced by a newer version of
// the same name, never removed.
const (
	SandboxPlan = "sandbox" // in force until the owner's address is verified
	DefaultPlan = "default" // of a tenant that was given no other
)

// Plan is what one tenant may use, as sums over all its apps. 0 means the
// server's hard ceiling; the zero Plan is therefore the most generous one.
//
// What counts per event, per connection or per channel (bytes, members, client
// events) bounds each app alike; the rest is shared by the apps of the tenant.
type Plan struct {
	Name    string `json:"name"`
	Version int    `json:"version"` // from 1; a change makes a new one

	Limits // the ceilings that have the names of app limits

	MaxApps                int `json:"max_apps"`
	MaxMembers             int `json:"max_members"` // people and open invitations
	MaxTokens              int `json:"max_tokens"`
	MaxWebhookEndpoints    int `json:"max_webhook_endpoints"`
	MaxDeliveriesPerSecond int `json:"max_deliveries_per_second"` // publishes × subscribers

	CreatedAt time.Time `json:"created_at,omitzero"` // of this version; zero = built in
}

// PlanCeilings is the server's hard bound on any plan: what 0 stands for.
func PlanCeilings() Plan {
	return Plan{
		Limits: Ceilings(), MaxApps: 10_000, MaxMembers: 10_000, MaxTokens: 1_000,
		MaxWebhookEndpoints: 10_000, MaxDeliveriesPerSecond: 100_000_000,
	}
}

// BuiltInPlans are the plans in force until others of their names are applied.
func BuiltInPlans() []Plan {
	return []Plan{
		{
			Name: DefaultPlan, Version: 1,
			MaxApps: 1_000, MaxMembers: 1_000, MaxTokens: 500, MaxWebhookEndpoints: 1_000,
		},
		{
			Name: SandboxPlan, Version: 1,
			Limits: Limits{
				MaxConnections: 100, MaxEventBytes: 10_240, MaxPublishesPerSecond: 20, MaxReadsPerSecond: 20,
				MaxClientEventsPerSecond: 10, MaxChannelsPerConnection: 100, MaxPresenceMembers: 100,
				MaxPresenceInfoBytes: 1024, MaxMessagesPerDay: 50_000,
			},
			MaxApps: 2, MaxMembers: 3, MaxTokens: 5, MaxWebhookEndpoints: 2, MaxDeliveriesPerSecond: 1_000,
		},
	}
}

// ParsePlan reads a plan from a JSON object: "name" and any of the ceilings. It
// is as strict as [ParseSettings]; what is left out is 0, the hard ceiling.
func ParsePlan(raw []byte) (Plan, error) {
	var p Plan
	fields := map[string]reader{"name": stringInto(&p.Name)}
	for _, f := range p.fields() {
		fields[f.name] = intInto(f.value)
	}
	if err := readObject("plan", raw, fields); err != nil {
		return Plan{}, err
	}
	return p, p.Validate()
}

// ParsePlans reads a JSON list of plans, each as [ParsePlan] does.
func ParsePlans(raw []byte) ([]Plan, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, &InvalidError{"plans", `must be a JSON list such as [{"name":"team","max_apps":10}]`}
	}
	plans := make([]Plan, 0, len(list))
	seen := make(map[string]bool)
	for _, one := range list {
		p, err := ParsePlan(one)
		if err != nil {
			return nil, err
		}
		if seen[p.Name] {
			return nil, &InvalidError{"plans", fmt.Sprintf("plan %s is given twice; keep one", p.Name)}
		}
		seen[p.Name] = true
		plans = append(plans, p)
	}
	return plans, nil
}

// Validate checks the name and that every ceiling lies between 0 and the
// server's own; the error is an [*InvalidError].
func (p Plan) Validate() error {
	if !isSlug(p.Name) {
		return &InvalidError{"plan.name", "must be 1 to 63 of a-z, 0-9 and -, such as \"team\""}
	}
	ceilings := PlanCeilings()
	highest := ceilings.fields()
	for i, f := range p.fields() {
		if high := *highest[i].value; *f.value < 0 || *f.value > high {
			return &InvalidError{
				"plan." + f.name,
				fmt.Sprintf("must be from 1 to %d, or 0 for that ceiling, not %d", high, *f.value),
			}
		}
	}
	return nil
}

// Effective returns the plan with each 0 replaced by the server's ceiling.
func (p Plan) Effective() Plan {
	ceilings := PlanCeilings()
	highest := ceilings.fields()
	for i, f := range p.fields() {
		if high := *highest[i].value; *f.value <= 0 || *f.value > high {
			*f.value = high
		}
	}
	return p
}

// SameCeilings reports whether both plans allow the same.
func (p Plan) SameCeilings(other Plan) bool {
	theirs := other.fields()
	for i, f := range p.fields() {
		if *f.value != *theirs[i].value {
			return false
		}
	}
	return true
}

// Lower returns an app's limits, each lowered to what the plan allows.
func (p Plan) Lower(l Limits) Limits {
	most := p.Limits.fields()
	for i, f := range l.fields() {
		if high := *most[i].value; high > 0 && (*f.value == 0 || *f.value > high) {
			*f.value = high
		}
	}
	return l
}

// check refuses a limit that was raised above the plan. What already stood there
// before a downgrade may stay: it is lowered where it is used.
func (p Plan) check(before, after Limits) error {
	most, old := p.Limits.fields(), before.fields()
	for i, f := range after.fields() {
		if high := *most[i].value; high > 0 && *f.value > high && *f.value != *old[i].value {
			return &InvalidError{
				"limits." + f.name,
				fmt.Sprintf("must be at most %d, which is what plan %s allows, not %d", high, p.Name, *f.value),
			}
		}
	}
	return nil
}

func (p *Plan) fields() []limitField {
	return append(p.Limits.fields(),
		limitField{"max_apps", &p.MaxApps},
		limitField{"max_members", &p.MaxMembers},
		limitField{"max_tokens", &p.MaxTokens},
		limitField{"max_webhook_endpoints", &p.MaxWebhookEndpoints},
		limitField{"max_deliveries_per_second", &p.MaxDeliveriesPerSecond},
	)
}

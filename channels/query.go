package channels

import (
	"context"
	"slices"
	"strings"
	"time"

	"tidewire/tenants"
)

// Channels lists the occupied channels of an app, over all nodes, whose names
// begin with prefix, sorted by name.
func (h *Hub) Channels(ctx context.Context, app *tenants.App, prefix string) ([]Occupancy, error) {
	all, err := h.presence.Occupied(ctx, app.ID, prefix)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(o Occupancy) bool { return strings.HasPrefix(o.Channel, "#") })
	slices.SortFunc(all, func(a, b Occupancy) int { return strings.Compare(a.Channel, b.Channel) })
	return all, nil
}

// Occupancy returns the counts of channels of an app, in the order of names.
func (h *Hub) Occupancy(ctx context.Context, app *tenants.App, names ...string) ([]Occupancy, error) {
	topics := make([]Topic, len(names))
	for i, name := range names {
		topics[i] = Topic{App: app.ID, Channel: name}
	}
	return h.presence.Occupancy(ctx, topics)
}

// Members lists who is on a presence channel of an app, sorted by user id.
func (h *Hub) Members(ctx context.Context, app *tenants.App, name string) ([]Member, error) {
	r, err := h.presence.Roster(ctx, Topic{App: app.ID, Channel: name})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.Members, func(a, b Member) int { return strings.Compare(a.UserID, b.UserID) })
	return r.Members, nil
}

// Last returns the last event of a cache channel and how long it is kept still;
// nil if there is none.
func (h *Hub) Last(ctx context.Context, app *tenants.App, name string) (*Event, time.Duration, error) {
	return h.last.Last(ctx, Topic{App: app.ID, Channel: name})
}

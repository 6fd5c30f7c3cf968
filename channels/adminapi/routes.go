package adminapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

// Hub is what the door asks of the realtime engine. [channels.Hub] is one.
type Hub interface {
	Publish(ctx context.Context, app *tenants.App, evs []channels.Event) ([]channels.Position, error)
	Channels(ctx context.Context, app *tenants.App, prefix string) ([]channels.Occupancy, error)
	Occupancy(ctx context.Context, app *tenants.App, names ...string) ([]channels.Occupancy, error)
	Members(ctx context.Context, app *tenants.App, name string) ([]channels.Member, error)
	Last(ctx context.Context, app *tenants.App, name string) (*channels.Event, time.Duration, error)
	TerminateUser(ctx context.Context, app *tenants.App, id string) error
	// Connections, CountConnections: of this node. Standing: of all of them.
	Connections(app tenants.AppID, after channels.SocketID, limit int) ([]channels.Connection, bool)
	CountConnections(app tenants.AppID) int
	Standing(app tenants.AppID) (messages, connections int64)
}

// Apps finds an app with the limits that are in force. [tenants.Directory] is one.
type Apps interface {
	ByID(ctx context.Context, id tenants.AppID) (*tenants.App, error)
}

// door has the handlers.
type door struct {
	hub  Hub
	apps Apps
}

// Routes are the rows of this door, for [adminapi.Config.More].
func Routes(hub Hub, apps Apps) []adminapi.Route {
	d := &door{hub, apps}
	of := func(name, method, path string, act tenants.Action, summary string, serve func(*adminapi.Request) (*adminapi.Reply, error)) adminapi.Route {
		return adminapi.Route{
			Name: name, Method: method, Path: "/api/v1/apps/{app}" + path, Summary: summary,
			Access: adminapi.OfApp, Action: act, Status: http.StatusOK, Serve: serve,
		}
	}
	list := of("channels.list", http.MethodGet, "/channels", tenants.ActChannelsRead, "The occupied channels, by name", d.channels)
	list.List, list.Answer, list.Query = true, channelView{}, []adminapi.Param{{Name: "prefix", Doc: "only names that begin with it"}}
	one := of("channels.get", http.MethodGet, "/channels/{channel}", tenants.ActChannelsRead, "A channel: how many are on it, who, and what was last", d.channel)
	one.Answer = channelDetailView{}
	conns := of("connections.list", http.MethodGet, "/connections", tenants.ActChannelsRead, "The connections on the node that answers", d.connections)
	conns.List, conns.Answer = true, connectionView{}
	end := of("connections.terminate", http.MethodPost, "/connections/terminate", tenants.ActConnections, "Close every connection of a signed-in user, on every node", d.terminate)
	end.Status, end.Body = http.StatusNoContent, terminateBody{}
	publish := of("events.publish", http.MethodPost, "/events", tenants.ActEventsWrite, "Publish an event, as the app's server would", d.publish)
	publish.Body, publish.Answer = publishBody{}, publishedView{}
	stats := of("stats.get", http.MethodGet, "/stats", tenants.ActStatsRead, "How an app stands now", d.stats)
	stats.Answer = statsView{}
	return []adminapi.Route{list, one, conns, end, publish, stats}
}

// app finds the path's app, which may carry traffic.
func (d *door) app(r *adminapi.Request) (*tenants.App, error) {
	return d.serving(r.Context(), r.App())
}

func (d *door) serving(ctx context.Context, id tenants.AppID) (*tenants.App, error) {
	app, err := d.apps.ByID(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !app.Serving():
		return nil, adminapi.Refuse(http.StatusConflict, "app_disabled", "the app is disabled; enable it first: POST /api/v1/apps/"+string(app.ID)+"/enable")
	}
	return app, nil
}

type channelView struct {
	Name          string `json:"name"`
	Kind          string `json:"kind"`          // public, private, encrypted or presence
	Cache         bool   `json:"cache"`         // whether the last event is kept for who comes
	Subscriptions int    `json:"subscriptions"` // connections, over all nodes
	Users         int    `json:"users"`         // distinct users; of presence channels
}

func viewChannel(o channels.Occupancy) channelView {
	kind, _ := channels.Classify(o.Channel)
	v := channelView{Name: o.Channel, Kind: "public", Cache: kind.Cache(), Subscriptions: o.Subscriptions, Users: o.Users}
	switch {
	case kind.Presence():
		v.Kind = "presence"
	case kind.Encrypted():
		v.Kind = "encrypted"
	case kind.Private(), kind.ServerToUser():
		v.Kind = "private"
	}
	return v
}

func (d *door) channels(r *adminapi.Request) (*adminapi.Reply, error) {
	views, err := d.occupied(r.Context(), r.App(), r.Query("prefix"))
	if err != nil {
		return nil, err
	}
	return adminapi.SlicePage(r, views, func(v *channelView) string { return v.Name }), nil
}

// occupied are an app's occupied channels by name.
func (d *door) occupied(ctx context.Context, id tenants.AppID, prefix string) ([]channelView, error) {
	app, err := d.serving(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := d.hub.Channels(ctx, app, prefix)
	if err != nil {
		return nil, err
	}
	views := make([]channelView, len(list))
	for i, o := range list {
		views[i] = viewChannel(o)
	}
	return views, nil
}

type channelDetailView struct {
	channelView
	Members []presentView  `json:"members"` // of presence channels; at most 1,000
	Last    *lastEventView `json:"last,omitempty"`
}

type presentView struct {
	UserID string `json:"user_id"`
	Info   any    `json:"info,omitempty"` // user_info as the customer's server gave it
}

// lastEventView is what a cache channel keeps.
type lastEventView struct {
	Event      string `json:"event"`
	Data       string `json:"data"`
	TTLSeconds int    `json:"ttl_seconds"`
}

const maxMembersShown = 1000

func (d *door) channel(r *adminapi.Request) (*adminapi.Reply, error) {
	app, err := d.app(r)
	if err != nil {
		return nil, err
	}
	name := r.Param("channel")
	kind, err := channels.Classify(name)
	if err != nil {
		return nil, &tenants.InvalidError{Field: "channel", Reason: reason(err)}
	}
	occupancy, err := d.hub.Occupancy(r.Context(), app, name)
	if err != nil {
		return nil, err
	}
	v := channelDetailView{channelView: viewChannel(occupancy[0]), Members: []presentView{}}
	if kind.Presence() {
		members, err := d.hub.Members(r.Context(), app, name)
		if err != nil {
			return nil, err
		}
		v.Users = len(members)
		for _, m := range members[:min(len(members), maxMembersShown)] {
			v.Members = append(v.Members, presentView{m.UserID, rawJSON(m.Info)})
		}
	}
	if kind.Cache() {
		if v.Last, err = d.last(r, app, name); err != nil {
			return nil, err
		}
	}
	return &adminapi.Reply{Body: v}, nil
}

func (d *door) last(r *adminapi.Request, app *tenants.App, name string) (*lastEventView, error) {
	ev, ttl, err := d.hub.Last(r.Context(), app, name)
	if err != nil || ev == nil {
		return nil, err
	}
	return &lastEventView{ev.Name, unquoted(ev.Data), int(ttl / time.Second)}, nil
}

type connectionView struct {
	SocketID    string    `json:"socket_id"`
	Key         string    `json:"key"`
	UserID      string    `json:"user_id,omitempty"` // who signed in on it
	ConnectedAt time.Time `json:"connected_at"`
}

func (d *door) connections(r *adminapi.Request) (*adminapi.Reply, error) {
	list, more := d.hub.Connections(r.App(), channels.SocketID(r.After), r.Limit)
	views := make([]connectionView, len(list))
	for i, c := range list {
		views[i] = connectionView{string(c.ID), c.Key, c.UserID, c.ConnectedAt}
	}
	last := ""
	if more {
		last = views[len(views)-1].SocketID
	}
	return adminapi.NewPage(r, views, last), nil
}

type terminateBody struct {
	UserID string `json:"user_id" api:"required"`
}

func (d *door) terminate(r *adminapi.Request) (*adminapi.Reply, error) {
	var in terminateBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	app, err := d.app(r)
	if err != nil {
		return nil, err
	}
	if _, err := channels.Classify("#server-to-user-" + in.UserID); err != nil {
		return nil, &tenants.InvalidError{Field: "user_id", Reason: "must be 1 to 200 of the characters A-Z a-z 0-9 _ - = @ , . ;"}
	}
	if err := refusal(d.hub.TerminateUser(r.Context(), app, in.UserID)); err != nil {
		return nil, err
	}
	return nil, r.Record("connections.terminated", "app", string(app.ID), nil, in)
}

// reason is the part of a name's error after what it is about.
func reason(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, ": "); found {
		return after
	}
	return text
}

// refusal words what the engine refuses.
func refusal(err error) error {
	var (
		name channels.NameError
		size *channels.DataTooLargeError
		bad  channels.PublicationError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &size):
		return adminapi.Refuse(http.StatusRequestEntityTooLarge, "event_too_large", size.Error())
	case errors.As(err, &name):
		field := "channels"
		if strings.Contains(name.Error(), "event name") || strings.Contains(name.Error(), "namespace") {
			field = "name"
		}
		return &tenants.InvalidError{Field: field, Reason: err.Error()}
	case errors.As(err, &bad):
		return &tenants.InvalidError{Field: "channels", Reason: bad.Error()}
	case errors.Is(err, channels.ErrBusy):
		return adminapi.Refuse(http.StatusServiceUnavailable, "busy", "this node is over capacity; try again in a moment")
	}
	return err
}

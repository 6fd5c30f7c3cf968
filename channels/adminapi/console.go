package adminapi

import (
	"context"
	"net/http"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

// maxWatchers is how many may watch each stream of one app at a time.
const maxWatchers = 20

// ConsoleHub is what opening a console asks of the realtime engine.
type ConsoleHub interface {
	Occupancy(ctx context.Context, app *tenants.App, names ...string) ([]channels.Occupancy, error)
}

// Consoles gives out the tickets of who watches an app. All fields are required.
type Consoles struct {
	Hub    ConsoleHub
	Apps   Apps
	App    *tenants.App   // that carries them: tenants.ConsoleApp
	Secret tenants.Secret // that signs tickets
}

// Routes are the rows for [adminapi.Config.More].
func (c *Consoles) Routes() []adminapi.Route {
	const path = "/api/v1/apps/{app}"
	watch := func(name, at, summary string, stream tenants.Stream) adminapi.Route {
		return adminapi.Route{
			Name: name, Method: http.MethodPost, Path: path + at, Summary: summary, Access: adminapi.OfApp, Action: stream.Action(),
			Status: http.StatusCreated, Body: openBody{}, Answer: ticketView{},
			Serve: func(r *adminapi.Request) (*adminapi.Reply, error) { return c.open(r, stream) },
		}
	}
	return []adminapi.Route{
		watch("console.open", "/console", "A ticket for the live console, for one connection", tenants.StreamConsole),
		watch("stats.watch", "/stats/watch", "A ticket to be told each second how the app stands, for one connection", tenants.StreamStats),
		watch("channels.watch", "/channels/watch", "A ticket to be told each second of the first 100 occupied channels, for one connection", tenants.StreamChannels),
		{
			Name: "console.explain", Method: http.MethodPost, Path: path + "/explain-signature",
			Summary: "What a signature should have been made of, and what is wrong with one", Access: adminapi.OfApp, Action: tenants.ActChannelsRead,
			Status: http.StatusOK, Body: explainBody{}, Answer: explainView{}, Serve: c.explain,
		},
	}
}

type openBody struct {
	SocketID string `json:"socket_id" api:"required"` // of the connection that will listen
}

type ticketView struct {
	Key       string    `json:"key"`     // the app key to connect with
	Path      string    `json:"path"`    // the WebSocket of this server
	Channel   string    `json:"channel"` // to subscribe to
	Auth      string    `json:"auth"`    // the ticket: auth of the subscription, on that connection only
	ExpiresAt time.Time `json:"expires_at"`
}

func (c *Consoles) open(r *adminapi.Request, stream tenants.Stream) (*adminapi.Reply, error) {
	var in openBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if !channels.ValidSocketID(in.SocketID) {
		return nil, &tenants.InvalidError{Field: "socket_id", Reason: "must be the socket_id of a connection to /app/" + tenants.ConsoleKey + ", digits.digits"}
	}
	if _, err := c.Apps.ByID(r.Context(), r.App()); err != nil {
		return nil, err
	}
	name := stream.Channel(r.App())
	open, err := c.Hub.Occupancy(r.Context(), c.App, name)
	if err != nil {
		return nil, err
	}
	// One that renews its ticket is among them.
	if open[0].Subscriptions > maxWatchers {
		return nil, adminapi.Refuse(http.StatusConflict, "too_many_consoles", "this app is watched as often as it may be; close a page that does")
	}
	auth, until, err := tenants.ConsoleTicket(c.Secret, name, r.Caller.ID(), in.SocketID, time.Now())
	if err != nil {
		return nil, err
	}
	v := ticketView{Key: tenants.ConsoleKey, Path: "/app/" + tenants.ConsoleKey, Channel: name, Auth: auth, ExpiresAt: until.UTC()}
	reply := &adminapi.Reply{Body: v}
	if stream != tenants.StreamConsole {
		return reply, nil // no more than who reads the numbers is told
	}
	return reply, r.Record("console.opened", "app", string(r.App()), nil, nil)
}

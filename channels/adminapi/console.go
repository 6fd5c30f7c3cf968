package adminapi

import (
	"context"
	"net/http"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

// maxWatchers is how many consoles of one app may be open at a time.
const maxWatchers = 20

// ConsoleHub is what opening a console asks of the realtime engine.
type ConsoleHub interface {
	Occupancy(ctx context.Context, app *tenants.App, names ...string) ([]channels.Occupancy, error)
}

// Consoles gives out the tickets of live consoles. All fields are required.
type Consoles struct {
	Hub    ConsoleHub
	Apps   Apps
	App    *tenants.App   // that carries them: tenants.ConsoleApp
	Secret tenants.Secret // that signs tickets
}

// Routes are the rows for [adminapi.Config.More].
func (c *Consoles) Routes() []adminapi.Route {
	const path = "/api/v1/apps/{app}"
	return []adminapi.Route{{
		Name: "console.open", Method: http.MethodPost, Path: path + "/console",
		Summary: "A ticket for the live console, for one connection", Access: adminapi.OfApp, Action: tenants.ActChannelsRead,
		Status: http.StatusCreated, Body: openBody{}, Answer: ticketView{}, Serve: c.open,
	}, {
		Name: "console.explain", Method: http.MethodPost, Path: path + "/explain-signature",
		Summary: "What a signature should have been made of, and what is wrong with one", Access: adminapi.OfApp, Action: tenants.ActChannelsRead,
		Status: http.StatusOK, Body: explainBody{}, Answer: explainView{}, Serve: c.explain,
	}}
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

func (c *Consoles) open(r *adminapi.Request) (*adminapi.Reply, error) {
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
	name := tenants.ConsoleChannel(r.App())
	open, err := c.Hub.Occupancy(r.Context(), c.App, name)
	if err != nil {
		return nil, err
	}
	// One that renews its ticket is among them.
	if open[0].Subscriptions > maxWatchers {
		return nil, adminapi.Refuse(http.StatusConflict, "too_many_consoles", "this app's console is open as often as it may be; close one")
	}
	auth, until, err := tenants.ConsoleTicket(c.Secret, r.App(), r.Caller.ID(), in.SocketID, time.Now())
	if err != nil {
		return nil, err
	}
	v := ticketView{Key: tenants.ConsoleKey, Path: "/app/" + tenants.ConsoleKey, Channel: name, Auth: auth, ExpiresAt: until.UTC()}
	return &adminapi.Reply{Body: v}, r.Record("console.opened", "app", string(r.App()), nil, nil)
}

package adminapi

import (
	"context"
	"encoding/json"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

type statsView struct {
	Connections       int64 `json:"connections"`      // over all nodes; of others, as of the last few seconds
	ConnectionsHere   int   `json:"connections_here"` // on the node that answers
	MaxConnections    int   `json:"max_connections"`
	Channels          int   `json:"channels"` // occupied, over all nodes
	MessagesToday     int64 `json:"messages_today"`
	MaxMessagesPerDay int   `json:"max_messages_per_day"`
	ConfigVersion     int64 `json:"config_version"` // of the app, as the node that answers knows it
}

func (d *door) stats(r *adminapi.Request) (*adminapi.Reply, error) {
	v, err := d.standing(r.Context(), r.App())
	if err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: v}, nil
}

func (d *door) standing(ctx context.Context, id tenants.AppID) (*statsView, error) {
	app, err := d.apps.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	occupied, err := d.hub.Channels(ctx, app, "")
	if err != nil {
		return nil, err
	}
	limits := app.Limits.Effective()
	v := &statsView{
		ConnectionsHere: d.hub.CountConnections(app.ID), MaxConnections: limits.MaxConnections, Channels: len(occupied),
		MaxMessagesPerDay: limits.MaxMessagesPerDay, ConfigVersion: app.Version,
	}
	v.MessagesToday, v.Connections = d.hub.Standing(app.ID)
	return v, nil
}

// maxFigures is how many channels those who watch them are told of.
const maxFigures = 100

// Figures makes what [channels.Hub.TellFigures] tells: what the route of the same
// name answers, of channels the first ones.
func Figures(hub Hub, apps Apps) channels.Figures {
	d := &door{hub, apps}
	return func(ctx context.Context, stream tenants.Stream, app tenants.AppID) ([]byte, error) {
		if stream == tenants.StreamStats {
			v, err := d.standing(ctx, app)
			if err != nil {
				return nil, err
			}
			return json.Marshal(v)
		}
		views, err := d.occupied(ctx, app, "")
		if err != nil {
			return nil, err
		}
		return json.Marshal(adminapi.Page[channelView]{Data: views[:min(len(views), maxFigures)], HasMore: len(views) > maxFigures})
	}
}

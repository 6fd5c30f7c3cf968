package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/webhooks"
)

// Apps finds an app with what its plan allows. [tenants.Directory] is one.
type Apps interface {
	ByID(ctx context.Context, id tenants.AppID) (*tenants.App, error)
}

// door has the handlers.
type door struct {
	manager *webhooks.Manager
	store   webhooks.Store
	apps    Apps
}

// Routes are the rows of this door, for [adminapi.Config.More].
func Routes(m *webhooks.Manager, apps Apps) []adminapi.Route {
	d := &door{manager: m, store: m.Store, apps: apps}
	const ofApp, ofEndpoint, ofDelivery = "/api/v1/apps/{app}/webhooks", "/api/v1/webhooks/{webhook}", "/api/v1/deliveries/{delivery}"
	read, write := tenants.ActWebhooksRead, tenants.ActWebhooksWrite
	row := func(name, method, path string, act tenants.Action, status int, summary string, body, answer any, serve func(*adminapi.Request) (*adminapi.Reply, error)) adminapi.Route {
		r := adminapi.Route{
			Name: name, Method: method, Path: path, Access: adminapi.OfApp, Action: act, Status: status,
			Summary: summary, Body: body, Answer: answer, Serve: serve,
		}
		switch {
		case path == ofApp:
		case len(path) >= len(ofEndpoint) && path[:len(ofEndpoint)] == ofEndpoint:
			r.FindApp = d.appOfEndpoint
		default:
			r.FindApp = d.appOfDelivery
		}
		return r
	}
	list := func(r adminapi.Route, query ...adminapi.Param) adminapi.Route {
		r.List, r.Query = true, query
		return r
	}
	revised := func(r adminapi.Route) adminapi.Route {
		r.ETag = true
		return r
	}
	return []adminapi.Route{
		list(row("webhooks.list", http.MethodGet, ofApp, read, 200, "The webhook endpoints of an app", nil, webhookView{}, d.list)),
		revised(row("webhooks.create", http.MethodPost, ofApp, write, 201, "Make a webhook endpoint; its secret is shown this once", newWebhookBody{}, webhookSecretView{}, d.create)),
		revised(row("webhooks.get", http.MethodGet, ofEndpoint, read, 200, "A webhook endpoint", nil, webhookView{}, d.get)),
		revised(row("webhooks.update", http.MethodPatch, ofEndpoint, write, 200, "Change, pause or resume a webhook endpoint", webhookBody{}, webhookView{}, d.update)),
		row("webhooks.delete", http.MethodDelete, ofEndpoint, write, 204, "Delete a webhook endpoint with its deliveries", nil, nil, d.remove),
		row("webhooks.rotate", http.MethodPost, ofEndpoint+"/rotate", write, 200, "Give an endpoint a new secret; the old one signs beside it for a while", rotateSecretBody{}, webhookSecretView{}, d.rotate),
		row("webhooks.test", http.MethodPost, ofEndpoint+"/test", write, 202, "Send a made-up event, once", nil, deliveryView{}, d.test),
		list(row("deliveries.list", http.MethodGet, ofEndpoint+"/deliveries", read, 200, "The deliveries of an endpoint, the newest first", nil, deliveryView{}, d.deliveries),
			adminapi.Param{Name: "status", Doc: "only those that are pending, delivered or dead"}),
		row("deliveries.replay_range", http.MethodPost, ofEndpoint+"/replay", write, 202, "Send finished deliveries of a range again, under their ids", replayRangeBody{}, replayedView{}, d.replayRange),
		row("deliveries.get", http.MethodGet, ofDelivery, read, 200, "A delivery with every attempt", nil, deliveryDetailView{}, d.delivery),
		row("deliveries.replay", http.MethodPost, ofDelivery+"/replay", write, 202, "Send a finished delivery again, under its id", nil, replayedView{}, d.replay),
	}
}

func (d *door) appOfEndpoint(r *adminapi.Request) (tenants.AppID, error) {
	e, err := d.store.Endpoint(r.Context(), r.Param("webhook"))
	if err != nil {
		return "", adminapi.NotFoundAs(err, "app")
	}
	return e.App, nil
}

func (d *door) appOfDelivery(r *adminapi.Request) (tenants.AppID, error) {
	del, err := d.store.Delivery(r.Context(), r.Param("delivery"))
	if err != nil {
		return "", adminapi.NotFoundAs(err, "app")
	}
	return del.App, nil
}

// webhookView is an endpoint as the API shows it.
type webhookView struct {
	ID            string            `json:"id"`
	AppID         tenants.AppID     `json:"app_id"`
	URL           string            `json:"url"`
	Events        []webhooks.Kind   `json:"events"`   // empty = all
	Channels      []string          `json:"channels"` // patterns; empty = all
	Batching      bool              `json:"batching"`
	KeepBodies    bool              `json:"keep_bodies"`
	Headers       map[string]string `json:"headers"` // names only: values may be secrets
	Status        webhooks.Status   `json:"status"`  // enabled, paused, disabled
	StatusReason  string            `json:"status_reason,omitempty"`
	PreviousUntil *time.Time        `json:"previous_secret_until,omitempty"`
	Revision      int64             `json:"revision"` // the ETag
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
}

type webhookSecretView struct {
	webhookView
	Secret string `json:"secret"` // of the Standard Webhooks signature; shown this once
}

// View shows an endpoint without its secrets.
func View(e *webhooks.Endpoint) any { return viewOf(e) }

func viewOf(e *webhooks.Endpoint) webhookView {
	v := webhookView{
		ID: e.ID, AppID: e.App, URL: e.URL, Events: e.Kinds, Channels: e.Channels, Batching: e.Batching, KeepBodies: e.KeepBodies,
		Headers: make(map[string]string, len(e.Headers)), Status: e.Status, StatusReason: e.StatusReason, Revision: e.Revision,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	for name := range e.Headers {
		v.Headers[name] = "[redacted]"
	}
	if v.Events == nil {
		v.Events = []webhooks.Kind{}
	}
	if v.Channels == nil {
		v.Channels = []string{}
	}
	if !e.PreviousUntil.IsZero() {
		v.PreviousUntil = &e.PreviousUntil
	}
	return v
}

type webhookBody struct {
	URL        *string            `json:"url"`
	Events     *[]webhooks.Kind   `json:"events"`
	Channels   *[]string          `json:"channels"`
	Batching   *bool              `json:"batching"`
	KeepBodies *bool              `json:"keep_bodies"`
	Headers    *map[string]string `json:"headers"`
	Paused     *bool              `json:"paused"` // true pauses, false resumes
}

type newWebhookBody struct {
	URL        string             `json:"url" api:"required"`
	Events     *[]webhooks.Kind   `json:"events"`   // left out: all
	Channels   *[]string          `json:"channels"` // patterns such as "orders-*"; left out: all
	Batching   *bool              `json:"batching"` // left out: several events may come in one request
	KeepBodies *bool              `json:"keep_bodies"`
	Headers    *map[string]string `json:"headers"` // sent with every request
}

func (d *door) list(r *adminapi.Request) (*adminapi.Reply, error) {
	list, err := d.store.Endpoints(r.Context(), r.App())
	if err != nil {
		return nil, err
	}
	views := make([]webhookView, len(list))
	for i := range list {
		views[i] = viewOf(&list[i])
	}
	return adminapi.SlicePage(r, views, func(v *webhookView) string { return v.ID }), nil
}

func (d *door) create(r *adminapi.Request) (*adminapi.Reply, error) {
	var in newWebhookBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	app, err := d.apps.ByID(r.Context(), r.App())
	if err != nil {
		return nil, err
	}
	e, err := d.manager.Create(r.Context(), app, webhooks.Settings{
		URL: &in.URL, Kinds: in.Events, Channels: in.Channels, Batching: in.Batching, KeepBodies: in.KeepBodies, Headers: in.Headers,
	})
	if err != nil {
		return nil, err
	}
	if err := r.Record("webhook.created", "webhook", e.ID, nil, viewOf(e)); err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: webhookSecretView{viewOf(e), e.Secret.Reveal()}, Revision: e.Revision, Location: "/api/v1/webhooks/" + e.ID}, nil
}

func (d *door) endpoint(r *adminapi.Request) (*webhooks.Endpoint, error) {
	e, err := d.store.Endpoint(r.Context(), r.Param("webhook"))
	return e, adminapi.NotFoundAs(err, "webhook")
}

func (d *door) get(r *adminapi.Request) (*adminapi.Reply, error) {
	e, err := d.endpoint(r)
	if err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: viewOf(e), Revision: e.Revision}, nil
}

func (d *door) update(r *adminapi.Request) (*adminapi.Reply, error) {
	var in webhookBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	was, is, err := d.manager.Update(r.Context(), r.Param("webhook"), r.IfRevision, webhooks.Settings{
		URL: in.URL, Kinds: in.Events, Channels: in.Channels, Batching: in.Batching, KeepBodies: in.KeepBodies, Headers: in.Headers, Paused: in.Paused,
	})
	if err != nil {
		return nil, adminapi.NotFoundAs(err, "webhook")
	}
	if err := r.Record("webhook.updated", "webhook", is.ID, viewOf(was), viewOf(is)); err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: viewOf(is), Revision: is.Revision}, nil
}

func (d *door) remove(r *adminapi.Request) (*adminapi.Reply, error) {
	e, err := d.endpoint(r)
	if err != nil {
		return nil, err
	}
	if err := d.store.DeleteEndpoint(r.Context(), e.ID); err != nil {
		return nil, adminapi.NotFoundAs(err, "webhook")
	}
	return nil, r.Record("webhook.deleted", "webhook", e.ID, viewOf(e), nil)
}

type rotateSecretBody struct {
	OverlapSeconds *int `json:"overlap_seconds"` // how long the old secret signs too; left out: a day
}

func (d *door) rotate(r *adminapi.Request) (*adminapi.Reply, error) {
	var in rotateSecretBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	overlap := 24 * time.Hour
	if in.OverlapSeconds != nil {
		if *in.OverlapSeconds < 0 || *in.OverlapSeconds > 1<<30 {
			return nil, &tenants.InvalidError{Field: "overlap_seconds", Reason: "must be from 0 to 2592000 (30 days)"}
		}
		overlap = time.Duration(*in.OverlapSeconds) * time.Second
	}
	e, err := d.manager.RotateSecret(r.Context(), r.Param("webhook"), overlap)
	if err != nil {
		return nil, adminapi.NotFoundAs(err, "webhook")
	}
	if err := r.Record("webhook.secret_rotated", "webhook", e.ID, nil, nil); err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: webhookSecretView{viewOf(e), e.Secret.Reveal()}}, nil
}

func (d *door) test(r *adminapi.Request) (*adminapi.Reply, error) {
	e, err := d.endpoint(r)
	if err != nil {
		return nil, err
	}
	del, err := d.manager.Test(r.Context(), e)
	if err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: viewDelivery(del), Location: "/api/v1/deliveries/" + del.ID}, nil
}

// deliveryView is a delivery as lists show it.
type deliveryView struct {
	ID         string                  `json:"id"`
	WebhookID  string                  `json:"webhook_id"`
	AppID      tenants.AppID           `json:"app_id"`
	Status     webhooks.DeliveryStatus `json:"status"` // pending, delivered or dead
	Events     []webhooks.Kind         `json:"events"` // the kinds in it
	EventCount int                     `json:"event_count"`
	Test       bool                    `json:"test"`
	Attempts   int                     `json:"attempts"`
	Replays    int                     `json:"replays"`
	HTTPStatus int                     `json:"http_status,omitempty"` // of the last answer
	Reason     string                  `json:"reason,omitempty"`      // why the last attempt failed
	NextAt     *time.Time              `json:"next_attempt_at,omitempty"`
	CreatedAt  time.Time               `json:"created_at"`
	FinishedAt *time.Time              `json:"finished_at,omitempty"`
}

type deliveryDetailView struct {
	deliveryView
	Payload json.RawMessage `json:"payload,omitempty"` // the events; left out once it is not kept
	Log     []attemptView   `json:"log"`
}

type attemptView struct {
	Number       int       `json:"number"`
	At           time.Time `json:"at"`
	TookMS       int64     `json:"took_ms"`
	HTTPStatus   int       `json:"http_status,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Address      string    `json:"address,omitempty"`
	RequestHead  string    `json:"request_head"`
	ResponseHead string    `json:"response_head,omitempty"`
	ResponseBody string    `json:"response_body,omitempty"`
}

// ViewDelivery shows a delivery without its events.
func ViewDelivery(d *webhooks.Delivery) any { return viewDelivery(d) }

func viewDelivery(d *webhooks.Delivery) deliveryView {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	return deliveryView{
		ID: d.ID, WebhookID: d.EndpointID, AppID: d.App, Status: d.Status, Events: d.Kinds, EventCount: d.EventCount, Test: d.Test,
		Attempts: d.Attempts, Replays: d.Replays, HTTPStatus: d.HTTPStatus, Reason: d.Reason, NextAt: at(d.NextAt),
		CreatedAt: d.CreatedAt, FinishedAt: at(d.FinishedAt),
	}
}

func statusOf(text string) (webhooks.DeliveryStatus, error) {
	switch s := webhooks.DeliveryStatus(text); s {
	case "", webhooks.Pending, webhooks.Delivered, webhooks.Dead:
		return s, nil
	}
	return "", &tenants.InvalidError{Field: "status", Reason: "must be pending, delivered or dead"}
}

func (d *door) deliveries(r *adminapi.Request) (*adminapi.Reply, error) {
	status, err := statusOf(r.Query("status"))
	if err != nil {
		return nil, err
	}
	list, err := d.store.Deliveries(r.Context(), webhooks.DeliveryFilter{
		EndpointID: r.Param("webhook"), Status: status, Before: r.After, Limit: r.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	last := ""
	if len(list) > r.Limit {
		list = list[:r.Limit]
		last = list[len(list)-1].ID
	}
	views := make([]deliveryView, len(list))
	for i := range list {
		views[i] = viewDelivery(&list[i])
	}
	return adminapi.NewPage(r, views, last), nil
}

func (d *door) delivery(r *adminapi.Request) (*adminapi.Reply, error) {
	del, err := d.store.Delivery(r.Context(), r.Param("delivery"))
	if err != nil {
		return nil, adminapi.NotFoundAs(err, "delivery")
	}
	v, err := detailOf(r.Context(), d.store, del)
	return &adminapi.Reply{Body: v}, err
}

// detailOf is a delivery with its events and attempts.
func detailOf(ctx context.Context, store webhooks.Store, del *webhooks.Delivery) (*deliveryDetailView, error) {
	attempts, err := store.Attempts(ctx, del.ID)
	if err != nil {
		return nil, err
	}
	v := &deliveryDetailView{deliveryView: viewDelivery(del), Payload: del.Events, Log: make([]attemptView, len(attempts))}
	for i, a := range attempts {
		v.Log[i] = attemptView{
			Number: a.Number, At: a.At, TookMS: a.Took.Milliseconds(), HTTPStatus: a.HTTPStatus, Reason: a.Reason, Address: a.Address,
			RequestHead: a.RequestHead, ResponseHead: a.ResponseHead, ResponseBody: a.ResponseBody,
		}
	}
	return v, nil
}

type replayedView struct {
	Replayed int `json:"replayed"` // deliveries that are sent again
}

func (d *door) replay(r *adminapi.Request) (*adminapi.Reply, error) {
	n, err := d.manager.Replay(r.Context(), webhooks.DeliveryFilter{App: r.App(), ID: r.Param("delivery")})
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, adminapi.Refuse(http.StatusConflict, "not_replayable", "this delivery is still pending, or its events are not kept any more; only finished ones with their events can be sent again")
	}
	return &adminapi.Reply{Body: replayedView{n}}, r.Record("delivery.replayed", "delivery", r.Param("delivery"), nil, nil)
}

type replayRangeBody struct {
	Status string    `json:"status"` // delivered or dead; left out: dead
	From   time.Time `json:"from"`   // of creation; left out: from the start
	To     time.Time `json:"to"`     // up to before; left out: until now
}

func (d *door) replayRange(r *adminapi.Request) (*adminapi.Reply, error) {
	in := replayRangeBody{Status: string(webhooks.Dead)}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	status, err := statusOf(in.Status)
	if err != nil {
		return nil, err
	}
	n, err := d.manager.Replay(r.Context(), webhooks.DeliveryFilter{EndpointID: r.Param("webhook"), Status: status, From: in.From, To: in.To})
	if err != nil {
		return nil, err
	}
	return &adminapi.Reply{Body: replayedView{n}}, r.Record("delivery.replayed", "webhook", r.Param("webhook"), nil, map[string]any{"deliveries": n})
}

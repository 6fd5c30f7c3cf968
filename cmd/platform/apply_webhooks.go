package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tidewire/tenants"
	"tidewire/webhooks"
	webhooksadmin "tidewire/webhooks/adminapi"
)

// yamlWebhook is an endpoint as a manifest has it; nil leaves a value as it is.
// It is found by its address. Where an app has several with the same one, they
// stand in the order in which they were made.
type yamlWebhook struct {
	URL        string             `yaml:"url" json:"url"`
	Events     *[]webhooks.Kind   `yaml:"events,omitempty" json:"events,omitempty"`
	Channels   *[]string          `yaml:"channels,omitempty" json:"channels,omitempty"`
	Batching   *bool              `yaml:"batching,omitempty" json:"batching,omitempty"`
	KeepBodies *bool              `yaml:"keep_bodies,omitempty" json:"keep_bodies,omitempty"`
	Headers    *map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// HeadersSet are the names of headers whose values an export left out.
	HeadersSet []string `yaml:"headers_set,omitempty" json:"headers_set,omitempty"`
	Status     string   `yaml:"status,omitempty" json:"status,omitempty"` // enabled, paused or disabled; empty = as it is
	Secret     string   `yaml:"secret,omitempty" json:"secret,omitempty"` // of a new one: empty = one is made
}

func (w yamlWebhook) settings() webhooks.Settings {
	s := webhooks.Settings{Kinds: w.Events, Channels: w.Channels, Batching: w.Batching, KeepBodies: w.KeepBodies, Headers: w.Headers}
	if w.Secret != "" {
		secret := tenants.NewSecret(w.Secret)
		s.Secret = &secret
	}
	return s
}

// parseWebhooks reads the webhooks of an app of a manifest.
func parseWebhooks(raw json.RawMessage) (list []yamlWebhook, err error) {
	if raw == nil {
		return nil, nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil {
		return nil, &tenants.InvalidError{Field: "webhooks", Reason: "cannot be read: " + oneLine(err.Error())}
	}
	return list, nil
}

// webhookChange is an endpoint to be made or changed.
type webhookChange struct {
	app *tenants.App
	was *webhooks.Endpoint // nil = it is new
	set webhooks.Settings
}

// webhookRun brings the webhooks of a manifest about: first it plans all of it,
// in the transaction that changes everything else, and then writes.
type webhookRun struct {
	*webhooks.Manager
	known   map[tenants.AppID][]webhooks.Endpoint
	owned   map[string]int // endpoints, by tenant
	changes []webhookChange
}

// hostSender asks once for each host whether it may be called: a file may name
// one a thousand times. It is for one command, which has one goroutine.
type hostSender struct {
	webhooks.Sender
	hosts map[string]error
}

func newHostSender(cfg Config) webhooks.Sender {
	return hostSender{newSender(cfg), map[string]error{}}
}

// Check implements [webhooks.Sender].
func (s hostSender) Check(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	err, known := s.hosts[u.Scheme+"://"+u.Host]
	if !known {
		err = s.Sender.Check(ctx, address)
		s.hosts[u.Scheme+"://"+u.Host] = err
	}
	return err
}

// planWebhooks looks up what there is. A manifest without webhooks gives a run
// that does nothing.
func planWebhooks(ctx context.Context, sender webhooks.Sender, kept webhooks.Store, m tenants.Manifest) (*webhookRun, error) {
	run := &webhookRun{
		Manager: &webhooks.Manager{Store: kept, Sender: sender},
		known:   map[tenants.AppID][]webhooks.Endpoint{}, owned: map[string]int{},
	}
	some, err := run.checkAddresses(ctx, m)
	if err != nil || !some {
		return run, err
	}
	all, err := kept.AllEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		run.owned[e.TenantID]++
		if e.Status != webhooks.Listening { // a command serves it, no file
			run.known[e.App] = append(run.known[e.App], e)
		}
	}
	return run, nil
}

// checkAddresses refuses what may not be called. It may ask a name server, so it
// comes before the transaction.
func (r *webhookRun) checkAddresses(ctx context.Context, m tenants.Manifest) (some bool, err error) {
	for i, t := range m.Tenants {
		for j, app := range t.Apps {
			list, err := parseWebhooks(app.Webhooks)
			if err != nil {
				return false, fmt.Errorf("tenants[%d].apps[%d]: %w", i, j, err)
			}
			for n, w := range list {
				some = true
				err := webhooks.CheckURL(w.URL)
				if err == nil {
					err = r.Sender.Check(ctx, w.URL)
				}
				if err != nil {
					return false, usageError{fmt.Errorf("tenants[%d].apps[%d].webhooks[%d]: %w", i, j, n, err)}
				}
			}
		}
	}
	return some, nil
}

// plan implements [tenants.ManifestPart].
func (r *webhookRun) plan(ctx context.Context, app *tenants.App, a tenants.ManifestApp) (noted []tenants.ManifestChange, err error) {
	list, err := parseWebhooks(a.Webhooks)
	if err != nil {
		return nil, err
	}
	left := slices.Clone(r.known[app.ID])
	for i, w := range list {
		var changes []tenants.ManifestChange
		if at := slices.IndexFunc(left, func(e webhooks.Endpoint) bool { return e.URL == w.URL }); at >= 0 {
			was := left[at]
			left = slices.Delete(left, at, at+1)
			changes, err = r.change(ctx, app, &was, w)
		} else {
			changes, err = r.create(ctx, app, w)
		}
		if err != nil {
			return nil, fmt.Errorf("webhooks[%d]: %w", i, err)
		}
		noted = append(noted, changes...)
	}
	return noted, nil
}

func (r *webhookRun) create(ctx context.Context, app *tenants.App, w yamlWebhook) ([]tenants.ManifestChange, error) {
	if len(w.HeadersSet) > 0 && w.Headers == nil {
		return nil, &tenants.InvalidError{Field: "headers", Reason: "must be given for a new endpoint: the export left the values of " + strings.Join(w.HeadersSet, ", ") + " out, --secrets writes them"}
	}
	set := w.settings()
	if err := setStatus(&set, webhooks.Enabled, w.Status); err != nil {
		return nil, err
	}
	if _, err := r.Try(ctx, webhooks.Endpoint{Status: webhooks.Enabled}, set); err != nil {
		return nil, err
	}
	if most := tenants.PlanCeilings().MaxWebhookEndpoints; r.owned[app.TenantID] >= most {
		return nil, &tenants.InvalidError{Field: "webhooks", Reason: fmt.Sprintf("must be at most %d in a tenant", most)}
	}
	r.owned[app.TenantID]++
	set.URL = &w.URL
	r.changes = append(r.changes, webhookChange{app: app, set: set})
	return []tenants.ManifestChange{{Action: "create", Kind: "webhook", Ref: w.URL, Name: string(app.ID)}}, nil
}

func (r *webhookRun) change(ctx context.Context, app *tenants.App, was *webhooks.Endpoint, w yamlWebhook) ([]tenants.ManifestChange, error) {
	set := w.settings()
	if set.Secret != nil && set.Secret.Reveal() != was.Secret.Reveal() {
		return nil, fmt.Errorf("endpoint %s has another secret: leave it out of the file, or rotate it in the dashboard", was.ID)
	}
	if err := setStatus(&set, was.Status, w.Status); err != nil {
		return nil, err
	}
	is, err := r.Try(ctx, *was, set)
	if err != nil {
		return nil, err
	}
	noted := webhookChanges(app, was, is)
	if len(noted) > 0 {
		r.changes = append(r.changes, webhookChange{app: app, was: was, set: set})
	}
	return noted, nil
}

// setStatus sets what differs, so that the reason of a pause stays what it was.
func setStatus(set *webhooks.Settings, was webhooks.Status, want string) error {
	paused := want == string(webhooks.Paused)
	switch {
	case want == "" || want == string(was):
	case paused || want == string(webhooks.Enabled):
		set.Paused = &paused
	case want == string(webhooks.Disabled):
		status := webhooks.Disabled
		set.Status = &status
	default:
		return &tenants.InvalidError{Field: "status", Reason: "must be enabled, paused or disabled"}
	}
	return nil
}

// webhookChanges lists what differs. Values of headers may be secrets.
func webhookChanges(app *tenants.App, was, is *webhooks.Endpoint) (list []tenants.ManifestChange) {
	add := func(field, from, to string) {
		if from != to {
			list = append(list, tenants.ManifestChange{Action: "update", Kind: "webhook", Ref: is.URL, Name: string(app.ID), Field: field, From: from, To: to})
		}
	}
	names := func(e *webhooks.Endpoint) string { return strings.Join(slices.Sorted(maps.Keys(e.Headers)), ", ") }
	add("events", fmt.Sprint(was.Kinds), fmt.Sprint(is.Kinds))
	add("channels", fmt.Sprint(was.Channels), fmt.Sprint(is.Channels))
	add("batching", strconv.FormatBool(was.Batching), strconv.FormatBool(is.Batching))
	add("keep_bodies", strconv.FormatBool(was.KeepBodies), strconv.FormatBool(is.KeepBodies))
	add("status", string(was.Status), string(is.Status))
	add("headers", names(was), names(is))
	if names(was) == names(is) && !maps.Equal(was.Headers, is.Headers) {
		add("headers", "values", "other values")
	}
	return list
}

// write does what was planned. It can be done again, and then goes on where it
// ended.
func (r *webhookRun) write(ctx context.Context, accounts *tenants.Accounts) (made []printedMade, err error) {
	for _, c := range r.changes {
		is, err := r.writeOne(ctx, accounts, c)
		if err != nil {
			return made, fmt.Errorf("the rest is in place, but not all webhooks: %w: apply it again", err)
		}
		if c.was == nil && c.set.Secret == nil {
			made = append(made, printedMade{App: is.App, Webhook: is.URL, Secret: is.Secret.Reveal()})
		}
	}
	return made, nil
}

func (r *webhookRun) writeOne(ctx context.Context, accounts *tenants.Accounts, c webhookChange) (is *webhooks.Endpoint, err error) {
	action, before := "webhook.created", any(nil)
	if c.was == nil {
		// A manifest is held to the ceilings of the server, not to plans.
		is, err = r.Create(ctx, &tenants.App{ID: c.app.ID, TenantID: c.app.TenantID}, c.set)
	} else {
		action, before = "webhook.updated", webhooksadmin.View(c.was)
		_, is, err = r.Update(ctx, c.was.ID, c.was.Revision, c.set)
	}
	if err != nil {
		return nil, err
	}
	return is, accounts.Record(ctx, tenants.CLI(), is.TenantID, action, "webhook", is.ID, before, webhooksadmin.View(is))
}

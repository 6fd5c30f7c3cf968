package main

import (
	"encoding/json"
	"fmt"

	"tidewire/channels"
	"tidewire/webhooks"
)

func importSoketi(in importFiles) ([]importedApp, error) {
	objects := in.objects
	if in.env["SOKETI_DEFAULT_APP_ID"] != "" || in.env["SOKETI_DEFAULT_APP_KEY"] != "" {
		objects = append(objects, in.soketiDefault())
	}
	list := make([]importedApp, 0, len(objects))
	for _, object := range objects {
		list = append(list, soketiApp(object))
	}
	return list, nil
}

func (in importFiles) soketiDefault() importObject {
	o := importObject{}
	for name, column := range map[string]string{
		"ID": "id", "KEY": "key", "SECRET": "secret", "MAX_CONNS": "max_connections",
		"ENABLE_CLIENT_MESSAGES": "enable_client_messages", "ENABLED": "enabled",
		"MAX_BACKEND_EVENTS_PER_SEC": "max_backend_events_per_sec", "MAX_CLIENT_EVENTS_PER_SEC": "max_client_events_per_sec",
		"MAX_READ_REQ_PER_SEC": "max_read_req_per_sec", "USER_AUTHENTICATION": "enable_user_authentication", "WEBHOOKS": "webhooks",
	} {
		if value := in.env["SOKETI_DEFAULT_APP_"+name]; value != "" {
			o[column] = value
		}
	}
	// What soketi takes when nothing is set.
	for column, value := range map[string]string{"id": "app-id", "key": "app-key", "secret": "app-secret"} {
		if o[column] == nil {
			o[column] = value
		}
	}
	return o
}

// soketiLimits are its limits, under the three spellings it accepts, and ours.
var soketiLimits = []struct {
	ours  string
	times float64
	names []string
}{
	{"max_connections", 1, []string{"maxConnections", "MaxConnections", "max_connections"}},
	{"max_publishes_per_second", 1, []string{"maxBackendEventsPerSecond", "MaxBackendEventsPerSecond", "max_backend_events_per_sec", "max_backend_events_per_second"}},
	{"max_client_events_per_second", 1, []string{"maxClientEventsPerSecond", "MaxClientEventsPerSecond", "max_client_events_per_sec", "max_client_events_per_second"}},
	{"max_reads_per_second", 1, []string{"maxReadRequestsPerSecond", "MaxReadRequestsPerSecond", "max_read_req_per_sec", "max_read_requests_per_second"}},
	{"max_presence_members", 1, []string{"maxPresenceMembersPerChannel", "MaxPresenceMembersPerChannel", "max_presence_members_per_channel"}},
	{"max_presence_info_bytes", 1024, []string{"maxPresenceMemberSizeInKb", "MaxPresenceMemberSizeInKb", "max_presence_member_size_in_kb"}},
	{"max_event_bytes", 1024, []string{"maxEventPayloadInKb", "MaxEventPayloadInKb", "max_event_payload_in_kb"}},
}

// soketiFixed are limits that are the same for every app here.
var soketiFixed = []string{"max_channel_name_length", "max_event_channels_at_once", "max_event_name_length", "max_event_batch_size"}

func soketiApp(o importObject) importedApp {
	app := newImported()
	app.id, app.key, app.secret = o.text("id", "AppId"), o.text("key", "AppKey"), o.text("secret", "AppSecret")
	app.name = o.text("name")
	app.settings["client_events"] = o.truth(false, "enableClientMessages", "EnableClientMessages", "enable_client_messages")
	app.settings["require_authorization"] = o.truth(false, "enableUserAuthentication", "EnableUserAuthentication", "enable_user_authentication")
	app.disabled = !o.truth(true, "enabled", "Enabled")
	for _, limit := range soketiLimits {
		if n, ok := o.number(limit.names...); ok {
			app.setLimit(limit.ours, n*limit.times)
		}
	}
	for _, name := range soketiFixed {
		if _, ok := o.number(name); ok {
			app.notes = append(app.notes, name+" is fixed here and was left out")
		}
	}
	o.hooksInto(&app)
	return app
}

// hooksInto takes an app's webhooks over, as far as they are addresses.
func (o importObject) hooksInto(app *importedApp) {
	raw := o.first("webhooks", "Webhooks")
	if text, ok := raw.(string); ok {
		_ = json.Unmarshal([]byte(text), &raw)
	}
	list, _ := raw.([]any)
	for _, one := range list {
		fields, _ := one.(map[string]any)
		hook := importObject(fields)
		if function := hook.text("lambda_function"); function != "" {
			app.notes = append(app.notes, "its webhook calls the Lambda function "+printableText(function)+"; give that an address, and make the webhook anew")
			continue
		}
		kinds := []webhooks.Kind{}
		for _, name := range hook.list("event_types") {
			if name == "cache_missed" {
				name = channels.CacheMissed
			}
			kinds = append(kinds, webhooks.Kind(fmt.Sprint(name)))
		}
		w := yamlWebhook{URL: hook.text("url"), Events: &kinds}
		if filter, ok := fields["filter"].(map[string]any); ok {
			starts, ends := importObject(filter).text("channel_name_starts_with"), importObject(filter).text("channel_name_ends_with")
			w.Channels = &[]string{starts + "*" + ends}
		}
		if headers, ok := fields["headers"].(map[string]any); ok {
			w.Headers = &map[string]string{}
			for name, value := range headers {
				(*w.Headers)[name] = fmt.Sprint(value)
			}
		}
		app.webhooks = append(app.webhooks, w)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// importedApp is an app as another server described it.
type importedApp struct {
	id, key, secret, name string
	disabled              bool
	settings, limits      map[string]any
	webhooks              []yamlWebhook
	notes                 []string // what could not be carried over
}

func (c *cli) appsImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import --from pusher|soketi|reverb --tenant SLUG FILE…",
		Short: "Take apps over from Pusher, soketi or Reverb, with their ids, keys and secrets",
		Long: "Take apps over from Pusher, soketi or Reverb. Ids, keys and secrets stay as they are, so that clients and servers\n" +
			"only need another host; soketi's webhooks come along. All of it happens or nothing; imported again, nothing\n" +
			"changes.\n\n" +
			"  pusher  a .env with PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET (or PUSHER_URL), or a JSON list of\n" +
			"          objects with id, key, secret and name\n" +
			"  soketi  an SQL dump of its apps table (MySQL or Postgres), its JSON array of apps, or a .env with\n" +
			"          SOKETI_DEFAULT_APP_…\n" +
			"  reverb  a .env with REVERB_APP_…, config/reverb.php (give the .env it reads beside it), or the JSON of\n" +
			"          `php artisan tinker --execute=\"echo json_encode(config('reverb.apps.apps'))\"`",
		Example: "  platform apps import --from soketi --tenant acme apps.sql --dry-run\n" +
			"  platform apps import --from reverb --tenant acme config/reverb.php .env\n" +
			"  platform apps import --from pusher --tenant acme .env --json",
		Args: arguments(1, -1, "at least one file, or - for standard input"),
	}
	flags := cmd.Flags()
	from := flags.String("from", "", "pusher, soketi or reverb (needed)")
	tenant := flags.String("tenant", "", "slug of the tenant who will own the apps; made if there is none (needed)")
	name := flags.String("name", "", "name for the app, if there is only one; empty = its own, or made from its id")
	newIDs := flags.Bool("new-ids", false, "give an app whose id is not a number a new one; by default that is an error")
	dryRun := flags.Bool("dry-run", false, "print what would change, and change nothing")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *tenant == "" {
			return usagef("--tenant is needed: the short name of who will own the apps, for example --tenant acme")
		}
		apps, err := readImport(cmd, *from, args)
		if err != nil {
			return usageError{err}
		}
		if *name != "" {
			if len(apps) != 1 {
				return usagef("--name is for one app, and there are %d", len(apps))
			}
			apps[0].name = *name
		}
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		sender := newHostSender(cfg)
		keepWebhooks(cmd.Context(), &webhooks.Manager{Sender: sender}, apps)
		list, notes, err := manifestApps(apps, *newIDs)
		if err != nil {
			return usageError{err}
		}
		m := tenants.Manifest{Tenants: []tenants.ManifestTenant{{Slug: *tenant, Apps: list}}}
		return c.applyManifest(cmd, m, sender, *dryRun, *asJSON, notes)
	}
	return cmd
}

// keepWebhooks leaves out, with a note, what may not be called or told here.
func keepWebhooks(ctx context.Context, m *webhooks.Manager, apps []importedApp) {
	for i := range apps {
		app := &apps[i]
		app.webhooks = slices.DeleteFunc(app.webhooks, func(w yamlWebhook) bool {
			err := webhooks.CheckURL(w.URL)
			if err == nil {
				err = m.Sender.Check(ctx, w.URL)
			}
			if err == nil {
				_, err = m.Try(ctx, webhooks.Endpoint{}, w.settings())
			}
			if err == nil && len(*w.Events) == 0 {
				err = errors.New("it names no events")
			}
			if err != nil {
				app.notes = append(app.notes, fmt.Sprintf("its webhook to %s was left out: %v", printableText(w.URL), err))
			}
			return err != nil
		})
	}
}

// readImport reads the files in the words of one kind of server.
func readImport(cmd *cobra.Command, from string, files []string) ([]importedApp, error) {
	read := map[string]func(importFiles) ([]importedApp, error){
		"pusher": importPusher, "soketi": importSoketi, "reverb": importReverb,
	}[from]
	if read == nil {
		return nil, fmt.Errorf("--from must be pusher, soketi or reverb, not %q", from)
	}
	in := importFiles{env: map[string]string{}}
	for _, name := range files {
		raw, err := readInput(cmd, name)
		if err == nil {
			err = in.add(name, raw)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	apps, err := read(in)
	if err == nil && len(apps) == 0 {
		err = fmt.Errorf("found no app in %s; see `platform apps import --help` for what --from %s reads", strings.Join(files, ", "), from)
	}
	return apps, err
}

// manifestApps turns imported apps into those of a manifest.
func manifestApps(apps []importedApp, newIDs bool) (list []tenants.ManifestApp, notes []string, err error) {
	for _, app := range apps {
		if app.id == "" || app.key == "" || app.secret == "" {
			return nil, nil, fmt.Errorf("app %q (key %q) lacks an id, a key or a secret", app.id, app.key)
		}
		one := tenants.ManifestApp{
			ID: tenants.AppID(app.id), Name: app.name, Disabled: &app.disabled,
			Settings: jsonOrNil(app.settings), Limits: jsonOrNil(app.limits),
			Keys: []tenants.ManifestKey{{Key: app.key, Secret: tenants.NewSecret(app.secret)}},
		}
		if len(app.webhooks) > 0 {
			one.Webhooks = []byte(compactJSON(app.webhooks))
		}
		if one.Name == "" {
			one.Name = "App " + app.id
		}
		if strings.Trim(app.id, "0123456789") != "" || app.id[0] == '0' {
			if !newIDs {
				return nil, nil, fmt.Errorf("app id %q is not a number, which official server libraries demand: "+
					"--new-ids gives such apps a new id, which your servers then have to use", app.id)
			}
			one.ID = ""
			app.notes = append(app.notes, "got a new id: `platform apps list` shows it beside its key "+app.key)
		}
		list = append(list, one)
		for _, note := range app.notes {
			notes = append(notes, fmt.Sprintf("app %s: %s", app.id, note))
		}
	}
	slices.Sort(notes)
	return list, notes, nil
}

func jsonOrNil(fields map[string]any) []byte {
	if len(fields) == 0 {
		return nil
	}
	return []byte(compactJSON(fields))
}

// setLimit carries a limit over: below one means "none" elsewhere, which here
// is the server's ceiling, and what is above the ceiling is lowered to it.
func (a *importedApp) setLimit(name string, value float64) {
	if value < 1 {
		value = 0
	}
	ceilings := map[string]any{}
	_ = jsonInto(tenants.Ceilings(), &ceilings)
	if most, ok := ceilings[name].(float64); ok && value > most {
		a.notes = append(a.notes, fmt.Sprintf("%s was %.0f and is %.0f now, the most there can be", name, value, most))
		value = most
	}
	a.limits[name] = int(value)
}

func newImported() importedApp {
	return importedApp{settings: map[string]any{}, limits: map[string]any{}}
}

func importPusher(in importFiles) ([]importedApp, error) {
	var list []importedApp
	for _, object := range in.objects {
		app := newImported()
		app.id, app.key, app.secret = object.text("id", "app_id", "appId"), object.text("key"), object.text("secret")
		app.name = object.text("name")
		list = append(list, app)
	}
	if id := in.env["PUSHER_APP_ID"]; id != "" {
		app := newImported()
		app.id, app.key, app.secret = id, in.env["PUSHER_APP_KEY"], in.env["PUSHER_APP_SECRET"]
		list = append(list, app)
	} else if raw := in.env["PUSHER_URL"]; raw != "" {
		app, err := pusherURL(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, app)
	}
	return list, nil
}

// pusherURL reads https://KEY:SECRET@api-eu.pusher.com/apps/ID.
func pusherURL(raw string) (importedApp, error) {
	app := newImported()
	_, rest, _ := strings.Cut(raw, "://")
	credentials, rest, found := strings.Cut(rest, "@")
	_, id, isApp := strings.Cut(rest, "/apps/")
	app.key, app.secret, _ = strings.Cut(credentials, ":")
	app.id = id
	if !found || !isApp || app.secret == "" {
		return app, errors.New("PUSHER_URL must look like https://KEY:SECRET@api-eu.pusher.com/apps/ID")
	}
	return app, nil
}

func importReverb(in importFiles) ([]importedApp, error) {
	var list []importedApp
	for _, object := range in.objects {
		app := newImported()
		app.id, app.key, app.secret = object.text("app_id"), object.text("key"), object.text("secret")
		app.name = object.text("name")
		app.reverbSettings(object)
		list = append(list, app)
	}
	if len(list) == 0 && in.env["REVERB_APP_ID"] != "" {
		object := importObject{
			"app_id": in.env["REVERB_APP_ID"], "key": in.env["REVERB_APP_KEY"], "secret": in.env["REVERB_APP_SECRET"],
			"max_connections": in.env["REVERB_APP_MAX_CONNECTIONS"], "max_message_size": in.env["REVERB_APP_MAX_MESSAGE_SIZE"],
			"accept_client_events_from": in.env["REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM"],
		}
		app := newImported()
		app.id, app.key, app.secret = object.text("app_id"), object.text("key"), object.text("secret")
		app.reverbSettings(object)
		list = append(list, app)
	}
	return list, nil
}

func (a *importedApp) reverbSettings(o importObject) {
	// Reverb lets members send client events unless it is told otherwise.
	a.settings["client_events"] = o.text("accept_client_events_from") != "none"
	if n, ok := o.number("max_connections"); ok {
		a.setLimit("max_connections", n)
	}
	if n, ok := o.number("max_message_size"); ok {
		a.setLimit("max_event_bytes", n)
	}
	origins := []string{}
	for _, origin := range o.list("allowed_origins") {
		text := fmt.Sprint(origin)
		if text == "*" {
			origins = []string{}
			break
		}
		origins = append(origins, text)
	}
	if o["allowed_origins"] != nil {
		a.settings["allowed_origins"] = origins
	}
}

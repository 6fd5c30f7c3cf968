package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
)

// printedEndpoint is an endpoint as the commands print it; its secret only when
// it is made.
type printedEndpoint struct {
	ID       string          `json:"id"`
	App      tenants.AppID   `json:"app"`
	URL      string          `json:"url"`
	Events   []webhooks.Kind `json:"events"`
	Channels []string        `json:"channels"`
	Status   webhooks.Status `json:"status"`
	Reason   string          `json:"status_reason,omitempty"`
	Secret   string          `json:"secret,omitempty"`
	Created  time.Time       `json:"created_at"`
}

func printableEndpoint(e *webhooks.Endpoint, reveal bool) printedEndpoint {
	p := printedEndpoint{
		ID: e.ID, App: e.App, URL: e.URL, Events: e.Kinds, Channels: e.Channels, Status: e.Status, Reason: e.StatusReason, Created: e.CreatedAt,
	}
	if reveal {
		p.Secret = e.Secret.Reveal()
	}
	return p
}

// printedDelivery is a delivery as the commands print it.
type printedDelivery struct {
	ID         string                  `json:"id"`
	Endpoint   string                  `json:"endpoint"`
	Status     webhooks.DeliveryStatus `json:"status"`
	Events     int                     `json:"events"`
	Kinds      []webhooks.Kind         `json:"kinds"`
	Attempts   int                     `json:"attempts"`
	HTTPStatus int                     `json:"http_status,omitempty"`
	Reason     string                  `json:"reason,omitempty"`
	NextAt     time.Time               `json:"next_at,omitzero"`
	CreatedAt  time.Time               `json:"created_at"`
}

func printableDelivery(d *webhooks.Delivery) printedDelivery {
	return printedDelivery{
		ID: d.ID, Endpoint: d.EndpointID, Status: d.Status, Events: d.EventCount, Kinds: d.Kinds, Attempts: d.Attempts,
		HTTPStatus: d.HTTPStatus, Reason: d.Reason, NextAt: d.NextAt, CreatedAt: d.CreatedAt,
	}
}

func (c *cli) webhooksCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "webhooks",
		Short:   "Tell your server what happens in an app",
		Example: "  platform webhooks create --app 1001 --url https://example.com/hooks --events channel_occupied,channel_vacated",
	})
	cmd.AddCommand(c.webhooksCreateCommand(), c.webhooksListCommand(), c.webhooksDeleteCommand(), c.webhooksTestCommand(),
		c.webhooksDeliveriesCommand(), c.webhooksReplayCommand())
	return cmd
}

// hookWork is what a command about webhooks works with.
type hookWork struct {
	store   *sqlstore.Store
	manager *webhooks.Manager
}

func (c *cli) withHooks(cmd *cobra.Command, do func(context.Context, hookWork) error) error {
	cfg, err := c.load(cmd)
	if err != nil {
		return err
	}
	return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
		manager, _, out, err := newHookManager(cfg, store)
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		return do(ctx, hookWork{store, manager})
	})
}

func (w hookWork) endpoint(ctx context.Context, id string) (*webhooks.Endpoint, error) {
	e, err := w.manager.Store.EndpointByID(ctx, id)
	if errors.Is(err, tenants.ErrNotFound) {
		return nil, fmt.Errorf("webhook endpoint %q does not exist: `platform webhooks list --app ID` shows those that do", id)
	}
	return e, err
}

func (c *cli) webhooksCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create --app ID --url URL",
		Short:   "Add an endpoint and print its secret, this once",
		Example: "  platform webhooks create --app 1001 --url https://example.com/hooks --events channel_occupied,channel_vacated --channels 'orders-*' --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	app := cmd.Flags().String("app", "", "id of the app (needed)")
	url := cmd.Flags().String("url", "", "address that is called (needed)")
	events := cmd.Flags().StringSlice("events", nil, "comma-separated events; empty = all")
	names := cmd.Flags().StringSlice("channels", nil, "comma-separated patterns of channels, in which * stands for any characters; empty = all")
	headers := cmd.Flags().StringArray("header", nil, "a header to send too, as \"Name: value\"; may be given again")
	single := cmd.Flags().Bool("no-batching", false, "one event in each request")
	forget := cmd.Flags().Bool("no-bodies", false, "forget the events once they are delivered")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *app == "" || *url == "" {
			return usagef("--app and --url are needed, for example --app 1001 --url https://example.com/hooks")
		}
		e := &webhooks.Endpoint{URL: *url, Channels: *names, Batching: !*single, KeepBodies: !*forget, Headers: make(map[string]string)}
		for _, k := range *events {
			e.Kinds = append(e.Kinds, webhooks.Kind(k))
		}
		for _, h := range *headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usagef("--header %q: want \"Name: value\"", h)
			}
			e.Headers[name] = strings.TrimSpace(value)
		}
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			owner, err := findApp(ctx, w.store, *app)
			if err != nil {
				return err
			}
			if err := w.manager.Create(ctx, owner, e); err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(printableEndpoint(e, true))
			}
			_, err = fmt.Fprintf(c.stdout, "Endpoint %s of app %s calls %s.\nIts secret, for the webhook-signature header, is shown this once:\n  %s\n", e.ID, e.App, e.URL, e.Secret.Reveal())
			return err
		})
	}
	return cmd
}

func (c *cli) webhooksListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list --app ID",
		Short:   "List the endpoints of an app",
		Example: "  platform webhooks list --app 1001 --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	app := cmd.Flags().String("app", "", "id of the app (needed)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			owner, err := findApp(ctx, w.store, *app)
			if err != nil {
				return err
			}
			list, err := w.manager.Store.Endpoints(ctx, owner.ID)
			if err != nil {
				return err
			}
			printed := make([]printedEndpoint, 0, len(list))
			for i := range list {
				printed = append(printed, printableEndpoint(&list[i], false))
			}
			if *asJSON {
				return c.printJSON(printed)
			}
			t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tSTATUS\tEVENTS\tURL")
			for _, p := range printed {
				kinds := "all"
				if len(p.Events) > 0 {
					kinds = strings.Trim(fmt.Sprint(p.Events), "[]")
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.ID, p.Status, kinds, p.URL)
			}
			return t.Flush()
		})
	}
	return cmd
}

func (c *cli) webhooksDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete ENDPOINT",
		Short:   "Remove an endpoint and its log",
		Example: "  platform webhooks delete whe_01jx3v5k8q",
		Args:    arguments(1, 1, "one endpoint id"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			e, err := w.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			if err := w.manager.Store.DeleteEndpoint(ctx, e.App, e.ID); err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(map[string]any{"id": e.ID, "deleted": true})
			}
			_, err = fmt.Fprintf(c.stdout, "Endpoint %s is removed.\n", e.ID)
			return err
		})
	}
	return cmd
}

func (c *cli) webhooksTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "test ENDPOINT",
		Short:   "Send a test event now, from here, and say what came of it",
		Example: "  platform webhooks test whe_01jx3v5k8q",
		Args:    arguments(1, 1, "one endpoint id"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			e, err := w.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			app, err := w.store.AppByID(ctx, e.App)
			if err != nil {
				return err
			}
			o, err := w.manager.Test(ctx, e, app)
			if err != nil {
				return err
			}
			p := printableDelivery(&o.Delivery)
			if *asJSON {
				return c.printJSON(p)
			}
			if p.Reason != "" {
				return fmt.Errorf("endpoint %s did not take the test: %s", e.ID, p.Reason)
			}
			_, err = fmt.Fprintf(c.stdout, "Endpoint %s took the test: status %d in %s.\n", e.ID, p.HTTPStatus, o.Attempt.Took.Round(time.Millisecond))
			return err
		})
	}
	return cmd
}

func (c *cli) webhooksDeliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deliveries ENDPOINT",
		Short:   "Show the log of an endpoint, newest first",
		Example: "  platform webhooks deliveries whe_01jx3v5k8q --status dead --json",
		Args:    arguments(1, 1, "one endpoint id"),
	}
	status := cmd.Flags().String("status", "", "only pending, delivered or dead ones")
	limit := cmd.Flags().Int("limit", 50, "how many at most, 1 to 1000")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			e, err := w.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			list, err := w.manager.Store.Deliveries(ctx, e.App, webhooks.DeliveryFilter{EndpointID: e.ID, Status: webhooks.DeliveryStatus(*status), Limit: *limit})
			if err != nil {
				return err
			}
			printed := make([]printedDelivery, 0, len(list))
			for i := range list {
				printed = append(printed, printableDelivery(&list[i]))
			}
			if *asJSON {
				return c.printJSON(printed)
			}
			t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tCREATED\tSTATUS\tEVENTS\tATTEMPTS\tREASON")
			for _, p := range printed {
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", p.ID, p.CreatedAt.UTC().Format(time.DateTime), p.Status, p.Events, p.Attempts, p.Reason)
			}
			return t.Flush()
		})
	}
	return cmd
}

func (c *cli) webhooksReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "replay ENDPOINT",
		Short:   "Send finished deliveries again: one, a range, or all that are dead",
		Long:    "Send finished deliveries again, with the ids they had: one (--delivery), those made in a range of time (--from, --to), or all that are dead (--dead). A running server sends them.",
		Example: "  platform webhooks replay whe_01jx3v5k8q --dead\n  platform webhooks replay whe_01jx3v5k8q --from 2026-01-02T15:00:00Z --to 2026-01-02T16:00:00Z",
		Args:    arguments(1, 1, "one endpoint id"),
	}
	delivery := cmd.Flags().String("delivery", "", "only this delivery")
	from := cmd.Flags().String("from", "", "made at or after this time, such as 2026-01-02T15:00:00Z")
	to := cmd.Flags().String("to", "", "made before this time")
	dead := cmd.Flags().Bool("dead", false, "only those that are dead")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f := webhooks.DeliveryFilter{EndpointID: args[0], ID: *delivery}
		if *dead {
			f.Status = webhooks.Dead
		}
		for _, at := range []struct {
			name, text string
			to         *time.Time
		}{{"--from", *from, &f.From}, {"--to", *to, &f.To}} {
			if at.text == "" {
				continue
			}
			t, err := time.Parse(time.RFC3339, at.text)
			if err != nil {
				return usagef("%s %q: want a time such as 2026-01-02T15:00:00Z", at.name, at.text)
			}
			*at.to = t
		}
		if f.ID == "" && f.Status == "" && f.From.IsZero() && f.To.IsZero() {
			return usagef("say which: --delivery ID, --from and --to, or --dead")
		}
		return c.withHooks(cmd, func(ctx context.Context, w hookWork) error {
			e, err := w.endpoint(ctx, args[0])
			if err != nil {
				return err
			}
			n, err := w.manager.Replay(ctx, e.App, f)
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(map[string]any{"replayed": n})
			}
			_, err = fmt.Fprintf(c.stdout, "%d deliveries of endpoint %s will be sent again.\n", n, e.ID)
			return err
		})
	}
	return cmd
}

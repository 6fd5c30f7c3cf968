package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/webhooks"
	webhooksadmin "tidewire/webhooks/adminapi"
)

func (c *cli) webhooksCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "webhooks",
		Short:   "Tell your servers what happens: endpoints, deliveries, replay",
		Example: "  platform webhooks create --app 1001 --url https://example.com/hooks\n  platform webhooks deliveries --app 1001 --status dead\n  platform webhooks replay --app 1001 --status dead",
	})
	cmd.AddCommand(c.webhooksCreateCommand(), c.webhooksListCommand(), c.webhooksTestCommand(),
		c.webhooksDeliveriesCommand(), c.webhooksReplayCommand(), c.webhooksListenCommand())
	return cmd
}

// hooked is what the commands about webhooks work with.
type hooked struct {
	*webhooks.Manager
	accounts *tenants.Accounts
	app      *tenants.App
}

// webhookCommand is a command about the webhooks of the app that --app names.
func (c *cli) webhookCommand(cmd *cobra.Command, do func(ctx context.Context, h *hooked, args []string, asJSON bool) error) *cobra.Command {
	app := cmd.Flags().String("app", "", "app id (needed)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *app == "" {
			return usagef("--app is needed: the id of the app, for example --app 1001")
		}
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			log := newQuietLogger(cfg, c.stderr)
			kept, err := newWebhookStore(cfg, store, log)
			if err != nil {
				return err
			}
			h := &hooked{Manager: &webhooks.Manager{Store: kept, Sender: newSender(cfg)}, accounts: newAccounts(cfg, cfg.Listen, store, log)}
			if h.app, err = h.accounts.App(ctx, tenants.CLI(), tenants.AppID(*app)); err != nil {
				return missing(err, "app", *app, "apps list")
			}
			err = do(ctx, h, args, *asJSON)
			if invalid := (*tenants.InvalidError)(nil); errors.As(err, &invalid) {
				return usagef("--%s %s", strings.ReplaceAll(invalid.Field, "_", "-"), invalid.Reason)
			}
			return err
		})
	}
	return cmd
}

// endpoint finds one of the app's.
func (h *hooked) endpoint(ctx context.Context, id string) (*webhooks.Endpoint, error) {
	e, err := h.Store.Endpoint(ctx, id)
	if err == nil && e.App != h.app.ID {
		err = tenants.ErrNotFound
	}
	if err != nil {
		return nil, missing(err, "webhook endpoint", id, "webhooks list --app "+string(h.app.ID))
	}
	return e, nil
}

func (c *cli) webhooksCreateCommand() *cobra.Command {
	var url *string
	var events, patterns, headers *[]string
	cmd := c.webhookCommand(&cobra.Command{
		Use:   "create --app ID --url URL",
		Short: "Make an endpoint and print its secret, this once",
		Long: "Make an endpoint: an address that is told of the app's events. Requests are signed with the app's\n" +
			"oldest key (X-Pusher-Signature) and with the endpoint's own secret (Standard Webhooks).\n" +
			"Addresses in private networks need webhook_allow_private.",
		Example: "  platform webhooks create --app 1001 --url https://example.com/hooks --events channel_occupied,channel_vacated --channels 'orders-*' --json",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, h *hooked, _ []string, asJSON bool) error {
		s := webhooks.Settings{URL: url, Channels: patterns}
		kinds := make([]webhooks.Kind, len(*events))
		for i, k := range *events {
			kinds[i] = webhooks.Kind(k)
		}
		s.Kinds = &kinds
		if given, err := parseHeaders(*headers); err != nil {
			return err
		} else if len(given) > 0 {
			s.Headers = &given
		}
		e, err := h.Create(ctx, h.app, s)
		if err != nil {
			return err
		}
		if err := h.accounts.Record(ctx, tenants.CLI(), e.TenantID, "webhook.created", "webhook", e.ID, nil, webhooksadmin.View(e)); err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(printedEndpoint(e, true))
		}
		_, err = fmt.Fprintf(c.stdout, "New webhook endpoint:\n  id      %s\n  url     %s\n  secret  %s\n", e.ID, e.URL, e.Secret.Reveal())
		return err
	})
	url = cmd.Flags().String("url", "", "address that is called (needed)")
	events = cmd.Flags().StringSlice("events", nil, "events it wants, comma-separated; empty = all")
	patterns = cmd.Flags().StringSlice("channels", nil, "patterns of channels it wants, comma-separated, for example orders-*; empty = all")
	headers = cmd.Flags().StringArray("header", nil, "header sent with every request, 'Name: value'; may be repeated")
	return cmd
}

func parseHeaders(lines []string) (map[string]string, error) {
	headers := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usagef("--header %q: want 'Name: value'", line)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, nil
}

// printedEndpoint is an endpoint as the commands print it; the secret only of a new one.
func printedEndpoint(e *webhooks.Endpoint, reveal bool) map[string]any {
	kinds, patterns := e.Kinds, e.Channels
	if kinds == nil {
		kinds = []webhooks.Kind{}
	}
	if patterns == nil {
		patterns = []string{}
	}
	p := map[string]any{
		"id": e.ID, "app_id": e.App, "url": e.URL, "events": kinds, "channels": patterns,
		"status": e.Status, "status_reason": e.StatusReason, "created_at": e.CreatedAt,
	}
	if reveal {
		p["secret"] = e.Secret.Reveal()
	}
	return p
}

func (c *cli) webhooksListCommand() *cobra.Command {
	return c.webhookCommand(&cobra.Command{
		Use:     "list --app ID",
		Short:   "List the endpoints of an app",
		Example: "  platform webhooks list --app 1001",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, h *hooked, _ []string, asJSON bool) error {
		list, err := h.Store.Endpoints(ctx, h.app.ID)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]map[string]any, len(list))
			for i := range list {
				out[i] = printedEndpoint(&list[i], false)
			}
			return c.printJSON(out)
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATUS\tURL\tREASON")
		for _, e := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.ID, e.Status, e.URL, e.StatusReason)
		}
		return w.Flush()
	})
}

func (c *cli) webhooksTestCommand() *cobra.Command {
	return c.webhookCommand(&cobra.Command{
		Use:     "test ENDPOINT --app ID",
		Short:   "Send a made-up event to an endpoint; a running server makes the call",
		Example: "  platform webhooks test whe_01k… --app 1001",
		Args:    arguments(1, 1, "one endpoint: its id"),
	}, func(ctx context.Context, h *hooked, args []string, asJSON bool) error {
		e, err := h.endpoint(ctx, args[0])
		if err != nil {
			return err
		}
		d, err := h.Test(ctx, e)
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(webhooksadmin.ViewDelivery(d))
		}
		_, err = fmt.Fprintf(c.stdout, "Delivery %s is on its way; see `platform webhooks deliveries --app %s`.\n", d.ID, h.app.ID)
		return err
	})
}

func (c *cli) webhooksDeliveriesCommand() *cobra.Command {
	var status, endpoint *string
	var limit *int
	cmd := c.webhookCommand(&cobra.Command{
		Use:     "deliveries --app ID",
		Short:   "List deliveries, the newest first",
		Example: "  platform webhooks deliveries --app 1001 --status dead --limit 20",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, h *hooked, _ []string, asJSON bool) error {
		list, err := h.Store.Deliveries(ctx, webhooks.DeliveryFilter{
			App: h.app.ID, EndpointID: *endpoint, Status: webhooks.DeliveryStatus(*status), Limit: *limit,
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]any, len(list))
			for i := range list {
				out[i] = webhooksadmin.ViewDelivery(&list[i])
			}
			return c.printJSON(out)
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATUS\tATTEMPTS\tEVENTS\tCREATED\tREASON")
		for _, d := range list {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", d.ID, d.Status, d.Attempts, d.EventCount, d.CreatedAt.Format(time.DateTime), d.Reason)
		}
		return w.Flush()
	})
	status = cmd.Flags().String("status", "", "only pending, delivered or dead")
	endpoint = cmd.Flags().String("endpoint", "", "only of this endpoint")
	limit = cmd.Flags().Int("limit", 50, "how many at most")
	return cmd
}

func (c *cli) webhooksReplayCommand() *cobra.Command {
	var status, endpoint, since *string
	cmd := c.webhookCommand(&cobra.Command{
		Use:     "replay [DELIVERY] --app ID",
		Short:   "Send finished deliveries again, under their ids",
		Example: "  platform webhooks replay whd_01k… --app 1001\n  platform webhooks replay --app 1001 --status dead --since 2h",
		Args:    arguments(0, 1, "at most one delivery: its id"),
	}, func(ctx context.Context, h *hooked, args []string, asJSON bool) error {
		f := webhooks.DeliveryFilter{App: h.app.ID, EndpointID: *endpoint, Status: webhooks.DeliveryStatus(*status)}
		if len(args) == 1 {
			f.ID, f.Status = args[0], ""
		}
		if *since != "" {
			ago, err := time.ParseDuration(*since)
			if err != nil || ago <= 0 {
				return usagef("--since %q: want a duration such as 2h", *since)
			}
			f.From = time.Now().Add(-ago)
		}
		n, err := h.Replay(ctx, f)
		if err != nil {
			return err
		}
		if n == 0 && len(args) == 1 {
			return fmt.Errorf("delivery %q cannot be replayed: it does not exist here, is still pending, or its events are not kept any more", args[0])
		}
		if asJSON {
			return c.printJSON(map[string]int{"replayed": n})
		}
		_, err = fmt.Fprintf(c.stdout, "%d deliveries are sent again.\n", n)
		return err
	})
	status = cmd.Flags().String("status", string(webhooks.Dead), "those that are dead, or delivered")
	endpoint = cmd.Flags().String("endpoint", "", "only of this endpoint")
	since = cmd.Flags().String("since", "", "only those made within this time, for example 2h")
	return cmd
}

// listenEvery is how often listen looks for deliveries.
const listenEvery = 300 * time.Millisecond

func (c *cli) webhooksListenCommand() *cobra.Command {
	var forward *string
	cmd := c.webhookCommand(&cobra.Command{
		Use:   "listen --app ID [--forward-to URL]",
		Short: "Print what webhooks would send, and hand it to a program on this machine",
		Long: "Print every event of the app as it happens, until Ctrl-C. With --forward-to each one is posted to that\n" +
			"address from here, unsigned: the way to try a receiver that the server cannot reach.",
		Example: "  platform webhooks listen --app 1001 --forward-to http://localhost:3000/hooks",
		Args:    arguments(0, 0, "no arguments"),
	}, func(ctx context.Context, h *hooked, _ []string, asJSON bool) error {
		return c.listenToWebhooks(ctx, h, *forward, asJSON)
	})
	forward = cmd.Flags().String("forward-to", "", "address of a program on this machine; empty = print only")
	return cmd
}

// listenToWebhooks makes an endpoint that no server calls, and takes its
// deliveries itself. The endpoint ends with the command.
func (c *cli) listenToWebhooks(ctx context.Context, h *hooked, forward string, asJSON bool) error {
	placeholder, listening := "https://listen.invalid/", webhooks.Listening
	e, err := h.Create(ctx, h.app, webhooks.Settings{URL: &placeholder, Status: &listening})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = h.Store.DeleteEndpoint(last, e.ID)
	}()
	if !asJSON {
		fmt.Fprintf(c.stdout, "Listening to app %s. Ctrl-C ends it.\n", h.app.ID)
	}
	lane := &webhooks.Lane{EndpointID: e.ID}
	tick := time.NewTicker(listenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due, err := h.Store.DueDeliveries(ctx, e.ID, time.Now(), 100)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end
			}
			return err
		}
		done := make([]webhooks.Outcome, len(due))
		for i := range due {
			done[i] = c.hear(ctx, due[i], forward)
		}
		if len(done) > 0 {
			if err := h.Store.FinishAttempts(ctx, lane, done, time.Time{}); err != nil {
				return err
			}
		}
	}
}

// hear prints one delivery and forwards it.
func (c *cli) hear(ctx context.Context, d webhooks.Delivery, forward string) webhooks.Outcome {
	now := time.Now()
	body := d.Body(now)
	a := webhooks.Attempt{DeliveryID: d.ID, Number: d.Attempts + 1, App: d.App, At: now}
	fmt.Fprintf(c.stdout, "%s\n", body)
	d.Attempts++
	d.Status, d.FinishedAt = webhooks.Delivered, now
	if forward == "" {
		return webhooks.Outcome{Delivery: d, Attempt: a}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status, err := forwardTo(ctx, forward, body)
	a.HTTPStatus, d.HTTPStatus, a.Took = status, status, time.Since(now)
	if err != nil || status >= 300 {
		a.Reason = fmt.Sprintf("answered %d", status)
		if err != nil {
			a.Reason = err.Error()
		}
		d.Status, d.Reason = webhooks.Dead, a.Reason
		fmt.Fprintf(c.stderr, "%s: %s\n", forward, a.Reason)
	}
	return webhooks.Outcome{Delivery: d, Attempt: a}
}

func forwardTo(ctx context.Context, to string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, nil
}

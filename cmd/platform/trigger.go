package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidewire/tenants"
)

// triggerTimeout bounds one publish from the command line.
const triggerTimeout = 15 * time.Second

func (c *cli) triggerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trigger CHANNEL EVENT DATA",
		Short: "Publish one event",
		Long: "Publish one event through the HTTP API of a server, signed like any Pusher server library\n" +
			"does. DATA is sent as it is; clients parse it if it is JSON.",
		Example: `  platform trigger orders created '{"id":7}' --app 1001` + "\n" +
			`  platform trigger orders created '{"id":7}' --app 1001 --url https://tidewire.example.com --key KEY --secret SECRET`,
		Args: arguments(3, 3, "CHANNEL EVENT DATA"),
	}
	t := targetFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		base, err := t.base(cfg)
		if err != nil {
			return err
		}
		key, err := c.credentials(cmd, t)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := triggerEvent(cmd.Context(), base, *t.app, key, args[0], args[1], args[2]); err != nil {
			return err
		}
		took := time.Since(start)
		if *asJSON {
			return c.printJSON(map[string]any{
				"app": *t.app, "channel": args[0], "event": args[1], "url": base,
				"took_ms": float64(took.Microseconds()) / 1000,
			})
		}
		_, err = fmt.Fprintf(c.stdout, "published %s on %s in %s\n", args[1], args[0], took.Round(100*time.Microsecond))
		return err
	}
	return cmd
}

// triggerEvent posts one event to the HTTP API at base.
func triggerEvent(ctx context.Context, base, app string, key tenants.Key, channel, event, data string) error {
	body, err := json.Marshal(map[string]string{"name": event, "channel": channel, "data": data})
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	path := "/apps/" + url.PathEscape(app) + "/events"
	query := tenants.SignRequest(key.Secret, key.Key, http.MethodPost, path, nil, body, time.Now())

	ctx, cancel := context.WithTimeout(ctx, triggerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("publish to %s: %w", base, err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w: is the server running there? else give --url", base, innermost(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s refused the event (status %d): %s", base, resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	return nil
}

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds one health check; container runtimes expect an answer in seconds.
const healthTimeout = 3 * time.Second

func (c *cli) healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready",
		Long: "Ask a running server whether it is ready. Exit code 0 means yes. Without --url it asks the\n" +
			"server on this machine that has the same configuration. With --degraded-ok a server on which\n" +
			"events flow counts as ready, although something else is away: restarting it would not help.",
		Example: "  platform healthcheck\n  platform healthcheck --degraded-ok\n  platform healthcheck --url https://tidewire.example.com --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	url := cmd.Flags().String("url", "", "http(s)://host[:port] of the server; empty = the configured listen address")
	degraded := cmd.Flags().Bool("degraded-ok", false, "count a server on which events flow as ready")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		base, local := strings.TrimSuffix(*url, "/"), *url == ""
		if local {
			base = cfg.localURL(cfg.Listen)
		} else if err := checkBaseURL(base); err != nil {
			return usagef("--url %w", err)
		}
		told, err := askReady(cmd.Context(), base, local, *degraded)
		if *asJSON {
			if jsonErr := c.printJSON(told.report(base, err)); jsonErr != nil {
				return jsonErr
			}
			if err != nil {
				return errReported
			}
			return nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.stdout, told.health)
		return err
	}
	return cmd
}

// readyAnswer is what a server said of itself.
type readyAnswer struct {
	health        // zero if it said nothing we know
	detail string // the answer as it came
}

// report is the answer as healthcheck prints it for programs.
func (a readyAnswer) report(url string, err error) any {
	return struct {
		Ready  bool   `json:"ready"`
		URL    string `json:"url"`
		Detail string `json:"detail"`
		health
	}{err == nil, url, a.detail, a.health}
}

// askReady asks base for its readiness. degraded is whether events that flow
// are enough.
func askReady(ctx context.Context, base string, local, degraded bool) (told readyAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	path := base + "/readyz"
	if degraded {
		path += "?degraded=ok"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return told, fmt.Errorf("ask %s: %w", base, err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if local {
		// On this machine the server is asked by address, for which its
		// certificate is not made; nothing secret is sent or believed.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return told, fmt.Errorf("no answer from %s: %w: is the server running there?", base, innermost(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return told, fmt.Errorf("read the answer of %s: %w", base, err)
	}
	told.detail = strings.TrimSpace(string(body))
	_ = json.Unmarshal(body, &told.health) // another program's answer is only shown
	switch {
	case resp.StatusCode == http.StatusOK:
		return told, nil
	case told.Status != "":
		return told, fmt.Errorf("%s is not ready (status %d): %s", base, resp.StatusCode, told.health)
	}
	return told, fmt.Errorf("%s is not ready (status %d): %s", base, resp.StatusCode, told.detail)
}

// innermost is the cause of a network error, without the layers that repeat
// the address and the method.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

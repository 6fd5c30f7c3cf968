package main

import (
	"context"
	"crypto/tls"
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
			"server on this machine that has the same configuration.",
		Example: "  platform healthcheck\n  platform healthcheck --url https://tidewire.example.com --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	url := cmd.Flags().String("url", "", "http(s)://host[:port] of the server; empty = the configured listen address")
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
		detail, err := askReady(cmd.Context(), base, local)
		if *asJSON {
			if jsonErr := c.printJSON(map[string]any{"ready": err == nil, "url": base, "detail": detail}); jsonErr != nil {
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
		_, err = fmt.Fprintln(c.stdout, "ready")
		return err
	}
	return cmd
}

// askReady asks base for its readiness; detail is what it answered.
func askReady(ctx context.Context, base string, local bool) (detail string, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", base, err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if local {
		// On this machine the server is asked by address, for which its
		// certificate is not made; nothing secret is sent or believed.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", fmt.Errorf("no answer from %s: %w: is the server running there?", base, innermost(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", base, err)
	}
	detail = strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return detail, fmt.Errorf("%s is not ready (status %d): %s", base, resp.StatusCode, detail)
	}
	return detail, nil
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

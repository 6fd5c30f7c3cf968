package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"tidewire/channels"
	"tidewire/dashboard"
	"tidewire/tenants"
)

// devListen is dev's own default: the demo key is public, so only this machine.
const devListen = "127.0.0.1:6001"

// devInfo is what dev prints.
type devInfo struct {
	URL        string              `json:"url"`
	Playground string              `json:"playground,omitempty"` // with the token that allows sending
	Dashboard  string              `json:"dashboard"`
	SignIn     string              `json:"sign_in,omitempty"` // a link into the dashboard, good once
	AppID      string              `json:"app_id"`
	Key        string              `json:"key"`
	Secret     string              `json:"secret"`
	Channel    string              `json:"channel"`
	Snippets   []dashboard.Snippet `json:"snippets"`
}

func newDevInfo(cfg Config, address, token string) (devInfo, error) {
	base := cfg.baseURL(address)
	snippets, err := renderSnippets(base, selfCommand())
	if err != nil {
		return devInfo{}, err
	}
	info := devInfo{
		URL: base, Dashboard: base + "/dashboard/",
		AppID: demoAppID, Key: demoKey, Secret: demoSecret, Channel: demoChannel,
		Snippets: snippets,
	}
	if token != "" {
		info.Playground = base + "/?token=" + token
	}
	return info, nil
}

func (c *cli) devCommand() *cobra.Command {
	cmd := withSettings(&cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, with a demo app and a playground",
		Long: "Run everything on this machine, with a demo app and a playground, and print code to paste.\n" +
			"It listens on " + devListen + " unless told otherwise: the demo app's key and secret are public.",
		Example: "  platform dev\n  platform dev --listen 127.0.0.1:7001 --data-dir /tmp/tide\n  platform dev --print-snippets --json",
		Args:    arguments(0, 0, "no arguments"),
	})
	printOnly := cmd.Flags().Bool("print-snippets", false, "print the snippets and end, without running anything")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.defaults = map[string]string{"listen": devListen, "signup": string(tenants.SignUpOpen), "webhook_allow_private": "127.0.0.0/8,::1/128"}
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		if *printOnly {
			info, err := newDevInfo(cfg, cfg.Listen, "")
			if err != nil {
				return err
			}
			return c.printDev(info, *asJSON)
		}
		return c.dev(cmd, cfg, *asJSON)
	}
	return cmd
}

func (c *cli) dev(cmd *cobra.Command, cfg Config, asJSON bool) error {
	log := newLogger(cfg, c.stderr)
	token := strings.ToLower(rand.Text())
	var info devInfo
	var signIn string
	accounts := func(ctx context.Context, a *tenants.Accounts) (err error) {
		signIn, err = demoSignIn(ctx, a)
		return err
	}
	home := func(at addresses, hub *channels.Hub, apps *tenants.Directory) (h http.Handler, err error) {
		if info, err = newDevInfo(cfg, at.Main, token); err != nil {
			return nil, err
		}
		info.SignIn = signIn
		return newPlayground(hub, apps, log, token, info.Snippets), nil
	}
	ready := func(at addresses) {
		if err := c.printDev(info, asJSON); err != nil {
			log.Warn("cannot print", "error", err)
		}
		if !isLoopback(at.Main) {
			c.warnPublic(at.Main)
		}
	}
	return run(cmd.Context(), cfg, log, extras{prepare: createDemo, accounts: accounts, home: home, ready: ready})
}

// warnPublic is loud on purpose: anyone who reaches the port owns the demo app.
func (c *cli) warnPublic(address string) {
	bar := strings.Repeat("!", 78)
	fmt.Fprintf(c.stderr, "\n%s\nWARNING: `platform dev` is reachable from other machines on %s, and its\n"+
		"key and secret are printed in public documents. Anyone can publish and listen.\n"+
		"Use --listen %s, or `platform serve` with an app of your own.\n%s\n\n", bar, address, devListen, bar)
}

// printDev shows what was started. Snippets stand at the left edge, so that
// they can be copied as they are.
func (c *cli) printDev(info devInfo, asJSON bool) error {
	if asJSON {
		return c.printJSON(info)
	}
	bold, dim, plain := "", "", ""
	if isTerminal(c.stdout) {
		bold, dim, plain = "\x1b[1m", "\x1b[2m", "\x1b[0m"
	}
	var b strings.Builder
	for _, s := range info.Snippets {
		fmt.Fprintf(&b, "\n%s%s%s%s%s%s\n", bold, s.Title, plain, dim, snippetHint(s), plain)
		if s.Install != "" {
			fmt.Fprintf(&b, "%s\n\n", s.Install)
		}
		fmt.Fprintf(&b, "%s\n", s.Code)
	}
	// The addresses come last: that is what is still in view.
	fmt.Fprintf(&b, "\n%sTidewire, demo app %s%s\n\n", bold, info.AppID, plain)
	row := func(name, value string) { fmt.Fprintf(&b, "  %-11s %s\n", name, value) }
	if info.Playground != "" {
		row("playground", bold+info.Playground+plain)
	}
	row("dashboard", info.Dashboard)
	if info.SignIn != "" {
		row("sign in", info.SignIn)
	}
	row("key", info.Key)
	row("secret", info.Secret)
	_, err := fmt.Fprintln(c.stdout, b.String())
	return err
}

func snippetHint(s dashboard.Snippet) string {
	if s.File == "" {
		return " — paste into another terminal"
	}
	return fmt.Sprintf(" — in an empty folder: install, save the code as %s, run `%s`", s.File, s.Run)
}

package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := withSettings(&cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server until it gets SIGINT or SIGTERM, then stop in order: not ready, no new\n" +
			"connections, clients sent to another node, everything accepted delivered.",
		Example: "  platform serve\n" +
			"  platform serve --listen :443 --tls-cert cert.pem --tls-key key.pem\n" +
			"  TIDEWIRE_DATABASE_URL=postgres://… TIDEWIRE_REDIS_URL=redis://… platform serve",
		Args: arguments(0, 0, "no arguments"),
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cfg, newLogger(cfg, c.stderr), extras{})
	}
	return cmd
}

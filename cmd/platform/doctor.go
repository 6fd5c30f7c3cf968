package main

import (
	"context"
	"fmt"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// The outcomes of a check.
const (
	statusOK   = "ok"
	statusWarn = "warn" // works, but somebody should look at it
	statusFail = "fail" // the server would not start, or not work
)

// finding is the outcome of one check.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // what to do, if anything
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, Status: statusOK, Detail: fmt.Sprintf(format, args...)}
}

// broken is a failed check whose error carries its own remedy.
func broken(check string, err error) finding {
	return finding{Check: check, Status: statusFail, Detail: oneLine(err.Error())}
}

func (c *cli) doctorCommand() *cobra.Command {
	cmd := withSettings(&cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, database, Redis, clock, limits and ports",
		Long: "Check configuration, database, Redis, clock, limits and ports, and say how to fix what is\n" +
			"wrong. It changes nothing. Exit code 0 means that a server would start here.",
		Example: "  platform doctor\n  platform doctor --print-config\n  platform doctor --json",
		Args:    arguments(0, 0, "no arguments"),
	})
	printConfig := cmd.Flags().Bool("print-config", false, "print every setting, its value and where it comes from, and end")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, list, err := loadConfig(cmd.Flags(), c.environ, c.defaults)
		if *printConfig {
			if err != nil {
				return err
			}
			return c.printSettings(list, *asJSON)
		}
		var findings []finding
		if err != nil {
			findings = []finding{broken("configuration", err)}
		} else {
			findings = examine(cmd.Context(), cfg, newQuietLogger(cfg, c.stderr))
		}
		if err := c.printFindings(findings, *asJSON); err != nil {
			return err
		}
		for _, f := range findings {
			if f.Status == statusFail {
				return errReported
			}
		}
		return nil
	}
	return cmd
}

// examine runs every check, in the order a server would meet them.
func examine(ctx context.Context, cfg Config, log *slog.Logger) []finding {
	findings := []finding{ok("configuration", "valid")}
	findings = append(findings, examineDatabase(ctx, cfg, log)...)
	findings = append(findings,
		examineRealtime(ctx, cfg, log),
		examineTLS(cfg),
		examineFiles(),
		examineMemory(),
		examinePort(ctx, cfg, "listen", cfg.Listen),
	)
	if cfg.MetricsListen != "" {
		findings = append(findings, examinePort(ctx, cfg, "metrics_listen", cfg.MetricsListen))
	}
	return findings
}

func (c *cli) printSettings(list []effective, asJSON bool) error {
	if asJSON {
		return c.printJSON(list)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tSOURCE")
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, printableText(e.Value), e.Source)
	}
	return w.Flush()
}

func (c *cli) printFindings(findings []finding, asJSON bool) error {
	if asJSON {
		return c.printJSON(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(c.stdout, "%-4s  %-15s %s\n", f.Status, f.Check, printableText(f.Detail)); err != nil {
			return err
		}
		if f.Fix != "" {
			if _, err := fmt.Fprintf(c.stdout, "      %-15s → %s\n", "", f.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}

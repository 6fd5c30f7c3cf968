package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version string

// buildInfo is what `version` prints.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, when known
	Modified bool   `json:"modified,omitempty"` // built from changed sources
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuildInfo() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" {
		b.Version = "dev"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return b
}

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  platform version --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := readBuildInfo()
		if *asJSON {
			return c.printJSON(b)
		}
		revision := ""
		if len(b.Revision) >= 12 {
			revision = " " + b.Revision[:12]
			if b.Modified {
				revision += "+changes"
			}
		}
		_, err := fmt.Fprintf(c.stdout, "tidewire %s%s (%s, %s)\n", b.Version, revision, b.Go, b.Platform)
		return err
	}
	return cmd
}

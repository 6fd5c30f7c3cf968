package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// maxInputFile bounds a file that a command reads.
const maxInputFile = 16 << 20

func (c *cli) applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make tenants, plans, apps, keys and webhooks what a YAML file says",
		Long: "Make tenants, plans, apps, keys and webhooks what a YAML file says, all of it or nothing, and print what changed.\n" +
			"Applied again it changes nothing. What the file does not name stays as it is; nothing is deleted. A secret, or the\n" +
			"value of a header, written as ${NAME} is taken from the environment. A running server follows within a second.\n" +
			"-f - reads standard input.",
		Example: "  platform apply -f tenants.yaml --dry-run\n  platform export > tenants.yaml",
		Args:    arguments(0, 0, "no arguments, but -f FILE"),
	}
	files := cmd.Flags().StringArrayP("file", "f", nil, "YAML or JSON file, or - for standard input; several are applied as one (needed)")
	dryRun := cmd.Flags().Bool("dry-run", false, "print what would change, and change nothing")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*files) == 0 {
			return usagef("-f is needed: the file to apply, for example -f tenants.yaml")
		}
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		var all tenants.Manifest
		for _, name := range *files {
			m, err := c.readManifest(cmd, name)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", name, err)}
			}
			all.Plans, all.Tenants = append(all.Plans, m.Plans...), append(all.Tenants, m.Tenants...)
		}
		return c.applyManifest(cmd, all, newHostSender(cfg), *dryRun, *asJSON, nil)
	}
	return cmd
}

// readInput reads a file that a command was given, or standard input for "-".
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, innermost(err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxInputFile+1))
	if err == nil && len(raw) > maxInputFile {
		err = fmt.Errorf("must be at most %d bytes", maxInputFile)
	}
	return raw, err
}

func (c *cli) readManifest(cmd *cobra.Command, name string) (tenants.Manifest, error) {
	raw, err := readInput(cmd, name)
	if err != nil {
		return tenants.Manifest{}, err
	}
	return parseManifest(raw, c.environ)
}

// parseManifest reads YAML, of which JSON is a part. The reader of the YAML
// library refuses doubled names and aliases that explode.
func parseManifest(raw []byte, environ []string) (tenants.Manifest, error) {
	var tree any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return tenants.Manifest{}, fmt.Errorf("no YAML that can be read: %s", oneLine(err.Error()))
	}
	if tree == nil {
		return tenants.Manifest{}, errors.New("holds nothing: it must have plans or tenants")
	}
	tree, err := withSecrets(tree, "", environ)
	if err != nil {
		return tenants.Manifest{}, err
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return tenants.Manifest{}, errors.New("every name in it must be text: put it in quotes")
	}
	return tenants.ParseManifest(asJSON)
}

var secretReference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// withSecrets puts the values of environment variables where a secret, or the
// value of a header, refers to one. Nothing else in a file is ever replaced.
func withSecrets(node any, name string, environ []string) (any, error) {
	switch v := node.(type) {
	case map[string]any:
		for key, value := range v {
			of := key
			if name == "headers" { // of webhooks
				of = "secret"
			}
			replaced, err := withSecrets(value, of, environ)
			if err != nil {
				return nil, err
			}
			v[key] = replaced
		}
	case []any:
		for i, value := range v {
			replaced, err := withSecrets(value, "", environ)
			if err != nil {
				return nil, err
			}
			v[i] = replaced
		}
	case string:
		reference := secretReference.FindStringSubmatch(v)
		if name != "secret" || reference == nil {
			return v, nil
		}
		for _, entry := range environ {
			if value, found := strings.CutPrefix(entry, reference[1]+"="); found && value != "" {
				return value, nil
			}
		}
		return nil, fmt.Errorf("a secret refers to the environment variable %s, which is not set", reference[1])
	}
	return node, nil
}

// printedApply is the result of apply and import for programs.
type printedApply struct {
	DryRun  bool                     `json:"dry_run"`
	Changes []tenants.ManifestChange `json:"changes"`
	Made    []printedMade            `json:"made,omitempty"`
	Notes   []string                 `json:"notes,omitempty"`
}

type printedMade struct {
	App     tenants.AppID `json:"app"`
	Key     string        `json:"key,omitempty"`
	Webhook string        `json:"webhook,omitempty"` // its address
	Secret  string        `json:"secret"`
}

func (c *cli) applyManifest(cmd *cobra.Command, m tenants.Manifest, sender webhooks.Sender, dryRun, asJSON bool, notes []string) error {
	if err := m.Validate(); err != nil {
		return usageError{err}
	}
	return c.withManifests(cmd, func(ctx context.Context, a *tenants.Accounts, kept webhooks.Store) error {
		var result *tenants.ManifestResult
		hooks, err := planWebhooks(ctx, sender, kept, m)
		if err == nil {
			result, err = a.ApplyManifest(ctx, tenants.CLI(), m, hooks.plan, dryRun)
		}
		if err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
		printed := printedApply{DryRun: dryRun, Changes: result.Changes, Notes: notes}
		for _, made := range result.Made {
			printed.Made = append(printed.Made, printedMade{App: made.App, Key: made.Key, Secret: made.Secret.Reveal()})
		}
		if !dryRun {
			made, err := hooks.write(ctx, a)
			if err != nil {
				return err
			}
			printed.Made = append(printed.Made, made...)
		}
		if asJSON {
			return c.printJSON(printed)
		}
		return c.printApplied(printed)
	})
}

func (c *cli) printApplied(p printedApply) error {
	var out strings.Builder
	for _, change := range p.Changes {
		sign := map[string]string{"create": "+", "update": "~", "revoke": "-"}[change.Action]
		fmt.Fprintf(&out, "%s %s %s", sign, change.Kind, printableText(change.Ref))
		if change.Name != "" && change.Name != change.Ref {
			fmt.Fprintf(&out, " %q", change.Name)
		}
		if change.Field != "" {
			fmt.Fprintf(&out, "  %s: %s → %s", change.Field, orNone(change.From), orNone(change.To))
		}
		out.WriteByte('\n')
	}
	for _, made := range p.Made {
		if made.Webhook != "" {
			fmt.Fprintf(&out, "App %s has a new webhook endpoint:\n  url     %s\n  secret  %s\n", made.App, printableText(made.Webhook), made.Secret)
			continue
		}
		fmt.Fprintf(&out, "App %s has a new key:\n  key     %s\n  secret  %s\n", made.App, made.Key, made.Secret)
	}
	for _, note := range p.Notes {
		fmt.Fprintf(&out, "Note: %s\n", note)
	}
	switch {
	case len(p.Changes) == 0:
		out.WriteString("No change: everything is as the file says.\n")
	case p.DryRun:
		fmt.Fprintf(&out, "Changes: %d; none was made, because this is a dry run.\n", len(p.Changes))
	default:
		fmt.Fprintf(&out, "Changes made: %d.\n", len(p.Changes))
	}
	_, err := io.WriteString(c.stdout, out.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return printableText(s)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// The shape of a manifest as it is written; tenants.ParseManifest reads it.
type yamlManifest struct {
	Plans   []map[string]any `yaml:"plans,omitempty" json:"plans,omitempty"`
	Tenants []yamlTenant     `yaml:"tenants" json:"tenants"`
}

type yamlTenant struct {
	Slug         string    `yaml:"slug" json:"slug"`
	Name         string    `yaml:"name" json:"name"`
	Plan         string    `yaml:"plan" json:"plan"`
	Status       string    `yaml:"status,omitempty" json:"status,omitempty"`
	StatusReason string    `yaml:"status_reason,omitempty" json:"status_reason,omitempty"`
	Apps         []yamlApp `yaml:"apps,omitempty" json:"apps,omitempty"`
}

type yamlApp struct {
	ID       string         `yaml:"id" json:"id"`
	Name     string         `yaml:"name" json:"name"`
	Cluster  string         `yaml:"cluster,omitempty" json:"cluster,omitempty"`
	Disabled bool           `yaml:"disabled,omitempty" json:"disabled,omitempty"`
	Settings map[string]any `yaml:"settings,omitempty" json:"settings,omitempty"`
	Limits   map[string]any `yaml:"limits,omitempty" json:"limits,omitempty"`
	Keys     []yamlKey      `yaml:"keys,omitempty" json:"keys,omitempty"`
	Webhooks []yamlWebhook  `yaml:"webhooks,omitempty" json:"webhooks,omitempty"`
}

type yamlKey struct {
	Key       string `yaml:"key" json:"key"`
	Secret    string `yaml:"secret,omitempty" json:"secret,omitempty"`
	Status    string `yaml:"status,omitempty" json:"status,omitempty"`
	RetiresAt string `yaml:"retires_at,omitempty" json:"retires_at,omitempty"`
}

func (c *cli) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write tenants, plans, apps, keys and webhooks as a file for apply",
		Long: "Write tenants, plans, apps, keys and webhooks as YAML that `platform apply` reads. Secrets are left out, which is\n" +
			"enough to apply the file to this installation again; --secrets writes them, headers of webhooks included, so that\n" +
			"another installation can be filled.\n" +
			"Members, tokens and the audit log are not in it: for all of one tenant there is `platform tenants export`.",
		Example: "  platform export > tenants.yaml\n  platform export --tenant acme --secrets --json",
		Args:    arguments(0, 0, "no arguments"),
	}
	tenant := cmd.Flags().String("tenant", "", "only this tenant")
	secrets := cmd.Flags().Bool("secrets", false, "write the secrets too: keep the file as you keep a password")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withManifests(cmd, func(ctx context.Context, a *tenants.Accounts, kept webhooks.Store) error {
			m, err := a.ExportManifest(ctx, tenants.CLI(), *tenant)
			if err != nil {
				return noTenant(err, *tenant)
			}
			written, err := writable(ctx, m, kept, *secrets)
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(written)
			}
			out := yaml.NewEncoder(c.stdout)
			out.SetIndent(2)
			if err := out.Encode(written); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
			return out.Close()
		})
	}
	return cmd
}

func writable(ctx context.Context, m *tenants.Manifest, kept webhooks.Store, secrets bool) (yamlManifest, error) {
	out := yamlManifest{Tenants: []yamlTenant{}}
	for _, p := range m.Plans {
		fields, err := asMap(p)
		if err != nil {
			return out, err
		}
		delete(fields, "version")
		delete(fields, "created_at")
		for name, value := range fields {
			if value == 0 {
				delete(fields, name)
			}
		}
		out.Plans = append(out.Plans, fields)
	}
	for _, t := range m.Tenants {
		one := yamlTenant{Slug: t.Slug, Name: t.Name, Plan: t.Plan, Status: string(t.Status), StatusReason: t.StatusReason}
		for _, app := range t.Apps {
			written, err := writableApp(app, secrets)
			if err == nil {
				written.Webhooks, err = writableWebhooks(ctx, kept, app.ID, secrets)
			}
			if err != nil {
				return out, err
			}
			one.Apps = append(one.Apps, written)
		}
		out.Tenants = append(out.Tenants, one)
	}
	return out, nil
}

func writableApp(app tenants.ManifestApp, secrets bool) (out yamlApp, err error) {
	out = yamlApp{ID: string(app.ID), Name: app.Name, Disabled: *app.Disabled}
	if app.Cluster != "main" {
		out.Cluster = app.Cluster
	}
	if out.Settings, err = asMap(app.Settings); err != nil {
		return out, err
	}
	if !secrets {
		hideSecrets(out.Settings)
	}
	if out.Limits, err = asMap(app.Limits); err != nil {
		return out, err
	}
	for _, k := range app.Keys {
		key := yamlKey{Key: k.Key}
		if secrets {
			key.Secret = k.Secret.Reveal()
		}
		if k.Status == tenants.KeyRetiring {
			key.Status, key.RetiresAt = string(k.Status), k.RetiresAt.UTC().Format(time.RFC3339)
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

// hideSecrets turns each secret into the remark that there is one.
func hideSecrets(node any) {
	switch v := node.(type) {
	case map[string]any:
		if _, found := v["secret"]; found {
			delete(v, "secret")
			v["secret_set"] = true
		}
		for _, value := range v {
			hideSecrets(value)
		}
	case []any:
		for _, value := range v {
			hideSecrets(value)
		}
	}
}

// asMap is v as JSON has it; whole numbers stay whole.
func asMap(v any) (map[string]any, error) {
	raw, isRaw := v.(json.RawMessage)
	if !isRaw {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("encode the export: %w", err)
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	var tree map[string]any
	// YAML reads JSON, and keeps 1 apart from 1.0.
	if err := yaml.Unmarshal([]byte(strings.TrimSpace(string(raw))), &tree); err != nil {
		return nil, fmt.Errorf("encode the export: %w", err)
	}
	return tree, nil
}

// writableWebhooks are the endpoints of an app as apply reads them.
func writableWebhooks(ctx context.Context, kept webhooks.Store, app tenants.AppID, secrets bool) ([]yamlWebhook, error) {
	list, err := kept.Endpoints(ctx, app)
	if err != nil {
		return nil, err
	}
	var out []yamlWebhook
	for _, e := range list {
		if e.Status == webhooks.Listening {
			continue
		}
		w := yamlWebhook{URL: e.URL}
		if len(e.Kinds) > 0 {
			w.Events = &e.Kinds
		}
		if len(e.Channels) > 0 {
			w.Channels = &e.Channels
		}
		if !e.Batching {
			w.Batching = &e.Batching
		}
		if !e.KeepBodies {
			w.KeepBodies = &e.KeepBodies
		}
		if e.Status != webhooks.Enabled {
			w.Status = string(e.Status)
		}
		if secrets {
			w.Secret = e.Secret.Reveal()
			if len(e.Headers) > 0 {
				w.Headers = &e.Headers
			}
		} else {
			w.HeadersSet = slices.Sorted(maps.Keys(e.Headers))
		}
		out = append(out, w)
	}
	return out, nil
}

package tenants

import (
	"encoding/json"
	"fmt"
	"time"
)

// Manifest is what an installation is meant to hold, as a file says it: plans,
// tenants, apps and keys. It is applied by [Accounts.ApplyManifest], and made
// from what there is by [Accounts.ExportManifest].
//
// A manifest says what it names and is silent about the rest: what it leaves out
// stays as it is, and nothing is ever deleted by it.
type Manifest struct {
	Plans   []Plan
	Tenants []ManifestTenant
}

// ManifestTenant is one tenant of a manifest, found by its slug.
type ManifestTenant struct {
	Slug         string
	Name         string       // empty = as it is; for a new one the slug
	Plan         string       // empty = as it is; for a new one [DefaultPlan]
	Status       TenantStatus // empty = as it is; else active or suspended
	StatusReason string       // of a suspended one
	Apps         []ManifestApp
}

// ManifestApp is one app of a manifest. It is found by its id, without one by
// its first key, and without that by its name within the tenant.
type ManifestApp struct {
	ID       AppID
	Name     string
	Cluster  string // counts only for a new one
	Disabled *bool  // nil = as it is
	Settings json.RawMessage
	Limits   json.RawMessage
	Keys     []ManifestKey // of a new app: empty = one is made
	// Webhooks are for the floor that keeps them, which reads them as a
	// [ManifestPart]; nil = as they are.
	Webhooks json.RawMessage
}

// ManifestKey is one key of a manifest.
type ManifestKey struct {
	Key       string
	Secret    Secret    // must be given for a key that does not exist yet
	Status    KeyStatus // empty = active, or as it is; revoked revokes
	RetiresAt time.Time // retiring only
}

// ParseManifest reads a manifest from JSON. It is as strict as [ParseSettings].
func ParseManifest(raw []byte) (Manifest, error) {
	var m Manifest
	if err := readBounded("manifest", raw, maxManifestBytes, map[string]reader{
		"plans":   listInto(&m.Plans, planInto),
		"tenants": listInto(&m.Tenants, manifestTenantInto),
	}); err != nil {
		return Manifest{}, err
	}
	return m, m.Validate()
}

func planInto(p *Plan) reader {
	return func(_ string, raw json.RawMessage) (err error) {
		*p, err = ParsePlan(raw)
		return err
	}
}

func manifestTenantInto(t *ManifestTenant) reader {
	return func(path string, raw json.RawMessage) error {
		return readBounded(path, raw, maxManifestBytes, map[string]reader{
			"slug": stringInto(&t.Slug), "name": stringInto(&t.Name), "plan": stringInto(&t.Plan),
			"status": stringInto((*string)(&t.Status)), "status_reason": stringInto(&t.StatusReason),
			"apps": listInto(&t.Apps, manifestAppInto),
		})
	}
}

func manifestAppInto(a *ManifestApp) reader {
	return func(path string, raw json.RawMessage) error {
		var disabled bool
		object := func(target *json.RawMessage) reader {
			return func(_ string, raw json.RawMessage) error { *target = raw; return nil }
		}
		err := readObject(path, raw, map[string]reader{
			"id": stringInto((*string)(&a.ID)), "name": stringInto(&a.Name), "cluster": stringInto(&a.Cluster),
			"disabled": func(path string, raw json.RawMessage) error {
				a.Disabled = &disabled
				return boolInto(&disabled)(path, raw)
			},
			"settings": object(&a.Settings), "limits": object(&a.Limits),
			"keys": listInto(&a.Keys, manifestKeyInto), "webhooks": object(&a.Webhooks),
		})
		return err
	}
}

func manifestKeyInto(k *ManifestKey) reader {
	return func(path string, raw json.RawMessage) error {
		var secret, retires string
		err := readObject(path, raw, map[string]reader{
			"key": stringInto(&k.Key), "secret": stringInto(&secret),
			"status": stringInto((*string)(&k.Status)), "retires_at": stringInto(&retires),
		})
		k.Secret = NewSecret(secret)
		if err == nil && retires != "" {
			if k.RetiresAt, err = time.Parse(time.RFC3339, retires); err != nil {
				err = &InvalidError{path + ".retires_at", "must be a time such as 2026-11-25T10:00:00Z"}
			}
		}
		return err
	}
}

// maxManifestBytes bounds a manifest: some ten thousand apps.
const maxManifestBytes = 16 << 20

// Validate checks what can be checked without a database; the error is an
// [*InvalidError] that names the place.
func (m Manifest) Validate() error {
	slugs, ids, keys, plans := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	twice := func(seen map[string]bool, value, path string) error {
		if value != "" && seen[value] {
			return &InvalidError{path, fmt.Sprintf("%s is given twice; keep one", quote(value))}
		}
		seen[value] = true
		return nil
	}
	for i, p := range m.Plans {
		if err := twice(plans, p.Name, fmt.Sprintf("plans[%d].name", i)); err != nil {
			return err
		}
	}
	for i, t := range m.Tenants {
		path := fmt.Sprintf("tenants[%d]", i)
		if err := t.validate(path); err != nil {
			return err
		}
		if err := twice(slugs, t.Slug, path+".slug"); err != nil {
			return err
		}
		for j, app := range t.Apps {
			path := fmt.Sprintf("%s.apps[%d]", path, j)
			if err := app.validate(path); err != nil {
				return err
			}
			if err := twice(ids, string(app.ID), path+".id"); err != nil {
				return err
			}
			for n, key := range app.Keys {
				if err := twice(keys, key.Key, fmt.Sprintf("%s.keys[%d].key", path, n)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t ManifestTenant) validate(path string) error {
	if !isSlug(t.Slug) {
		return &InvalidError{path + ".slug", "must be 1 to 63 of a-z, 0-9 and -, starting with a letter or digit, such as \"acme\""}
	}
	if t.Name != "" {
		if err := validateName(path+".name", t.Name); err != nil {
			return err
		}
	}
	if t.Status != "" && t.Status != TenantActive && t.Status != TenantSuspended {
		return &InvalidError{path + ".status", "must be active or suspended"}
	}
	if printableText(t.StatusReason, maxReasonBytes) != t.StatusReason {
		return &InvalidError{path + ".status_reason", fmt.Sprintf("must be one line of at most %d characters", maxReasonBytes)}
	}
	return nil
}

func (a ManifestApp) validate(path string) error {
	n := NewApp{TenantSlug: "x", Name: a.Name, Cluster: a.Cluster, ID: a.ID}
	if a.Settings != nil {
		// A secret may be one that is stored: only the names can be checked here.
		s := DefaultSettings()
		if err := readObject("settings", withDefaults(a.Settings, s), s.readers()); err != nil {
			return inPlace(path, err)
		}
	}
	if a.Limits != nil {
		limits, err := PatchLimits(DefaultLimits(), withDefaults(a.Limits, DefaultLimits()))
		if err != nil {
			return inPlace(path, err)
		}
		n.Limits = &limits
	}
	if err := n.Validate(); err != nil {
		return inPlace(path, err)
	}
	for i, k := range a.Keys {
		path := fmt.Sprintf("%s.keys[%d]", path, i)
		n := NewKey{Key: k.Key, Secret: k.Secret}
		if k.Key == "" {
			return &InvalidError{path + ".key", "must be given; leave the whole list out to have a key made"}
		}
		if err := n.fill(); err != nil {
			return inPlace(path, err)
		}
		switch k.Status {
		case "", KeyActive, KeyRevoked:
		case KeyRetiring:
			if k.RetiresAt.IsZero() {
				return &InvalidError{path + ".retires_at", "must say until when a retiring key works"}
			}
		default:
			return &InvalidError{path + ".status", "must be active, retiring or revoked"}
		}
	}
	return nil
}

// inPlace puts the place in a manifest before what is wrong there.
func inPlace(path string, err error) error {
	if invalid, ok := err.(*InvalidError); ok { //nolint:errorlint // ours, made a line above
		return &InvalidError{path + "." + invalid.Field, invalid.Reason}
	}
	return err
}

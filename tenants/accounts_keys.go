package tenants

import (
	"context"
	"fmt"
	"time"
)

const (
	maxUsableKeys  = 20 // of one app
	maxRevokedKeys = 20 // that are still listed; older ones are forgotten, their names stay reserved

	// MaxKeyOverlap is the longest a retiring key can go on working.
	MaxKeyOverlap = 90 * 24 * time.Hour
)

// NewKey is what it takes to make a key; what is empty is made.
type NewKey struct {
	Key    string
	Secret Secret
}

func (n *NewKey) fill() error {
	if n.Key != "" && !validKeyName(n.Key) {
		return &InvalidError{"key", "must be 1 to 64 letters, digits, _ or -"}
	}
	if err := validateSecret(n.Secret); err != nil {
		return err
	}
	if n.Key == "" {
		n.Key = randomHex()
	}
	if n.Secret.IsZero() {
		n.Secret = NewSecret(randomHex())
	}
	return nil
}

// CreateKey adds a key to an app. Its secret is in the answer, this once.
func (a *Accounts) CreateKey(ctx context.Context, c Caller, id AppID, n NewKey) (*Key, error) {
	if err := n.fill(); err != nil {
		return nil, err
	}
	var key *Key
	_, err := a.changeApp(ctx, c, id, ActKeysWrite, func(tx AccountWriter, c Caller, app *App) (err error) {
		key, err = a.addKey(ctx, tx, app, n)
		if err != nil {
			return err
		}
		return a.keyChanged(ctx, tx, c, app, "key.created", nil, key)
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// addKey stores a new key and forgets the oldest revoked ones, so that rotating
// for years does not make an app grow.
func (a *Accounts) addKey(ctx context.Context, tx AccountWriter, app *App, n NewKey) (*Key, error) {
	usable, revoked := 0, []string{}
	for i := range app.Keys {
		if app.Keys[i].usable() {
			usable++
		}
		if app.Keys[i].Status == KeyRevoked {
			revoked = append(revoked, app.Keys[i].ID)
		}
	}
	if usable >= maxUsableKeys {
		return nil, refusal(ErrConflict, "too_many_keys", "an app has at most %d keys in use; revoke one first", maxUsableKeys)
	}
	for i := 0; i < len(revoked)-maxRevokedKeys+1; i++ {
		if err := tx.DeleteKey(ctx, app.TenantID, app.ID, revoked[i]); err != nil {
			return nil, err
		}
	}
	key := &Key{Key: n.Key, Secret: n.Secret, Status: KeyActive, CreatedAt: a.now()}
	return key, tx.InsertKey(ctx, app.TenantID, app.ID, key)
}

func (a *Accounts) keyChanged(ctx context.Context, tx AccountWriter, c Caller, app *App, action string, before, after *Key) error {
	version, err := tx.Changed(ctx, app.TenantID, app.ID)
	if err != nil {
		return err
	}
	app.Version = version
	entry := c.entry(app.TenantID, action, "key", after.ID, a.now())
	if before == nil {
		entry = entry.changed(nil, after)
	} else {
		entry = entry.changed(before, after)
	}
	return tx.InsertAudit(ctx, &entry)
}

// RotateKey makes a new key beside an active one, which goes on working for
// overlap and is then revoked by itself. 0 revokes it at once.
func (a *Accounts) RotateKey(ctx context.Context, c Caller, id AppID, keyID string, overlap time.Duration) (fresh, old *Key, err error) {
	if overlap < 0 || overlap > MaxKeyOverlap {
		return nil, nil, &InvalidError{"overlap", fmt.Sprintf("must be from 0 to %d days", MaxKeyOverlap/(24*time.Hour))}
	}
	n := NewKey{}
	if err := n.fill(); err != nil {
		return nil, nil, err
	}
	_, err = a.changeApp(ctx, c, id, ActKeysWrite, func(tx AccountWriter, c Caller, app *App) error {
		old, err = findKey(app, keyID)
		if err != nil {
			return err
		}
		if old.Status != KeyActive {
			return refusal(ErrConflict, "key_not_active", "the key is %s; only an active one is rotated", old.Status)
		}
		if fresh, err = a.addKey(ctx, tx, app, n); err != nil {
			return err
		}
		before := *old
		old.Status, old.RetiresAt = KeyRetiring, a.now().Add(overlap)
		if overlap == 0 {
			old.Status = KeyRevoked
		}
		if err := tx.UpdateKey(ctx, app.TenantID, app.ID, old); err != nil {
			return err
		}
		if err := a.keyChanged(ctx, tx, c, app, "key.created", nil, fresh); err != nil {
			return err
		}
		return a.keyChanged(ctx, tx, c, app, "key.rotated", &before, old)
	})
	if err != nil {
		return nil, nil, err
	}
	return fresh, old, nil
}

// findKey takes the id of a key, or its public name.
func findKey(app *App, ref string) (*Key, error) {
	for i := range app.Keys {
		if app.Keys[i].ID == ref || app.Keys[i].Key == ref {
			key := app.Keys[i]
			return &key, nil
		}
	}
	return nil, notFoundAs(ErrNotFound, "key")
}

// RevokeKey makes a key useless. Connections made with it are closed within
// seconds. An app may be left without a key: then nobody connects.
func (a *Accounts) RevokeKey(ctx context.Context, c Caller, id AppID, keyID string) (*Key, error) {
	var key *Key
	_, err := a.changeApp(ctx, c, id, ActKeysWrite, func(tx AccountWriter, c Caller, app *App) (err error) {
		if key, err = findKey(app, keyID); err != nil {
			return err
		}
		if key.Status == KeyRevoked {
			return refusal(ErrConflict, "key_revoked", "the key is revoked already; a revoked key stays revoked")
		}
		return a.revokeKey(ctx, tx, c, app, key)
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

func (a *Accounts) revokeKey(ctx context.Context, tx AccountWriter, c Caller, app *App, key *Key) error {
	before := *key
	key.Status, key.RetiresAt, key.Secret = KeyRevoked, a.now(), Secret{}
	if err := tx.UpdateKey(ctx, app.TenantID, app.ID, key); err != nil {
		return err
	}
	return a.keyChanged(ctx, tx, c, app, "key.revoked", &before, key)
}

// RevokeRetired revokes every retiring key whose time is over, and returns how
// many those were. Nodes refuse such a key by their own clock already; this tells
// them to close what is still connected with it.
func (a *Accounts) RevokeRetired(ctx context.Context) (int, error) {
	due, err := a.store.RetiredKeys(ctx, a.now())
	if err != nil {
		return 0, fmt.Errorf("find retired keys: %w", err)
	}
	revoked := 0
	for _, one := range due {
		done := false
		err := a.write(ctx, "revoke a retired key", func(tx AccountWriter) error {
			done = false
			app, err := tx.App(ctx, one.TenantID, one.App)
			if err != nil {
				return ignoreNotFound(err)
			}
			key, err := findKey(app, one.KeyID)
			if err != nil || key.Status != KeyRetiring || key.RetiresAt.After(a.now()) {
				return ignoreNotFound(err) // another process was faster
			}
			done = true
			return a.revokeKey(ctx, tx, systemCaller(), app, key)
		})
		if err != nil {
			return revoked, err
		}
		if done {
			revoked++
		}
	}
	return revoked, nil
}

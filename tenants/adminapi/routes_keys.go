package adminapi

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"tidewire/tenants"
)

func (a *API) keyRoutes() []Route {
	return []Route{
		ofApp("keys.list", get, "/keys", tenants.ActAppsRead, 200, "The keys of an app; never their secrets").with(nil, tenants.Key{}, a.keys).list(),
		ofApp("keys.create", post, "/keys", tenants.ActKeysWrite, 201, "Make another key; the secret is shown this once").with(keyBody{}, changedKeyView{}, a.createKey),
		ofApp("keys.rotate", post, "/keys/{key}/rotate", tenants.ActKeysWrite, 201, "Make a new key beside an old one, which goes on working for a while").with(rotateBody{}, rotatedView{}, a.rotateKey),
		ofApp("keys.revoke", post, "/keys/{key}/revoke", tenants.ActKeysWrite, 200, "Make a key useless; its connections are closed within seconds").with(nil, changedKeyView{}, a.revokeKey),
		ofApp("revocations.list", get, "/revocations", tenants.ActAppsRead, 200, "The users' tokens (JWT) that are taken back").with(nil, tenants.Revocation{}, a.revocations).list(),
		ofApp("revocations.create", post, "/revocations", tenants.ActKeysWrite, 201, "Take users' tokens back, by jti or sub, on every node within seconds").with(revocationBody{}, tenants.Revocation{}, a.revoke),
	}
}

// changedKeyView is a key, with its secret when it was just made.
type changedKeyView struct {
	tenants.Key
	Secret        string `json:"secret,omitempty"`         // shown this once
	ConfigVersion int64  `json:"config_version,omitempty"` // as of this change or later; nodes have it within a second
}

// viewKey adds the version every node must have to know of the change.
func (a *API) viewKey(r *Request, key *tenants.Key, reveal bool) changedKeyView {
	v := changedKeyView{Key: *key}
	if reveal {
		v.Secret = key.Secret.Reveal()
	}
	// The change is done: an answer without the version is better than none.
	if app, err := a.cfg.Accounts.App(r.Context(), r.Caller, r.App()); err == nil {
		v.ConfigVersion = app.Version
	}
	return v
}

func (a *API) keys(r *Request) (*Reply, error) {
	app, err := a.cfg.Accounts.App(r.Context(), r.Caller, r.App())
	if err != nil {
		return nil, err
	}
	return SlicePage(r, app.Keys, func(k *tenants.Key) string { return byAge(k.CreatedAt, k.ID) }), nil
}

type keyBody struct {
	Key    string `json:"key"`    // to bring one along from elsewhere; left out: made
	Secret string `json:"secret"` // likewise
}

func (a *API) createKey(r *Request) (*Reply, error) {
	var in keyBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	key, err := a.cfg.Accounts.CreateKey(r.Context(), r.Caller, r.App(), tenants.NewKey{Key: in.Key, Secret: tenants.NewSecret(in.Secret)})
	if err != nil {
		return nil, err
	}
	return &Reply{Body: a.viewKey(r, key, true)}, nil
}

// defaultOverlap is how long the old key goes on working when nothing is said.
const defaultOverlap = 24 * time.Hour

type rotateBody struct {
	OverlapSeconds *int `json:"overlap_seconds"` // how long the old key goes on working; left out: a day; 0 = revoke it at once
}

type rotatedView struct {
	Key changedKeyView `json:"key"` // the new one, with its secret
	Old tenants.Key    `json:"old"` // retires at its retires_at
}

func (a *API) rotateKey(r *Request) (*Reply, error) {
	var in rotateBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	overlap := defaultOverlap
	if in.OverlapSeconds != nil {
		if most := int(tenants.MaxKeyOverlap / time.Second); *in.OverlapSeconds < 0 || *in.OverlapSeconds > most {
			return nil, &tenants.InvalidError{Field: "overlap_seconds", Reason: "must be from 0 to 7776000 (90 days)"}
		}
		overlap = time.Duration(*in.OverlapSeconds) * time.Second
	}
	fresh, old, err := a.cfg.Accounts.RotateKey(r.Context(), r.Caller, r.App(), r.Param("key"), overlap)
	if err != nil {
		return nil, err
	}
	return &Reply{Body: rotatedView{a.viewKey(r, fresh, true), *old}}, nil
}

func (a *API) revokeKey(r *Request) (*Reply, error) {
	key, err := a.cfg.Accounts.RevokeKey(r.Context(), r.Caller, r.App(), r.Param("key"))
	if err != nil {
		return nil, err
	}
	return &Reply{Body: a.viewKey(r, key, false)}, nil
}

func (a *API) revocations(r *Request) (*Reply, error) {
	list, err := a.cfg.Revocations.Revocations(r.Context(), r.App())
	if err != nil {
		return nil, err
	}
	return SlicePage(r, list, func(v *tenants.Revocation) string { return byAge(v.RevokedAt, revocationID(v)) }), nil
}

// revocationID is a name for a list's cursor: the value itself may be any text.
func revocationID(v *tenants.Revocation) string {
	sum := sha256.Sum256([]byte(v.Value))
	return string(v.Kind) + hex.EncodeToString(sum[:8])
}

type revocationBody struct {
	Kind  tenants.RevocationKind `json:"kind" api:"required"`
	Value string                 `json:"value" api:"required"` // the jti, or the sub
}

func (a *API) revoke(r *Request) (*Reply, error) {
	var in revocationBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	v, err := tenants.NewRevocation(in.Kind, in.Value, time.Now())
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Revocations.Revoke(r.Context(), r.App(), v); err != nil {
		return nil, err
	}
	err = a.cfg.Accounts.Record(r.Context(), r.Caller, r.Tenant.ID, "revocation.created", "app", string(r.App()), nil, v)
	return &Reply{Body: v}, err
}

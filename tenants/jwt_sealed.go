package tenants

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// storedSettings are settings as they are stored: the same names, and in place
// of each secret its sealed form.
type storedSettings struct {
	*settingsAlias
	JWT struct {
		Issuers []issuerView `json:"issuers"`
	} `json:"jwt"`
}

type settingsAlias Settings

// MarshalSealed encodes the settings of an app for storage, every secret in
// them sealed. [UnmarshalSealed] is the way back.
func (s Settings) MarshalSealed(sealer *Sealer, app AppID) ([]byte, error) {
	stored := storedSettings{settingsAlias: (*settingsAlias)(&s)}
	stored.JWT.Issuers = make([]issuerView, len(s.JWT.Issuers))
	for n, issuer := range s.JWT.Issuers {
		view := issuer.view()
		if view.SecretSet {
			var err error
			if view.SealedSecret, err = sealer.Seal(issuer.Secret.Reveal(), jwtSecretPlace(app, n)); err != nil {
				return nil, fmt.Errorf("seal a secret of the settings: %w", err)
			}
		}
		stored.JWT.Issuers[n] = view
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return raw, nil
}

// UnmarshalSealed reads stored settings over the defaults. It is lenient: during
// a rolling upgrade a newer process may have stored names this one does not
// know. It fails when a secret does not open.
func UnmarshalSealed(raw []byte, sealer *Sealer, app AppID) (Settings, error) {
	s := DefaultSettings()
	stored := storedSettings{settingsAlias: (*settingsAlias)(&s)}
	if err := json.Unmarshal(raw, &stored); err != nil {
		return Settings{}, fmt.Errorf("decode settings: %w", err)
	}
	s.JWT.Issuers = make([]JWTIssuer, len(stored.JWT.Issuers))
	for n, view := range stored.JWT.Issuers {
		issuer := JWTIssuer{
			Issuer: view.Issuer, Audience: view.Audience, Algorithms: view.Algorithms,
			JWKSURL: view.JWKSURL, PublicKey: view.PublicKey,
		}
		if view.SealedSecret != "" {
			secret, err := sealer.Open(view.SealedSecret, jwtSecretPlace(app, n))
			if err != nil {
				return Settings{}, fmt.Errorf("open the secret of settings.jwt.issuers[%d]: %w", n, err)
			}
			issuer.Secret = NewSecret(secret)
		}
		s.JWT.Issuers[n] = issuer
	}
	return s, nil
}

func jwtSecretPlace(app AppID, n int) string {
	return SealedPlace("apps", string(app), "settings.jwt.issuers."+strconv.Itoa(n)+".secret")
}

// PatchSettings lays a JSON object over the current settings: names that are
// not given stay as they are. It is as strict as [ParseSettings]. An issuer
// given with secret_set and without a secret keeps the one it has.
func PatchSettings(current Settings, raw []byte) (Settings, error) {
	s := current
	if err := readObject("settings", raw, s.readers()); err != nil {
		return Settings{}, err
	}
	if err := s.JWT.keepSecrets(current.JWT); err != nil {
		return Settings{}, err
	}
	if err := s.Validate(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// keepSecrets fills in the secrets that were meant by secret_set. Where an
// issuer has several, all must be kept or none: which one was left out cannot
// be told, and a secret somebody wanted gone must not stay.
func (s *JWTSettings) keepSecrets(current JWTSettings) error {
	for n := range s.Issuers {
		issuer := &s.Issuers[n]
		if !issuer.keepSecret {
			continue
		}
		kept := s.like(issuer, func(i *JWTIssuer) bool { return i.keepSecret })
		had := current.like(issuer, func(i *JWTIssuer) bool { return !i.Secret.IsZero() })
		if len(kept) == 0 || len(kept) != len(had) {
			return &InvalidError{
				fmt.Sprintf("settings.jwt.issuers[%d].secret", n),
				"cannot be told from secret_set: the issuer, audience and algorithms must be those of a secret that is stored; give the secret again",
			}
		}
		for k := range kept {
			kept[k].Secret, kept[k].keepSecret = had[k].Secret, false
		}
	}
	return nil
}

// like lists the entries that differ from issuer in their secret at most.
func (s *JWTSettings) like(issuer *JWTIssuer, matches func(*JWTIssuer) bool) []*JWTIssuer {
	var found []*JWTIssuer
	for n := range s.Issuers {
		i := &s.Issuers[n]
		if matches(i) && i.Issuer == issuer.Issuer && i.Audience == issuer.Audience && slices.Equal(i.Algorithms, issuer.Algorithms) {
			found = append(found, i)
		}
	}
	return found
}

package tenants

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// manifestJSON is the settings that are not the defaults, secrets included.
func (s Settings) manifestJSON() (json.RawMessage, error) {
	fields := jsonFields(s)
	if len(s.JWT.Issuers) > 0 {
		issuers := make([]map[string]any, len(s.JWT.Issuers))
		for i, issuer := range s.JWT.Issuers {
			raw, err := json.Marshal(issuer.view())
			if err == nil {
				err = json.Unmarshal(raw, &issuers[i])
			}
			if err != nil {
				return nil, fmt.Errorf("encode settings: %w", err)
			}
			if !issuer.Secret.IsZero() {
				delete(issuers[i], "secret_set")
				issuers[i]["secret"] = issuer.Secret.Reveal()
			}
		}
		raw, err := json.Marshal(map[string]any{"issuers": issuers})
		if err != nil {
			return nil, fmt.Errorf("encode settings: %w", err)
		}
		fields["jwt"] = raw
	}
	return leaveDefaults(fields, jsonFields(DefaultSettings()))
}

// differences is v as JSON without what is as in def; nil if nothing is left.
func differences(v, def any) (json.RawMessage, error) {
	return leaveDefaults(jsonFields(v), jsonFields(def))
}

func leaveDefaults(fields, defaults map[string]json.RawMessage) (json.RawMessage, error) {
	for name, value := range fields {
		if bytes.Equal(value, defaults[name]) {
			delete(fields, name)
		}
	}
	if len(fields) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode the differences: %w", err)
	}
	return raw, nil
}

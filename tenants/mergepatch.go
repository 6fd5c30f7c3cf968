package tenants

import (
	"bytes"
	"encoding/json"
)

// PatchLimits lays a JSON object over the current limits, as [PatchSettings]
// does for settings.
func PatchLimits(current Limits, raw []byte) (Limits, error) {
	l := current
	fields := make(map[string]reader)
	for _, f := range l.fields() {
		fields[f.name] = intInto(f.value)
	}
	if err := readObject("limits", raw, fields); err != nil {
		return Limits{}, err
	}
	return l, l.Validate()
}

// withDefaults gives a merge patch (RFC 7396) the meaning it has here: a null
// takes a value away, and what then counts is the default. Everything that is
// not in order is left as it is, for the strict reader to refuse.
func withDefaults(patch []byte, defaults any) []byte {
	var values map[string]json.RawMessage
	raw, err := json.Marshal(defaults)
	if err != nil || json.Unmarshal(raw, &values) != nil || len(patch) > maxConfigBytes {
		return patch
	}
	decoder := json.NewDecoder(bytes.NewReader(patch))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return patch
	}
	out := []byte{'{'}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || decoder.Decode(&value) != nil {
			return patch
		}
		if def, known := values[name]; known && string(value) == "null" {
			value = def
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return patch
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted...), ':'), value...)
	}
	if _, err := decoder.Token(); err != nil {
		return patch
	}
	// What follows the object stays there, so that it is refused.
	return append(append(out, '}'), patch[decoder.InputOffset():]...)
}

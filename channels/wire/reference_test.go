package wire_test

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"tidewire/channels/wire"
)

// The slow reference: what the reader accepts, said again through encoding/json.

var (
	surrogatePair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
)

// acceptable reports whether the reader must accept b. The keys of the outermost
// object, if foldTop, must also differ when their case is ignored.
func acceptable(b []byte, foldTop bool) bool {
	if !utf8.Valid(b) || !json.Valid(b) {
		return false
	}
	plain := strings.ReplaceAll(string(b), `\\`, "x") // an escaped backslash begins no escape
	if loneSurrogate.MatchString(surrogatePair.ReplaceAllString(plain, "x")) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return boundedValue(d, 0, foldTop)
}

func boundedValue(d *json.Decoder, depth int, fold bool) bool {
	t, err := d.Token()
	if err != nil {
		return false
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return true
	}
	if depth++; depth > wire.MaxDepth {
		return false
	}
	most := wire.MaxNestedKeys
	if fold { // only the outermost object's keys are compared so
		most = wire.MaxKeys
	}
	var seen []string
	for d.More() {
		if delim == '{' {
			t, err := d.Token()
			if err != nil {
				return false
			}
			key := t.(string)
			for _, k := range seen {
				if k == key || fold && strings.EqualFold(k, key) {
					return false
				}
			}
			if seen = append(seen, key); len(seen) > most {
				return false
			}
		}
		if !boundedValue(d, depth, false) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil || err == io.EOF
}

// meaning decodes one JSON text, numbers kept as text.
func meaning(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

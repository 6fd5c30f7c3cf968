package tenants

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxConfigBytes bounds one settings or limits document.
const maxConfigBytes = 64 << 10

// reader takes the JSON value of one field and puts it where it belongs.
// path names the field for error messages.
type reader func(path string, raw json.RawMessage) error

// readObject reads a JSON object by the rules every configuration document
// follows: each name is one of fields, written exactly so, and given once. The
// standard decoder would let the last of two spellings win in silence.
func readObject(path string, raw []byte, fields map[string]reader) error {
	return readBounded(path, raw, maxConfigBytes, fields)
}

func readBounded(path string, raw []byte, most int, fields map[string]reader) error {
	if len(raw) > most {
		return &InvalidError{path, fmt.Sprintf("must be at most %d bytes", most)}
	}
	if !utf8.Valid(raw) {
		return &InvalidError{path, "must be valid UTF-8"}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return notAnObject(path)
	}
	seen := make(map[string]bool, len(fields))
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return notAnObject(path)
		}
		read, known := fields[name]
		if !known {
			return unknownName(path, name, fields)
		}
		if seen[name] {
			return &InvalidError{path + "." + name, "is given twice; keep one"}
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return notAnObject(path)
		}
		if err := read(path+"."+name, value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return notAnObject(path)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &InvalidError{path, "has something after the closing brace; remove it"}
	}
	return nil
}

func notAnObject(path string) error {
	return &InvalidError{path, `must be a JSON object such as {"name": value}`}
}

func unknownName(path, name string, fields map[string]reader) error {
	names := make([]string, 0, len(fields))
	for known := range fields {
		if strings.EqualFold(known, name) {
			return &InvalidError{path, fmt.Sprintf("%s must be written %s", quote(name), known)}
		}
		names = append(names, known)
	}
	slices.Sort(names)
	if nearest := nearestName(name, names); nearest != "" {
		return &InvalidError{path, fmt.Sprintf("unknown name %s, did you mean %s?", quote(name), nearest)}
	}
	return &InvalidError{path, fmt.Sprintf("unknown name %s; known are %s", quote(name), strings.Join(names, ", "))}
}

// quote shows hostile text on one line and in bounded space.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// nearestName returns the name that is a typing slip away from name, or "".
func nearestName(name string, names []string) string {
	best, nearest := 1+max(2, len(name)/4), ""
	if len(name) > maxNameBytes {
		return ""
	}
	for _, candidate := range names {
		// More than half of a short name must be right: jwt is not what wat was meant to be.
		if d := editDistance(strings.ToLower(name), candidate); d < best && 2*d < len(candidate) {
			best, nearest = d, candidate
		}
	}
	return nearest
}

// editDistance counts the single-byte insertions, deletions and replacements
// that lead from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func boolInto(target *bool) reader {
	return func(path string, raw json.RawMessage) error {
		switch string(raw) {
		case "true":
			*target = true
		case "false":
			*target = false
		default:
			return &InvalidError{path, "must be true or false"}
		}
		return nil
	}
}

func intInto(target *int) reader {
	return func(path string, raw json.RawMessage) error {
		if string(raw) == "null" || json.Unmarshal(raw, target) != nil {
			return &InvalidError{path, "must be a whole number"}
		}
		return nil
	}
}

func stringInto(target *string) reader {
	return func(path string, raw json.RawMessage) error {
		if string(raw) == "null" || json.Unmarshal(raw, target) != nil {
			return &InvalidError{path, "must be a string"}
		}
		return nil
	}
}

// listInto reads a JSON array, each element with read.
func listInto[T any](target *[]T, read func(element *T) reader) reader {
	return func(path string, raw json.RawMessage) error {
		var elements []json.RawMessage
		if string(raw) == "null" || json.Unmarshal(raw, &elements) != nil {
			return &InvalidError{path, "must be a list: [...]"}
		}
		list := make([]T, len(elements))
		for i, element := range elements {
			if err := read(&list[i])(fmt.Sprintf("%s[%d]", path, i), element); err != nil {
				return err
			}
		}
		*target = list
		return nil
	}
}

// inRange checks low ≤ value ≤ high.
func inRange(path string, value, low, high int) error {
	if value < low || value > high {
		return &InvalidError{path, fmt.Sprintf("must be from %d to %d, not %d", low, high, value)}
	}
	return nil
}

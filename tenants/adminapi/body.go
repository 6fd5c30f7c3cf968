package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tidewire/tenants"
)

// maxBody bounds the body of a request.
const maxBody = 256 << 10

// readBody reads what a route takes. The body is not interpreted yet.
func readBody(w http.ResponseWriter, r *http.Request, route *Route) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, errTooLarge
	case err != nil:
		return nil, errBodyUnread
	case len(raw) == 0: // Decode says what is missing
		return nil, nil
	case route.Body == nil:
		return nil, errNoBodyTaken
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	patch := kind == "application/merge-patch+json" && route.Method == http.MethodPatch
	if err != nil || kind != "application/json" && !patch {
		return nil, errMediaType
	}
	return raw, nil
}

// Decode reads the body into a pointer to a struct. It is strict: a name that is
// unknown, doubled or in another case, a null, or a value of another kind gives
// a [*tenants.InvalidError]. Members of type [json.RawMessage] are handed on as
// they are, for stricter readers.
func (r *Request) Decode(into any) error {
	target := reflect.ValueOf(into).Elem()
	fields := make(map[string]reflect.Value)
	for i := range target.NumField() {
		fields[jsonName(target.Type().Field(i))] = target.Field(i)
	}
	if len(r.body) == 0 { // as good as an object with nothing in it
		return requireFields(target.Type(), nil)
	}
	if !utf8.Valid(r.body) {
		return malformed("it is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return malformed("")
	}
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return malformed("")
		}
		field, known := fields[name]
		switch {
		case !known:
			return unknownField(name, fields)
		case seen[name]:
			return &tenants.InvalidError{Field: name, Reason: "is given twice; keep one"}
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return malformed("")
		}
		if err := setField(name, field, value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return malformed("")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return malformed("there is something after the closing brace")
	}
	return requireFields(target.Type(), seen)
}

// requireFields refuses a body without a field that is marked as needed.
func requireFields(t reflect.Type, seen map[string]bool) error {
	for i := range t.NumField() {
		if name := jsonName(t.Field(i)); isRequired(t.Field(i)) && !seen[name] {
			return &tenants.InvalidError{Field: name, Reason: "is missing; it must be " + kindName(t.Field(i).Type)}
		}
	}
	return nil
}

// isRequired reports whether a field of a body is marked `api:"required"`.
func isRequired(f reflect.StructField) bool { return f.Tag.Get("api") == "required" }

func malformed(why string) error {
	detail := `the body must be one JSON object such as {"name": "value"}`
	if why != "" {
		detail += "; " + why
	}
	return &httpError{http.StatusBadRequest, "malformed_json", detail}
}

func unknownField(name string, fields map[string]reflect.Value) error {
	known := make([]string, 0, len(fields))
	for k := range fields {
		if strings.EqualFold(k, name) {
			return &tenants.InvalidError{Field: k, Reason: "must be written just so, in lower case"}
		}
		known = append(known, k)
	}
	slices.Sort(known)
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	return &httpError{
		http.StatusUnprocessableEntity, "unknown_field",
		fmt.Sprintf("unknown name %q; known here are %s", name, strings.Join(known, ", ")),
	}
}

func setField(name string, field reflect.Value, value json.RawMessage) error {
	if _, raw := field.Interface().(json.RawMessage); raw {
		field.Set(reflect.ValueOf(value))
		return nil
	}
	wrong := &tenants.InvalidError{Field: name, Reason: "must be " + kindName(field.Type()) + "; leave it out if you do not need it"}
	if string(value) == "null" || json.Unmarshal(value, field.Addr().Interface()) != nil {
		return wrong
	}
	// encoding/json reads a null in a list as an empty value.
	if field.Kind() == reflect.Slice && bytes.Contains(value, []byte("null")) {
		var list []any
		if json.Unmarshal(value, &list) != nil || slices.Contains(list, nil) {
			return wrong
		}
	}
	return nil
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == timeType {
		return `a time such as "2030-01-31T12:00:00Z"`
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t == rawType {
			return "given"
		}
		return "a list of strings"
	}
	return "a whole number"
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// jsonName is the name of a field in JSON.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

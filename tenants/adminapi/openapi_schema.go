package adminapi

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"tidewire/tenants"
)

func typeOf(v any) reflect.Type {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// schemas are the types met so far, by name.
type schemas struct {
	known object
	types map[string]reflect.Type
}

func newSchemas() *schemas {
	return &schemas{known: object{}, types: make(map[string]reflect.Type)}
}

// enums are the named texts that have a closed set of values.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[tenants.Role]():           texts(tenants.Roles()),
	reflect.TypeFor[tenants.Scope]():          texts(tenants.Scopes()),
	reflect.TypeFor[tenants.TenantStatus]():   {"unverified", "active", "suspended", "closing"},
	reflect.TypeFor[tenants.KeyStatus]():      {"active", "retiring", "revoked"},
	reflect.TypeFor[tenants.UsageSpan]():      {"hour", "day"},
	reflect.TypeFor[tenants.RevocationKind](): {"jti", "sub"},
	reflect.TypeFor[tenants.SignUpMode]():     {"closed", "invite", "open"},
	reflect.TypeFor[tenants.ActorKind]():      {"user", "token", "operator", "cli", "system"},
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// patched are the bodies that are read by stricter readers than [Request.Decode].
var patched = map[string]reflect.Type{
	"settings": reflect.TypeFor[tenants.Settings](),
	"limits":   reflect.TypeFor[tenants.Limits](),
	"plans":    reflect.TypeFor[[]tenants.Plan](),
}

// issuerView is an issuer as it is shown: its secret is never sent back.
type issuerView struct {
	Issuer     string   `json:"issuer"`
	Audience   string   `json:"audience"`
	Algorithms []string `json:"algorithms"`
	JWKSURL    string   `json:"jwks_url,omitempty"`
	PublicKey  string   `json:"public_key,omitempty"`
	Secret     string   `json:"secret,omitempty"` // to set one; never sent back
	SecretSet  bool     `json:"secret_set,omitempty"`
}

// of is the schema of a type; structs are defined once and referred to.
func (s *schemas) of(t reflect.Type) object {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	if t == reflect.TypeFor[tenants.JWTIssuer]() {
		t = reflect.TypeFor[issuerView]()
	}
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType:
		return object{}
	case enums[t] != nil:
		return object{"type": "string", "enum": enums[t]}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return s.define(t)
	}
	panic("admin api: no schema for " + t.String())
}

func (s *schemas) define(t reflect.Type) object {
	name := schemaName(t)
	ref := object{"$ref": "#/components/schemas/" + name}
	if known := s.types[name]; known == t {
		return ref
	} else if known != nil {
		panic("admin api: two types are called " + name + ": " + t.String() + " and " + known.String())
	}
	s.types[name] = t
	properties, required := object{}, []string{}
	s.fields(t, properties, &required, strings.HasSuffix(t.Name(), "Body"))
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		schema["required"] = required
	}
	s.known[name] = schema
	return ref
}

// schemaName makes "App" of appView and "SignUpBody" of signUpBody.
func schemaName(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "View")
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

func (s *schemas) fields(t reflect.Type, properties object, required *[]string, isBody bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			s.fields(embedded, properties, required, isBody)
			continue
		}
		name := jsonName(f)
		if name == "" || name == "-" {
			continue
		}
		schema := s.of(f.Type)
		if as := f.Tag.Get("as"); as != "" {
			schema = s.partial(patched[as])
		}
		properties[name] = schema
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if isBody && isRequired(f) || !isBody && !optional {
			if !slices.Contains(*required, name) {
				*required = append(*required, name)
			}
		}
	}
}

// partial is a type of which anything may be left out, or null to have the
// default back.
func (s *schemas) partial(t reflect.Type) object {
	if t.Kind() == reflect.Slice {
		return object{"type": "array", "items": s.partial(t.Elem())}
	}
	properties := object{}
	var required []string
	s.fields(t, properties, &required, false)
	for name, schema := range properties {
		properties[name] = object{"anyOf": []any{schema, object{"type": "null"}}}
	}
	return object{"type": "object", "properties": properties}
}

func hasRequired(t reflect.Type) bool {
	for i := range t.NumField() {
		if isRequired(t.Field(i)) {
			return true
		}
	}
	return false
}

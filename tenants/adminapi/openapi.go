package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The documents of this door.
const (
	openAPIPath = Prefix + "openapi.json"
	docsPath    = Prefix + "docs"
)

// object keeps JSON objects that are put together here readable.
type object = map[string]any

// addDocuments makes the OpenAPI document from the table, and serves it and a
// page made from it. They are in the table like everything else.
func (a *API) addDocuments() error {
	documents := []Route{
		{Name: "docs.openapi", Method: get, Path: openAPIPath, Access: Public, Status: 200, Summary: "This API as an OpenAPI document", Answer: json.RawMessage{}, Serve: a.serveOpenAPI},
		{Name: "docs.page", Method: get, Path: docsPath, Access: Public, Status: 200, Summary: "This API as a page to read", Serve: a.serveDocs},
	}
	a.routes = append(a.routes, documents...)
	doc, err := OpenAPI(a.routes)
	if err != nil {
		return err
	}
	a.openAPI = doc
	a.docs, err = docsPage(a.routes, a.cfg.Installation.Brand)
	return err
}

func (a *API) serveOpenAPI(*Request) (*Reply, error) {
	return &Reply{Body: json.RawMessage(a.openAPI)}, nil
}

// OpenAPI describes routes as an OpenAPI 3.1 document.
func OpenAPI(routes []Route) ([]byte, error) {
	s := newSchemas()
	paths := object{}
	for i := range routes {
		r := &routes[i]
		at, ok := paths[r.Path].(object)
		if !ok {
			at = object{}
			paths[r.Path] = at
		}
		at[strings.ToLower(r.Method)] = s.operation(r)
	}
	s.of(typeOf(Problem{}))
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Tidewire admin API", "version": "1",
			"description": "For people and programs that look after tenants, apps and keys. Refusals are application/problem+json (RFC 9457) with a stable code and a remedy.",
		},
		"servers": []any{object{"url": "/"}},
		"paths":   paths,
		"components": object{
			"schemas": s.known,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "an API token, twk_…"},
				"session": object{"type": "apiKey", "in": "cookie", "name": cookieName(true), "description": "set by POST /api/v1/sessions; named tidewire without TLS"},
			},
		},
	}
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return append(raw, '\n'), nil
}

// operation describes one row.
func (s *schemas) operation(r *Route) object {
	op := object{
		"operationId": r.Name, "summary": r.Summary, "tags": []string{r.tag()},
		"responses": s.responses(r), "security": security(r.Access), "x-access": r.Access,
	}
	if r.Action != "" {
		op["x-action"] = r.Action
	}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	if r.Body != nil {
		op["requestBody"] = object{
			"required": hasRequired(typeOf(r.Body)),
			"content":  object{"application/json": object{"schema": s.of(typeOf(r.Body))}},
		}
	}
	return op
}

func security(a Access) []any {
	switch a {
	case Public:
		return []any{}
	case Person, ByOperator:
		return []any{object{"session": []string{}}}
	}
	return []any{object{"token": []string{}}, object{"session": []string{}}}
}

func parameters(r *Route) []any {
	var list []any
	add := func(in, name, doc string, required bool, schema object) {
		list = append(list, object{"in": in, "name": name, "description": doc, "required": required, "schema": schema})
	}
	for _, name := range r.pathParams() {
		add("path", name, pathDocs[name], true, object{"type": "string"})
	}
	for _, p := range r.params() {
		schema := object{"type": "string"}
		if p.Name == "limit" {
			schema = object{"type": "integer", "minimum": 1}
		}
		add("query", p.Name, p.Doc, false, schema)
	}
	if r.Method == http.MethodPost && r.Access != Public {
		add("header", "Idempotency-Key", "a random text; a repetition under the same key within a day gets the first answer", false, object{"type": "string", "maxLength": 255})
	}
	if r.ETag && r.Method != http.MethodGet && r.Name != "apps.create" {
		add("header", "If-Match", "the ETag of the state the change is meant for", false, object{"type": "string"})
	}
	return list
}

// pathDocs says what the parameters of paths are.
var pathDocs = map[string]string{
	"tenant": "a tenant's id or slug", "app": "an app's id", "key": "a key, or its id", "user": "a user's id",
	"session": "a session's id", "invitation": "an invitation's id", "token": "a token's id", "channel": "a channel's name, percent-encoded",
}

func (s *schemas) responses(r *Route) object {
	success := object{"description": http.StatusText(r.Status)}
	switch {
	case r.List:
		success["content"] = object{"application/json": object{"schema": object{
			"type": "object", "required": []string{"data", "has_more"},
			"properties": object{
				"data":        object{"type": "array", "items": s.of(typeOf(r.Answer))},
				"has_more":    object{"type": "boolean"},
				"next_cursor": object{"type": "string"},
			},
		}}}
	case r.Answer != nil:
		success["content"] = object{"application/json": object{"schema": s.of(typeOf(r.Answer))}}
	}
	if r.ETag {
		success["headers"] = object{"ETag": object{"schema": object{"type": "string"}}}
	}
	problem := object{
		"description": "Refused: see code and detail",
		"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
	}
	return object{strconv.Itoa(r.Status): success, "default": problem}
}

package adminapi

import (
	"context"
	"io"
	"net/http"

	"tidewire/tenants"
)

// Request is what a handler gets: a request that passed every check of its route.
type Request struct {
	Caller     tenants.Caller
	Meta       tenants.Meta
	Tenant     *tenants.Tenant // for OfTenant and OfApp: whose thing it is
	IfRevision int64           // of If-Match; 0 = any
	Limit      int             // of a list
	After      string          // of a list: the key of the last item already seen; empty = from the start

	route  *Route
	app    tenants.AppID // of an OfApp route
	http   *http.Request
	param  func(string) string
	query  map[string]string
	body   []byte
	secure bool // the client speaks TLS

	accounts *tenants.Accounts
}

// Record notes a change in the audit log of the tenant, in the caller's name. Of
// before and after, which may be nil, what differs is kept.
func (r *Request) Record(action, targetKind, targetID string, before, after any) error {
	return r.accounts.Record(r.Context(), r.Caller, r.Tenant.ID, action, targetKind, targetID, before, after)
}

// Secure reports whether the client speaks TLS.
func (r *Request) Secure() bool { return r.secure }

// Context ends with the request.
func (r *Request) Context() context.Context { return r.http.Context() }

// Param is a parameter of the path.
func (r *Request) Param(name string) string { return r.param(name) }

// App is the app that the request is about.
func (r *Request) App() tenants.AppID { return r.app }

// Query is a query parameter; empty = not given.
func (r *Request) Query(name string) string { return r.query[name] }

// Reply is what a handler answers. The zero value is the route's status without
// a body.
type Reply struct {
	Body     any          // encoded as JSON; nil = none
	Stream   *Stream      // in place of Body: written piece by piece
	Revision int64        // for the ETag of routes that have one
	Cookie   *http.Cookie // to set
	Location string       // of what was made

	policy string // content security policy of a page; empty = nothing may run
}

// Stream is an answer that is not held in memory.
type Stream struct {
	Type string // media type
	File string // name to save it under; empty = it is shown
	// Write writes it. An error before the first byte is answered as a problem;
	// one after it cuts the connection, so that nobody takes a part for the whole.
	Write func(io.Writer) error
}

// Page is a part of a list.
type Page[T any] struct {
	Data       []T    `json:"data"`
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor,omitempty"`
}

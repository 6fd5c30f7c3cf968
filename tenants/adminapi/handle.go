package adminapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/tenants"
)

// noScripts is the content security policy of everything but the docs page.
const noScripts = "default-src 'none'; frame-ancestors 'none'"

// handle is the one road of every request.
func (a *API) handle(c *gin.Context, route *Route) {
	a.prepare(c)
	defer a.recover(c)
	r, err := a.admit(c, route)
	var reply *Reply
	if err == nil {
		reply, err = a.answer(c.Writer, r)
	}
	if err == nil {
		err = a.write(c.Writer, route, reply)
	}
	if err != nil {
		a.refuse(c, err)
	}
}

const requestIDKey = "request_id"

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,128}$`)

// prepare sets what every answer has. An id the caller made is kept, so that
// their log and ours can be read together.
func (a *API) prepare(c *gin.Context) {
	id := c.GetHeader("X-Request-Id")
	if !requestID.MatchString(id) {
		id = "req_" + strings.ToLower(rand.Text())
	}
	c.Set(requestIDKey, id)
	h := c.Writer.Header()
	h.Set("X-Request-Id", id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", noScripts)
}

// recover answers a panic of ours like any other fault.
func (a *API) recover(c *gin.Context) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // net/http's own way to cut a connection
	}
	a.log.Error("panic while answering", "route", c.FullPath(), "panic", v, "stack", string(debug.Stack()))
	if !c.Writer.Written() {
		a.refuse(c, fmt.Errorf("panic: %v", v))
	}
}

// admit checks everything about a request but its body: who it is, whether they
// are in time, whether they may.
func (a *API) admit(c *gin.Context, route *Route) (*Request, error) {
	r := &Request{
		accounts: a.cfg.Accounts, route: route, http: c.Request, param: c.Param, secure: a.cfg.IsTLS(c.Request),
		Meta: tenants.Meta{IP: c.ClientIP(), UserAgent: c.Request.UserAgent(), RequestID: c.GetString(requestIDKey)},
	}
	if err := a.rate(c, "address:"+r.Meta.IP, addressRate); err != nil {
		return nil, err
	}
	if err := a.identify(r); err != nil {
		return nil, err
	}
	if r.Caller.Kind() != "" {
		if err := a.rate(c, "caller:"+r.Caller.ID(), callerRate); err != nil {
			return nil, err
		}
	}
	if err := a.authorize(r); err != nil {
		return nil, err
	}
	var err error
	if r.query, err = readQuery(c.Request, route); err != nil {
		return nil, err
	}
	if route.List {
		if err := r.readPage(); err != nil {
			return nil, err
		}
	}
	r.IfRevision, err = readIfMatch(c.Request, route)
	return r, err
}

// identify finds out who asks. A page of another site could send the cookie of
// a person along, so it is turned away before anybody looks at that.
func (a *API) identify(r *Request) (err error) {
	bearer, isBearer := bearerToken(r.http)
	if !isBearer {
		if err := a.cross.Check(r.http); err != nil {
			return errCrossOrigin
		}
	}
	if r.route.Access == Public {
		return nil
	}
	if isBearer {
		r.Caller, err = a.cfg.Accounts.TokenCaller(r.Context(), bearer, r.Meta)
		return err
	}
	cookie, err := r.http.Cookie(cookieName(r.secure))
	if err != nil {
		return tenants.ErrUnauthenticated
	}
	r.Caller, err = a.cfg.Accounts.SessionCaller(r.Context(), cookie.Value, r.Meta)
	return err
}

func bearerToken(r *http.Request) (string, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", false
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true // known to nobody: it must not fall back to a cookie
	}
	return strings.TrimSpace(token), true
}

// authorize asks the rules whether the caller may do here what the route does.
func (a *API) authorize(r *Request) (err error) {
	switch r.route.Access {
	case Public, SignedIn:
		return nil
	case Person:
		if r.Caller.User() == nil {
			return errPersonOnly
		}
	case ByOperator:
		if !r.Caller.Operator() {
			return errOperator
		}
	case OfTenant:
		r.Tenant, err = a.cfg.Accounts.Authorize(r.Context(), r.Caller, r.Param("tenant"), r.route.Action)
	case OfApp:
		r.app = tenants.AppID(r.Param("app"))
		if r.route.FindApp != nil {
			if r.app, err = r.route.FindApp(r); err != nil {
				return err
			}
		}
		r.Tenant, err = a.cfg.Accounts.AuthorizeApp(r.Context(), r.Caller, r.App(), r.route.Action)
	default:
		err = fmt.Errorf("access %q is none", r.route.Access)
	}
	return err
}

// readIfMatch reads the revision a change is meant for.
func readIfMatch(r *http.Request, route *Route) (int64, error) {
	header := r.Header.Get("If-Match")
	if header == "" || header == "*" {
		return 0, nil
	}
	if !route.ETag {
		return 0, errIfMatch
	}
	text, quoted := strings.CutPrefix(header, `"`)
	text, closed := strings.CutSuffix(text, `"`)
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !quoted || !closed || revision < 1 {
		return 0, errIfMatch
	}
	return revision, nil
}

// answer reads the body and lets the handler do its work, at most once for each
// idempotency key.
func (a *API) answer(w http.ResponseWriter, r *Request) (reply *Reply, err error) {
	if r.body, err = readBody(w, r.http, r.route); err != nil {
		return nil, err
	}
	key := r.http.Header.Get("Idempotency-Key")
	if key == "" || r.http.Method != http.MethodPost || r.Caller.Kind() == "" {
		return r.route.Serve(r)
	}
	return a.answerOnce(w, r, key)
}

// write sends the answer. It returns an error only while nothing was sent.
func (a *API) write(w http.ResponseWriter, route *Route, reply *Reply) error {
	if reply == nil {
		reply = &Reply{}
	}
	h := w.Header()
	if reply.Cookie != nil {
		http.SetCookie(w, reply.Cookie)
	}
	if reply.Location != "" {
		h.Set("Location", reply.Location)
	}
	if reply.Revision > 0 {
		h.Set("ETag", etag(reply.Revision))
	}
	if reply.policy != "" {
		h.Set("Content-Security-Policy", reply.policy)
	}
	if reply.Stream != nil {
		return stream(w, reply.Stream)
	}
	if reply.Body == nil {
		w.WriteHeader(route.Status)
		return nil
	}
	body, err := json.Marshal(reply.Body)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(route.Status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// streamChunkTimeout is how long a reader may take for one piece of a stream.
const streamChunkTimeout = 30 * time.Second

// lateWriter sends the headers with the first byte.
type lateWriter struct {
	w    http.ResponseWriter
	s    *Stream
	sent bool
}

// Write implements [io.Writer].
func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.sent {
		l.sent = true
		h := l.w.Header()
		h.Set("Content-Type", l.s.Type)
		if l.s.File != "" {
			h.Set("Content-Disposition", `attachment; filename="`+l.s.File+`"`)
		}
		l.w.WriteHeader(http.StatusOK)
	}
	// A long export outlives the server's own limit; a reader that stops does not.
	_ = http.NewResponseController(l.w).SetWriteDeadline(time.Now().Add(streamChunkTimeout))
	return l.w.Write(p)
}

func stream(w http.ResponseWriter, s *Stream) error {
	late := &lateWriter{w: w, s: s}
	err := s.Write(late)
	switch {
	case err == nil && !late.sent:
		_, err = late.Write(nil)
		return err
	case err != nil && late.sent:
		panic(http.ErrAbortHandler)
	}
	return err
}

// refuse answers with a problem.
func (a *API) refuse(c *gin.Context, err error) {
	if c.GetString(requestIDKey) == "" {
		a.prepare(c)
	}
	p, retryAfter, fault := problemOf(err)
	p.RequestID = c.GetString(requestIDKey)
	if fault && !(errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil) {
		a.log.LogAttrs(c.Request.Context(), slog.LevelWarn, "admin api request failed", slog.String("route", c.Request.Method+" "+c.FullPath()),
			slog.String("request_id", p.RequestID), slog.Any("error", err))
	}
	h := c.Writer.Header()
	if retryAfter > 0 {
		h.Set("Retry-After", seconds(retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tidewire"`)
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`) // a problem is plain text in plain fields
	}
	h.Set("Content-Type", "application/problem+json")
	c.Writer.WriteHeader(p.Status)
	_, _ = io.WriteString(c.Writer, string(body)+"\n")
}

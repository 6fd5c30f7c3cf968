package adminapi

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"tidewire/tenants"
)

// Problem is the body of every refusal (RFC 9457, application/problem+json).
type Problem struct {
	Type      string       `json:"type"`  // about:blank: the code says what kind it is
	Title     string       `json:"title"` // of the status
	Status    int          `json:"status"`
	Detail    string       `json:"detail"` // what is wrong and how to fix it
	Code      string       `json:"code"`   // stable, for programs
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors,omitempty"` // the values that were refused
}

// FieldError is one value that was refused.
type FieldError struct {
	Pointer   string `json:"pointer,omitempty"`   // into the body (RFC 6901)
	Parameter string `json:"parameter,omitempty"` // or the name of a query parameter or header
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

// httpError is a refusal of this door itself.
type httpError struct {
	status int
	code   string
	detail string
}

// Error implements error.
func (e *httpError) Error() string { return e.detail }

// Refuse makes an error that is answered with this status, stable code and
// sentence, which must say what to do. It is for the doors of higher floors.
func Refuse(status int, code, detail string) error { return &httpError{status, code, detail} }

// NotFoundAs gives a "not found" the words that every look-up of that kind of
// thing has, so that none tells whether a stranger's exists. Other errors, and
// nil, stay as they are.
func NotFoundAs(err error, what string) error {
	if !errors.Is(err, tenants.ErrNotFound) {
		return err
	}
	return Refuse(http.StatusNotFound, what+"_not_found", "there is no such "+what+" here; check the id, and that you are signed in where it belongs")
}

// paramError is an invalid query parameter or header.
type paramError struct{ tenants.InvalidError }

// Error implements error.
func (e *paramError) Error() string { return e.InvalidError.Error() }

func badParam(name, reason string) error {
	return &paramError{tenants.InvalidError{Field: name, Reason: reason}}
}

var (
	errNoRoute     = &httpError{http.StatusNotFound, "no_such_route", "there is nothing at this address; all that is served is listed at /api/docs"}
	errNoMethod    = &httpError{http.StatusMethodNotAllowed, "method_not_allowed", "this address does not take this method; see the Allow header, and /api/docs"}
	errCrossOrigin = &httpError{http.StatusForbidden, "cross_origin", "this request comes from a page of another site; use an API token (Authorization: Bearer twk_…) from programs, or set public_url to the address the dashboard is opened at"}
	errPersonOnly  = &httpError{http.StatusForbidden, "person_only", "this is about a person's account, which an API token has not; sign in instead"}
	errOperator    = &httpError{http.StatusForbidden, "operator_only", "only an operator of this installation may do this"}
	errMediaType   = &httpError{http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be JSON: set Content-Type to application/json"}
	errTooLarge    = &httpError{http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than 256 KiB; send less"}
	errBodyUnread  = &httpError{http.StatusBadRequest, "body_unreadable", "the body ended early; send it whole, with the right Content-Length"}
	errNoBodyTaken = &httpError{http.StatusBadRequest, "body_not_taken", "this takes no body; leave it out"}
	errIfMatch     = &httpError{http.StatusBadRequest, "invalid_if_match", `If-Match must be one ETag as it was answered, such as "7", or be left out`}
)

// retryAfterFault is how soon a request may be tried again that a dependency
// failed.
const retryAfterFault = 5 * time.Second

// problemOf is the one place that turns errors into status codes. fault is true
// when it is ours: the caller then logs err, of which the client learns nothing.
func problemOf(err error) (p Problem, retryAfter time.Duration, fault bool) {
	var (
		own       *httpError
		param     *paramError
		invalid   *tenants.InvalidError
		throttled *tenants.ThrottledError
		refusal   *tenants.Refusal
		rate      *tenants.RateError
		quota     *tenants.QuotaError
	)
	switch {
	case errors.As(err, &own):
		p = Problem{Status: own.status, Code: own.code, Detail: own.detail}
	case errors.As(err, &param):
		p = Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: param.Error()}
		p.Errors = []FieldError{{Parameter: param.Field, Code: "invalid", Detail: param.Reason}}
	case errors.As(err, &invalid):
		p = Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_value", Detail: invalid.Error()}
		p.Errors = []FieldError{fieldError(invalid)}
	case errors.As(err, &throttled):
		p = Problem{Status: http.StatusTooManyRequests, Code: "throttled", Detail: throttled.Error()}
		retryAfter = throttled.RetryAfter
	case errors.As(err, &rate):
		p = Problem{Status: http.StatusTooManyRequests, Code: "rate_limited", Detail: rate.Error()}
		retryAfter = rate.RetryAfter
	case errors.As(err, &quota):
		p = Problem{Status: http.StatusForbidden, Code: "quota_exceeded", Detail: quota.Error()}
	case errors.As(err, &refusal):
		p = Problem{Status: statusOf(refusal.Kind), Code: refusal.Code, Detail: refusal.Detail}
		if refusal.Code == "idempotency_key_reused" {
			p.Status = http.StatusUnprocessableEntity
		}
	default:
		p = plainProblem(err)
	}
	if p.Status == http.StatusServiceUnavailable {
		retryAfter = retryAfterFault
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	return p, retryAfter, p.Status >= http.StatusInternalServerError
}

// plainProblem words an error that comes without words for people.
func plainProblem(err error) Problem {
	for _, known := range []struct {
		kind         error
		code, detail string
	}{
		{tenants.ErrUnauthenticated, "not_signed_in", "sign in, or send a valid API token: Authorization: Bearer twk_…"},
		{tenants.ErrNotFound, "not_found", "there is no such thing here; check the id, and that you are signed in where it belongs"},
		{tenants.ErrForbidden, "not_allowed", "you may not do this here; ask an owner of the tenant"},
		{tenants.ErrExists, "already_exists", "there is one already; choose another name"},
		{tenants.ErrConflict, "conflict", "the state of things does not permit it; read it again"},
		{tenants.ErrChanged, "changed_meanwhile", "it was changed since you read it; read it again and repeat your change"},
		{tenants.ErrPlanLimit, "plan_limit", "the plan allows no more; remove one, or ask for a larger plan"},
	} {
		if errors.Is(err, known.kind) {
			return Problem{Status: statusOf(known.kind), Code: known.code, Detail: known.detail}
		}
	}
	return Problem{
		Status: http.StatusServiceUnavailable, Code: "unavailable",
		Detail: "something this server depends on is away, and whether a change took effect is not known; try again in a few seconds, with the same Idempotency-Key",
	}
}

func statusOf(kind error) int {
	switch {
	case errors.Is(kind, tenants.ErrUnauthenticated):
		return http.StatusUnauthorized
	case errors.Is(kind, tenants.ErrForbidden), errors.Is(kind, tenants.ErrPlanLimit):
		return http.StatusForbidden
	case errors.Is(kind, tenants.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(kind, tenants.ErrConflict), errors.Is(kind, tenants.ErrExists):
		return http.StatusConflict
	case errors.Is(kind, tenants.ErrChanged):
		return http.StatusPreconditionFailed
	case errors.Is(kind, tenants.ErrThrottled):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

var (
	fieldPath  = regexp.MustCompile(`^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+|\[[0-9]+\])*$`)
	fieldSteps = regexp.MustCompile(`[A-Za-z0-9_]+`)
)

// fieldError points at the field: "settings.history[0].pattern" becomes
// "/settings/history/0/pattern". What is no path, such as a header, is named.
func fieldError(e *tenants.InvalidError) FieldError {
	f := FieldError{Code: "invalid", Detail: e.Reason}
	if !fieldPath.MatchString(e.Field) {
		f.Parameter = e.Field
		return f
	}
	for _, step := range fieldSteps.FindAllString(e.Field, -1) {
		f.Pointer += "/" + step
	}
	return f
}

// seconds rounds up: who waits that long waits long enough.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

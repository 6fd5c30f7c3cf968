package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// requestError is a refusal of the door's own.
type requestError struct {
	status int
	text   string
}

// Error implements error.
func (e *requestError) Error() string { return e.text }

func badRequest(text string) error { return &requestError{http.StatusBadRequest, text} }

var (
	errNoPath      = &requestError{http.StatusNotFound, "Not found: there is no such path in the HTTP API"}
	errAppMismatch = &requestError{http.StatusNotFound, "App not found: auth_key does not belong to the app id in the path"}
	errAppDisabled = &requestError{http.StatusForbidden, "App disabled: enable it before using it"}
	errSuspended   = &requestError{http.StatusForbidden, "Account suspended: its apps cannot be used"}

	errUserID = badRequest("Invalid user id: it must be 1 to 200 of the characters A-Z a-z 0-9 _ - = @ , . ;")

	// These three are the protocol's own words, the misspelling included.
	errUserCountPrefix = badRequest("user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-") //nolint:misspell // as the protocol spells it
	errUserCountKind   = badRequest("Cannot retrieve the user count unless the channel is a presence channel")
	errUsersKind       = badRequest("Users can only be retrieved for presence channels")

	errCacheKind            = badRequest("Cannot retrieve the cache unless the channel is a cache channel")
	errSubscriptionCountOff = badRequest("Cannot retrieve the subscription count: turn on subscription_count_events in the settings of the app")
)

// methodError refuses a method; it is the one the path takes.
type methodError string

// Error implements error.
func (e methodError) Error() string { return "Method not allowed: use " + string(e) }

const notCounted = "the state of the channels cannot be read right now"

// unservedError is something other than publishing that the hub could not do.
type unservedError struct {
	app  tenants.AppID
	text string // what cannot be done right now, as the customer is told
	err  error
}

func (c *call) unserved(text string, err error) error {
	return &unservedError{c.app.ID, text, err}
}

// Error implements error.
func (e *unservedError) Error() string { return e.err.Error() }

// Unwrap gives the hub's error.
func (e *unservedError) Unwrap() error { return e.err }

func (e *unservedError) answer() (status int, text string) {
	_, partial := errors.AsType[*channels.PublishError](e.err)
	if partial || errors.Is(e.err, channels.ErrBusy) || errors.Is(e.err, channels.ErrBrokerAway) || ended(e.err) {
		return http.StatusServiceUnavailable, "Temporarily unavailable: " + e.text + ", try again"
	}
	return http.StatusInternalServerError, "Internal server error"
}

// ended reports whether the request's time was over before the hub was done.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// publishFailed keeps the events of a Publish call beside its error, so that
// the answer can name their channels.
type publishFailed struct {
	evs []channels.Event
	err error
}

// Error implements error.
func (e *publishFailed) Error() string { return e.err.Error() }

// Unwrap gives the publisher's error.
func (e *publishFailed) Unwrap() error { return e.err }

// channels names those the publisher does not vouch for.
func (e *publishFailed) channels() string {
	if partial, ok := errors.AsType[*channels.PublishError](e.err); ok {
		return partial.FailedChannels(e.evs)
	}
	names := make([]string, 0, len(e.evs))
	for i := range e.evs {
		names = append(names, e.evs[i].Topic.Channel)
	}
	return strings.Join(names, ", ")
}

// answerTo turns an error into what the publisher gets to see. It is the only
// place that does.
func answerTo(err error) (status int, text string) {
	var (
		request   *requestError
		signature *tenants.SignatureError
		large     *channels.DataTooLargeError
		name      channels.NameError
		shape     channels.PublicationError
		syntax    *wire.SyntaxError
		failed    *publishFailed
		unserved  *unservedError
		method    methodError
		rate      *tenants.RateError
		quota     *tenants.QuotaError
	)
	switch {
	case errors.As(err, &rate):
		return http.StatusTooManyRequests, rate.Error()
	case errors.As(err, &quota):
		return http.StatusForbidden, quota.Error()
	case errors.As(err, &request):
		return request.status, request.text
	case errors.As(err, &method):
		return http.StatusMethodNotAllowed, err.Error()
	case errors.As(err, &signature):
		return http.StatusUnauthorized, signature.Text
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, err.Error()
	case errors.As(err, &name), errors.As(err, &shape):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &syntax):
		return http.StatusBadRequest, "Bad request body: " + err.Error()
	case errors.As(err, &failed):
		return failed.answer()
	case errors.As(err, &unserved):
		return unserved.answer()
	case errors.Is(err, tenants.ErrUnavailable):
		return http.StatusServiceUnavailable, "Temporarily unavailable: the app cannot be looked up right now, try again"
	}
	return http.StatusInternalServerError, "Internal server error"
}

func (e *publishFailed) answer() (status int, text string) {
	why := ""
	_, partial := errors.AsType[*channels.PublishError](e.err)
	switch {
	case errors.Is(e.err, channels.ErrBusy):
		why = "this node is over capacity"
	case errors.Is(e.err, channels.ErrBrokerAway):
		why = "the message broker cannot be reached"
	case partial:
		why = "the message broker did not take all of it"
	case ended(e.err):
		why = "the request ended before the message broker answered"
	default:
		return http.StatusInternalServerError, "Internal server error"
	}
	return http.StatusServiceUnavailable, "Not accepted for " + e.channels() + ": " + why + ", try again"
}

// refuse answers err: plain text, one line, a line feed at its end.
func (d *Door) refuse(g *gin.Context, err error) {
	status, text := answerTo(err)
	d.log(g, status, err)
	h := g.Writer.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff") // some lines quote what was sent
	switch status {
	case http.StatusMethodNotAllowed:
		if method, ok := errors.AsType[methodError](err); ok {
			h.Set("Allow", string(method))
		}
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		if rate, ok := errors.AsType[*tenants.RateError](err); ok {
			seconds := int64((rate.RetryAfter + time.Second - 1) / time.Second) // 0 would say at once
			h.Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
		}
	case http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	g.Writer.WriteHeader(status)
	_, _ = io.WriteString(g.Writer, text+"\n")
}

// log tells the operator about failures that are ours, and about refusals only
// when asked for detail: strangers must not be able to fill the log.
func (d *Door) log(g *gin.Context, status int, err error) {
	level := slog.LevelDebug
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	ctx := g.Request.Context()
	if !d.cfg.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.Int("status", status)}
	if refused, ok := errors.AsType[*tenants.SignatureError](err); ok {
		attrs = append(attrs, slog.String("reason", string(refused.Reason)))
	}
	if failed, ok := errors.AsType[*publishFailed](err); ok {
		attrs = append(attrs, slog.String("app", string(failed.evs[0].Topic.App)))
	}
	if unserved, ok := errors.AsType[*unservedError](err); ok {
		attrs = append(attrs, slog.String("app", string(unserved.app)))
	}
	if status >= http.StatusInternalServerError {
		attrs = append(attrs, slog.Any("error", err))
	}
	d.cfg.Log.LogAttrs(ctx, level, "api request not served", attrs...)
}

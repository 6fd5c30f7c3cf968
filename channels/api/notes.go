package api

import (
	"errors"
	"net/http"

	"tidewire/channels"
	"tidewire/channels/console"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

// note counts that a request was refused, and tells the live console of the app
// why. app is whose key it names, nil if nobody's; then it goes to the app in the
// path, claimed, which is all that the console says of it, and is not counted.
func (d *Door) note(app *tenants.App, claimed string, r *http.Request, err error) {
	if err == nil {
		return
	}
	if app != nil {
		d.cfg.Hub.Rejected(app, codeOf(err))
	}
	if !d.cfg.Console.Watched() {
		return
	}
	id := tenants.AppID(claimed)
	if app != nil {
		id = app.ID
	}
	e := console.Entry{Code: codeOf(err), From: r.Method + " " + r.URL.EscapedPath(), Claimed: app == nil}
	_, e.Text = answerTo(err)
	if failed, ok := errors.AsType[*publishFailed](err); ok && len(failed.evs) > 0 {
		e.Channel, e.Event = failed.evs[0].Topic.Channel, failed.evs[0].Name
	}
	d.cfg.Console.Note(id, e)
}

// codeOf is answerTo for the console: the stable code of a refusal.
func codeOf(err error) console.Code {
	var (
		signature *tenants.SignatureError
		rate      *tenants.RateError
		quota     *tenants.QuotaError
		large     *channels.DataTooLargeError
		name      channels.NameError
		shape     channels.PublicationError
		syntax    *wire.SyntaxError
		request   *requestError
		unserved  *unservedError
	)
	switch {
	case errors.As(err, &signature):
		return console.OfSignature(string(signature.Reason))
	case errors.As(err, &rate):
		return ofRate(rate)
	case errors.As(err, &quota):
		return console.MessagesUsedUp
	case errors.As(err, &large):
		return console.EventTooLarge
	case errors.As(err, &name), errors.As(err, &shape):
		return console.PublishNames
	case errors.As(err, &syntax):
		return console.RequestInvalid
	case errors.As(err, &request):
		return ofRequest(request)
	}
	status, _ := answerTo(err)
	switch {
	case status == http.StatusInternalServerError:
		return console.InternalError
	case errors.Is(err, channels.ErrBusy):
		return console.ServerBusy
	case errors.Is(err, tenants.ErrUnavailable) && !errors.As(err, &unserved):
		return console.LookUpAway
	}
	return console.BrokerAway
}

func ofRate(e *tenants.RateError) console.Code {
	switch e.Limit {
	case "max_reads_per_second":
		return console.ReadRate
	case "max_deliveries_per_second":
		return console.DeliveryLimit
	}
	return console.PublishRate
}

func ofRequest(e *requestError) console.Code {
	switch e {
	case errAppMismatch:
		return console.AppMismatch
	case errAppDisabled:
		return console.APIAppDisabled
	case errSuspended:
		return console.APISuspended
	}
	if e.status == http.StatusRequestEntityTooLarge {
		return console.EventTooLarge // of a batch: a body too large is refused before
	}
	return console.RequestInvalid
}

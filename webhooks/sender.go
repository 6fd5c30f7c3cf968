package webhooks

import (
	"context"
	"net/http"
	"time"
)

// Sender makes the calls. It is given addresses that tenants chose, so it must
// refuse those that are not the tenant's to call, at the moment of dialling.
type Sender interface {
	Send(ctx context.Context, url string, header http.Header, body []byte) Answer
	// Check says why an address would be refused already now, as far as that is
	// known without calling it; nil if it would not.
	Check(ctx context.Context, url string) error
}

// Tracer follows calls. Its methods are safe for concurrent use and return at once.
type Tracer interface {
	// Calling begins the step in which an attempt at d is made; done ends it.
	Calling(ctx context.Context, d *Delivery) (done func(Answer))
}

// Answer is what came of one call. Reason is empty exactly when the receiver has
// taken it.
type Answer struct {
	Status     int           // 0 = there was no answer
	Reason     string        // why it counts as failed, in words for the customer
	Address    string        // that was called, as far as it came
	Head       string        // status line and headers of the answer, its beginning
	Body       string        // its beginning; empty where the customer may not see it
	RetryAfter time.Duration // what the receiver asked for; 0 = nothing
}

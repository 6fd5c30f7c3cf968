package webhooks

import (
	"context"
	"time"

	"tidewire/tenants"
)

// Store is where webhooks are kept: endpoints, what was told of whom, deliveries
// and their attempts. It is the truth; nothing that must not be lost is kept
// anywhere else. It has one engine with two dialects (webhooks/sqlstore), held
// to the suite webhookstest.TestStore. A thing that is not there gives
// [tenants.ErrNotFound].
type Store interface {
	// EndpointVersion grows with every change of an endpoint, on any node.
	EndpointVersion(ctx context.Context) (int64, error)
	AllEndpoints(ctx context.Context) ([]Endpoint, error)
	Endpoints(ctx context.Context, app tenants.AppID) ([]Endpoint, error)
	TenantEndpoints(ctx context.Context, tenantID string) ([]Endpoint, error)
	Endpoint(ctx context.Context, id string) (*Endpoint, error)
	// CreateEndpoint sets ID and Revision. If the tenant has most endpoints
	// already it returns [tenants.ErrPlanLimit].
	CreateEndpoint(ctx context.Context, e *Endpoint, most int) error
	// UpdateEndpoint stores e if it still has e.Revision, which it raises; else it
	// returns [tenants.ErrChanged].
	UpdateEndpoint(ctx context.Context, e *Endpoint) error
	// DeleteEndpoint removes an endpoint with its deliveries.
	DeleteEndpoint(ctx context.Context, id string) error

	// Record runs fn in one transaction, in which changes become deliveries.
	// Either all of it happens or nothing.
	Record(ctx context.Context, fn func(tx RecordTx) error) error
	// NextDue is when the next leave falls due; zero if none is planned.
	NextDue(ctx context.Context) (time.Time, error)
	// Abandon plans a leave for everybody of whom none is planned.
	Abandon(ctx context.Context, due time.Time) error

	// ClaimLanes takes over up to limit lanes in which something is due, those
	// served longest ago first, until the lease ends or they are given back.
	// failing chooses between endpoints that failed last and those that did not.
	ClaimLanes(ctx context.Context, holder string, now time.Time, lease time.Duration, failing bool, limit int) ([]Lane, error)
	// DueDeliveries lists what is due for an endpoint, oldest first, each with the
	// revision that the endpoint has now.
	DueDeliveries(ctx context.Context, endpointID string, now time.Time, limit int) ([]Delivery, error)
	// FinishAttempts stores what came of attempts and of the lane, which is given
	// back unless keep says until when it is held on to. It sets lane.NextAt.
	FinishAttempts(ctx context.Context, lane *Lane, done []Outcome, keep time.Time) error

	Delivery(ctx context.Context, id string) (*Delivery, error)
	Attempts(ctx context.Context, deliveryID string) ([]Attempt, error)
	// Deliveries lists the newest first.
	Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error)
	// Replay makes finished deliveries pending again, at once, and returns how
	// many there were. Those whose events are not kept any more are left out.
	Replay(ctx context.Context, f DeliveryFilter, now, expires time.Time) (int, error)
	// Expire ends deliveries whose time is over; Prune forgets finished ones.
	Expire(ctx context.Context, now time.Time) (int, error)
	Prune(ctx context.Context, finishedBefore time.Time) error
	// Backlog is how many deliveries wait, and since when the oldest one is due;
	// zero if none is.
	Backlog(ctx context.Context) (pending int, oldest time.Time, err error)
}

// RecordTx is what a transaction of [Store.Record] can do.
type RecordTx interface {
	// Cursor is how far a log was read, 0 at first; SetCursor moves it.
	Cursor(log string) (uint64, error)
	SetCursor(log string, last uint64) error
	// State returns what was told of somebody; ok is false for nothing.
	State(k StateKey) (s State, ok bool, err error)
	PutState(k StateKey, s State) error
	// TakeDue removes and returns leaves that are due and over.
	TakeDue(now time.Time, limit int, over func(*Leave) bool) ([]Leave, error)
	// InsertDeliveries sets their IDs. A delivery to an endpoint that was removed is
	// left out; its ID stays empty. Deliveries come in the order of their endpoints.
	//
	// It takes over up to c.Most of their lanes and returns them: such as nobody
	// holds, that did not fail last and in which nothing else is due. What is
	// inserted into one of those is all there is to do in it, and has the revision of
	// its endpoint.
	InsertDeliveries(list []Delivery, c Claim) ([]Lane, error)
}

// Claim is the wish to serve lanes; the zero one asks for none.
type Claim struct {
	Holder string
	Now    time.Time
	Lease  time.Duration
	Most   int
}

// StateKey names whoever comes and goes: a channel, a member of one, or a user.
type StateKey struct {
	App     tenants.AppID
	Channel string // empty for a user of the app
	Subject string // "channel", or "member:" or "user:" with the id
}

// State is what was told last: that they came.
type State struct {
	Seq uint64
	Due time.Time // when it is told that they went; zero = they are there
}

// Leave is a State whose time has come.
type Leave struct {
	StateKey
	State
}

// Lane is the queue of one endpoint.
type Lane struct {
	EndpointID   string
	App          tenants.AppID
	TenantID     string
	Holder       string
	Failures     int       // attempts that failed since the last one that did not
	FailingSince time.Time // of the first of them
	RestUntil    time.Time // set by the dispatcher: nothing is sent before
	NextAt       time.Time // set when attempts are stored: when something is due; zero = nothing is
}

// Outcome is what came of one attempt.
type Outcome struct {
	Delivery Delivery // as it stands now
	Attempt  Attempt
}

// DeliveryFilter chooses deliveries. App or EndpointID is needed.
type DeliveryFilter struct {
	App        tenants.AppID
	EndpointID string
	ID         string
	Status     DeliveryStatus // empty = any
	From, To   time.Time      // of creation, [From, To); zero = open
	Before     string         // the id of the last one already seen
	Limit      int            // 0 = the store's bound
}

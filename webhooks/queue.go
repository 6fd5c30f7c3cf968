package webhooks

import (
	"context"
	"errors"
	"time"

	"tidewire/tenants"
)

// ErrFenced says that a lease has gone to somebody else: nothing was written.
var ErrFenced = errors.New("the lease is held by another node")

// Queue is what must survive: what has been told, what is to be sent, and who
// sends it. Each call is one transaction: all of it happens or nothing. Every
// error but [ErrFenced] means that the outcome is not known, and that the call
// may be made again. It has one engine, sqlstore, over either dialect; both pass
// webhookstest.TestQueue.
type Queue interface {
	// Lead takes or renews the lease of that name for holder. It returns
	// [ErrFenced] while another one holds it.
	Lead(ctx context.Context, name, holder string, now time.Time, length time.Duration) (Lease, error)

	// Record takes changes over: it reads the states named, and those that are due,
	// and stores what the fold makes of them. Deliveries become visible to Claim.
	Record(ctx context.Context, in Intake) error

	// Claim gives holder lanes that have something due and that nobody else
	// holds, until the lease ends. The lanes of all tenants take turns.
	Claim(ctx context.Context, c Claim) ([]Lane, error)

	// Next returns the deliveries of a lane that are due, oldest first.
	Next(ctx context.Context, endpointID string, now time.Time, limit int) ([]Delivery, error)

	// Settle stores what came of attempts.
	Settle(ctx context.Context, outcomes []Outcome) error

	// Release gives a lane back. It is due again when its next delivery is, and not
	// before the time in l.NotBefore.
	Release(ctx context.Context, holder string, l Lane) error

	// Tend makes up for what was missed: it ends pending deliveries that have
	// expired, wakes lanes whose time is wrong, and forgets what finished before
	// the time given. It returns how many deliveries it ended.
	Tend(ctx context.Context, now, forget time.Time) (dead int, err error)

	// Backlog tells how many lanes have something due, and since when.
	Backlog(ctx context.Context, now time.Time) (Backlog, error)

	// States lists states that are present, by key, behind the one given.
	States(ctx context.Context, after StateKey, limit int) ([]State, error)
}

// Lease is the right to do what one node at a time may do. Generation grows each
// time it changes hands.
type Lease struct {
	Name       string
	Holder     string
	Generation int64
	Batch      string // what was recorded under it last, whoever held it
}

// StateKey names something whose coming and going is told.
type StateKey struct {
	App     tenants.AppID
	Channel string
	Subject string
}

// State is what was told of it last. It exists while that was its coming.
type State struct {
	StateKey
	Present bool // false = it has gone, which is told at DueAt
	Value   int
	Seq     uint64
	At      time.Time
	DueAt   time.Time // zero = nothing is due
}

// Intake is one call of Record.
type Intake struct {
	Lease *Lease // if not nil, it must be in force; its Batch is stored
	// Changes is how many there are; without any, only what is due is looked at.
	Changes int
	Keys    []StateKey
	// Due, if not zero, adds the states that are due by then, at most DueLimit.
	Due      time.Time
	DueLimit int
	Now      time.Time
	// Fold is called once, with those states that exist.
	Fold func(known map[StateKey]State, due []State) Folded
}

// Folded is what comes of an intake.
type Folded struct {
	Keep       []State
	Gone       []StateKey
	Deliveries []Delivery // without ids: the queue gives them
}

// Claim asks for lanes.
type Claim struct {
	Holder  string
	Now     time.Time
	Until   time.Time // of the lease
	Healthy int       // most lanes whose last attempt worked
	Failing int       // most lanes whose last attempt failed
	// PerTenant is the most lanes of one tenant in this claim; Skip are tenants
	// that have enough already.
	PerTenant int
	Skip      []string
}

// Lane is the deliveries of one endpoint, as one node holds them.
type Lane struct {
	EndpointID   string
	TenantID     string
	Failures     int       // attempts that failed since one worked
	FailingSince time.Time // of the first of them
	NotBefore    time.Time // for Release
}

// Outcome is an attempt and where its delivery stands after it.
type Outcome struct {
	Delivery Delivery
	Attempt  *Attempt // nil: none was made
	// DropBody says that the events are not kept.
	DropBody bool
}

// Backlog is how far sending is behind.
type Backlog struct {
	Due    int
	Oldest time.Time // when the first of them fell due; zero = nothing is
}

package webhooks

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"tidewire/tenants"
)

// watchEvery is how often nodes look for changed endpoints.
const watchEvery = 400 * time.Millisecond

// directory holds every endpoint in memory, as of less than a second ago.
type directory struct {
	store Store
	log   *slog.Logger
	known atomic.Pointer[map[tenants.AppID]*appEndpoints]

	version int64 // owned by whoever loads
}

// appEndpoints are the endpoints of one app; never changed once made.
type appEndpoints struct {
	wanted kindSet // with the other half of each pair: one takes the other back
	list   []Endpoint
}

func newDirectory(store Store, log *slog.Logger) *directory {
	d := &directory{store: store, log: log, version: -1}
	d.known.Store(&map[tenants.AppID]*appEndpoints{})
	return d
}

// of returns the endpoints of an app; nil for none.
func (d *directory) of(app tenants.AppID) *appEndpoints { return (*d.known.Load())[app] }

// find returns an endpoint as it is known here, or nil.
func (d *directory) find(app tenants.AppID, id string) *Endpoint {
	if of := d.of(app); of != nil {
		if i := slices.IndexFunc(of.list, func(e Endpoint) bool { return e.ID == id }); i >= 0 {
			return &of.list[i]
		}
	}
	return nil
}

// load reads the endpoints if they have changed.
func (d *directory) load(ctx context.Context) error {
	version, err := d.store.EndpointVersion(ctx)
	if err != nil || version == d.version {
		return err
	}
	all, err := d.store.AllEndpoints(ctx)
	if err != nil {
		return err
	}
	known := make(map[tenants.AppID]*appEndpoints)
	for i := range all {
		e := &all[i]
		of := known[e.App]
		if of == nil {
			of = &appEndpoints{}
			known[e.App] = of
		}
		of.wanted |= withPartners(e.kinds())
		of.list = append(of.list, *e)
	}
	d.known.Store(&known)
	d.version = version
	return nil
}

// withPartners adds the other half of every pair.
func withPartners(s kindSet) kindSet {
	for _, p := range pairs {
		if s.has(p.came) || s.has(p.went) {
			s |= kindBits[p.came] | kindBits[p.went]
		}
	}
	return s
}

// NewSubjects tells of which subjects of [StateKey], by their beginnings, nobody
// wanted to hear before and somebody does with e, which is new or changed.
func NewSubjects(before []Endpoint, e *Endpoint) (subjects []string) {
	var was kindSet
	for i := range before {
		was |= withPartners(before[i].kinds())
	}
	now := withPartners(e.kinds())
	for i, p := range pairs {
		if now.has(p.came) && !was.has(p.came) {
			subjects = append(subjects, [...]string{subjectChannel, subjectMember, subjectUser}[i])
		}
	}
	return subjects
}

// run keeps the endpoints fresh until ctx ends.
func (d *directory) run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := d.load(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "webhook endpoints cannot be read; those known stay in force", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

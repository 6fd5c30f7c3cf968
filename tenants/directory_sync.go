package tenants

import (
	"context"
	"errors"
	"time"
)

// Run follows the Source until ctx ends, and then returns nil: it polls for
// changes, reloads the cached apps they touch and tells the subscribers.
func (d *Directory) Run(ctx context.Context) error {
	tick := time.NewTicker(d.opts.PollInterval)
	defer tick.Stop()
	d.sync(ctx)
	for {
		d.tell()
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-tick.C:
			d.sync(ctx)
		}
	}
}

// sync brings the cache up to the Source's present, as far as the Source answers.
func (d *Directory) sync(ctx context.Context) {
	err := d.poll(ctx)
	if err == nil {
		err = d.reload(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.countFailure()
		if !d.failing {
			d.log.Warn("configuration source away, serving what is cached", "error", err)
		}
		d.failing = true
	case d.failing:
		d.log.Info("configuration source back")
		d.failing = false
	}
}

// poll applies changes until there are none left.
func (d *Directory) poll(ctx context.Context) error {
	for {
		since := d.mark().version
		set, err := d.changes(ctx, since)
		if err != nil {
			return err
		}
		d.apply(set, since)
		if len(set.Changes) == 0 {
			return nil
		}
	}
}

func (d *Directory) changes(ctx context.Context, since int64) (ChangeSet, error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LookupTimeout)
	defer cancel()
	return d.src.Changes(ctx, since)
}

// apply marks what a set of changes touches. Marked apps are served as they are
// until they have been read again.
func (d *Directory) apply(set ChangeSet, since int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.LastSync = time.Now()
	if set.Reset || since < 0 { // what was cached before the first poll may be old, too
		d.era++
		for id := range d.byID {
			d.stale[id] = struct{}{}
		}
	}
	for _, change := range set.Changes {
		d.markStale(change)
	}
	if d.version != set.Version || set.Reset {
		clear(d.unknown)
	}
	d.version = set.Version
}

// markStale needs mu.
func (d *Directory) markStale(change Change) {
	if change.App != "" {
		if cached, ok := d.byID[change.App]; ok && cached.app.Version < change.Version {
			d.stale[change.App] = struct{}{}
		}
		return
	}
	for id, cached := range d.byID {
		if cached.app.TenantID == change.TenantID && cached.app.Version < change.Version {
			d.stale[id] = struct{}{}
		}
	}
}

// reload reads every marked app again. It stops at the first failure; what is
// left stays marked for the next round.
func (d *Directory) reload(ctx context.Context) error {
	for id, cached := range d.staleApps() {
		asked := d.mark()
		app, err := d.read(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			d.remove(id, cached)
		case err != nil:
			return err
		default:
			if _, ok := d.install(app, asked); ok {
				d.fresh(id)
			}
		}
	}
	return nil
}

func (d *Directory) read(ctx context.Context, id AppID) (*App, error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LookupTimeout)
	defer cancel()
	return d.src.AppByID(ctx, id)
}

func (d *Directory) staleApps() map[AppID]*App {
	d.mu.RLock()
	defer d.mu.RUnlock()
	apps := make(map[AppID]*App, len(d.stale))
	for id := range d.stale {
		apps[id] = d.byID[id].app
	}
	return apps
}

func (d *Directory) fresh(id AppID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.stale, id)
}

// tell passes the queued transitions on.
func (d *Directory) tell() {
	d.mu.Lock()
	queue, subscribers := d.queue, d.subscribers
	d.queue = nil
	d.mu.Unlock()
	for _, t := range queue {
		for _, fn := range subscribers {
			fn(t.before, t.after)
		}
	}
}

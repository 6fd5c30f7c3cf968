package tenants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// DirectoryOptions tune a [Directory]. Every zero value means the default.
type DirectoryOptions struct {
	PollInterval  time.Duration // between two looks for changes; 250 ms
	LookupTimeout time.Duration // of one question to the Source; 5 s
	UnknownFor    time.Duration // how long "not found" is believed; 5 s
	MaxUnknown    int           // how many "not found" are remembered; 10,000
}

func (o DirectoryOptions) withDefaults() DirectoryOptions {
	if o.PollInterval <= 0 {
		o.PollInterval = 250 * time.Millisecond
	}
	if o.LookupTimeout <= 0 {
		o.LookupTimeout = 5 * time.Second
	}
	if o.UnknownFor <= 0 {
		o.UnknownFor = 5 * time.Second
	}
	if o.MaxUnknown <= 0 {
		o.MaxUnknown = 10_000
	}
	return o
}

// Directory answers "whose key is this?" from memory, so that SQL stays off the
// path of an event. It keeps every app that was asked for, follows the changes
// of its [Source] while [Directory.Run] runs, and goes on serving what it has
// while the Source is away.
type Directory struct {
	src     Source
	log     *slog.Logger
	opts    DirectoryOptions
	lookups flights
	wake    chan struct{} // tells Run that queue has grown

	failing bool // owned by Run: the last contact with the Source went wrong

	mu          sync.RWMutex
	byID        map[AppID]entry
	byKey       map[string]*App // usable keys only
	unknown     map[lookup]time.Time
	stale       map[AppID]struct{} // cached, but known to have changed
	version     int64              // changes are applied up to here; -1 before the first poll
	era         uint64             // grows with each Reset; versions compare within one era only
	stats       DirectoryStats
	queue       []transition // not yet told to subscribers
	subscribers []func(before, after *App)
}

type entry struct {
	app *App
	era uint64
}

type transition struct{ before, after *App }

// DirectoryStats is a snapshot of a [Directory]'s counters.
type DirectoryStats struct {
	Apps     int       // cached
	Unknown  int       // remembered as not found
	Version  int64     // configuration version in force; -1 before the first contact
	LastSync time.Time // of the last contact with the Source; zero before the first
	Failures uint64    // polls and look-ups the Source did not answer
}

// NewDirectory returns an empty Directory over src. It answers at once; it
// follows changes only while Run runs. A nil log discards.
func NewDirectory(src Source, log *slog.Logger, opts DirectoryOptions) *Directory {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Directory{
		src:     src,
		log:     log,
		opts:    opts.withDefaults(),
		wake:    make(chan struct{}, 1),
		byID:    make(map[AppID]entry),
		byKey:   make(map[string]*App),
		unknown: make(map[lookup]time.Time),
		stale:   make(map[AppID]struct{}),
		version: -1,
	}
}

// ByKey returns the app that owns the key, which is usable. It returns
// [ErrNotFound] if there is no such key or it is revoked, and [ErrUnavailable]
// if that cannot be told now. The App is shared and must not be changed.
func (d *Directory) ByKey(ctx context.Context, key string) (*App, error) {
	d.mu.RLock()
	app := d.byKey[key]
	d.mu.RUnlock()
	if app != nil {
		if app.Key(key) == nil { // a retiring key whose time is over
			return nil, ErrNotFound
		}
		return app, nil
	}
	return d.miss(ctx, lookup{key: key})
}

// ByID is [Directory.ByKey] for an app's id.
func (d *Directory) ByID(ctx context.Context, id AppID) (*App, error) {
	d.mu.RLock()
	app := d.byID[id].app
	d.mu.RUnlock()
	if app != nil {
		return app, nil
	}
	return d.miss(ctx, lookup{id: id})
}

// Cached returns the app of that id as it is in memory, nil if it is not. It
// never waits.
func (d *Directory) Cached(id AppID) *App {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byID[id].app
}

// OnChange has fn called after a cached app was changed, with after == nil when
// it was deleted. Calls come from Run's goroutine, one at a time and in order,
// and no lock is held. An app nobody has asked for gives no call.
func (d *Directory) OnChange(fn func(before, after *App)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribers = append(d.subscribers, fn)
}

// Ready returns nil once the Source has answered a first time, and
// [ErrUnavailable] before. It stays nil when the Source goes away later: cached
// apps are served all the same.
func (d *Directory) Ready() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.version < 0 {
		return fmt.Errorf("%w: the configuration has not been read yet", ErrUnavailable)
	}
	return nil
}

// Stats returns the counters of this moment.
func (d *Directory) Stats() DirectoryStats {
	d.mu.RLock()
	defer d.mu.RUnlock()
	stats := d.stats
	stats.Apps, stats.Unknown, stats.Version = len(d.byID), len(d.unknown), d.version
	return stats
}

func (d *Directory) miss(ctx context.Context, l lookup) (*App, error) {
	if !l.possible() || d.isUnknown(l) {
		return nil, ErrNotFound
	}
	return d.lookups.do(ctx, l, func() (*App, error) {
		// One caller's cancellation must not fail the others that wait for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.LookupTimeout)
		defer cancel()
		return d.load(ctx, l)
	})
}

// load asks the Source and remembers the answer, unless a change was applied
// meanwhile that the answer may not contain: then it asks again. After a few
// rounds it gives the answer without remembering it.
func (d *Directory) load(ctx context.Context, l lookup) (*App, error) {
	const rounds = 3
	var app *App
	var err error
	for range rounds {
		before := d.mark()
		app, err = l.ask(ctx, d.src)
		switch {
		case errors.Is(err, ErrNotFound):
			if d.rememberUnknown(l, before) {
				return nil, ErrNotFound
			}
		case err != nil:
			d.countFailure()
			return nil, fmt.Errorf("%w: look up an app: %w", ErrUnavailable, err)
		default:
			if kept, ok := d.install(app, before); ok {
				return kept, nil
			}
		}
	}
	if err != nil {
		return nil, ErrNotFound
	}
	app.Limits = app.Plan.Lower(app.Limits)
	return app, nil
}

// moment is the state of the cache at the time a question is asked.
type moment struct {
	era     uint64
	version int64
}

func (d *Directory) mark() moment {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return moment{d.era, d.version}
}

func (d *Directory) countFailure() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Failures++
}

// install puts app, with its limits lowered to the plan, into the cache and returns the copy that is in force, or
// reports false if app may lack a change that was already applied.
func (d *Directory) install(app *App, asked moment) (*App, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if asked.era != d.era || app.Version < d.version {
		return nil, false
	}
	old, cached := d.byID[app.ID]
	if cached && old.era == d.era && old.app.Version >= app.Version {
		return old.app, true
	}
	app.Limits = app.Plan.Lower(app.Limits)
	d.forgetKeys(old.app)
	d.byID[app.ID] = entry{app: app, era: d.era}
	delete(d.unknown, lookup{id: app.ID})
	for i := range app.Keys {
		if key := &app.Keys[i]; key.Status != KeyRevoked {
			d.byKey[key.Key] = app
			delete(d.unknown, lookup{key: key.Key})
		}
	}
	if cached {
		d.announce(old.app, app)
	}
	return app, true
}

// remove takes an app that no longer exists out of the cache, if the copy there
// is still the given one: a look-up may have found a new app of that id since.
func (d *Directory) remove(id AppID, gone *App) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.stale, id)
	if d.byID[id].app == gone {
		d.forgetKeys(gone)
		delete(d.byID, id)
		d.announce(gone, nil)
	}
}

// forgetKeys needs mu. app may be nil.
func (d *Directory) forgetKeys(app *App) {
	if app == nil {
		return
	}
	for i := range app.Keys {
		if key := app.Keys[i].Key; d.byKey[key] == app { // it may belong to another app by now
			delete(d.byKey, key)
		}
	}
}

// announce needs mu.
func (d *Directory) announce(before, after *App) {
	d.queue = append(d.queue, transition{before, after})
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *Directory) isUnknown(l lookup) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	until, ok := d.unknown[l]
	return ok && time.Now().Before(until)
}

// rememberUnknown reports false if a change was applied since the question was
// asked: it may have created what was not found.
func (d *Directory) rememberUnknown(l lookup, asked moment) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if asked != (moment{d.era, d.version}) {
		return false
	}
	if len(d.unknown) >= d.opts.MaxUnknown {
		for other := range d.unknown { // any one will do
			delete(d.unknown, other)
			break
		}
	}
	d.unknown[l] = time.Now().Add(d.opts.UnknownFor)
	return true
}

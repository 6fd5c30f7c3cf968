package tenants

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// revokedTokens are the revocations of one app. The maps never change.
type revokedTokens struct {
	version  int64 // of the app's configuration: all revocations up to it are here
	ids      map[string]struct{}
	subjects map[string]time.Time // when
}

func newRevokedTokens(version int64, list []Revocation) *revokedTokens {
	r := &revokedTokens{version: version, ids: make(map[string]struct{}), subjects: make(map[string]time.Time)}
	for _, one := range list {
		if one.Kind == RevokeJTI {
			r.ids[one.Value] = struct{}{}
		} else if one.RevokedAt.After(r.subjects[one.Value]) {
			r.subjects[one.Value] = one.RevokedAt
		}
	}
	return r
}

// covers counts a token issued in the very second of the revocation as revoked,
// and one that does not say when it was issued too.
func (r *revokedTokens) covers(c *JWTClaims) bool {
	if _, revoked := r.ids[c.ID]; revoked && c.ID != "" {
		return true
	}
	at, revoked := r.subjects[c.Subject]
	return revoked && c.Subject != "" && !c.IssuedAt.After(at)
}

// RevocationList keeps the revocations of the apps that use tokens in memory.
// [Directory.OnChange] feeds it through [RevocationList.AppChanged]: a
// revocation is a change of its app's configuration.
type RevocationList struct {
	src  RevocationSource
	log  *slog.Logger
	wake chan struct{} // tells Run that queue has grown

	mu      sync.Mutex
	apps    map[AppID]*revokedTokens
	asking  map[AppID]*revocationLoad
	queue   map[AppID]int64 // to be read again, and the version that asks for it
	changed []func(AppID)
}

// revocationLoad is a question to the source that is under way.
type revocationLoad struct {
	done    chan struct{} // closed when the rest is final
	version int64
	tokens  *revokedTokens
	err     error
}

var _ Revocations = (*RevocationList)(nil)

// revocationTimeout bounds one question to the source.
const revocationTimeout = 5 * time.Second

// NewRevocationList returns an empty list over src. It follows changes only
// while Run runs. A nil log discards.
func NewRevocationList(src RevocationSource, log *slog.Logger) *RevocationList {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &RevocationList{
		src: src, log: log, wake: make(chan struct{}, 1),
		apps: make(map[AppID]*revokedTokens), asking: make(map[AppID]*revocationLoad), queue: make(map[AppID]int64),
	}
}

// OnChange has fn called after the revocations or the issuers of an app may have
// changed and the list knows of it. Calls come from Run's goroutine, one at a
// time, and no lock is held.
func (l *RevocationList) OnChange(fn func(AppID)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(l.changed, fn)
}

// Revoked implements [Revocations]. The source is asked only when the list knows
// less than app.Version promises.
func (l *RevocationList) Revoked(ctx context.Context, app *App, c *JWTClaims) (bool, error) {
	l.mu.Lock()
	known := l.apps[app.ID]
	if known != nil && known.version >= app.Version {
		l.mu.Unlock()
		return known.covers(c), nil
	}
	load, mine := l.asking[app.ID], false
	if load == nil || load.version < app.Version {
		load, mine = &revocationLoad{done: make(chan struct{}), version: app.Version}, true
		l.asking[app.ID] = load
	}
	l.mu.Unlock()
	if mine {
		l.load(ctx, app.ID, load)
	}
	select {
	case <-load.done:
	case <-ctx.Done():
		return false, fmt.Errorf("%w: wait for the revocations: %w", ErrUnavailable, ctx.Err())
	}
	if load.err != nil {
		return false, load.err
	}
	return load.tokens.covers(c), nil
}

func (l *RevocationList) load(ctx context.Context, app AppID, load *revocationLoad) {
	load.err = fmt.Errorf("%w: reading the revocations panicked", ErrUnavailable)
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.asking[app] == load {
			delete(l.asking, app)
		}
		if known := l.apps[app]; load.err == nil && (known == nil || known.version < load.version) {
			l.apps[app] = load.tokens
		}
		close(load.done)
	}()
	// One caller's cancellation must not fail the others that wait for it.
	load.tokens, load.err = l.read(context.WithoutCancel(ctx), app, load.version)
}

func (l *RevocationList) read(ctx context.Context, app AppID, version int64) (*revokedTokens, error) {
	ctx, cancel := context.WithTimeout(ctx, revocationTimeout)
	defer cancel()
	list, err := l.src.Revocations(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("%w: read the revocations: %w", ErrUnavailable, err)
	}
	return newRevokedTokens(version, list), nil
}

// AppChanged takes note of a change that a [Directory] tells of.
func (l *RevocationList) AppChanged(before, after *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after == nil {
		delete(l.apps, before.ID)
		delete(l.queue, before.ID)
		return
	}
	if len(before.Settings.JWT.Issuers) == 0 && len(after.Settings.JWT.Issuers) == 0 {
		return
	}
	l.queue[after.ID] = after.Version
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run reads the revocations of changed apps again and tells the subscribers,
// until ctx ends; then it returns nil. What the source does not answer now is
// asked again.
func (l *RevocationList) Run(ctx context.Context) error {
	const pause = 500 * time.Millisecond
	again := time.NewTimer(pause)
	defer again.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-again.C:
		}
		err := l.catchUp(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			l.log.Warn("revocations cannot be read, asking again", "error", err)
		}
		failing = err != nil
		if failing {
			again.Reset(pause)
		}
	}
}

// catchUp works off the queue. An app that fails stays in it, and the others
// have their turn all the same.
func (l *RevocationList) catchUp(ctx context.Context) error {
	l.mu.Lock()
	queue, changed := l.queue, l.changed
	l.queue = make(map[AppID]int64)
	l.mu.Unlock()
	var failure error
	for app, version := range queue {
		tokens, err := l.read(ctx, app, version)
		l.mu.Lock()
		if err == nil {
			l.apps[app] = tokens // whatever its version: a restored backup has lower ones
		} else if _, newer := l.queue[app]; !newer {
			l.queue[app] = version
		}
		l.mu.Unlock()
		if err != nil {
			failure = err
			continue
		}
		for _, fn := range changed {
			fn(app)
		}
	}
	return failure
}

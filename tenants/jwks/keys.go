package jwks

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"tidewire/tenants"
)

// Options tune [Keys]. Every zero value means the default.
type Options struct {
	// Allow are private and loopback addresses that may be fetched from all the
	// same, over plain http too where they are loopback; none by default.
	Allow []netip.Prefix
	// Log is told of fetches that fail, at most once per MinRefresh and set. nil discards.
	Log *slog.Logger
	// Timeout bounds one fetch; 5 s.
	Timeout time.Duration
	// MinRefresh is the least time between two fetches of one set, whatever key is
	// asked for and however the last one ended; 30 s.
	MinRefresh time.Duration
	// MaxAge is how long a set is used without looking for a newer one; 5 min. A
	// key its issuer has removed is refused after that at the latest.
	MaxAge time.Duration
	// MaxStale is how long a set is used at most while none can be fetched; 1 h.
	MaxStale time.Duration
	// TLS is used for https; nil for Go's defaults.
	TLS *tls.Config
	// Now tells the time; time.Now by default.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MinRefresh <= 0 {
		o.MinRefresh = 30 * time.Second
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 5 * time.Minute
	}
	if o.MaxStale <= 0 {
		o.MaxStale = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Keys answers for the key sets of all apps. It is safe for concurrent use, and
// starts no goroutines: whoever finds a set old fetches it, the others go on
// with the old one or, if there is none, wait for that answer.
type Keys struct {
	o           Options
	https, http *http.Client

	mu   sync.Mutex
	sets map[place]*set
}

var _ tenants.JWTKeys = (*Keys)(nil)

// place says whose set it is and where it is published. Nothing that is known of
// a set is ever found under less.
type place struct {
	app tenants.AppID
	url string
}

// set is what is known of one key set; guarded by Keys.mu.
type set struct {
	keys    []published
	fetched time.Time     // when keys were read; zero = never
	tried   time.Time     // when the last fetch began; zero = never
	used    time.Time     // when it was last asked for
	flight  chan struct{} // not nil while it is being fetched; closed at its end
}

// How many sets are remembered, of one app and of all.
const (
	maxSetsPerApp = tenants.MaxJWTIssuers
	maxSets       = 1000
)

// New makes an empty cache of key sets.
func New(o Options) *Keys {
	o = o.withDefaults()
	return &Keys{o: o, https: newClient(o, false), http: newClient(o, true), sets: make(map[place]*set)}
}

// Key implements [tenants.JWTKeys].
func (k *Keys) Key(ctx context.Context, app tenants.AppID, url, id, alg string) (crypto.PublicKey, error) {
	at := place{app, url}
	for {
		k.mu.Lock()
		s := k.set(at)
		now := k.o.Now()
		key, found := pick(s.keys, id, alg)
		usable := !s.fetched.IsZero() && now.Sub(s.fetched) < k.o.MaxStale
		current := usable && now.Sub(s.fetched) < k.o.MaxAge
		switch {
		case found && current:
			k.mu.Unlock()
			return key, nil
		case s.flight != nil && !(found && usable):
			flight := s.flight
			k.mu.Unlock()
			select {
			case <-flight:
				continue
			case <-ctx.Done():
				return nil, fmt.Errorf("%w: wait for a key set: %w", tenants.ErrUnavailable, ctx.Err())
			}
		case s.flight == nil && (s.tried.IsZero() || now.Sub(s.tried) >= k.o.MinRefresh):
			s.tried, s.flight = now, make(chan struct{})
			k.mu.Unlock()
			k.refresh(ctx, at, s)
			continue
		}
		k.mu.Unlock()
		switch { // it was asked for a moment ago, or somebody else is asking
		case found && usable:
			return key, nil
		case usable:
			return nil, tenants.ErrNotFound
		}
		return nil, fmt.Errorf("%w: the key set cannot be fetched", tenants.ErrUnavailable)
	}
}

// refresh fetches a set and puts it in the place of the old one as a whole, so
// that a key its issuer has removed is gone. A fetch that fails changes nothing.
func (k *Keys) refresh(ctx context.Context, at place, s *set) {
	var keys []published
	err := errors.New("it panicked")
	defer func() {
		k.mu.Lock()
		if err == nil {
			s.keys, s.fetched = keys, k.o.Now()
		}
		close(s.flight)
		s.flight = nil
		k.mu.Unlock()
		if err != nil {
			k.o.Log.WarnContext(ctx, "key set not fetched", "app", at.app, "error", err)
		}
	}()
	// One caller's cancellation must not fail the others that wait for it.
	var text []byte
	if text, err = k.fetch(context.WithoutCancel(ctx), at.url); err == nil {
		keys, err = parseSet(text)
	}
}

// pick returns the one key that has the id, if there is one, and is for alg.
func pick(keys []published, id, alg string) (key crypto.PublicKey, found bool) {
	for i := range keys {
		one := &keys[i]
		if id != "" && one.id != id || one.alg != "" && one.alg != alg || !tenants.JWTKeyFits(alg, one.key) {
			continue
		}
		if found {
			return nil, false
		}
		key, found = one.key, true
	}
	return key, found
}

// set needs mu.
func (k *Keys) set(at place) *set {
	s := k.sets[at]
	if s == nil {
		k.makeRoom(at.app)
		s = &set{}
		k.sets[at] = s
	}
	s.used = k.o.Now()
	return s
}

// makeRoom forgets the sets that were not asked for the longest: one of the app
// itself if it has its share, else one of all. It needs mu.
func (k *Keys) makeRoom(app tenants.AppID) {
	own := 0
	var oldest, oldestOwn place
	for at, s := range k.sets {
		if other := k.sets[oldest]; other == nil || s.used.Before(other.used) {
			oldest = at
		}
		if at.app != app {
			continue
		}
		own++
		if other := k.sets[oldestOwn]; other == nil || s.used.Before(other.used) {
			oldestOwn = at
		}
	}
	switch {
	case own >= maxSetsPerApp:
		delete(k.sets, oldestOwn)
	case len(k.sets) >= maxSets:
		delete(k.sets, oldest)
	}
}

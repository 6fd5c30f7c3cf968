package console

import (
	"sync"
	"sync/atomic"
	"time"

	"tidewire/tenants"
)

// Tap is where a node's parts note what happens to the apps that are watched. A
// nil *Tap is one that nobody ever watches.
type Tap struct {
	node string // static

	feeds atomic.Pointer[map[tenants.AppID]*Feed] // nil while nothing is watched

	mu sync.Mutex // taken to change feeds
}

// NewTap makes the tap of a node, whose name watchers get to see.
func NewTap(node string) *Tap { return &Tap{node: node} }

// Of returns where to note what happens to app, nil if nobody watches it.
func (t *Tap) Of(app tenants.AppID) *Feed {
	if t == nil {
		return nil
	}
	feeds := t.feeds.Load()
	if feeds == nil {
		return nil
	}
	return (*feeds)[app]
}

// Note notes something about app if it is watched. For what happens often, ask
// [Tap.Of] first and make the entry only then.
func (t *Tap) Note(app tenants.AppID, e Entry) {
	if f := t.Of(app); f != nil {
		f.Add(e)
	}
}

// Watched reports whether anything is watched.
func (t *Tap) Watched() bool { return t != nil && t.feeds.Load() != nil }

// Watch has app watched until a moment, or longer if it is already.
func (t *Tap) Watch(app tenants.AppID, until time.Time) *Feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.Of(app)
	if f == nil {
		f = &Feed{}
		t.change(func(feeds map[tenants.AppID]*Feed) { feeds[app] = f })
	}
	if until.After(f.until) {
		f.until = until
	}
	return f
}

// Sweep ends the watching that has run out, and calls take for every app that is
// still watched.
func (t *Tap) Sweep(now time.Time, take func(tenants.AppID, *Feed)) {
	feeds := t.feeds.Load()
	if feeds == nil {
		return
	}
	for app, f := range *feeds {
		if t.over(app, f, now) {
			continue
		}
		take(app, f)
	}
}

func (t *Tap) over(app tenants.AppID, f *Feed, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(f.until) {
		return false
	}
	t.change(func(feeds map[tenants.AppID]*Feed) { delete(feeds, app) })
	return true
}

// change puts a changed copy in the place of the feeds. It needs mu.
func (t *Tap) change(how func(map[tenants.AppID]*Feed)) {
	next := make(map[tenants.AppID]*Feed)
	if was := t.feeds.Load(); was != nil {
		for app, f := range *was {
			next[app] = f
		}
	}
	how(next)
	if len(next) == 0 {
		t.feeds.Store(nil)
		return
	}
	t.feeds.Store(&next)
}

// Node is the name of the node.
func (t *Tap) Node() string { return t.node }

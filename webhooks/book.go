package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/tenants"
)

// EndpointSource is where endpoints are read from.
type EndpointSource interface {
	// EndpointsSince returns the endpoints that were changed after a version,
	// deleted ones included, oldest change first and perhaps not all.
	EndpointsSince(ctx context.Context, version int64) ([]Endpoint, error)
}

const (
	bookPoll   = 300 * time.Millisecond
	bookReload = time.Minute // what went with its app leaves no trace to follow
)

// Book knows every endpoint, from memory, so that "does anybody want this?"
// costs one look. It follows the database while Run runs.
type Book struct {
	source EndpointSource
	log    *slog.Logger
	wants  atomic.Pointer[map[tenants.AppID]kindSet]

	mu      sync.RWMutex
	version int64
	byID    map[string]*Endpoint
	byApp   map[tenants.AppID][]*Endpoint
	failing bool
}

// NewBook returns an empty book.
func NewBook(source EndpointSource, log *slog.Logger) *Book {
	b := &Book{source: source, log: log, byID: make(map[string]*Endpoint)}
	b.index()
	return b
}

// Wants reports whether an endpoint of the app wants that kind.
func (b *Book) Wants(app tenants.AppID, kind Kind) bool {
	set := (*b.wants.Load())[app]
	return set != 0 && set.has(kind)
}

// Endpoint returns an endpoint, or nil. It is shared and must not be changed.
func (b *Book) Endpoint(id string) *Endpoint {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byID[id]
}

// OfApp returns the endpoints of an app, likewise.
func (b *Book) OfApp(app tenants.AppID) []*Endpoint {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byApp[app]
}

// OfTenant returns the apps of a tenant that have endpoints.
func (b *Book) OfTenant(tenantID string) (apps []tenants.AppID) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for app, list := range b.byApp {
		if list[0].TenantID == tenantID {
			apps = append(apps, app)
		}
	}
	return apps
}

// Run follows the database until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	loaded := time.Now()
	tick := time.NewTicker(bookPoll)
	defer tick.Stop()
	for {
		all := time.Since(loaded) > bookReload
		err := b.Load(ctx, all)
		if all && err == nil {
			loaded = time.Now()
		}
		if err != nil && !b.failing && ctx.Err() == nil {
			b.log.WarnContext(ctx, "webhook endpoints not read, going on with those known", "error", err)
		}
		b.failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Load reads what has changed, or everything anew.
func (b *Book) Load(ctx context.Context, all bool) error {
	fresh := make(map[string]*Endpoint)
	var version int64
	if !all {
		b.mu.RLock()
		version = b.version
		fresh = maps.Clone(b.byID)
		b.mu.RUnlock()
	}
	changed := all
	for {
		part, err := b.source.EndpointsSince(ctx, version)
		if err != nil {
			return fmt.Errorf("read webhook endpoints: %w", err)
		}
		for i := range part {
			e := &part[i]
			version, changed = e.Version, true
			if e.Deleted {
				delete(fresh, e.ID)
			} else {
				fresh[e.ID] = e
			}
		}
		if len(part) == 0 {
			break
		}
	}
	if !changed {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version, b.byID = version, fresh
	b.index()
	return nil
}

// index needs mu.
func (b *Book) index() {
	b.byApp = make(map[tenants.AppID][]*Endpoint)
	wants := make(map[tenants.AppID]kindSet)
	for _, e := range b.byID {
		b.byApp[e.App] = append(b.byApp[e.App], e)
		if s := wants[e.App] | e.kinds(); s != 0 {
			wants[e.App] = s
		}
	}
	b.wants.Store(&wants)
}

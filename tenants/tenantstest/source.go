// Package tenantstest helps tests of everything that stands on the tenants
// floor: an in-memory [Source] of apps, and [TestStore], the suite every store
// must pass. It is not for programs.
package tenantstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tidewire/tenants"
)

// Source keeps apps in memory and behaves like the real store: versions without
// holes, copies instead of shared values. The zero value is empty and ready.
type Source struct {
	mu      sync.Mutex
	apps    map[tenants.AppID]*tenants.App
	version int64
	changes []tenants.Change
	err     error
	asked   int
}

var _ Store = (*Source)(nil)

// Put creates or replaces an app and returns the version of that change.
func (s *Source) Put(app tenants.App) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(&app)
}

func (s *Source) put(app *tenants.App) int64 {
	if s.apps == nil {
		s.apps = make(map[tenants.AppID]*tenants.App)
	}
	s.apps[app.ID] = clone(app)
	return s.note(app.ID, app.TenantID)
}

// Delete removes an app and returns the version of that change.
func (s *Source) Delete(id tenants.AppID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := s.apps[id].TenantID
	delete(s.apps, id)
	return s.note(id, tenant)
}

// SetTenantStatus changes all apps of a tenant in one change.
func (s *Source) SetTenantStatus(tenantID string, status tenants.TenantStatus) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, app := range s.apps {
		if app.TenantID == tenantID {
			app.TenantStatus = status
		}
	}
	return s.note("", tenantID)
}

// ForgetHistory drops the list of changes, so that readers have to start over.
func (s *Source) ForgetHistory() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = nil
}

// Fail makes every question answer err, until it is called with nil.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Asked tells how many look-ups by key or id there were.
func (s *Source) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *Source) note(app tenants.AppID, tenant string) int64 {
	s.version++
	s.changes = append(s.changes, tenants.Change{Version: s.version, App: app, TenantID: tenant})
	return s.version
}

// AppByKey implements [tenants.Source].
func (s *Source) AppByKey(ctx context.Context, key string) (*tenants.App, error) {
	return s.find(ctx, func(app *tenants.App) bool { return app.Key(key) != nil })
}

// AppByID implements [tenants.Source].
func (s *Source) AppByID(ctx context.Context, id tenants.AppID) (*tenants.App, error) {
	return s.find(ctx, func(app *tenants.App) bool { return app.ID == id })
}

func (s *Source) find(ctx context.Context, matches func(*tenants.App) bool) (*tenants.App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if err := s.away(ctx); err != nil {
		return nil, err
	}
	for _, app := range s.apps {
		if matches(app) {
			found := clone(app)
			found.Version = s.version
			return found, nil
		}
	}
	return nil, tenants.ErrNotFound
}

// Changes implements [tenants.Source].
func (s *Source) Changes(ctx context.Context, since int64) (tenants.ChangeSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.away(ctx); err != nil {
		return tenants.ChangeSet{}, err
	}
	set := tenants.ChangeSet{Version: s.version}
	if since < 0 || since == s.version {
		return set, nil
	}
	for _, change := range s.changes {
		if change.Version > since {
			set.Changes = append(set.Changes, change)
		}
	}
	if len(set.Changes) == 0 || set.Changes[0].Version != since+1 {
		return tenants.ChangeSet{Version: s.version, Reset: true}, nil
	}
	return set, nil
}

// CreateApp creates an app as the real store does.
func (s *Source) CreateApp(ctx context.Context, n tenants.NewApp) (*tenants.App, bool, error) {
	if err := n.Validate(); err != nil {
		return nil, false, err
	}
	n.Fill()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.away(ctx); err != nil {
		return nil, false, err
	}
	newTenant := true
	for _, app := range s.apps {
		if app.ID == n.ID {
			return nil, false, fmt.Errorf("app id %s %w", n.ID, tenants.ErrExists)
		}
		if slices.ContainsFunc(app.Keys, func(k tenants.Key) bool { return k.Key == n.Key }) {
			return nil, false, fmt.Errorf("key %s %w", n.Key, tenants.ErrExists)
		}
		newTenant = newTenant && app.TenantSlug != n.TenantSlug
	}
	for s.apps[n.ID] != nil || n.ID == "" {
		n.ID = tenants.RandomAppID()
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	app := &tenants.App{
		ID: n.ID, TenantID: "tn_" + n.TenantSlug, TenantSlug: n.TenantSlug, TenantStatus: tenants.TenantActive,
		Name: n.Name, Cluster: n.Cluster, Settings: *n.Settings, Limits: *n.Limits, CreatedAt: now,
		Keys: []tenants.Key{{ID: "key_" + n.Key, Key: n.Key, Secret: n.Secret, Status: tenants.KeyActive, CreatedAt: now}},
	}
	app.Version = s.put(app)
	return app, newTenant, nil
}

// ListApps lists as the real store does.
func (s *Source) ListApps(ctx context.Context, tenantSlug string) ([]*tenants.App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.away(ctx); err != nil {
		return nil, err
	}
	found := []*tenants.App{}
	for _, app := range s.apps {
		if tenantSlug == "" || app.TenantSlug == tenantSlug {
			app := clone(app)
			app.Version = s.version
			found = append(found, app)
		}
	}
	if len(found) == 0 && tenantSlug != "" {
		return nil, fmt.Errorf("tenant %s: %w", tenantSlug, tenants.ErrNotFound)
	}
	slices.SortFunc(found, func(a, b *tenants.App) int {
		if byTenant := strings.Compare(a.TenantSlug, b.TenantSlug); byTenant != 0 {
			return byTenant
		}
		if byAge := a.CreatedAt.Compare(b.CreatedAt); byAge != 0 {
			return byAge
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return found, nil
}

// Ping answers the error that [Source.Fail] was given.
func (s *Source) Ping(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away(ctx)
}

func (s *Source) away(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	return ctx.Err()
}

func clone(app *tenants.App) *tenants.App {
	copied := *app
	copied.Keys = slices.Clone(app.Keys)
	return &copied
}

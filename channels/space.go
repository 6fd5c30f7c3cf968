package channels

import (
	"context"
	"sync"
	"sync/atomic"
	"unique"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// space is one app's part of the hub: its connections on this node.
type space struct {
	app   atomic.Pointer[tenants.App] // the newest configuration known
	usage *tenants.AppUsage           // static; nil if nothing is counted

	mu      sync.Mutex
	conns   map[SocketID]*Conn
	users   map[string]*online  // signed in on this node, by user id
	watched map[string]*watched // watched from this node, by user id
}

func (sp *space) conn(id SocketID) *Conn {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.conns[id]
}

// all returns the app's connections as of now.
func (sp *space) all() []*Conn {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	conns := make([]*Conn, 0, len(sp.conns))
	for _, c := range sp.conns {
		conns = append(conns, c)
	}
	return conns
}

// seat takes a seat for c, where nodes share them, and admits it.
func (h *Hub) seat(e *Entry, c *Conn) *Refusal {
	if h.seated(e.App) {
		if err := h.cfg.Seats.Take(context.Background(), e.App); err != nil {
			return overConnections(err)
		}
	}
	refusal := h.admit(e, c)
	if refusal != nil {
		if h.seated(e.App) {
			h.cfg.Seats.Free(e.App.TenantID, e.App.ID)
		}
		return refusal
	}
	if refusal = h.recheck(c); refusal != nil {
		h.expel(c)
	}
	return refusal
}

// recheck judges a connection just admitted by the app as it is now: a change
// made since the gate looked may have been told before it was among those to
// close.
func (h *Hub) recheck(c *Conn) *Refusal {
	was := c.app()
	if h.cfg.Newest == nil || was.ID == tenants.ConsoleAppID {
		return nil
	}
	now := h.cfg.Newest(was.ID)
	switch now {
	case nil: // deleted, or too busy changing to be remembered
		return Unknown()
	case was:
		return nil
	}
	for was.Version < now.Version && !c.space.app.CompareAndSwap(was, now) {
		was = c.app()
	}
	return c.by.Value().servable(now)
}

// admit adds c to its app's space, or says why it may not be there.
func (h *Hub) admit(e *Entry, c *Conn) *Refusal {
	app := e.App
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return &Refusal{Code: CodeReconnect, Message: messageDraining}
	}
	sp := h.spaces[app.ID]
	if sp == nil {
		sp = &space{conns: make(map[SocketID]*Conn), usage: h.usageOf(app)}
		sp.app.Store(app)
		h.spaces[app.ID] = sp
	}
	if known := sp.app.Load(); known.Version > app.Version {
		app = known
	} else {
		sp.app.Store(app)
	}
	limit := app.Limits.Effective().MaxConnections
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(sp.conns) >= limit {
		return Refuse(CodeOverQuota, "App %s has %d connections, the most it allows. Close some, or raise max_connections.", app.ID, limit)
	}
	if h.seated(app) {
		sp.usage.Connected()
	} else if err := sp.usage.Connect(app); err != nil { // all apps of the tenant together
		if len(sp.conns) == 0 {
			delete(h.spaces, app.ID)
		}
		return overConnections(err)
	}
	c.space = sp
	c.by = unique.Make(entrance{key: e.Key, origin: e.Origin})
	sp.conns[c.id] = c
	return nil
}

// expel takes c out of its space, and the space out of the hub when it was the last.
func (h *Hub) expel(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sp := c.space
	sp.mu.Lock()
	defer sp.mu.Unlock()
	delete(sp.conns, c.id)
	sp.usage.Disconnect()
	if app := sp.app.Load(); h.seated(app) {
		h.cfg.Seats.Free(app.TenantID, app.ID)
	}
	if len(sp.conns) == 0 {
		delete(h.spaces, sp.app.Load().ID)
	}
}

// AppChanged makes a change of an app's configuration effective for the
// connections that are open: those it no longer serves are closed. now is nil
// when the app was deleted.
func (h *Hub) AppChanged(was, now *tenants.App) {
	app := now
	if app == nil {
		app = was
		h.cfg.Meters.Forget(app.ID)
	}
	h.mu.RLock()
	sp := h.spaces[app.ID]
	h.mu.RUnlock()
	if sp == nil {
		return
	}
	if now != nil {
		sp.app.Store(now)
	}
	judged := make(map[unique.Handle[entrance]]*Refusal)
	for _, c := range sp.all() {
		r, known := judged[c.by]
		if !known {
			r = c.by.Value().servable(now)
			judged[c.by] = r
		}
		if r != nil {
			c.Close(r)
		}
	}
}

// servable says why app, which may be nil, does not serve connections that came
// in like that; nil if it does.
func (e entrance) servable(app *tenants.App) *Refusal {
	if r := Servable(app, e.key); r != nil {
		return r
	}
	if !app.Settings.OriginAllowed(e.origin) {
		return originRefused(e.origin)
	}
	return nil
}

// Servable says why app, which may be nil, does not serve connections made with
// key; nil if it does.
func Servable(app *tenants.App, key string) *Refusal {
	switch {
	case app == nil:
		return Refuse(CodeAppUnknown, "This app was deleted.").For(console.AppDeleted)
	case app.TenantStatus == tenants.TenantSuspended || app.TenantStatus == tenants.TenantClosing:
		return Refuse(CodeAppDisabled, "The owner of this app is %s.", app.TenantStatus).For(console.TenantSuspended)
	case !app.Serving():
		return Refuse(CodeAppDisabled, "Application disabled")
	case app.Key(key) == nil:
		return Refuse(CodeAppUnknown, "App key %s was revoked.", key).For(console.KeyRevoked)
	}
	return nil
}

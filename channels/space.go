package channels

import (
	"context"
	"sync"
	"sync/atomic"

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
func (h *Hub) seat(app *tenants.App, c *Conn) *Refusal {
	if h.cfg.Seats == nil {
		return h.admit(app, c)
	}
	if err := h.cfg.Seats.Take(context.Background(), app); err != nil {
		return Refuse(CodeOverQuota, "%v", err)
	}
	refusal := h.admit(app, c)
	if refusal != nil {
		h.cfg.Seats.Free(app.TenantID, app.ID)
	}
	return refusal
}

// admit adds c to its app's space, or says why it may not be there.
func (h *Hub) admit(app *tenants.App, c *Conn) *Refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return &Refusal{Code: CodeReconnect, Message: messageDraining}
	}
	sp := h.spaces[app.ID]
	if sp == nil {
		sp = &space{conns: make(map[SocketID]*Conn), usage: h.cfg.Meters.App(app)}
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
	if h.cfg.Seats != nil {
		sp.usage.Connected()
	} else if err := sp.usage.Connect(app); err != nil { // all apps of the tenant together
		if len(sp.conns) == 0 {
			delete(h.spaces, app.ID)
		}
		return Refuse(CodeOverQuota, "%v", err)
	}
	c.space = sp
	if key := app.Key(c.key); key != nil {
		c.key = key.Key // the one given may be a part of the whole request
	}
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
	if app := sp.app.Load(); h.cfg.Seats != nil {
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
	for _, c := range sp.all() {
		if r := Servable(now, c.key); r != nil {
			c.Close(r)
		}
	}
}

// Servable says why app, which may be nil, does not serve connections made with
// key; nil if it does.
func Servable(app *tenants.App, key string) *Refusal {
	switch {
	case app == nil:
		return Refuse(CodeAppUnknown, "This app was deleted.")
	case app.TenantStatus == tenants.TenantSuspended || app.TenantStatus == tenants.TenantClosing:
		return Refuse(CodeAppDisabled, "The owner of this app is %s.", app.TenantStatus)
	case !app.Serving():
		return Refuse(CodeAppDisabled, "Application disabled")
	case app.Key(key) == nil:
		return Refuse(CodeAppUnknown, "App key %s was revoked.", key)
	}
	return nil
}

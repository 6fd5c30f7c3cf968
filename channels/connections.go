package channels

import (
	"slices"
	"strings"
	"time"

	"tidewire/tenants"
)

// Connection is an open connection of this node, as its owner may see it.
type Connection struct {
	ID          SocketID
	Key         string    // the app key it came with
	UserID      string    // who signed in on it; empty = nobody
	ConnectedAt time.Time // right to a second
}

// Connections lists an app's connections on this node by socket id: those after
// a given one, at most limit of them, and whether there are more.
func (h *Hub) Connections(app tenants.AppID, after SocketID, limit int) (list []Connection, more bool) {
	h.mu.RLock()
	sp := h.spaces[app]
	h.mu.RUnlock()
	if sp == nil {
		return nil, false
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	ids := make([]SocketID, 0, len(sp.conns))
	for id := range sp.conns {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b SocketID) int { return strings.Compare(string(a), string(b)) })
	if more = len(ids) > limit; more {
		ids = ids[:limit]
	}
	users := make(map[*Conn]string)
	for id, u := range sp.users {
		for c := range u.conns {
			users[c] = id
		}
	}
	for _, id := range ids {
		c := sp.conns[id]
		list = append(list, Connection{ID: id, Key: c.by.Value().key, UserID: users[c], ConnectedAt: time.Unix(int64(c.since), 0).UTC()})
	}
	return list, more
}

// CountConnections returns how many connections an app has on this node.
func (h *Hub) CountConnections(app tenants.AppID) int {
	h.mu.RLock()
	sp := h.spaces[app]
	h.mu.RUnlock()
	if sp == nil {
		return 0
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return len(sp.conns)
}

// Standing is how many messages an app has used today and how many connections
// it has, over all nodes as far as this one knows.
func (h *Hub) Standing(app tenants.AppID) (messages, connections int64) {
	u := h.cfg.Meters.Find(app)
	return u.Today(), u.Connections()
}

package channels

import "tidewire/tenants"

// AppStats is what one app has on this node.
type AppStats struct {
	App         tenants.AppID
	Connections int64          // open now
	Used        tenants.Counts // since this process started
}

// AppStats returns the figures of every app that has connections on this node
// now, in no order.
func (h *Hub) AppStats() []AppStats {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]AppStats, 0, len(h.spaces))
	for id, sp := range h.spaces {
		sp.mu.Lock()
		n := len(sp.conns)
		sp.mu.Unlock()
		list = append(list, AppStats{App: id, Connections: int64(n), Used: sp.usage.Used()})
	}
	return list
}

package tenants

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// freeze makes the next batch, which tells at least that this node is alive. gone says that
// this node's connections are.
func (m *Meters) freeze(now time.Time, gone bool) {
	m.cutAll()
	b := &UsageBatch{Source: m.source, At: now, AliveUntil: now.Add(max(minAlive, m.opts.Interval*3/2))}
	for _, h := range m.pending {
		b.Hours = append(b.Hours, *h)
	}
	clear(m.pending)
	within := make(map[*AppUsage]int64)
	m.mu.Lock()
	for id, u := range m.apps {
		u.latest = nil
		within[u] = u.cut.Messages()
		open := u.conns.open.Load()
		if gone {
			open = 0
		}
		if open != u.told {
			b.Connections = append(b.Connections, AppConnections{TenantID: u.tenant.id, App: id, Open: open})
			u.told = open
		}
		if u.deleted.Load() && open == 0 && u.counts() == u.cut {
			m.forget(u)
		}
	}
	m.mu.Unlock()
	if gone && len(b.Hours) == 0 && len(b.Connections) == 0 {
		return // an empty batch says that this node is alive
	}
	// Every process takes rows in this order, so that no two wait for each other.
	slices.SortFunc(b.Hours, func(x, y UsageHour) int {
		return cmp.Or(strings.Compare(string(x.App), string(y.App)), x.Hour.Compare(y.Hour))
	})
	slices.SortFunc(b.Connections, func(x, y AppConnections) int { return strings.Compare(string(x.App), string(y.App)) })
	m.seq++
	b.Seq = m.seq
	m.batch, m.within = b, within
}

// forget needs mu. What the app used stays in its tenant's sum.
func (m *Meters) forget(u *AppUsage) {
	delete(m.apps, u.app)
	u.tenant.forgotten += u.cut.Messages()
	if u.tenant.apps--; u.tenant.apps == 0 {
		delete(m.tenants, u.tenant.id)
	}
}

// cutAll moves what was counted since the last time into this hour's records.
func (m *Meters) cutAll() {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, u := range m.apps {
		m.cut(u)
	}
}

func (m *Meters) cut(u *AppUsage) {
	now := u.counts()
	grown := now.minus(u.cut)
	peak := u.peak.Swap(u.conns.open.Load())
	u.peaked() // a connection may have come in between
	if peak > 0 {
		peak += u.conns.elsewhere.Load()
	}
	by := u.refused.take()
	if grown == (Counts{}) && peak <= u.hourPeak && len(by) == 0 {
		return
	}
	u.cut = now
	u.hourPeak = max(u.hourPeak, peak)
	u.tenant.active = true
	key := usageKey{app: u.app, hour: m.hour}
	h := m.pending[key]
	if h == nil && len(m.pending) >= maxPending {
		h = u.latest
	}
	if h == nil {
		h = &UsageHour{TenantID: u.tenant.id, App: u.app, Hour: m.hour}
		m.pending[key] = h
	}
	u.latest = h
	h.Counts = h.Add(grown)
	h.AddRefused(by)
	h.PeakConnections = max(h.PeakConnections, peak)
}

package tenants

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Run stores what was counted, until ctx ends; then it stores the rest, for
// which it takes a few seconds at most. Counting must have ended before that.
func (m *Meters) Run(ctx context.Context) error {
	turn := time.NewTicker(min(maxTurnTime, m.opts.Interval))
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			m.finish()
			return nil
		case <-m.wake:
			m.learn(ctx)
		case <-turn.C:
			m.turn(ctx, time.Now().UTC())
		}
	}
}

// turn begins a new hour or day when it is time, and flushes when it is time.
func (m *Meters) turn(ctx context.Context, now time.Time) {
	if hour := now.Truncate(time.Hour); !hour.Equal(m.hour) {
		m.cutAll()
		newDay := !startOfDay(hour).Equal(startOfDay(m.hour))
		m.hour = hour
		m.mu.RLock()
		for _, u := range m.apps {
			u.hourPeak = 0
			if newDay {
				u.messages.newDay()
			}
		}
		for _, t := range m.tenants {
			if newDay {
				t.active = false
				t.messages.newDay()
			}
		}
		m.mu.RUnlock()
	}
	if now.Sub(m.flushed) >= m.opts.Interval {
		m.flushed = now
		m.report(ctx, m.flush(ctx, now))
	}
}

func startOfDay(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }

// finish stores everything that is left, this node's connections being gone.
func (m *Meters) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
	defer cancel()
	for {
		err := m.settle(ctx)
		if err == nil {
			m.freeze(time.Now().UTC(), true)
			if err = m.settle(ctx); err == nil {
				return
			}
		}
		wait := time.NewTimer(flushAgain)
		select {
		case <-ctx.Done():
			wait.Stop()
			m.log.Error("usage of the last moments is lost: the database did not take it", "error", err)
			return
		case <-wait.C:
		}
	}
}

// flush gives the store what is new, and learns where the apps stand.
func (m *Meters) flush(ctx context.Context, now time.Time) error {
	if m.batch == nil {
		m.freeze(now, false)
	}
	if err := m.settle(ctx); err != nil {
		return err
	}
	return m.ask(ctx, func(t *tenantUsage) bool { return t.fresh || t.active || t.conns.open.Load() > 0 })
}

// settle makes the store take the batch, if there is one.
func (m *Meters) settle(ctx context.Context) error {
	if m.batch == nil {
		return nil
	}
	if err := m.store.AddUsage(ctx, *m.batch); err != nil {
		return fmt.Errorf("add usage: %w", err)
	}
	for u, messages := range m.within {
		u.stored = messages
	}
	m.batch, m.within = nil, nil
	return nil
}

// learn asks where the tenants stand that were not used before.
func (m *Meters) learn(ctx context.Context) {
	if m.batch == nil { // else the store may or may not have it: wait until that is known
		m.report(ctx, m.ask(ctx, func(t *tenantUsage) bool { return t.fresh }))
	}
}

// report logs when the store goes away and when it is back.
func (m *Meters) report(ctx context.Context, err error) {
	switch {
	case err != nil && !m.failing && ctx.Err() == nil:
		m.log.Warn("usage is not exchanged with the database: it is kept here and tried again", "error", err)
	case err == nil && m.failing:
		m.log.Info("usage is exchanged with the database again")
	}
	m.failing = err != nil
}

// ask learns from the store where the tenants stand for which of is true. No
// batch may be under way.
func (m *Meters) ask(ctx context.Context, of func(*tenantUsage) bool) error {
	asked := make(map[string]*tenantUsage)
	var ids []string
	m.mu.Lock()
	for id, t := range m.tenants {
		if of(t) {
			asked[id] = t
			ids = append(ids, id)
			t.fresh = false
		}
	}
	m.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	list, err := m.store.Standings(ctx, m.source, startOfDay(m.hour), ids)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		for _, t := range asked {
			t.fresh = true
		}
		return fmt.Errorf("read usage: %w", err)
	}
	m.stand(asked, list)
	return nil
}

// stand needs mu. It corrects the sums by what the store knows: the day's sum
// is what the store has, plus what is counted here and not in the store yet.
func (m *Meters) stand(asked map[string]*tenantUsage, list []Standing) {
	type sum struct{ messages, elsewhere int64 }
	ofApp, ofTenant := make(map[AppID]sum), make(map[string]sum)
	for _, s := range list {
		if m.opts.Alone {
			s.Elsewhere = 0
		}
		a, t := ofApp[s.App], ofTenant[s.TenantID]
		ofApp[s.App] = sum{a.messages + s.Messages, a.elsewhere + s.Elsewhere}
		ofTenant[s.TenantID] = sum{t.messages + s.Messages, t.elsewhere + s.Elsewhere}
	}
	stored := make(map[*tenantUsage]int64)
	for id, u := range m.apps {
		if asked[u.tenant.id] != u.tenant {
			continue
		}
		u.messages.base.Store(ofApp[id].messages - u.stored)
		u.conns.elsewhere.Store(ofApp[id].elsewhere)
		stored[u.tenant] += u.stored
	}
	for id, t := range asked {
		t.messages.base.Store(ofTenant[id].messages - stored[t] - t.forgotten)
		t.conns.elsewhere.Store(ofTenant[id].elsewhere)
	}
}

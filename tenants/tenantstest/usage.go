package tenantstest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"tidewire/tenants"
)

// Trouble is what goes wrong in a [UsageStore].
type Trouble int

// The kinds of trouble; both together take turns.
const (
	RefuseBatch Trouble = 1 << iota // nothing is stored
	LoseAnswer                      // a batch is stored, but its sender gets an error
)

// UsageStore keeps usage in memory and behaves like the real store. The zero
// value is empty and ready.
type UsageStore struct {
	Fail error // what trouble looks like

	mu      sync.Mutex
	trouble Trouble
	turn    int
	seq     map[string]int64
	alive   map[string]time.Time
	hours   map[hourKey]tenants.UsageHour
	open    map[openKey]tenants.AppConnections
}

type hourKey struct {
	app  tenants.AppID
	hour time.Time
}

type openKey struct {
	app    tenants.AppID
	source string
}

var _ tenants.UsageStore = (*UsageStore)(nil)

// Trouble sets what goes wrong from now on; 0 is nothing.
func (s *UsageStore) Trouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// Hours lists what was stored, by app and hour.
func (s *UsageStore) Hours() []tenants.UsageHour {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]tenants.UsageHour, 0, len(s.hours))
	for _, h := range s.hours {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b tenants.UsageHour) int {
		return cmp.Or(strings.Compare(string(a.App), string(b.App)), a.Hour.Compare(b.Hour))
	})
	return list
}

// Open is how many connections of an app there are, on nodes that live or not.
func (s *UsageStore) Open(app tenants.AppID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for key, c := range s.open {
		if key.app == app {
			n += c.Open
		}
	}
	return n
}

// AddUsage implements [tenants.UsageStore].
func (s *UsageStore) AddUsage(_ context.Context, b tenants.UsageBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	trouble := s.trouble
	if trouble == RefuseBatch|LoseAnswer {
		trouble = []Trouble{RefuseBatch, LoseAnswer}[s.turn%2]
	}
	if trouble == RefuseBatch {
		return s.Fail
	}
	s.add(b)
	if trouble == LoseAnswer {
		return s.Fail
	}
	return nil
}

func (s *UsageStore) add(b tenants.UsageBatch) {
	if s.seq == nil {
		s.seq, s.alive = make(map[string]int64), make(map[string]time.Time)
		s.hours, s.open = make(map[hourKey]tenants.UsageHour), make(map[openKey]tenants.AppConnections)
	}
	if b.Seq <= s.seq[b.Source] {
		return
	}
	s.seq[b.Source], s.alive[b.Source] = b.Seq, b.AliveUntil
	for _, h := range b.Hours {
		key := hourKey{h.App, h.Hour}
		was := s.hours[key]
		h.Counts, h.PeakConnections = h.Add(was.Counts), max(h.PeakConnections, was.PeakConnections)
		h.AddRefused(was.Refused)
		s.hours[key] = h
	}
	for _, c := range b.Connections {
		s.open[openKey{c.App, b.Source}] = c
	}
}

// Standings implements [tenants.UsageStore].
func (s *UsageStore) Standings(_ context.Context, source string, day time.Time, tenantIDs []string) ([]tenants.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != 0 {
		return nil, s.Fail
	}
	var list []tenants.Standing
	for _, h := range s.hours {
		if slices.Contains(tenantIDs, h.TenantID) && !h.Hour.Before(day) && h.Hour.Before(day.Add(24*time.Hour)) {
			list = append(list, tenants.Standing{TenantID: h.TenantID, App: h.App, Messages: h.Messages()})
		}
	}
	for key, c := range s.open {
		if slices.Contains(tenantIDs, c.TenantID) && key.source != source && time.Now().Before(s.alive[key.source]) {
			list = append(list, tenants.Standing{TenantID: c.TenantID, App: c.App, Elsewhere: c.Open})
		}
	}
	return list, nil
}

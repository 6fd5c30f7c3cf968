package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// The states of a node. The words are what /readyz and healthcheck say.
const (
	stateStarting = "starting"  // nothing is known yet
	stateReady    = "ready"     // everything works
	stateDegraded = "degraded"  // events flow, something else does not work
	stateNotReady = "not ready" // events do not flow
	stateDraining = "draining"  // it stops; traffic belongs elsewhere
)

// worksEvents is the ability without which a node is not ready.
const worksEvents = "events"

// ability is something that people rely on a node for.
type ability struct {
	name  string
	needs []string // names of checks; one that is not asked is always there
}

// abilities says what depends on what. TestHealthIsTrue takes each dependency
// away and compares.
var abilities = []ability{
	// Publishing, subscribing, presence, state of channels: of apps known here.
	{worksEvents, []string{needsConfiguration, needsRealtime}},
	// New clients; those that are here stay.
	{"connections", []string{needsConfiguration, needsRoom}},
	// Apps and keys that this node has not served since it started.
	{"new_apps", []string{needsDatabase}},
	{"admin", []string{needsDatabase}},    // admin API, dashboard, commands
	{"webhooks", []string{needsDatabase}}, // what is not told now is told later
}

// stoppedBy lists what does not work without a dependency.
func stoppedBy(dependency string) string {
	var names []string
	for _, a := range abilities {
		if slices.Contains(a.needs, dependency) {
			names = append(names, a.name)
		}
	}
	return strings.Join(names, " ")
}

// health is what is known of a node.
type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"` // ok or away, by dependency
	Works  map[string]bool   `json:"works"`  // by ability
}

// String says it in a line: what is away, and what does not work without it.
func (h health) String() string {
	var away, stopped []string
	for name, said := range h.Checks {
		if said != "ok" {
			away = append(away, name)
		}
	}
	for name, works := range h.Works {
		if !works {
			stopped = append(stopped, name)
		}
	}
	slices.Sort(away)
	slices.Sort(stopped)
	text := printableText(h.Status)
	if len(away) > 0 {
		text += ": " + printableText(strings.Join(away, ", ")) + " away"
	}
	if len(stopped) > 0 {
		text += "; does not work: " + printableText(strings.Join(stopped, ", "))
	}
	return text
}

// health tells how the node was when it was last looked at.
func (r *readiness) health() health {
	h := health{Status: stateReady, Checks: make(map[string]string, len(r.checks)), Works: make(map[string]bool, len(abilities))}
	away := func(name string) bool { return h.Checks[name] == "away" }
	for i, check := range r.checks {
		h.Checks[check.name] = "ok"
		if r.away[i].Load() {
			h.Checks[check.name], h.Status = "away", stateDegraded
		}
	}
	for _, a := range abilities {
		h.Works[a.name] = !slices.ContainsFunc(a.needs, away)
	}
	switch {
	case r.draining.Load():
		h.Status = stateDraining
	case !r.asked.Load():
		h.Status = stateStarting
	case !h.Works[worksEvents]:
		h.Status = stateNotReady
	}
	return h
}

// ServeHTTP implements [http.Handler]: what is away, what works all the same,
// and 200 or 503. A degraded node is 503 unless it is asked with degraded=ok: a
// balancer that takes every node out because the database they share is away
// stops what would go on. The reason is in the log, not in the answer: the
// endpoint is public.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := r.health()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if h.Status != stateReady && (h.Status != stateDegraded || req.URL.Query().Get("degraded") != "ok") {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h)
}

// endConnections makes clients open another connection after this answer once
// the node drains, so that it goes to another node.
func (r *readiness) endConnections(c *gin.Context) {
	if r.draining.Load() {
		c.Header("Connection", "close")
	}
}

// newHealthCollector shows the health of this node.
func newHealthCollector(take func() health) prometheus.Collector {
	return snapshotCollector[health]{
		take: take,
		figures: []figure[health]{
			gauge("tidewire_ready", "1 if everything works here, else 0.", func(h health) int64 { return bit(h.Status == stateReady) }),
			gauge("tidewire_draining", "1 from the moment a stop begins.", func(h health) int64 { return bit(h.Status == stateDraining) }),
		},
		families: []family[health]{
			gauges("tidewire_dependency_up", "1 if the dependency answers this node, else 0.", "dependency", func(h health) map[string]uint64 {
				up := make(map[string]uint64, len(h.Checks))
				for name, said := range h.Checks {
					up[name] = uint64(bit(said == "ok"))
				}
				return up
			}),
			gauges("tidewire_works", "1 if the ability works on this node, else 0.", "ability", func(h health) map[string]uint64 {
				works := make(map[string]uint64, len(h.Works))
				for name, does := range h.Works {
					works[name] = uint64(bit(does))
				}
				return works
			}),
		},
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

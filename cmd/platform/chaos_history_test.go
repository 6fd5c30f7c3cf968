package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seen is one thing a client was told.
type seen struct {
	event string // member_added, member_removed, or "e" for an event
	user  string // of a member event
	n     int    // of an event
	at    time.Time
}

// due is an event published while nothing was broken, and who has to have heard it.
type due struct {
	n        int
	sessions []*session
}

// session is what one connection was told, from its subscription to its end.
type session struct {
	name    string
	members []string // in the list it got first
	told    []seen
	calm    bool // it is there in the end
}

// history is one round as its clients and its publisher saw it.
type history struct {
	sessions []*session
	// acked are the events that were vouched for.
	acked map[int]bool
	due   []due
	// live are the users with an open connection in the end, members what the
	// HTTP API says of each node.
	live    map[string]bool
	members [][]string
	// lagged says that a replica took over, which may lack the last connections
	// admitted before: as many more are let in until the nodes have said theirs.
	lagged bool
	// limit is the most connections, admitted how many there were at once when
	// as many as possible were asked for.
	limit, admitted int
	// stuck is what did not come about in time; empty if all did.
	stuck string
}

// heard reports whether an event came.
func (s *session) heard(n int) bool {
	return slices.ContainsFunc(s.told, func(e seen) bool { return e.event == "e" && e.n == n })
}

// check says what is wrong with a round; nothing, if all is as promised.
func (h *history) check() (violations []string) {
	wrong := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	for _, s := range h.sessions {
		here, last := make(map[string]bool), 0
		heard := make(map[int]bool)
		for _, user := range s.members {
			here[user] = true
		}
		for _, e := range s.told {
			switch e.event {
			case "member_added":
				if here[e.user] {
					wrong("%s: %s is added while it is there", s.name, e.user)
				}
				here[e.user] = true
			case "member_removed":
				if !here[e.user] {
					wrong("%s: %s is removed while it is not there", s.name, e.user)
				}
				delete(here, e.user)
			default:
				if heard[e.n] {
					wrong("%s: event %d comes twice", s.name, e.n)
				}
				heard[e.n] = true
				if !h.acked[e.n] { // its publisher was told nothing, so it may come late
					continue
				}
				if e.n < last {
					wrong("%s: event %d comes after %d", s.name, e.n, last)
				}
				last = e.n
			}
		}
		if !s.calm {
			continue
		}
		for user := range here {
			if !h.live[user] {
				wrong("%s: ghost member %s", s.name, user)
			}
		}
		for user := range h.live {
			if !here[user] {
				wrong("%s: member %s is missing", s.name, user)
			}
		}
	}
	for _, d := range h.due {
		for _, s := range d.sessions {
			if !s.heard(d.n) {
				wrong("%s: event %d is lost although nothing was broken", s.name, d.n)
			}
		}
	}
	if h.stuck != "" {
		wrong("%s", h.stuck)
	}
	for i, list := range h.members {
		if len(list) != len(h.live) {
			wrong("node %d lists %d members, there are %d", i, len(list), len(h.live))
		}
	}
	if h.admitted < h.limit || h.admitted > h.limit && !h.lagged {
		wrong("%d connections were admitted, the limit is %d", h.admitted, h.limit)
	}
	return violations
}

// Each fault, as its round would look, is caught; the round without one is not.
func TestChaosCheckerCatchesFaults(t *testing.T) {
	t.Parallel()
	round := func() *history {
		told := func() []seen {
			return []seen{{event: "e", n: 1}, {event: "member_added", user: "b"}, {event: "member_removed", user: "dead"}, {event: "e", n: 2}}
		}
		sessions := []*session{
			{name: "one", members: []string{"a", "dead"}, told: told(), calm: true},
			{name: "two", members: []string{"a", "dead"}, told: told(), calm: true},
		}
		return &history{
			sessions: sessions, acked: map[int]bool{1: true, 2: true}, due: []due{{2, sessions}}, live: map[string]bool{"a": true, "b": true}, members: [][]string{{"a", "b"}, {"b", "a"}},
			limit: 9, admitted: 9,
		}
	}
	require.Empty(t, round().check())
	for name, plant := range map[string]func(*history){
		"no fencing: a woken node adds a member twice": func(h *history) {
			h.sessions[0].told = append(h.sessions[0].told, seen{event: "member_added", user: "a"})
		},
		"reaper off: a dead node's member stays": func(h *history) {
			for _, s := range h.sessions {
				s.told = append(s.told[:2:2], s.told[3])
			}
			h.members[0], h.members[1] = append(h.members[0], "dead"), append(h.members[1], "dead")
		},
		"one dropped delivery": func(h *history) { h.sessions[1].told = h.sessions[1].told[:3] },
		"a double member_removed": func(h *history) {
			h.sessions[1].told = append(h.sessions[1].told, seen{event: "member_removed", user: "dead"})
		},
		"a counter not released":  func(h *history) { h.admitted = 8 },
		"one connection too many": func(h *history) { h.admitted = 10 },
		"a deaf subscription":     func(h *history) { h.sessions[0].told = nil },
	} {
		h := round()
		plant(h)
		require.NotEmpty(t, h.check(), name)
	}
}

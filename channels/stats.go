package channels

import (
	"sync/atomic"

	"tidewire/channels/fanout"
)

type hubCounters struct {
	published, busy, connects, refused atomic.Int64
	frames, complaints, resyncs        atomic.Int64
	refills, historyGaps, historyLost  atomic.Int64
}

// Stats is a snapshot of what a hub has and has done since it started.
type Stats struct {
	Connections int64 // open now
	Channels    int64 // topics with subscribers on this node now
	Apps        int64 // apps with connections on this node now

	Connects    int64 // connections accepted
	Refused     int64 // connections refused with a code
	FramesIn    int64 // frames received from clients
	Complaints  int64 // error frames sent on connections that stayed open
	Published   int64 // events handed to the broker by this node
	Busy        int64 // events refused because too much was undelivered
	Refills     int64 // times events of a history were read that the broker had not brought
	HistoryGaps int64 // times they were gone, and who was to hear them was sent away to resume
	HistoryLost int64 // times the engine turned out to have lost events of a history
	Resyncs     int64 // times the members of a channel were read anew after a missed change

	Fanout fanout.Stats
}

// Stats returns the counters as of now.
func (h *Hub) Stats() Stats {
	s := Stats{
		Channels: int64(h.registry.count()),
		Connects: h.stats.connects.Load(), Refused: h.stats.refused.Load(),
		FramesIn: h.stats.frames.Load(), Complaints: h.stats.complaints.Load(),
		Published: h.stats.published.Load(), Busy: h.stats.busy.Load(), Resyncs: h.stats.resyncs.Load(),
		Refills: h.stats.refills.Load(), HistoryGaps: h.stats.historyGaps.Load(), HistoryLost: h.stats.historyLost.Load(),
		Fanout: h.plane.Stats(),
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	s.Apps = int64(len(h.spaces))
	for _, sp := range h.spaces {
		sp.mu.Lock()
		s.Connections += int64(len(sp.conns))
		sp.mu.Unlock()
	}
	return s
}

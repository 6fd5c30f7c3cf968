package fanout

import "sync/atomic"

// Group is a set of lines that hear the same frames. Make it with [Plane.NewGroup].
type Group struct {
	parts []part // one per shard
}

// part is the share of one shard in a group.
type part struct {
	members []*Member    // owned by the shard
	joined  atomic.Int32 // joins posted minus leaves applied: 0 means no need to wake the shard
}

// Member is one line's place in one group.
type Member struct {
	line  *Line
	group *Group
	index int32 // place in part.members; owned by the shard; -1 when not in it
}

// Len returns how many members the group has, counting joins that are posted
// but not yet applied.
func (g *Group) Len() int {
	n := 0
	for i := range g.parts {
		n += int(g.parts[i].joined.Load())
	}
	return n
}

func (p *part) add(m *Member) {
	m.index = int32(len(p.members)) // #nosec G115 -- connections of one node fit in 31 bits
	p.members = append(p.members, m)
}

func (p *part) remove(m *Member) {
	if m.index < 0 {
		return
	}
	last := len(p.members) - 1
	moved := p.members[last]
	p.members[m.index] = moved
	moved.index = m.index
	p.members[last] = nil
	p.members = p.members[:last]
	m.index = -1
	// A channel that was once huge must not keep its list for ever.
	if cap(p.members) > 64 && last < cap(p.members)/4 {
		p.members = append(make([]*Member, 0, last*2), p.members...)
	}
}

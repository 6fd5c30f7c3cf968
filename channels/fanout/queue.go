package fanout

// The queue of a line is its first frame, then a list of nodes that exists only
// while there is more than one. Nodes come from the shard's free list, so that
// queueing allocates nothing once the shard is warm.

func (l *Line) push(s *shard, f *Frame) {
	l.queued += int32(f.Len()) // #nosec G115 -- bounded by MaxQueuedBytes plus one frame
	if l.first == nil {
		l.first = f
		return
	}
	n := s.newNode(f)
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
}

// pop takes the first frame off. Its bytes stay counted until written or drained.
func (l *Line) pop(s *shard) {
	l.first = nil
	if n := l.head; n != nil {
		l.first, l.head = n.frame, n.next
		if l.head == nil {
			l.tail = nil
		}
		s.freeNode(n)
	}
}

// dropQueue forgets every frame not begun.
func (l *Line) dropQueue(s *shard) {
	for l.first != nil {
		l.queued -= int32(l.first.Len()) // #nosec G115 -- as in push
		l.pop(s)
	}
}

func (s *shard) newNode(f *Frame) *node {
	n := s.free
	if n == nil {
		return &node{frame: f}
	}
	s.free, n.next = n.next, nil
	s.freeN--
	n.frame = f
	return n
}

func (s *shard) freeNode(n *node) {
	n.frame, n.next = nil, nil
	if s.freeN < keptNodes {
		n.next, s.free = s.free, n
		s.freeN++
	}
}

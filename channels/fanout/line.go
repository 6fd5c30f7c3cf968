package fanout

import "time"

// lineState is where a line stands; only its shard changes it.
type lineState uint8

const (
	lineOpen    lineState = iota
	lineClosing           // a close frame is queued or sent: nothing may follow it
	lineClosed            // the transport is closed
)

// Line is the outgoing side of one connection. Its methods may be called from
// any goroutine, never wait, and take effect in the order of the calls.
type Line struct {
	shard     *shard    // static
	transport Transport // static
	// owned by the shard from here on
	first      *Frame // the head of the queue; nearly always the whole queue
	head, tail *node  // frames after first
	queued     int32  // bytes waiting, those a drainer is writing included
	state      lineState
	dirty      bool // on the shard's list of lines to flush
	stalled    bool // a drainer owns the transport; the shard only queues
	readGone   bool // the reading side has ended: close as soon as the queue is written
	slow       bool // it was cut off for slowness
	armed      bool // a timer will close it
}

type node struct {
	frame *Frame
	next  *node
}

// Send queues a frame.
func (l *Line) Send(f *Frame) { l.shard.post(op{kind: opSend, line: l, frame: f}) }

// SendRaw queues bytes that are already one whole frame; it copies them. It is
// how control frames made by a WebSocket library reach the socket without ever
// landing inside a data frame.
func (l *Line) SendRaw(b []byte) { l.Send(newRaw(b)) }

// Join puts the line into g, after queueing first: a member hears every frame
// published later, and none before first.
func (l *Line) Join(g *Group, first ...*Frame) *Member {
	m := &Member{line: l, group: g, index: -1}
	g.parts[l.shard.index].joined.Add(1)
	ops := make([]op, 0, 4)
	for _, f := range first {
		ops = append(ops, op{kind: opSend, line: l, frame: f})
	}
	l.shard.post(append(ops, op{kind: opJoin, line: l, member: m})...)
	return m
}

// Leave takes the member out of its group. Call it once.
func (m *Member) Leave() { m.line.shard.post(op{kind: opLeave, line: m.line, member: m}) }

// Close queues last, of which the final one should be a close frame, lets them
// and all that was queued before be written, ends the writing side, and closes
// the connection when the peer does so or closeGrace has passed.
func (l *Line) Close(last ...*Frame) {
	ops := make([]op, 0, 4)
	for _, f := range last {
		ops = append(ops, op{kind: opSend, line: l, frame: f})
	}
	l.shard.post(append(ops, op{kind: opClose, line: l})...)
}

// ReadEnded says that nobody reads from the connection any more: what is queued
// is still written, then the transport is closed.
func (l *Line) ReadEnded() { l.shard.post(op{kind: opReadEnded, line: l}) }

// Queued asks how many bytes are waiting to be written, behind everything asked
// for before; the answer comes on the channel, or never when the plane has ended.
func (l *Line) Queued() <-chan int {
	answer := make(chan int, 1)
	l.shard.post(op{kind: opAskQueued, line: l, answer: answer})
	return answer
}

// Kick asks the shard to write whatever the transport itself still holds.
func (l *Line) Kick() { l.shard.post(op{kind: opKick, line: l}) }

const (
	// closeGrace is how long a peer may take to answer our close.
	closeGrace = 3 * time.Second
	// slowGrace is how long a client that was cut off for slowness may take to
	// read the code that says so.
	slowGrace = 2 * time.Second
	// stallLimit is how long a drainer waits for a peer that reads nothing at
	// all; liveness pings normally end such a connection much earlier.
	stallLimit = 75 * time.Second
)

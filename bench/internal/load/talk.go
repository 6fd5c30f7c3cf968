//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// Talk is the clients of a [Loop] sending client events to the others on their
// channel, in turn. Make one with [Loop.Talk] once all of them are subscribed.
type Talk struct {
	loop     *Loop
	speakers []*speaker
}

// speaker is one client that sends. On its channel it is the publisher stream.
type speaker struct {
	c     *client
	frame []byte // ready but for the stamp
	at    int    // where the stamp stands
	stamp stamp
	reach int64 // how many others listen
}

// Talk lets all clients speak, with so many bytes of text in an event. A channel
// may have no more clients than there are publishers in a run.
func (l *Loop) Talk(size int) (*Talk, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rooms := map[string][]*speaker{}
	for _, c := range l.clients {
		s := &speaker{c: c, stamp: stamp{stream: len(rooms[c.sub.Channel])}}
		if s.stamp.stream == maxStreams {
			return nil, fmt.Errorf("channel %s has more than %d clients who speak", c.sub.Channel, maxStreams)
		}
		text := filler(size)
		stamp{}.write(text)
		s.frame = []byte(`{"event":"client-bench","channel":"` + c.sub.Channel + `","data":{"text":"` + string(text) + `"}}`)
		s.at = bytes.Index(s.frame, []byte(marker))
		rooms[c.sub.Channel] = append(rooms[c.sub.Channel], s)
	}
	t := &Talk{loop: l}
	for _, room := range rooms {
		for _, s := range room {
			s.reach = int64(len(room) - 1)
			t.speakers = append(t.speakers, s)
		}
	}
	slices.SortFunc(t.speakers, func(a, b *speaker) int { return a.c.fd - b.c.fd })
	return t, nil
}

// Paced sends rate events a second for d, the clients taking turns. A client
// that the server has closed ends it.
func (t *Talk) Paced(ctx context.Context, rate int, d time.Duration) (*Sent, error) {
	sent, start := &Sent{}, time.Now()
	for k := range int(d.Seconds() * float64(rate)) {
		due := start.Add(time.Duration(k) * time.Second / time.Duration(rate))
		if err := pause(ctx, time.Until(due)); err != nil {
			return nil, fmt.Errorf("send client events: %w", err)
		}
		sent.Lag.Add(time.Since(due))
		s := t.speakers[k%len(t.speakers)]
		if err := t.loop.say(s); err != nil {
			return nil, fmt.Errorf("send client event %d: %w", k+1, err)
		}
		sent.Events++
		sent.Deliveries += s.reach
	}
	sent.Elapsed = time.Since(start)
	return sent, nil
}

// say sends the next event of s. The lock keeps the connection from being closed
// meanwhile, and its number from becoming another's.
func (l *Loop) say(s *speaker) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[s.c.fd] != s.c {
		return fmt.Errorf("the connection was closed: %w", l.stats.FirstErr)
	}
	s.stamp.seq++
	s.stamp.sent = now()
	s.stamp.write(s.frame[s.at:])
	return send(s.c.fd, appendMasked(nil, opText, s.frame))
}

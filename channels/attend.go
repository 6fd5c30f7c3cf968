package channels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

// changeTime is how long a join waits for its own change to come back through
// the broker before the roster is read again.
const changeTime = 2 * time.Second

// attend makes a connection a member of a presence channel: the engine is told,
// then the connection is given the member list and put into the group at one
// moment of the sequence of changes.
func (h *Hub) attend(ctx context.Context, ch *channel, m Member, limit int, join func(list []byte)) error {
	end, err := ch.count.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer end()
	r := ch.roster
	local := r.local[m.UserID]
	if local == nil || local.sockets == 0 || !bytes.Equal(local.info, m.Info) {
		seq, err := h.presence.Enter(ctx, ch.topic, m, limit)
		if err != nil {
			return err
		}
		if local == nil {
			local = &localMember{}
			r.local[m.UserID] = local
		}
		local.info = m.Info
		if err := h.caughtUp(ctx, ch, seq); err != nil {
			h.behind(ch) // told of a user with no socket: taken back later
			return err
		}
	}
	local.sockets++
	r.admit(ch.topic.Channel, join)
	return nil
}

// caughtUp waits until this node's copy holds change seq, reading it anew if
// that takes too long.
func (h *Hub) caughtUp(ctx context.Context, ch *channel, seq uint64) error {
	within, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	err := ch.roster.reach(within, seq)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	if err := h.resync(ctx, ch); err != nil {
		return err
	}
	return ch.roster.reach(ctx, seq)
}

// depart ends one connection's membership. The engine is told when it was the
// user's last on this node.
func (h *Hub) depart(ctx context.Context, ch *channel, userID string) error {
	end, err := ch.count.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer end()
	local := ch.roster.local[userID]
	local.sockets--
	if local.sockets > 0 {
		return nil
	}
	if err := h.presence.Leave(ctx, ch.topic, userID); err != nil {
		h.behind(ch)
		return fmt.Errorf("leave: %w", err)
	}
	delete(ch.roster.local, userID)
	return nil
}

// tellDepartures tells the engine of users who have left and of whom it could
// not be told then.
func (h *Hub) tellDepartures(ctx context.Context, ch *channel) error {
	if ch.roster == nil {
		return nil
	}
	end, err := ch.count.takeTurn(ctx)
	if err != nil {
		h.behind(ch)
		return err
	}
	defer end()
	for id, local := range ch.roster.local {
		if local.sockets > 0 {
			continue
		}
		if err := h.presence.Leave(ctx, ch.topic, id); err != nil {
			h.behind(ch)
			return err
		}
		delete(ch.roster.local, id)
	}
	return nil
}

// loadChannel fills what a channel that was just subscribed keeps of its topic.
func (h *Hub) loadChannel(ctx context.Context, ch *channel) error {
	if err := h.loadPast(ctx, ch); err != nil {
		return err
	}
	if ch.roster == nil {
		return nil
	}
	now, err := h.presence.Roster(ctx, ch.topic)
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	ch.roster.replace(ch.topic, now) // nobody is in the group yet
	return nil
}

// resync reads the members anew after a change was missed, and tells clients the difference.
func (h *Hub) resync(ctx context.Context, ch *channel) error {
	h.stats.resyncs.Add(1)
	now, err := h.presence.Roster(ctx, ch.topic)
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	for _, ev := range ch.roster.replace(ch.topic, now) {
		h.announceMember(ch, &ev)
	}
	return nil
}

// memberChanged applies a change of the members and tells clients of it.
func (h *Hub) memberChanged(ch *channel, ev *Event) {
	if ch.roster == nil {
		return
	}
	if missing := ch.roster.change(ev, func() { h.announceMember(ch, ev) }); missing {
		h.log.Warn("presence change missed, reading members anew", "app", ch.topic.App, "seq", ev.Seq)
		h.background(func(ctx context.Context) {
			if err := h.resync(ctx, ch); err != nil {
				h.log.WarnContext(ctx, "members not read", "app", ch.topic.App, "error", err)
			}
		})
	}
}

func (h *Hub) announceMember(ch *channel, ev *Event) {
	name := ch.topic.Channel
	n := 160 + len(name) + 2*len(ev.UserID) + 2*len(ev.Data)
	switch ev.Kind {
	case MemberAdded:
		m := wire.Member{ID: ev.UserID, Info: ev.Data}
		h.announce(ch, countChange(ch.usage, fanout.NewText(wire.AppendMemberAdded(room(n), name, m))))
	case MemberRemoved:
		h.announce(ch, countChange(ch.usage, fanout.NewText(wire.AppendMemberRemoved(room(n), name, ev.UserID))))
	}
}

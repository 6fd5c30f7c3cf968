package webhooks

import (
	"context"
	"time"

	"tidewire/channels"
)

// reconcileEvery is how often what was told is compared with what is true. At
// the start it is done at once: a process that was killed could not tell who left.
const reconcileEvery = 5 * time.Minute

// reconcile tells the going of whoever was told to be there and is not. The
// changes are read and recorded by one goroutine, and who comes back after
// presence was asked has a change that is recorded later: so nobody who is there
// is told to be gone.
func (r *Recorder) reconcile(ctx context.Context, lease *Lease) error {
	if r.cfg.Presence == nil || time.Since(r.reconciled) < reconcileEvery {
		return nil
	}
	var after StateKey
	for {
		states, err := r.cfg.Queue.States(ctx, after, recordBatch)
		if err != nil {
			return err
		}
		if len(states) == 0 {
			r.reconciled = time.Now()
			return nil
		}
		after = states[len(states)-1].StateKey
		gone, err := r.goneOf(ctx, states)
		if err != nil {
			return err
		}
		if len(gone) > 0 {
			if err := r.record(ctx, lease, gone, time.Time{}); err != nil {
				return err
			}
		}
	}
}

func (r *Recorder) goneOf(ctx context.Context, states []State) (gone []channels.Change, err error) {
	rosters := make(map[channels.Topic]map[string]bool)
	for _, s := range states {
		c := channels.Change{App: s.App, Channel: s.Channel, At: time.Now()}
		t := channels.Topic{App: s.App, Channel: s.Channel}
		there := false
		switch rest := s.Subject[1:]; s.Subject[:1] {
		case subjectChannel:
			c.Kind = channels.ChannelVacated
			there, err = r.occupied(ctx, t)
		case subjectUser:
			c.Kind, c.UserID = channels.UserOffline, rest
			there, err = r.occupied(ctx, channels.UserTopic(s.App, rest))
		case subjectMember:
			c.Kind, c.UserID = channels.MemberWent, rest
			if rosters[t] == nil {
				rosters[t], err = r.members(ctx, t)
			}
			there = rosters[t][rest]
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if !there {
			r.mu.Lock()
			c.Seq = r.seq()
			r.mu.Unlock()
			gone = append(gone, c)
		}
	}
	return gone, nil
}

func (r *Recorder) occupied(ctx context.Context, t channels.Topic) (bool, error) {
	counts, err := r.cfg.Presence.Occupancy(ctx, []channels.Topic{t})
	return err == nil && counts[0].Subscriptions > 0, err
}

func (r *Recorder) members(ctx context.Context, t channels.Topic) (map[string]bool, error) {
	now, err := r.cfg.Presence.Roster(ctx, t)
	there := make(map[string]bool, len(now.Members))
	for _, m := range now.Members {
		there[m.UserID] = true
	}
	return there, err
}

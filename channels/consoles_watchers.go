package channels

import (
	"context"
	"errors"
	"time"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// watchersTime bounds asking who may still look; what is not answered by then is
// asked again the next time.
const watchersTime = time.Second

const messageNotAllowed = "You may not look at this console any more."

type watcher struct {
	stream tenants.Stream
	app    tenants.AppID
	who    string
}

// checkWatchers closes the consoles on this node of those who have lost the right
// to look since they got their ticket. It does so the second time it finds that
// they have: why they have, as that their app was deleted, they may see. Only
// runConsoles calls it.
func (h *Hub) checkWatchers(ctx context.Context) {
	h.mu.RLock()
	sp := h.spaces[tenants.ConsoleAppID]
	h.mu.RUnlock()
	if sp == nil || h.cfg.MayWatch == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchersTime)
	defer cancel()
	known, ending := make(map[watcher]bool), make(map[*Conn]bool)
	for _, c := range sp.all() {
		for _, claims := range c.heldClaims() {
			stream, app := tenants.StreamOf(claims.Channel)
			w := watcher{stream, app, claims.Subject}
			may, asked := known[w]
			if !asked {
				var err error
				if may, err = h.mayWatch(ctx, w); err != nil {
					h.log.WarnContext(ctx, "not known who may look at live consoles", "error", err)
					return
				}
				known[w] = may
			}
			switch {
			case may:
			case !h.consoles.ending[c]:
				ending[c] = true
			default:
				c.Close(Refuse(CodeUnauthorized, messageNotAllowed).For(console.TokenEnded))
			}
		}
	}
	h.consoles.ending = ending
}

func (h *Hub) mayWatch(ctx context.Context, w watcher) (bool, error) {
	err := h.cfg.MayWatch(ctx, w.who, w.app, w.stream.Action())
	if errors.Is(err, tenants.ErrUnauthenticated) || errors.As(err, new(*tenants.Refusal)) {
		return false, nil
	}
	return err == nil, err
}

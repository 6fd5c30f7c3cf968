package channels

import (
	"context"
	"errors"
	"slices"
	"time"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// hold makes the connection, or one of its subscriptions, rest on claims until
// their deadline. It reports false if they were taken back meanwhile; the
// connection is closed then. The reading side calls it.
func (c *Conn) hold(ctx context.Context, channel string, claims *tenants.JWTClaims) bool {
	t := c.tokens.Load()
	if t == nil {
		t = &tokens{}
		c.tokens.Store(t)
	}
	t.mu.Lock()
	if channel == "" {
		t.conn = claims
	} else {
		if t.channels == nil {
			t.channels = make(map[string]*tenants.JWTClaims)
		}
		t.channels[channel] = claims
	}
	t.arm(c)
	t.mu.Unlock()
	// Whoever revoked the token while it was verified did not find it here yet.
	if err := c.hub.cfg.JWT.Recheck(ctx, c.app(), claims); err != nil {
		c.Close(c.hub.tokenRefusal(ctx, c.app(), err))
		return false
	}
	return true
}

// letGo forgets the token of a subscription that has ended.
func (c *Conn) letGo(channel string) {
	t := c.tokens.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.channels, channel)
}

// dropTokens is the end of hold, with the connection.
func (c *Conn) dropTokens() {
	t := c.tokens.Load()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// arm sets the timer to the earliest deadline. It needs mu.
func (t *tokens) arm(c *Conn) {
	if t.over {
		return
	}
	var next time.Time
	for claims := range t.all {
		if next.IsZero() || claims.Deadline.Before(next) {
			next = claims.Deadline
		}
	}
	switch {
	case next.IsZero():
	case t.timer == nil:
		t.timer = time.AfterFunc(time.Until(next), func() { t.expire(c) })
	default:
		t.timer.Reset(time.Until(next))
	}
}

// all yields every token. It needs mu.
func (t *tokens) all(yield func(*tenants.JWTClaims) bool) {
	if t.conn != nil && !yield(t.conn) {
		return
	}
	for _, claims := range t.channels {
		if !yield(claims) {
			return
		}
	}
}

// expire closes the connection when a token it rests on is past its deadline,
// and otherwise waits for the next.
func (t *tokens) expire(c *Conn) {
	if refusal := t.expired(c, time.Now()); refusal != nil {
		c.Close(refusal)
	}
}

func (t *tokens) expired(c *Conn, now time.Time) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil
	}
	if t.conn != nil && !now.Before(t.conn.Deadline) {
		t.over = true
		return Refuse(CodeUnauthorized, "Token expired. Connect with a new one, or send it by %s before the old one ends.", EventAuth).For(console.TokenEnded)
	}
	for channel, claims := range t.channels {
		if !now.Before(claims.Deadline) {
			t.over = true
			return Refuse(CodeReconnect, "Token expired for %s. Reconnect and subscribe with a new one.", channel).For(console.ChannelTokenEnded)
		}
	}
	t.arm(c)
	return nil
}

// RecheckTokens closes the connections of an app on this node that rest on a
// token which may not be believed any more: it was revoked, or its issuer is
// not in the settings as it was. It is for [tenants.RevocationList.OnChange].
func (h *Hub) RecheckTokens(id tenants.AppID) {
	h.mu.RLock()
	sp := h.spaces[id]
	h.mu.RUnlock()
	if sp == nil || h.cfg.JWT == nil {
		return
	}
	ctx, app := context.Background(), sp.app.Load()
	for _, c := range sp.all() {
		for _, claims := range c.heldClaims() {
			err := h.cfg.JWT.Recheck(ctx, app, claims)
			var refused *tenants.JWTError
			if errors.As(err, &refused) { // what cannot be told now is told again
				c.Close(h.tokenRefusal(ctx, app, err))
				break
			}
		}
	}
}

func (c *Conn) heldClaims() []*tenants.JWTClaims {
	t := c.tokens.Load()
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(t.all)
}

package channelstest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/tenants"
)

// modelClient is a client as the model knows it: which number it has heard last.
type modelClient struct {
	conn   *Client // nil while it is away
	serial string
	heard  int
}

// testResumeModel: publishes, departures and returns in any order, on any node,
// against a model that is a list of numbers of which the last few are kept.
func testResumeModel(t *testing.T, w *world) {
	const kept = 8
	rapid.Check(t, func(rt *rapid.T) {
		w := w.withHistory(tenants.HistoryRule{Pattern: "*", MaxMessages: kept, TTLSeconds: 3600})
		published := 0
		clients := make([]modelClient, 3)
		node := func() int { return rapid.IntRange(0, 2).Draw(rt, "node") }
		listen := func(c *modelClient) {
			for c.conn != nil && c.heard < published {
				f := c.conn.Next()
				c.heard++
				require.Equal(rt, fmt.Sprint(c.heard), f.Text(t))
				c.serial = f.Serial
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(rt, "events") {
					published++
					w.publish(node(), "room", "e", fmt.Sprint(published), "")
				}
			},
			"leave": func(rt *rapid.T) {
				c := &clients[rapid.IntRange(0, 2).Draw(rt, "client")]
				listen(c)
				if c.conn != nil {
					c.conn.Disconnect()
					c.conn = nil
				}
			},
			"come": func(rt *rapid.T) {
				c := &clients[rapid.IntRange(0, 2).Draw(rt, "client")]
				if c.conn != nil {
					return
				}
				c.conn = w.connectSerials(node())
				if c.serial == "" {
					c.serial, c.heard = c.conn.enter("room", nil).Serial, 0
					settleAt(rt, c, published)
					return
				}
				s := c.conn.enter("room", resumeAt(c.serial))
				require.NotNil(rt, s.Recovered)
				if !*s.Recovered { // a node may still hold for others what the rule does not keep
					require.Greater(rt, published-c.heard, kept)
					require.Equal(rt, "expired", s.Reason)
					c.serial = s.Serial
					settleAt(rt, c, published)
					return
				}
			},
			"": func(*rapid.T) {
				for i := range clients {
					listen(&clients[i])
				}
			},
		})
		for i := range clients {
			if clients[i].conn != nil {
				clients[i].conn.Silent()
				clients[i].conn.Disconnect()
			}
		}
	})
}

// settleAt takes over where a client stands that begins live. Its node may not
// have heard the last events yet; they follow then.
func settleAt(rt *rapid.T, c *modelClient, published int) {
	var epoch string
	_, err := fmt.Sscanf(c.serial[16:], ":%d", &c.heard)
	require.NoError(rt, err, "%s%s", epoch, c.serial)
	require.LessOrEqual(rt, c.heard, published)
}

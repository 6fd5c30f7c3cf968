package main

import (
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// nemeses are what can go wrong, by name; i is the node it happens to.
var nemeses = map[string]func(c *chaos, i int){
	"kill -9": func(c *chaos, i int) {
		c.kill(i)
		c.forget(i)
		c.pause(c.lease / 2)
		c.start(i)
	},
	"SIGSTOP": func(c *chaos, i int) {
		c.signal(i, syscall.SIGSTOP)
		c.pause(c.beyondLease())
		c.signal(i, syscall.SIGCONT)
	},
	"redis restart": func(c *chaos, _ int) {
		c.killRedis()
		c.pause(300 * time.Millisecond)
		c.redis = c.startRedis(c.addr)
	},
	"failover": func(c *chaos, _ int) { c.failOver() },
	"link cut": func(c *chaos, i int) {
		c.links[i].Stop()
		c.pause(c.beyondLease())
		require.NoError(c.t, c.links[i].Start())
	},
	"pub/sub kill": func(c *chaos, _ int) {
		rdb := c.raw(c.addr)
		defer rdb.Close()
		require.NoError(c.t, rdb.Do(c.t.Context(), "client", "kill", "type", "pubsub").Err())
	},
	"rolling restart": func(c *chaos, _ int) {
		for i := range c.nodes {
			c.stop(i)
			c.start(i)
		}
	},
}

// beyondLease is long enough for the others to have cleared up after a node.
func (c *chaos) beyondLease() time.Duration { return c.lease + c.lease/3 + 300*time.Millisecond }

// pause lets a fault last, with publishing going on.
func (c *chaos) pause(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.publish(c.rnd.IntN(severalNodes), 200*time.Millisecond)
	}
}

// forget lets one client of a node not come back.
func (c *chaos) forget(node int) {
	for i, cl := range c.clients {
		if cl.node == node {
			c.clients = append(c.clients[:i:i], c.clients[i+1:]...)
			return
		}
	}
}
